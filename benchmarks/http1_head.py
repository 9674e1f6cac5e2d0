"""What parsing a request head costs, against h11 and against the bare `head.split` that every parser needs.

    python benchmarks/http1_head.py [--rounds N]

Each head differs in its path, a query and a cookie, so that no cache of whole lines could help. Times are the best of
several rounds, as CPU time of this process.
"""

import argparse
import time
from collections.abc import Callable

import h11

from pygateway.dataplane.http1 import head as codec
from pygateway.dataplane.http1.limits import Limits

HEADS = 512
PLAIN = "GET /left/{n:x} HTTP/1.1\r\nHost: localhost:30800\r\nUser-Agent: curl/7.88.1\r\nAccept: */*"
BROWSER = (
    "GET /left/{n:x}?page={n} HTTP/1.1\r\n"
    "Host: shop.example.com\r\n"
    "Connection: keep-alive\r\n"
    "Cache-Control: max-age=0\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Referer: https://shop.example.com/products/{n}\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    "Cookie: session=0123456789abcdef{n:016x}; theme=dark"
)


def ours(heads: list[bytes]) -> None:
    limits = Limits()
    parse = codec.parse_request
    for head in heads:
        parse(head, limits)


def theirs(heads: list[bytes]) -> None:
    for head in heads:
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(head + b"\r\n\r\n")
        connection.next_event()


def split(heads: list[bytes]) -> None:
    for head in heads:
        head.split(b"\r\n")


def microseconds(work: Callable[[list[bytes]], None], heads: list[bytes], rounds: int) -> float:
    """The best round, in microseconds of CPU time for one head."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time_ns()
        work(heads)
        best = min(best, (time.process_time_ns() - start) / len(heads) / 1000)
    return best


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=40)
    rounds = arguments.parse_args().rounds
    form = "plain" if (codec.__file__ or "").endswith(".py") else "compiled"
    print(f"form: {form}")
    print(f"{'head':<10}{'ours µs':>10}{'h11 µs':>10}{'split µs':>10}{'ours/h11':>10}{'ours/split':>12}")
    for name, template in (("plain", PLAIN), ("browser", BROWSER)):
        heads = [template.format(n=number).encode() for number in range(HEADS)]
        mine = microseconds(ours, heads, rounds)
        other = microseconds(theirs, heads, max(3, rounds // 10))
        bare = microseconds(split, heads, rounds)
        print(f"{name:<10}{mine:>10.2f}{other:>10.1f}{bare:>10.2f}{mine / other:>10.3f}{mine / bare:>12.1f}")


if __name__ == "__main__":
    main()
