"""The command `pygateway`. Each subcommand is a module of this package with the shape of `Command`.

Only the module of the command that is asked for is imported, so that `--help` and `explain` start at once.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, cast

import pygateway
from pygateway.cli.errors import USAGE, CommandError

INTERRUPTED: Final = 130
"""What a shell reports for a program that SIGINT ended."""

COMMANDS: Final[Mapping[str, str]] = {
    "run": "run the gateway",
    "check": "find every fault in manifests",
    "explain": "which route takes a request, and why the others do not",
    "routes": "list the routes, in the order in which they are asked",
    "translate": "print what manifests become: routes, clusters, statuses",
}

EPILOG: Final = """examples:
  pygateway run -f manifests/ --http 8080
  pygateway check -f manifests/
  pygateway explain GET http://shop.example/cart -H 'X-Canary: yes' -f manifests/
  pygateway routes

`pygateway COMMAND --help` tells more about each."""


class Command(Protocol):
    """A module of a subcommand. `execute` answers the exit code."""

    DESCRIPTION: str
    EPILOG: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options."""

    def execute(self, options: argparse.Namespace) -> int:
        """Do it. CommandError when it cannot be done."""


def _parser(chosen: str) -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="pygateway",
        description="A Kubernetes gateway: Gateway API, Ingress and APISIX routes.",
        epilog=EPILOG,
        formatter_class=raw,
    )
    parser.add_argument("--version", action="version", version=f"pygateway {pygateway.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, formatter_class=raw)
        if name == chosen:
            module = cast(Command, importlib.import_module(f"pygateway.cli.{name}"))
            command.description, command.epilog = module.DESCRIPTION, module.EPILOG
            module.configure(command)
            command.set_defaults(module=module)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. 0: done; 1: done, and faults were found; 2: could not be done."""
    words = sys.argv[1:] if argv is None else argv
    parser = _parser(next((word for word in words if word in COMMANDS), ""))
    if not words:
        parser.print_help(sys.stderr)
        return USAGE
    options = parser.parse_args(words)
    module: Command = options.module
    try:
        code = module.execute(options)
        sys.stdout.flush()
    except CommandError as error:
        print(f"pygateway {options.command}: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has gone. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
