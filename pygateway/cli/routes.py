"""`pygateway routes`: every route, in the order in which they are asked."""

import argparse
import sys
from typing import Final

import msgspec

from pygateway.cli import load
from pygateway.cli.errors import DONE
from pygateway.cli.render import add_colour_option, printable, show, style_for, table
from pygateway.routing.listing import RouteRow

DESCRIPTION: Final = """List the routes in the order in which they are asked, from manifests (-f) or a running gateway.

PATH: /a is exact, /a/… takes whole segments, /a* takes text, ~ … is a regular expression (RE2); tcp, udp, tls and
passthrough know no paths, and of their routes for one host the first takes all."""
EPILOG: Final = """examples:
  pygateway routes -f manifests/
  pygateway routes --admin http://127.0.0.1:30809 --format json"""
HEAD: Final = ("LISTENER", "PORT", "HOST", "PATH", "CONDITIONS", "TO", "FROM")


def configure(parser: argparse.ArgumentParser) -> None:
    load.add_origin_options(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    add_colour_option(parser)


def execute(options: argparse.Namespace) -> int:
    rows = load.routes(options)
    if options.format == "json":
        print(msgspec.json.format(msgspec.json.encode(rows)).decode())
    elif rows:
        show(list(table(HEAD, [_cells(row) for row in rows], style_for(sys.stdout, options.color))))
    else:
        print("no routes")
    return DONE


def _cells(row: RouteRow) -> tuple[str, ...]:
    cells = (row.listener, str(row.bind), row.host, row.path, row.conditions or "-", row.to, row.origin)
    return tuple(printable(cell) for cell in cells)
