"""What is fuzzed, and what must hold for every input. A check that fails raises: `Finding`, or whatever came up.

The first byte of an input says which check of its target looks at the rest.
"""

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import hpack
from hpack.exceptions import HPACKError

from pygateway.dataplane.http1.body import ChunkedReader
from pygateway.dataplane.http1.errors import BadMessage
from pygateway.dataplane.http1.limits import Limits
from pygateway.dataplane.http2.budget import Http2Limits
from pygateway.dataplane.http2.errors import HpackError
from pygateway.dataplane.http2.frames import LARGEST_WINDOW
from pygateway.dataplane.http2.hpack import Decoder, Encoder, static_table
from pygateway.dataplane.http2.recorder import Recorder
from pygateway.dataplane.http2.states import HALF_LOCAL, HALF_REMOTE, OPEN
from pygateway.dataplane.tls.clienthello import BadHello, HelloReader
from tests.fuzz import mutate, seeds
from tests.fuzz.stack import Stack, records, written
from tests.http1.driver import Requests, Responses

SECONDS_PER_BYTE = 20e-6
SECONDS_AT_LEAST = 0.05
BYTE_BY_BYTE = 2048
"""Inputs up to here are also fed byte by byte."""
HEADER_BYTES = 65536
_LIMITS = Limits()
_STATIC = static_table()


class Finding(AssertionError):  # noqa: N818 - what fuzzing is for
    """Something that must hold does not."""


@dataclass(frozen=True)
class Check:
    """One property of one reader. `seeds` are inputs to begin with."""

    name: str
    run: Callable[[bytes], None]
    mutate: mutate.Mutator
    seeds: list[bytes]


def cuts(wire: bytes) -> list[list[bytes]]:
    """`wire` in pieces, in a few ways that depend on it alone."""
    rng = random.Random(len(wire) * 131 + sum(wire[:64]))
    ways = [[wire[at : at + 1] for at in range(len(wire))]] if len(wire) <= BYTE_BY_BYTE else []
    for count in (1, 3, 16):
        edges = sorted({0, len(wire), *(rng.randint(0, len(wire)) for _ in range(count))})
        ways.append([wire[start:stop] for start, stop in pairwise(edges)])
    return ways


def in_time(work: Callable[[], object], size: int) -> None:
    """Raises Finding: more CPU time than an input of that size may take, three times over."""
    allowed = SECONDS_AT_LEAST + size * SECONDS_PER_BYTE
    took = 0.0
    for _ in range(3):
        started = time.thread_time()
        work()
        took = time.thread_time() - started
        if took <= allowed:
            return
    raise Finding(f"{took:.3f} s for {size} bytes")


def same(whole: list[str], parts: list[str]) -> None:
    """Raises Finding: pieces made a difference. A head with several faults may be refused for another one of them."""
    if whole[-1:] and parts[-1:] and whole[-1].startswith("refused") and parts[-1].startswith("refused"):
        whole, parts = whole[:-1], parts[:-1]
    if whole != parts:
        raise Finding(f"whole: {whole[-2:]}, in pieces: {parts[-2:]}")


# HTTP/1.1.


def _requests(wire: bytes) -> None:
    outcomes: list[list[str]] = []

    def read(pieces: list[bytes]) -> None:
        connection = Requests()
        for piece in pieces:
            connection.feed(piece)
        if not connection.over and len(connection.buffer) > _LIMITS.header_bytes + 4:
            raise Finding(f"{len(connection.buffer)} bytes of a head are kept")
        outcomes.append(connection.result())

    in_time(lambda: read([wire]), len(wire))
    for way in cuts(wire):
        read(way)
    for parts in outcomes[1:]:
        same(outcomes[0], parts)


def _responses(wire: bytes) -> None:
    methods = (("GET",), ("HEAD", "GET"), ("GET", "HEAD"))[wire[0] % 3 if wire else 0] * 8
    wire = wire[1:]
    outcomes: list[list[str]] = []

    def read(pieces: list[bytes]) -> None:
        connection = Responses(methods)
        for piece in pieces:
            connection.feed(piece)
        connection.end()
        outcomes.append(connection.result())

    in_time(lambda: read([wire]), len(wire))
    for way in cuts(wire):
        read(way)
    for parts in outcomes[1:]:
        same(outcomes[0], parts)


def _chunked(wire: bytes) -> None:
    outcomes: list[tuple[str, bytes, list[bytes], int]] = []

    def read(pieces: list[bytes]) -> None:
        reader = ChunkedReader(_LIMITS)
        used = 0
        reason = ""
        try:
            for piece in pieces:
                used += reader.feed(piece, 0)
        except BadMessage as fault:
            reason, used = "refused", 0
            if fault.status not in (400, 431):
                raise Finding(f"{fault.reason} is answered {fault.status}") from None
        data = b"".join(reader.parts)
        if len(data) > len(wire) or sum(map(len, reader.trailers)) > _LIMITS.trailer_bytes + len(reader.trailers):
            raise Finding("more comes out than went in")
        outcomes.append((reason, data if not reason else b"", reader.trailers if not reason else [], used))

    in_time(lambda: read([wire]), len(wire))
    for way in cuts(wire):
        read(way)
    if any(one != outcomes[0] for one in outcomes):
        raise Finding(f"pieces make a difference: {outcomes[0]}")


# HTTP/2.


def blocks(data: bytes) -> list[bytes]:
    """Header blocks, each after its length of two bytes."""
    found = []
    while len(data) >= 2:
        size = data[0] << 8 | data[1]
        found.append(data[2 : 2 + size])
        data = data[2 + size :]
    return found


def _hpack(data: bytes) -> None:
    ours, theirs, encoder = Decoder(_STATIC, HEADER_BYTES), hpack.Decoder(HEADER_BYTES), Encoder()
    theirs.max_allowed_table_size = 4096
    back = hpack.Decoder(1 << 24)
    for one in blocks(data):
        with contextlib.suppress(HpackError):  # it is the first block here, below it may not be
            in_time(lambda one=one: Decoder(_STATIC, HEADER_BYTES).decode(one), len(one))
        try:
            fields = ours.decode(one)
        except HpackError:
            return
        if sum(field.size for field in fields) > HEADER_BYTES or ours._size > 4096:
            raise Finding("a limit does not hold")
        if ours._size != sum(field.size for field in ours._table):
            raise Finding("the size of the table is wrong")
        if not ours.over:
            _as_hyper(one, [(field.name, field.value) for field in fields], theirs)
            _round_trip([field.line for field in fields if b":" not in field.name], encoder, back)
        else:
            return  # hyper gives up, and its table is another one from here


def _as_hyper(block: bytes, fields: list[tuple[bytes, bytes]], theirs: hpack.Decoder) -> None:
    try:
        found = theirs.decode(block, raw=True)
    except HPACKError as fault:
        raise Finding(f"hyper refuses: {fault!r}") from None
    if [(bytes(name), bytes(value)) for name, value in found] != fields:
        raise Finding("hyper reads something else")


def _round_trip(lines: list[bytes], encoder: Encoder, back: hpack.Decoder) -> None:
    wanted = []
    for line in lines:
        name, _, value = line.partition(b": ")
        wanted.append((name.lower(), value))
    out: list[bytes] = []
    encoder.begin(out)
    encoder.add(lines, out)
    found = [(bytes(name), bytes(value)) for name, value in back.decode(b"".join(out), raw=True)]
    if found != wanted:
        raise Finding("what is encoded reads otherwise")


def _server(wire: bytes) -> None:
    """The codec in the server's role."""
    outcomes: list[tuple[list[str], bytes]] = []

    def read(pieces: list[bytes]) -> None:
        server = Recorder(Http2Limits(), HEADER_BYTES)
        out = b""
        for piece in pieces:
            server.receive(piece)
            out += server.take()
            _sane(server, len(wire))
        if len(out) > 2 * len(wire) + 4096:
            raise Finding(f"{len(out)} bytes for {len(wire)}")
        if len([event for event in server.events if event.startswith("over")]) > 1:
            raise Finding("it ends twice")
        outcomes.append((server.events, out))

    in_time(lambda: read([wire]), len(wire))
    for way in cuts(wire):
        read(way)
    if any(one != outcomes[0] for one in outcomes):
        raise Finding("pieces make a difference")


def _sane(server: Recorder, size: int) -> None:
    limits = server.limits
    if server.over:
        return  # nothing is read any more, and nobody looks at what the last frame left
    if server.window > LARGEST_WINDOW or not 0 <= server.credit <= limits.connection_window:
        raise Finding(f"connection windows: {server.window}, {server.credit}")
    if len(server.streams) > limits.max_streams:
        raise Finding(f"{len(server.streams)} streams")
    held = 0
    for number, channel in server.streams.items():
        held += channel.waiting + channel.held
        if number != channel.number or channel.state not in (OPEN, HALF_LOCAL, HALF_REMOTE):
            raise Finding(f"stream {number} is in state {channel.state}")
        if channel.window > LARGEST_WINDOW or channel.credit > limits.stream_window:
            raise Finding(f"windows of stream {number}: {channel.window}, {channel.credit}")
    if len(server._buffer) > 16384 + 9 or server._block_size > HEADER_BYTES + 16384:
        raise Finding(f"{len(server._buffer)} and {server._block_size} bytes are kept")
    if held > limits.connection_window + size or len(server._were_reset) > 100:
        raise Finding(f"{held} bytes wait")


# Both codecs at work.


def _through(data: bytes, h2: bool) -> None:
    """A client, the gateway and its backends."""
    happens = records(data)
    size = sum(len(part) for _, part in happens)

    def run() -> None:
        stack = Stack(h2)
        stack.run(happens)
        stack.end()
        left = stack.left()
        if left:
            raise Finding(f"left behind: {left}")
        given = sum(map(len, stack.client.out))
        if given > 8192 + 40 * size:
            raise Finding(f"{given} bytes for the client, of {size}")
        if not h2:
            for pipe in stack.backends:
                _is_strict(b"".join(pipe.out))

    in_time(run, size + 50 * len(happens))


def _is_strict(wire: bytes) -> None:
    """What backends get they must not be able to read in two ways."""
    reader = Requests()
    reader.limits.header_bytes = reader.limits.header_line = 1 << 20
    reader.limits.headers = 1000
    reader.limits.settle()
    reader.feed(wire)
    events = reader.result()
    if events and events[-1].startswith("refused"):
        raise Finding(f"a backend gets {events[-1]}")


def _hello(data: bytes) -> None:
    outcomes: list[str] = []

    def read(pieces: list[bytes]) -> None:
        reader = HelloReader(16384)
        outcome = "more"
        try:
            for piece in pieces:
                hello = reader.feed(piece)
                if hello is not None:
                    outcome = f"{hello.server_name} {hello.protocols}"
                    break
                if len(reader.data) > 16384:
                    raise Finding(f"{len(reader.data)} bytes are kept")
        except BadHello:
            outcome = "refused"
        outcomes.append(outcome)

    in_time(lambda: read([data]), len(data))
    for way in cuts(data):
        if outcomes[0] != "more" or len(data) <= 16384:
            read(way)
    if any(one != outcomes[0] for one in outcomes):
        raise Finding(f"pieces make a difference: {outcomes}")


def in_records(inner: mutate.Mutator) -> mutate.Mutator:
    """Mutates what happens: the records, and what is in them."""

    def mutated(data: bytes, rng: random.Random) -> bytes:
        happens = records(data)
        at = rng.randint(0, len(happens))
        what = rng.random()
        if what < 0.15 or at == len(happens):
            happens.insert(at, (rng.choice((b"C", b"B", b"c", b"b", b"t", b"p", b"r")), bytes([rng.randrange(256)])))
        elif what < 0.25:
            del happens[at]
        elif what < 0.3:
            happens.insert(rng.randint(0, len(happens) - 1), happens.pop(at))
        elif what < 0.4:
            kind, part = happens[at]
            cut = rng.randint(0, len(part))
            happens[at : at + 1] = [(kind, part[:cut]), (kind, part[cut:])]
        else:
            kind, part = happens[at]
            start = 24 if part.startswith(seeds.PREFACE) else 0
            happens[at] = (kind, part[:start] + inner(part[start:], rng))
        return written(happens)[: mutate.LONGEST]

    return mutated


_ANY_PART = in_records(lambda data, rng: (mutate.plain if rng.random() < 0.5 else mutate.framed)(data, rng))

TARGETS: dict[str, list[Check]] = {
    "http1": [
        Check("requests", _requests, mutate.plain, seeds.requests()),
        Check("responses", _responses, mutate.plain, seeds.responses()),
        Check("chunked", _chunked, mutate.plain, seeds.chunked()),
        Check("through", lambda data: _through(data, False), in_records(mutate.plain), seeds.through_http1()),
    ],
    "http2": [
        Check("hpack", _hpack, mutate.plain, seeds.blocks()),
        Check("server", _server, mutate.framed, seeds.frames()),
        Check("clients", lambda data: _through(data, False), _ANY_PART, seeds.through_http2(False)),
        Check("backends", lambda data: _through(data, True), _ANY_PART, seeds.through_http2(True)),
    ],
    "tls": [Check("hello", _hello, mutate.plain, seeds.hellos())],
}


def corpus(target: str) -> list[bytes]:
    """The inputs that every run begins with."""
    return [bytes([index]) + seed for index, check in enumerate(TARGETS[target]) for seed in check.seeds]


def run(target: str, data: bytes) -> None:
    """One input. Raises whatever is wrong."""
    checks = TARGETS[target]
    if data:
        checks[data[0] % len(checks)].run(data[1:])


def mutated(target: str, data: bytes, rng: random.Random) -> bytes:
    """Another input for the same check."""
    checks = TARGETS[target]
    if not data:
        return bytes([rng.randrange(len(checks))])
    return data[:1] + checks[data[0] % len(checks)].mutate(data[1:], rng)
