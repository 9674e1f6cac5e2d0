"""`pygateway run`: the gateway itself."""

import argparse
import os
from pathlib import Path

from pygateway.cli.errors import CommandError
from pygateway.process import run
from pygateway.settings import SettingsError, add_arguments, parse

DESCRIPTION = """Run the gateway: read the manifests, carry traffic by them, and follow every change of the files.

A listener's port is bound as it is, but 80 as --http and 443 as --https. Without a Gateway the --http port serves
Ingress and APISIX objects. SIGTERM or Ctrl-C drains and ends."""
EPILOG = """examples:
  pygateway run -f manifests/
  pygateway run -f routes.yaml -f endpoints.yaml --http 30800 --admin 30809 --workers 4
  pygateway run -f manifests/ --access-log-path /var/log/pygateway.log --trusted 10.0.0.0/8"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser)


def execute(options: argparse.Namespace) -> int:
    try:
        settings = parse(options, os.environ)
    except SettingsError as error:
        raise CommandError(str(error)) from error
    if not settings.files:
        raise CommandError("no manifests: name a file or a folder with -f PATH")
    for path in settings.files:
        if not Path(path).exists():
            raise CommandError(f"no such file or folder: {path}")
    return run(settings)
