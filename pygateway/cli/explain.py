"""`pygateway explain`: which route takes a request and why, and what the others lack."""

import argparse
import sys
from collections.abc import Iterator
from typing import Final

import msgspec

from pygateway.cli import load
from pygateway.cli.errors import DONE, FAULTS
from pygateway.cli.render import Style, add_colour_option, printable, show, style_for, table
from pygateway.routing.explanation import Explanation, HostStep, NearMiss

DESCRIPTION: Final = """Say which route takes a request, and why; and for each that nearly does, the first condition
that fails. Asks manifests (-f), or a running gateway. A port that no listener has is taken for that of `run --http`.

Exit code: 0 a route takes the request; 1 none does; 2 no answer."""
EPILOG: Final = """examples:
  pygateway explain GET http://localhost:30800/left
  pygateway explain GET http://shop.example/cart -H 'X-Canary: yes' -H 'Cookie: user=ann' -f manifests/
  pygateway explain POST https://shop.example/pay --from 203.0.113.7 --format json"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", metavar="METHOD", help="GET, POST, …")
    parser.add_argument(
        "url",
        metavar="URL",
        help="http://HOST[:PORT]/PATH[?QUERY], as a client would ask for it; or tcp://:PORT, udp://:PORT, tls://NAME:PORT",
    )
    parser.add_argument(
        "-H", "--header", dest="headers", action="append", default=[], metavar="'NAME: VALUE'",
        help="a header of the request; may be repeated, Host replaces the URL's",
    )  # fmt: skip
    parser.add_argument("--from", dest="remote", default="", metavar="ADDRESS", help="the client's address")
    parser.add_argument(
        "--gateway", default="", metavar="NAMESPACE/NAME", help="the Gateway that is asked, where several have the port"
    )
    load.add_origin_options(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    add_colour_option(parser)


def execute(options: argparse.Namespace) -> int:
    question = [("method", options.method), ("url", options.url), *(("h", line) for line in options.headers)]
    if options.remote:
        question.append(("from", options.remote))
    if options.gateway:
        question.append(("gateway", options.gateway))
    answer = load.explanation(options, question)
    if options.format == "json":
        print(msgspec.json.format(msgspec.json.encode(answer)).decode())
    else:
        show(list(text(answer, style_for(sys.stdout, options.color))))
    return DONE if answer.winner is not None else FAULTS


def text(answer: Explanation, style: Style) -> Iterator[str]:
    """The answer for a person, line by line."""
    yield _request(answer, style)
    yield ""
    yield from _outcome(answer, style)
    if answer.near_misses:
        yield ""
        yield style("These would come first, but" if answer.winner else "The nearest routes", "bold")
        for miss in answer.near_misses:
            yield from _miss(miss, style)
    if len(answer.hosts) > 1:
        yield from _hosts(answer.hosts, style)
    if answer.suggestions:
        yield ""
        for suggestion in answer.suggestions:
            yield f"{style(style.hint, 'yellow')} {printable(suggestion)}"


def _request(answer: Explanation, style: Style) -> str:
    query = f"?{answer.query}" if answer.query else ""
    target = printable(f"{answer.method} {answer.host}{answer.path}{query}".rstrip())
    client = f", from {answer.remote}" if answer.remote else ""
    return f"{style(target, 'bold')} {style(printable(f'on port {answer.port}{client}'), 'dim')}"


def _outcome(answer: Explanation, style: Style) -> Iterator[str]:
    winner = answer.winner
    if winner is None:
        reasons = printable("; ".join(answer.why))
        outcome = "404" if answer.path else "nothing takes it"
        yield f"{style(style.no, 'red')} {style(outcome, 'red', 'bold')}: {reasons}"
        return
    name = style(printable(winner.origin), "green", "bold")
    yield f"{style(style.yes, 'green')} {name} {style.arrow} {style(printable(winner.to), 'bold')}"
    for reason in answer.why:
        yield f"    {printable(reason)}"
    second = answer.runner_up
    if second is not None:
        yield style(printable(f"  next is {second.origin} ({second.path}): {answer.margin}"), "dim")


def _miss(miss: NearMiss, style: Style) -> Iterator[str]:
    route = miss.route
    shape = ", ".join(part for part in (route.path, route.conditions) if part)
    yield f"  {style(printable(route.origin), 'cyan')} {style(printable(f'({shape})'), 'dim')}"
    yield f"    {style(style.no, 'red')} {printable(miss.failed)}"
    for further in miss.further:
        yield style(f"    {style.no} {printable(further)}", "dim")


def _hosts(steps: tuple[HostStep, ...], style: Style) -> Iterator[str]:
    yield ""
    rows = [(step.hostname, step.listener, str(step.routes), step.outcome) for step in steps]
    yield from table(("HOSTS ASKED", "LISTENER", "ROUTES", "OUTCOME"), rows, style)
