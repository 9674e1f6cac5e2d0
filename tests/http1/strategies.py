"""Messages for properties: well-formed ones, and the same with some bytes changed."""

from hypothesis import strategies as st

TOKENS = st.text("abcXYZ019-_.!~*'", min_size=1, max_size=12).map(str.encode)
METHODS = st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"M-SEARCH"])
PATHS = st.lists(st.text("abcXYZ019-_.~!$&'()*+,;=:@", min_size=1, max_size=8), max_size=4).map(
    lambda parts: ("/" + "/".join(part.replace(".", "x") for part in parts)).encode()
)
QUERIES = st.one_of(st.just(b""), st.text("ab=&?/%.;+", max_size=12).map(lambda text: b"?" + text.encode()))
VALUES = st.binary(max_size=24).map(
    lambda data: bytes(byte for byte in data if byte == 9 or 32 <= byte < 127 or byte >= 128).strip(b" \t")
)
NAMES = TOKENS.map(lambda name: b"X-" + name)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
BODIES = st.one_of(st.none(), st.binary(max_size=40))
"""None: no body."""


@st.composite
def chunked(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` in chunks of any size, with extensions here and there."""
    wire = b""
    while data:
        size = draw(st.integers(1, len(data)))
        digits = draw(st.sampled_from([b"%x", b"%X", b"0%x"])) % size
        wire += digits + draw(st.sampled_from([b"", b";a", b';a="b;c"'])) + b"\r\n" + data[:size] + b"\r\n"
        data = data[size:]
    return wire + draw(st.sampled_from([b"0", b"000", b"0;end"])) + b"\r\n\r\n"


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A valid request with its body."""
    target = draw(PATHS) + draw(QUERIES)
    lines = [draw(METHODS) + b" " + target + b" HTTP/1.1", b"Host: example.com"]
    lines += [name + draw(st.sampled_from([b": ", b":", b":  ", b":\t"])) + value for name, value in draw(FIELDS)]
    body = draw(BODIES)
    if body is None:
        return b"\r\n".join(lines) + b"\r\n\r\n"
    if draw(st.booleans()):
        return b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body
    return b"\r\n".join([*lines, b"Transfer-Encoding: chunked"]) + b"\r\n\r\n" + draw(chunked(body))


SCRAPS = st.sampled_from(
    [
        b"\r", b"\n", b"\r\n", b" ", b"\t", b"\0", b":", b",", b";", b"0", b"\x0b", b"\x80", b"\x7f", b"Host: b\r\n",
        b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n",
        b"Connection: close\r\n",
        b"HTTP/1.0", b"http://a/", b"%2e%2e/", b"#", b'"', b"+", b"Expect: 100-continue\r\n", b"X : y\r\n",
        b" folded\r\n",
    ]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, source: st.SearchStrategy[bytes]) -> bytes:
    """A message with up to three scraps put in, or bytes taken out."""
    wire = draw(source)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(wire)))
        gone = draw(st.sampled_from([0, 0, 1, 2]))
        wire = wire[:at] + draw(SCRAPS) + wire[at + gone :]
    return wire
