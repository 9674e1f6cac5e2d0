"""`pygateway translate`: what manifests become."""

import argparse
import sys
from typing import Final

from pygateway.cli import load
from pygateway.cli.errors import DONE
from pygateway.cli.yamltext import yaml_text
from pygateway.translate.dump import plain

DESCRIPTION: Final = """Print what manifests become, as YAML: the intermediate representation that the data plane gets
(listeners, virtual hosts with their routes, clusters, endpoints), the statuses of the objects, and the problems found.
Defaults are left out."""
EPILOG: Final = """examples:
  pygateway translate -f manifests/
  pygateway translate -f tests/golden/gateway/redirects.in.yaml"""


def configure(parser: argparse.ArgumentParser) -> None:
    load.add_files_option(parser, required=True)
    parser.add_argument("--http", type=int, default=8080, help="port for listeners on 80 (default: 8080)")
    parser.add_argument("--https", type=int, default=8443, help="port for listeners on 443 (default: 8443)")


def execute(options: argparse.Namespace) -> int:
    loaded = load.files(options.files)
    load.warn_of_faults(loaded)
    sys.stdout.write(yaml_text(plain(loaded.translation(options.http, options.https))))
    return DONE
