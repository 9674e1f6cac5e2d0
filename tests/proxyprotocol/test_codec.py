"""The PROXY protocol's headers: what is one, in any pieces, what is none and why, and that we write what we read."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pygateway.dataplane.proxyprotocol.crc32c import crc32c
from pygateway.dataplane.proxyprotocol.header import (
    DGRAM,
    INET,
    INET6,
    LOCAL,
    PROXY,
    SIGNATURE,
    STREAM,
    TYPE_ALPN,
    TYPE_AUTHORITY,
    TYPE_CRC32C,
    TYPE_NOOP,
    TYPE_SSL,
    TYPE_UNIQUE_ID,
    UNIX,
    UNSPEC,
    Addresses,
    Header,
    Tlv,
)
from pygateway.dataplane.proxyprotocol.reader import BadHeader, HeaderReader
from pygateway.dataplane.proxyprotocol.writer import binary_header, preface, text_header

LIMIT = 4096
V4 = ("192.0.2.1", 56324, "198.51.100.7", 443)
V6 = ("2001:db8::1", 4124, "2001:db8::2", 80)
BLOCK4 = bytes([192, 0, 2, 1, 198, 51, 100, 7]) + (56324).to_bytes(2, "big") + (443).to_bytes(2, "big")
BLOCK6 = socket.inet_pton(socket.AF_INET6, V6[0]) + socket.inet_pton(socket.AF_INET6, V6[2]) + b"\x10\x1c\0\x50"


def v2(command: int, kind: int, block: bytes, length: int | None = None) -> bytes:
    size = len(block) if length is None else length
    return SIGNATURE + bytes([command, kind]) + size.to_bytes(2, "big") + block


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def read(data: bytes, limit: int = LIMIT) -> tuple[Header, bytes]:
    reader = HeaderReader(limit)
    header = reader.feed(data)
    assert header is not None, "not whole"
    return header, reader.rest


def told(header: Header) -> tuple[str, int, str, int] | None:
    one = header.addresses
    return None if one is None else (one.source, one.source_port, one.destination, one.destination_port)


def outcome(pieces: list[bytes], limit: int = LIMIT) -> object:
    """What comes of it: what was read and what is left of all bytes, the reason of a refusal, or None."""
    reader = HeaderReader(limit)
    try:
        for index, piece in enumerate(pieces):
            header = reader.feed(piece)
            if header is not None:
                fields = [(one.kind, one.value) for one in header.tlvs]
                what = (header.version, header.command, header.family, header.transport, told(header), fields)
                return what, reader.rest + b"".join(pieces[index + 1 :])
    except BadHeader as fault:
        return fault.reason
    return None


def refusal(data: bytes, limit: int = LIMIT) -> str:
    found = outcome([data], limit)
    assert isinstance(found, str), found
    assert outcome([data[at : at + 1] for at in range(len(data))], limit) == found
    return found


class TestVersion1:
    def test_ipv4(self) -> None:
        header, rest = read(b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nGET /")
        assert (header.version, header.command, header.family, header.transport) == (1, PROXY, INET, STREAM)
        assert told(header) == V4
        assert rest == b"GET /"

    def test_ipv6(self) -> None:
        header, rest = read(b"PROXY TCP6 2001:db8::1 2001:db8::2 4124 80\r\n")
        assert (header.family, told(header), rest) == (INET6, V6, b"")

    def test_an_ipv6_address_may_be_written_out_and_in_capitals(self) -> None:
        header, _ = read(b"PROXY TCP6 2001:0DB8:0:0:0:0:0:1 2001:DB8::2 4124 80\r\n")
        assert told(header) == V6

    @pytest.mark.parametrize("rest", [b"", b" ", b" ffff::f ffff::f 65535 65535", b" what ever \t\0\xff it is"])
    def test_what_follows_unknown_is_passed_over(self, rest: bytes) -> None:
        header, after = read(b"PROXY UNKNOWN" + rest + b"\r\nx")
        assert (header.addresses, header.family, after) == (None, UNSPEC, b"x")

    def test_the_longest_header_of_the_specification_fits(self) -> None:
        full = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        longest = f"PROXY UNKNOWN {full} {full} 65535 65535\r\n".encode()
        assert len(longest) == 107
        assert read(longest)[0].addresses is None
        assert refusal(longest[:-2] + b" \r\n") == "v1-too-long"

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            ("", "v1-bad-family"),
            ("TCP", "v1-bad-family"),
            ("TCP5 192.0.2.1 198.51.100.7 1 2", "v1-bad-family"),
            ("tcp4 192.0.2.1 198.51.100.7 1 2", "v1-bad-family"),
            ("UDP4 192.0.2.1 198.51.100.7 1 2", "v1-bad-family"),
            ("UNKNOWNS", "v1-bad-family"),
            ("TCP4", "v1-bad-words"),
            ("TCP4 192.0.2.1 198.51.100.7 1", "v1-bad-words"),
            ("TCP4 192.0.2.1 198.51.100.7 1 2 3", "v1-bad-words"),
            ("TCP4 192.0.2.1 198.51.100.7 1 2 ", "v1-bad-words"),
            ("TCP4  192.0.2.1 198.51.100.7 1 2", "v1-bad-words"),
            ("TCP4 192.0.2.1\t198.51.100.7 1 2 3", "v1-bad-address"),
            ("TCP4 192.0.2.256 198.51.100.7 1 2", "v1-bad-address"),
            ("TCP4 192.0.2.01 198.51.100.7 1 2", "v1-bad-address"),
            ("TCP4 192.0.2 198.51.100.7 1 2", "v1-bad-address"),
            ("TCP4 192.0.2.1. 198.51.100.7 1 2", "v1-bad-address"),
            ("TCP4 0xc0.0.2.1 198.51.100.7 1 2", "v1-bad-address"),
            ("TCP4 3221225985 198.51.100.7 1 2", "v1-bad-address"),
            ("TCP4 2001:db8::1 2001:db8::2 1 2", "v1-bad-address"),
            ("TCP4 192.0.2.1 a.example 1 2", "v1-bad-address"),
            ("TCP6 192.0.2.1 198.51.100.7 1 2", "v1-bad-address"),
            ("TCP6 2001:db8::1::2 2001:db8::2 1 2", "v1-bad-address"),
            ("TCP6 fe80::1%eth0 2001:db8::2 1 2", "v1-bad-address"),
            ("TCP6 [2001:db8::1] 2001:db8::2 1 2", "v1-bad-address"),
            ("TCP4 192.0.2.1 198.51.100.7 65536 2", "v1-bad-port"),
            ("TCP4 192.0.2.1 198.51.100.7 1 000002", "v1-bad-port"),
            ("TCP4 192.0.2.1 198.51.100.7 01 2", "v1-bad-port"),
            ("TCP4 192.0.2.1 198.51.100.7 00 2", "v1-bad-port"),
            ("TCP4 192.0.2.1 198.51.100.7 +1 2", "v1-bad-port"),
            ("TCP4 192.0.2.1 198.51.100.7 -1 2", "v1-bad-port"),
            ("TCP4 192.0.2.1 198.51.100.7 1_0 2", "v1-bad-port"),
            ("TCP4 192.0.2.1 198.51.100.7 \u0661 2", "v1-bad-port"),
            ("TCP4 192.0.2.1 198.51.100.7 1 ", "v1-bad-port"),
        ],
    )
    def test_refused(self, words: str, reason: str) -> None:
        assert refusal(f"PROXY {words}\r\n".encode()) == reason

    @pytest.mark.parametrize("end", [b"\n", b"\r\r\n", b" \rx\r\n"])
    def test_a_line_ends_in_crlf_and_has_no_other(self, end: bytes) -> None:
        assert refusal(b"PROXY UNKNOWN" + end) == "v1-bad-line-end"
        assert refusal(b"PROXY TCP4 192.0.2.1 198.51.100.7 1 2" + end) == "v1-bad-line-end"

    def test_port_0_is_one(self) -> None:
        assert told(read(b"PROXY TCP4 192.0.2.1 198.51.100.7 0 65535\r\n")[0]) == ("192.0.2.1", 0, V4[2], 65535)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\0", b"\n",
        b"proxy TCP4 ", b"PROXY\t", b"PROXY\r\n", b" PROXY ", b"\0", b"\r\n\r\n\0\r\nQUIX\n", b"\r\n\r\nPROXY ",
    ],
)  # fmt: skip
def test_another_protocol_is_refused_at_its_first_wrong_byte(data: bytes) -> None:
    assert refusal(data) == "no-header"


class TestVersion2:
    def test_ipv4(self) -> None:
        header, rest = read(v2(0x21, 0x11, BLOCK4) + b"rest")
        assert (header.version, header.command, header.family, header.transport) == (2, PROXY, INET, STREAM)
        assert (told(header), header.tlvs, rest) == (V4, [], b"rest")

    def test_ipv6(self) -> None:
        header, _ = read(v2(0x21, 0x21, BLOCK6))
        assert (header.family, told(header)) == (INET6, V6)

    @pytest.mark.parametrize(
        ("kind", "block"), [(0x12, BLOCK4), (0x22, BLOCK6), (0x31, bytes(216)), (0x32, bytes(216))]
    )
    def test_what_is_no_tcp_over_ip_is_taken_and_tells_no_addresses(self, kind: int, block: bytes) -> None:
        header, rest = read(v2(0x21, kind, block + tlv(TYPE_AUTHORITY, b"a.example")) + b"x")
        assert (header.family, header.transport) == (kind >> 4, kind & 0xF)
        assert (header.family in (INET, INET6, UNIX), header.transport in (STREAM, DGRAM)) == (True, True)
        assert (header.addresses, header.authority(), rest) == (None, b"a.example", b"x")

    def test_of_unspec_the_block_is_discarded(self) -> None:
        header, rest = read(v2(0x21, 0x00, b"\xff" * 7) + b"x")
        assert (header.command, header.family, header.addresses, header.tlvs, rest) == (PROXY, UNSPEC, None, [], b"x")

    @pytest.mark.parametrize("kind", [0x00, 0x11, 0x21, 0xFF])
    def test_of_local_the_block_is_discarded_whatever_its_family(self, kind: int) -> None:
        header, rest = read(v2(0x20, kind, b"\x03\xff\xff") + b"x")
        assert (header.command, header.family, header.addresses, rest) == (LOCAL, UNSPEC, None, b"x")

    def test_fields(self) -> None:
        block = BLOCK4 + b"".join(
            (
                tlv(TYPE_ALPN, b"h2"), tlv(TYPE_NOOP, bytes(9)), tlv(TYPE_AUTHORITY, b"a.example"),
                tlv(TYPE_UNIQUE_ID, b"\0\x01"), tlv(0xEA, b"vpce-1"), tlv(0xEA, b""),
                tlv(TYPE_SSL, b"\x07\0\0\0\0" + tlv(0x21, b"TLSv1.3")),
            )
        )  # fmt: skip
        header, _ = read(v2(0x21, 0x11, block))
        assert (header.alpn(), header.authority(), header.unique_id()) == (b"h2", b"a.example", b"\0\x01")
        assert [one.kind for one in header.tlvs] == [TYPE_ALPN, TYPE_AUTHORITY, TYPE_UNIQUE_ID, 0xEA, 0xEA, TYPE_SSL]
        assert header.first(0xEA) == b"vpce-1"
        assert header.first(0xEB) is None

    def test_the_checksum_of_the_specification(self) -> None:
        assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
        made = binary_header(Addresses(*V4), [Tlv(TYPE_AUTHORITY, b"a")], checksum=True)
        header, _ = read(made)
        assert told(header) == V4
        assert header.first(TYPE_CRC32C) == made[-4:]

    def test_the_checksum_may_stand_anywhere(self) -> None:
        before, after = tlv(TYPE_NOOP, bytes(3)), tlv(TYPE_ALPN, b"\x03\0\x04")
        zeros = v2(0x21, 0x11, BLOCK4 + before + tlv(TYPE_CRC32C, bytes(4)) + after)
        value = crc32c(zeros).to_bytes(4, "big")
        assert told(read(v2(0x21, 0x11, BLOCK4 + before + tlv(TYPE_CRC32C, value) + after))[0]) == V4

    @pytest.mark.parametrize("at", [14 + 2, 20, 27, 31, -9, -1])
    def test_a_header_that_was_damaged_is_refused(self, at: int) -> None:
        made = bytearray(binary_header(Addresses(*V4), [Tlv(0xEA, b"abc")], checksum=True))
        made[at] ^= 1
        assert refusal(bytes(made)) == "v2-bad-checksum"

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (v2(0x11, 0x11, BLOCK4), "v2-bad-version"),
            (v2(0x31, 0x11, BLOCK4), "v2-bad-version"),
            (v2(0x01, 0x11, BLOCK4), "v2-bad-version"),
            (v2(0x22, 0x11, BLOCK4), "v2-bad-command"),
            (v2(0x2F, 0x11, BLOCK4), "v2-bad-command"),
            (v2(0x21, 0x41, BLOCK4), "v2-bad-family"),
            (v2(0x21, 0xF1, BLOCK4), "v2-bad-family"),
            (v2(0x21, 0x13, BLOCK4), "v2-bad-family"),
            (v2(0x21, 0x10, BLOCK4), "v2-bad-family"),
            (v2(0x21, 0x01, BLOCK4), "v2-bad-family"),
            (v2(0x21, 0x11, BLOCK4[:-1]), "v2-short-addresses"),
            (v2(0x21, 0x11, b""), "v2-short-addresses"),
            (v2(0x21, 0x21, BLOCK6[:-1]), "v2-short-addresses"),
            (v2(0x21, 0x31, bytes(215)), "v2-short-addresses"),
            (v2(0x21, 0x11, BLOCK4 + b"\x04"), "v2-bad-field"),
            (v2(0x21, 0x11, BLOCK4 + b"\x04\0"), "v2-bad-field"),
            (v2(0x21, 0x11, BLOCK4 + b"\x04\0\x01"), "v2-bad-field"),
            (v2(0x21, 0x11, BLOCK4 + b"\x04\xff\xff\0"), "v2-bad-field"),
            (v2(0x21, 0x11, BLOCK4 + tlv(TYPE_UNIQUE_ID, bytes(129))), "v2-bad-field"),
            (v2(0x21, 0x11, BLOCK4 + tlv(TYPE_SSL, bytes(4))), "v2-bad-field"),
            (v2(0x21, 0x11, BLOCK4 + tlv(TYPE_SSL, bytes(5) + b"\x21\0\x02a")), "v2-bad-field"),
            (v2(0x21, 0x11, BLOCK4 + tlv(TYPE_CRC32C, bytes(3))), "v2-bad-field"),
            (v2(0x21, 0x11, BLOCK4 + tlv(TYPE_CRC32C, bytes(4))), "v2-bad-checksum"),
            (v2(0x21, 0x11, BLOCK4, 0xFFFF), "v2-too-long"),
            (v2(0x20, 0x00, b"", LIMIT - 15), "v2-too-long"),
        ],
    )
    def test_refused(self, data: bytes, reason: str) -> None:
        assert refusal(data) == reason

    def test_a_second_checksum_is_refused(self) -> None:
        zeros = v2(0x21, 0x11, BLOCK4 + tlv(TYPE_CRC32C, bytes(4)) + tlv(TYPE_CRC32C, bytes(4)))
        value = crc32c(zeros).to_bytes(4, "big")
        data = v2(0x21, 0x11, BLOCK4 + tlv(TYPE_CRC32C, value) + tlv(TYPE_CRC32C, bytes(4)))
        assert refusal(data) == "v2-bad-field"

    def test_the_limit_is_of_the_whole_header(self) -> None:
        data = v2(0x21, 0x11, BLOCK4 + tlv(0xEA, bytes(69)))
        assert len(data) == 100
        assert told(read(data, 100)[0]) == V4
        assert refusal(data, 99) == "v2-too-long"
        assert refusal(data[:16], 99) == "v2-too-long", "before the rest has come"


def test_nothing_comes_of_a_header_that_is_not_whole() -> None:
    for whole in (text_header(Addresses(*V4)), binary_header(Addresses(*V6)), b"PROXY UNKNOWN\r\n"):
        for size in range(len(whole)):
            assert outcome([whole[:size]]) is None
            assert outcome([b"", whole[:size]]) is None


ports = st.integers(0, 65535)
v4 = st.ip_addresses(v=4).map(str)
v6 = st.ip_addresses(v=6).map(str)
ends = st.one_of(st.tuples(v4, ports, v4, ports), st.tuples(v6, ports, v6, ports))
kinds = st.integers(0, 255).filter(lambda kind: kind not in (TYPE_CRC32C, TYPE_NOOP, TYPE_SSL))
tlvs = st.lists(st.tuples(kinds, st.binary(max_size=128)), max_size=5)


def canonical(one: tuple[str, int, str, int]) -> tuple[object, int, object, int]:
    return ipaddress.ip_address(one[0]), one[1], ipaddress.ip_address(one[2]), one[3]


@given(ends)
def test_version_1_reads_what_it_writes(one: tuple[str, int, str, int]) -> None:
    made = text_header(Addresses(*one))
    assert len(made) <= 107
    header, rest = read(made + b"PROXY ")
    found = told(header)
    assert found is not None
    assert (canonical(found), rest) == (canonical(one), b"PROXY ")


@given(ends, tlvs, st.booleans())
def test_version_2_reads_what_it_writes(
    one: tuple[str, int, str, int], fields: list[tuple[int, bytes]], checksum: bool
) -> None:
    header, rest = read(binary_header(Addresses(*one), [Tlv(*field) for field in fields], checksum) + SIGNATURE)
    found = told(header)
    assert found is not None
    assert (canonical(found), rest) == (canonical(one), SIGNATURE)
    assert [(field.kind, field.value) for field in header.tlvs if field.kind != TYPE_CRC32C] == fields


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A header of ours, and something done to it."""
    one = Addresses(*draw(ends))
    fields = [Tlv(*field) for field in draw(tlvs)]
    data = text_header(one) if draw(st.booleans()) else binary_header(one, fields, draw(st.booleans()))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 2)))
        data = data[:at] + draw(st.binary(max_size=2)) + data[end:]
    return data + draw(st.binary(max_size=20))


@given(st.one_of(damaged(), st.binary(max_size=40), st.binary(max_size=40).map(SIGNATURE.__add__)), st.data())
def test_the_outcome_is_that_of_the_bytes_not_of_their_pieces(data: bytes, more: st.DataObject) -> None:
    cuts = sorted(more.draw(st.lists(st.integers(0, len(data)), max_size=4)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    whole = outcome([data], 256)
    assert outcome(pieces, 256) == whole
    assert outcome([data[at : at + 1] for at in range(len(data))], 256) == whole


class TestPreface:
    def test_version_1(self) -> None:
        assert preface(1, (V4[0], V4[1]), (V4[2], V4[3])) == b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
        assert preface(1, (V6[0], V6[1]), (V6[2], V6[3])) == b"PROXY TCP6 2001:db8::1 2001:db8::2 4124 80\r\n"

    def test_version_2(self) -> None:
        assert preface(2, (V4[0], V4[1]), (V4[2], V4[3])) == v2(0x21, 0x11, BLOCK4)
        assert preface(2, (V6[0], V6[1]), (V6[2], V6[3])) == v2(0x21, 0x21, BLOCK6)

    def test_none(self) -> None:
        assert preface(0, ("192.0.2.1", 1), ("192.0.2.2", 2)) == b""

    def test_an_end_that_is_not_known(self) -> None:
        assert preface(1, None, ("192.0.2.2", 2)) == b"PROXY UNKNOWN\r\n"
        assert preface(2, ("192.0.2.2", 2), None) == SIGNATURE + b"\x21\0\0\0"

    @pytest.mark.parametrize(
        ("source", "destination", "words"),
        [
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", b"TCP4 192.0.2.1 192.0.2.2"),
            ("::ffff:192.0.2.1", "192.0.2.2", b"TCP4 192.0.2.1 192.0.2.2"),
            ("192.0.2.1", "2001:db8::2", b"TCP6 ::ffff:192.0.2.1 2001:db8::2"),
            ("2001:db8::1", "192.0.2.2", b"TCP6 2001:db8::1 ::ffff:192.0.2.2"),
            ("2001:db8::1", "::ffff:192.0.2.2", b"TCP6 2001:db8::1 ::ffff:192.0.2.2"),
            ("fe80::1%eth0", "fe80::2%3", b"TCP6 fe80::1 fe80::2"),
        ],
    )
    def test_ends_come_to_one_family(self, source: str, destination: str, words: bytes) -> None:
        assert preface(1, (source, 1), (destination, 2)) == b"PROXY " + words + b" 1 2\r\n"
        found = told(read(preface(2, (source, 1), (destination, 2)))[0])
        assert found is not None
        assert [one.encode() for one in (found[0], found[2])] == words.split(b" ")[1:]
