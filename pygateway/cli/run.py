"""`pygateway run`: the gateway itself."""

import argparse
import fcntl
import os
import stat
import sys
from pathlib import Path

from pygateway.cli.errors import CommandError
from pygateway.process import run
from pygateway.settings import SettingsError, add_arguments, parse

DESCRIPTION = """Run the gateway: read manifests or a cluster, carry traffic by them, and follow every change.

A listener's port is bound as it is, but 80 as --http and 443 as --https. Without a Gateway the --http port serves
Ingress and APISIX objects. SIGTERM or Ctrl-C drains and ends."""
EPILOG = """examples:
  pygateway run -f manifests/
  pygateway run -f routes.yaml -f endpoints.yaml --http 30800 --admin 30809 --workers 4
  pygateway run --kubernetes --kubeconfig ~/.kube/config --http 30800 --leader-election false
  pygateway run -f manifests/ --access-log-path /var/log/pygateway.log --trusted 10.0.0.0/8"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser)


def execute(options: argparse.Namespace) -> int:
    try:
        settings = parse(options, os.environ)
    except SettingsError as error:
        raise CommandError(str(error)) from error
    if settings.kubernetes and settings.files:
        raise CommandError("--kubernetes reads a cluster and -f manifests: one or the other")
    if not settings.files and not settings.kubernetes:
        raise CommandError("no manifests: name a file or a folder with -f PATH, or a cluster with --kubernetes")
    for path in settings.files:
        if not Path(path).exists():
            raise CommandError(f"no such file or folder: {path}")
    _append()
    return run(settings)


def _append() -> None:
    """Where output goes to a file (`> log`), let every process write at its end: workers write access lines there too,
    and two descriptions with offsets of their own overwrite each other."""
    for fd in (sys.stdout.fileno(), sys.stderr.fileno()):
        if stat.S_ISREG(os.fstat(fd).st_mode):
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
