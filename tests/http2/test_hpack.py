"""HPACK against the RFC's own examples, against the hyper library, and against noise."""

import contextlib
import random

import pytest
from hpack import Decoder as HyperDecoder
from hpack import Encoder as HyperEncoder
from hpack import HPACKError
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hypothesis import given, settings
from hypothesis import strategies as st

from pygateway.dataplane.http2 import hpack, huffman
from pygateway.dataplane.http2.errors import HpackError
from pygateway.dataplane.http2.hpack import Decoder, Encoder, static_table
from pygateway.dataplane.http2.tables import huffman_codes

Pairs = list[tuple[bytes, bytes]]
STATIC = static_table()

# RFC 7541 appendix C: name of the section → the blocks of one connection, each with the fields it stands for.
REQUESTS: list[Pairs] = [
    [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com")],
    [
        (b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com"),
        (b"cache-control", b"no-cache"),
    ],
    [
        (b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/index.html"), (b":authority", b"www.example.com"),
        (b"custom-key", b"custom-value"),
    ],
]  # fmt: skip
RESPONSES: list[Pairs] = [
    [
        (b":status", b"302"), (b"cache-control", b"private"), (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT"),
        (b"location", b"https://www.example.com"),
    ],
    [
        (b":status", b"307"), (b"cache-control", b"private"), (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT"),
        (b"location", b"https://www.example.com"),
    ],
    [
        (b":status", b"200"), (b"cache-control", b"private"), (b"date", b"Mon, 21 Oct 2013 20:13:22 GMT"),
        (b"location", b"https://www.example.com"), (b"content-encoding", b"gzip"),
        (b"set-cookie", b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
    ],
]  # fmt: skip
EXAMPLES: dict[str, list[tuple[str, Pairs]]] = {
    "C.2.1": [("400a637573746f6d2d6b65790d637573746f6d2d686561646572", [(b"custom-key", b"custom-header")])],
    "C.2.2": [("040c2f73616d706c652f70617468", [(b":path", b"/sample/path")])],
    "C.2.3": [("100870617373776f726406736563726574", [(b"password", b"secret")])],
    "C.2.4": [("82", [(b":method", b"GET")])],
    "C.3": [
        ("828684410f7777772e6578616d706c652e636f6d", REQUESTS[0]),
        ("828684be58086e6f2d6361636865", REQUESTS[1]),
        ("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", REQUESTS[2]),
    ],
    "C.4": [
        ("828684418cf1e3c2e5f23a6ba0ab90f4ff", REQUESTS[0]),
        ("828684be5886a8eb10649cbf", REQUESTS[1]),
        ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", REQUESTS[2]),
    ],
}
# C.5 and C.6 are of a table of 256 bytes.
SMALL_TABLE: dict[str, list[tuple[str, Pairs]]] = {
    "C.5": [
        (
            "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54"
            "6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
            RESPONSES[0],
        ),
        ("4803333037c1c0bf", RESPONSES[1]),
        (
            "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d"
            "4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
            RESPONSES[2],
        ),
    ],
    "C.6": [
        (
            "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
            RESPONSES[0],
        ),
        ("4883640effc1c0bf", RESPONSES[1]),
        (
            "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960"
            "d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
            RESPONSES[2],
        ),
    ],
}


def decoder(limit: int = 1 << 20) -> Decoder:
    return Decoder(STATIC, limit)


def pairs(decoded: list[hpack.Field]) -> Pairs:
    return [(field.name, field.value) for field in decoded]


def encoded(encoder: Encoder, fields: Pairs) -> bytes:
    out: list[bytes] = []
    encoder.begin(out)
    encoder.add([name + b": " + value for name, value in fields], out)
    return b"".join(out)


@pytest.mark.parametrize("section", EXAMPLES)
def test_examples_of_the_rfc(section: str) -> None:
    ours = decoder()
    for block, fields in EXAMPLES[section]:
        assert pairs(ours.decode(bytes.fromhex(block))) == fields


@pytest.mark.parametrize("section", SMALL_TABLE)
def test_examples_of_the_rfc_with_a_table_of_256_bytes(section: str) -> None:
    ours = decoder()
    assert ours.decode(bytes.fromhex("3fe101")) == []  # the table's size: 256
    for block, fields in SMALL_TABLE[section]:
        assert pairs(ours.decode(bytes.fromhex(block))) == fields


def test_the_huffman_code_is_the_rfcs() -> None:
    assert [(int(code, 2), len(code)) for code in huffman_codes()] == list(
        zip(REQUEST_CODES, REQUEST_CODES_LENGTH, strict=True)
    )


@given(st.binary(max_size=80))
def test_huffman_there_and_back(text: bytes) -> None:
    bits = "".join(huffman_codes()[byte] for byte in text)
    size = (len(bits) + 7) // 8
    coded = int(bits.ljust(size * 8, "1") or "0", 2).to_bytes(size, "big")
    assert huffman.decode(coded, False) == text
    assert huffman.encode(text) == (coded if len(coded) < len(text) else text)


REFUSED = {
    "80": "hpack-index",  # index 0
    "be": "hpack-index",  # the first dynamic entry of an empty table
    "ff8001": "hpack-index",
    "7f8001": "hpack-index",
    "ffffffffff0f": "hpack-integer",
    "ff80808080808000": "hpack-integer",
    "ff": "hpack-truncated",
    "ff80": "hpack-truncated",
    "40": "hpack-truncated",
    "400a6375": "hpack-truncated",
    "4001617f": "hpack-truncated",
    "40016105": "hpack-truncated",
    "823f": "hpack-late-size-update",
    "8220": "hpack-late-size-update",
    "3fe21f": "hpack-table-size",  # 4097
    "0484ffffffff": "hpack-huffman-eos",
    "0485fffffffffc": "hpack-huffman-eos",
    "048100": "hpack-huffman-padding",  # "0" and three bits that are not 1
    "0482ffff": "hpack-huffman-padding",  # more than seven bits
}


@pytest.mark.parametrize("block", REFUSED)
def test_every_error_has_its_name(block: str) -> None:
    with pytest.raises(HpackError) as caught:
        decoder().decode(bytes.fromhex(block))
    assert caught.value.reason == REFUSED[block]


def test_sizes_up_to_the_default_are_taken() -> None:
    assert decoder().decode(bytes.fromhex("203fe11f")) == []


def test_a_list_beyond_the_limit_is_cut_but_decoded_to_its_end() -> None:
    ours = decoder(100)
    block = bytes.fromhex(EXAMPLES["C.4"][0][0])
    assert pairs(ours.decode(block)) == REQUESTS[0][:2]
    assert ours.over
    assert pairs(ours.decode(bytes.fromhex("be"))) == REQUESTS[0][3:]  # the table knows what was cut
    assert not ours.over


def test_a_bomb_is_bounded() -> None:
    """One large entry, named again and again: what is kept stays below the limit."""
    ours = decoder(65536)
    entry = hpack.encode_integer(0, 0x3F, 0x40) + hpack.encode_string(b"a") + hpack.encode_string(b"x" * 4000)
    ours.decode(entry)
    assert sum(field.size for field in ours.decode(b"\xbe" * 60)) <= 65536
    assert ours.over
    with pytest.raises(HpackError, match="hpack-bomb"):
        ours.decode(b"\xbe" * 60000)


@given(st.lists(st.binary(max_size=60), max_size=6))
@settings(max_examples=500)
def test_noise_is_refused_or_understood(blocks: list[bytes]) -> None:
    ours = decoder(4096)
    with contextlib.suppress(HpackError):
        for block in blocks:
            assert sum(field.size for field in ours.decode(block)) <= 4096


@given(st.lists(st.binary(max_size=40), max_size=6))
@settings(max_examples=500)
def test_noise_means_the_same_to_hyper(blocks: list[bytes]) -> None:
    ours = decoder()
    theirs = HyperDecoder(max_header_list_size=1 << 20)
    for block in blocks:
        try:
            expected: Pairs | None = [(bytes(n), bytes(v)) for n, v in theirs.decode(block, raw=True)]
        except (HPACKError, IndexError):
            expected = None
        try:
            found: Pairs | None = pairs(ours.decode(block))
        except HpackError as fault:
            found = None
            if fault.reason == "hpack-integer":
                return  # hyper reads integers without end
        assert found == expected
        if expected is None:
            return


NAMES = st.one_of(
    st.sampled_from([b":path", b"date", b"content-type", b"cookie", b"x-a", b"x-b", b"server"]),
    st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).map(str.encode),
)
VALUES = st.one_of(
    st.sampled_from([b"", b"1", b"text/plain", b"a" * 300, b"x" * 4090]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.encode),
)
LISTS = st.lists(st.lists(st.tuples(NAMES, VALUES), max_size=10), max_size=8)


@given(LISTS, st.lists(st.sampled_from([0, 100, 256, 1000, 4096, 65536]), max_size=8))
def test_what_we_encode_hyper_and_we_decode(lists: list[Pairs], sizes: list[int]) -> None:
    encoder = Encoder()
    ours = decoder()
    theirs = HyperDecoder(max_header_list_size=1 << 20)
    for turn, fields in enumerate([*lists, *lists]):
        if turn < len(sizes):
            encoder.resize(sizes[turn])
        block = encoded(encoder, fields)
        assert pairs(ours.decode(block)) == fields
        assert [(bytes(n), bytes(v)) for n, v in theirs.decode(block, raw=True)] == fields


@given(LISTS, st.booleans())
def test_what_hyper_encodes_we_decode(lists: list[Pairs], huffman_too: bool) -> None:
    theirs = HyperEncoder()
    ours = decoder()
    for turn, fields in enumerate([*lists, *lists]):
        if turn == 2:
            theirs.header_table_size = 300
        assert pairs(ours.decode(theirs.encode(fields, huffman=huffman_too))) == fields


def test_names_are_sent_in_lower_case() -> None:
    out: list[bytes] = []
    Encoder().add([b"Content-Type: text/plain", b"X-Thing: A"], out)
    assert pairs(decoder().decode(b"".join(out))) == [(b"content-type", b"text/plain"), (b"x-thing", b"A")]


def test_secrets_never_go_into_a_table() -> None:
    encoder = Encoder()
    for _ in range(4):
        block = encoded(encoder, [(b"cookie", b"a=b"), (b"authorization", b"Basic eA==")])
        assert block[0] & 0xF0 == 0x10
    assert len(block) > 15


def test_what_repeats_becomes_one_byte() -> None:
    encoder = Encoder()
    fields = [(b"server", b"nginx"), (b"x-repeated", f"{random.random()}".encode())]
    sizes = [len(encoded(encoder, fields)) for _ in range(4)]
    assert sizes[3] == 2


def test_the_memories_are_bounded() -> None:
    encoder = Encoder()
    for number in range(5000):
        encoded(encoder, [(b"x-n", b"%d" % number)])
        huffman.decode(huffman.encode(b"www.example.com/%d" % number), True)
    assert len(hpack.CODED) <= 2048
    assert len(huffman.DECODED) <= 1024
