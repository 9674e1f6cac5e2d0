"""The reader of ClientHellos: what real clients send, in any pieces, and nothing else."""

import ssl
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pygateway.dataplane.tls.clienthello import BadHello, ClientHello, HelloReader
from tests.dataplane.overtls import client_hello

LIMIT = 16384


def read(data: bytes, limit: int = LIMIT) -> tuple[str, list[bytes]] | None:
    hello = HelloReader(limit).feed(data)
    return None if hello is None else (hello.server_name, hello.protocols)


def feed(reader: HelloReader, pieces: list[bytes]) -> None:
    for piece in pieces:
        reader.feed(piece)


def reason_of(data: bytes) -> str:
    """Why it is refused, or ""."""
    try:
        read(data)
    except BadHello as fault:
        return fault.reason
    return ""


def vector(size: int, data: bytes) -> bytes:
    return len(data).to_bytes(size, "big") + data


def extension(kind: int, value: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(2, value)


def server_name(*names: bytes, kind: int = 0) -> bytes:
    return extension(0, vector(2, b"".join(bytes([kind]) + vector(2, name) for name in names)))


def alpn(*names: bytes) -> bytes:
    return extension(16, vector(2, b"".join(vector(1, name) for name in names)))


def body(*extensions: bytes, session: bytes = b"", suites: bytes = b"\x13\x01", compression: bytes = b"\0") -> bytes:
    ends = vector(2, b"".join(extensions)) if extensions else b""
    return b"\x03\x03" + bytes(32) + vector(1, session) + vector(2, suites) + vector(1, compression) + ends


def message(content: bytes) -> bytes:
    return b"\x01" + vector(3, content)


def records(data: bytes, size: int = LIMIT) -> bytes:
    return b"".join(b"\x16\x03\x01" + vector(2, data[at : at + size]) for at in range(0, len(data), size))


def hello(*extensions: bytes, **fields: bytes) -> bytes:
    return records(message(body(*extensions, **fields)))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_a_real_client_sends(version: ssl.TLSVersion) -> None:
    data = client_hello("A.Example", ("h2", "http/1.1"), maximum_version=version)
    assert read(data) == ("a.example", [b"h2", b"http/1.1"])


def test_byte_by_byte_it_is_the_same() -> None:
    data = client_hello("a.example", ("http/1.1",))
    reader = HelloReader(LIMIT)
    found = [reader.feed(data[at : at + 1]) for at in range(len(data))]
    assert found[:-1] == [None] * (len(data) - 1)
    assert isinstance(found[-1], ClientHello)
    assert found[-1].server_name == "a.example"
    assert reader.data == data


def test_what_follows_the_record_is_left_to_the_tls_library() -> None:
    data = hello(server_name(b"a")) + b"\x14\x03\x03\x00\x01\x01"
    reader = HelloReader(LIMIT)
    assert reader.feed(data) is not None
    assert reader.data == data


@pytest.mark.parametrize("address", [b"192.0.2.1", b"::1", b"2001:DB8::1"])
def test_an_address_is_no_name(address: bytes) -> None:
    assert read(hello(server_name(address))) == ("", [])


def test_without_extensions_there_is_no_name() -> None:
    assert read(hello()) == ("", [])


@given(st.integers(1, 60), st.lists(st.integers(1, 40), max_size=30))
def test_pieces_and_records_of_any_size(size: int, cuts: list[int]) -> None:
    data = records(message(body(server_name(b"a.example"), alpn(b"http/1.1"))), size)
    reader = HelloReader(LIMIT)
    found = None
    at = 0
    for cut in [*cuts, len(data)]:
        assert found is None or at >= len(data)
        found = found or reader.feed(data[at : at + cut])
        at += cut
    assert found is not None
    assert (found.server_name, found.protocols) == ("a.example", [b"http/1.1"])


BROKEN = {
    "not-a-handshake": [b"\x17\x03\x03\x00\x01\x00", b"\x16\x02\x00\x00\x01\x00"],
    "bad-record-length": [b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\x40\x01"],
    "not-a-client-hello": [records(b"\x02\x00\x00\x00"), records(b"\x00")],
    "client-hello-bytes": [records(b"\x01\x00\x40\x00"), records(b"\x01\xff\xff\xff"), records(b"\x01" + bytes(16383))],
    "trailing-bytes": [
        records(message(body()) + b"\0"),
        records(message(body(server_name(b"a")) + b"\0")),
    ],
    "bad-session-id": [hello(session=bytes(33))],
    "bad-cipher-suites": [hello(suites=b""), hello(suites=b"\x13\x01\x13")],
    "bad-compression": [hello(compression=b"")],
    "bad-length": [
        records(message(b"")),
        records(message(body()[:-1])),
        records(message(body(server_name(b"a"))[:-1])),
        hello(b"\0"),
        hello(extension(0, b"")),
        hello(extension(0, b"\0\0")),
        hello(extension(0, vector(2, b"\0" + vector(2, b"a")) + b"\0")),
        hello(extension(0, vector(2, b"\0\0\5a"))),
        hello(extension(16, b"\0\0")),
        hello(extension(16, vector(2, b"\5a"))),
    ],
    "repeated-extension": [
        hello(server_name(b"a"), server_name(b"a")),
        hello(extension(999, b""), extension(999, b"")),
    ],
    "bad-server-name": [
        hello(server_name(name))
        for name in (b"", b"a.", b".a", b"a..b", b"g:b", b"a b", b"a\0", b"\xc3\xa4", b"a" * 254, b"a/b")
    ]
    + [hello(server_name(b"a", b"b")), hello(server_name(b"a", kind=1))],
    "bad-alpn": [hello(alpn(b"h2", b""))],
}


@pytest.mark.parametrize(("reason", "data"), [(reason, one) for reason, some in BROKEN.items() for one in some])
def test_what_is_no_client_hello(reason: str, data: bytes) -> None:
    with pytest.raises(BadHello) as fault:
        read(data)
    assert fault.value.reason == reason
    reader = HelloReader(LIMIT)
    with pytest.raises(BadHello):
        feed(reader, [data[at : at + 1] for at in range(len(data))])


def test_many_small_records_come_to_an_end() -> None:
    reader = HelloReader(LIMIT)
    with pytest.raises(BadHello) as fault:
        feed(reader, [records(bytes([byte])) for byte in message(bytes(10000))])
    assert fault.value.reason == "client-hello-bytes"
    assert len(reader.data) <= LIMIT + 6


def mutations(data: bytes) -> Iterator[bytes]:
    for at in range(len(data)):
        for byte in (0, 1, 0x7F, 0xFF, data[at] ^ 1):
            yield data[:at] + bytes([byte]) + data[at + 1 :]
        yield data[:at] + data[at + 1 :]


def test_every_single_fault_is_seen_or_harmless() -> None:
    """Nothing but BadHello is ever raised, and no more than what came is read."""
    for data in mutations(hello(server_name(b"a.example"), alpn(b"h2", b"http/1.1"), session=bytes(32))):
        try:
            found = read(data)
        except BadHello:
            continue
        assert found is None or found[0].isascii()


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    for whole in (data, records(message(data)), hello(extension(0, data)), hello(extension(16, data)), hello(data)):
        assert reason_of(whole) in {"", *BROKEN}


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80))
def test_names_are_in_lower_case_or_refused(name: str) -> None:
    data = hello(server_name(name.encode()))
    if reason_of(data):
        assert reason_of(data) == "bad-server-name"
    else:
        assert read(data) in [(name.lower(), []), ("", [])]
