"""Names of header fields: what each means to this hop.

A name is looked up by the spelling it came in, one dictionary look-up for each field. A spelling that is not known yet
is checked against the token grammar (RFC 9110 section 5.6.2) and learned; the memory for that is bounded.
"""

from typing import Final, TypeVar

from pygateway.dataplane.http1.errors import BadMessage

_V = TypeVar("_V")

PLAIN: Final = 0
"""An end-to-end field that this hop has nothing to do with."""

# Fields that this hop consumes. Each code is a bit, so that repetition is one mask away.
HOST: Final = 1 << 0
CONTENT_LENGTH: Final = 1 << 1
TRANSFER_ENCODING: Final = 1 << 2
EXPECT: Final = 1 << 3
CONNECTION: Final = 1 << 4
UPGRADE: Final = 1 << 5
TE: Final = 1 << 6
DROPPED: Final = 1 << 7
"""Hop-by-hop fields that nobody asks for (RFC 9110 section 7.6.1), and the aliases below."""
FORWARDED: Final = 1 << 8
"""What a proxy before this one says about the client."""
REQUEST_ID: Final = 1 << 9
# Fields that stay in the message.
KEPT: Final = 1 << 10
"""The smallest code that stays."""
USER_AGENT: Final = 1 << 10
DATE: Final = 1 << 11
CONTENT_TYPE: Final = 1 << 12
AUTHORIZATION: Final = 1 << 13
CONTENT_RANGE: Final = 1 << 14
CONTENT_LOCATION: Final = 1 << 15
RANGE: Final = 1 << 16
IF_RANGE: Final = 1 << 17
IF_MODIFIED_SINCE: Final = 1 << 18
IF_UNMODIFIED_SINCE: Final = 1 << 19
MAX_FORWARDS: Final = 1 << 20
REFERER: Final = 1 << 21
ORIGIN: Final = 1 << 22
FROM: Final = 1 << 23
LOCATION: Final = 1 << 24
ETAG: Final = 1 << 25
COOKIE: Final = 1 << 26
"""Cookie and Set-Cookie: not looked at, but never remembered either."""

REPEATABLE: Final = CONNECTION | UPGRADE | TE | DROPPED | FORWARDED | REQUEST_ID | DATE | COOKIE
"""Codes that may come more than once. The others are one value each: two of them are two messages to two readers."""

FRAMING_OR_HOP: Final = CONTENT_LENGTH | TRANSFER_ENCODING | CONNECTION | UPGRADE
"""Codes after which the head has to be looked at as a whole."""

_HOP: Final[dict[bytes, int]] = {
    b"content-length": CONTENT_LENGTH,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
    b"upgrade": UPGRADE,
    b"te": DROPPED,
    b"keep-alive": DROPPED,
    b"proxy-connection": DROPPED,
    b"http2-settings": DROPPED,
}
REQUEST_FIELDS: Final[dict[bytes, int]] = {
    **_HOP,
    b"te": TE,
    b"host": HOST,
    b"expect": EXPECT,
    b"proxy-authorization": DROPPED,
    b"forwarded": FORWARDED,
    b"x-real-ip": FORWARDED,
    b"x-request-id": REQUEST_ID,
    b"user-agent": USER_AGENT,
    b"content-type": CONTENT_TYPE,
    b"authorization": AUTHORIZATION,
    b"content-range": CONTENT_RANGE,
    b"content-location": CONTENT_LOCATION,
    b"range": RANGE,
    b"if-range": IF_RANGE,
    b"if-modified-since": IF_MODIFIED_SINCE,
    b"if-unmodified-since": IF_UNMODIFIED_SINCE,
    b"max-forwards": MAX_FORWARDS,
    b"referer": REFERER,
    b"origin": ORIGIN,
    b"from": FROM,
    b"cookie": COOKIE,
}
RESPONSE_FIELDS: Final[dict[bytes, int]] = {
    **_HOP,
    b"proxy-authenticate": DROPPED,
    b"proxy-authentication-info": DROPPED,
    b"date": DATE,
    b"content-type": CONTENT_TYPE,
    b"content-range": CONTENT_RANGE,
    b"content-location": CONTENT_LOCATION,
    b"location": LOCATION,
    b"etag": ETAG,
    b"set-cookie": COOKIE,
}
_ORDINARY: Final = (
    "accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-credentials "
    "access-control-allow-headers access-control-allow-methods access-control-allow-origin "
    "access-control-expose-headers access-control-max-age access-control-request-headers access-control-request-method "
    "age allow alt-svc cache-control content-disposition content-encoding content-language content-security-policy "
    "dnt expires if-match if-none-match last-modified link pragma priority retry-after sec-ch-ua "
    "sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user "
    "sec-websocket-accept sec-websocket-extensions sec-websocket-key sec-websocket-protocol sec-websocket-version "
    "server strict-transport-security traceparent tracestate trailer upgrade-insecure-requests vary "
    "via www-authenticate x-content-type-options x-forwarded-for x-forwarded-host x-forwarded-port "
    "x-forwarded-prefix x-forwarded-proto x-frame-options x-powered-by x-requested-with x-xss-protection "
)

TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FRAMING: Final = (b"content-length", b"transfer-encoding")
_REMEMBERED: Final = 4096
_LONGEST_REMEMBERED: Final = 64


def is_token(data: bytes) -> bool:
    """Whether `data` is a token (RFC 9110 section 5.6.2)."""
    return bool(data) and not data.translate(None, TOKEN)


def request_code(lower: bytes) -> int:
    """What a request field means to this hop, by its name in lower case.

    A name with an underscore for a dash is the same name to a CGI-like backend. Where this hop consumes or sets the
    dashed field, its alias would get past us, so that it is dropped.
    """
    if lower.startswith(b"x-forwarded-"):
        return FORWARDED
    code = REQUEST_FIELDS.get(lower, PLAIN)
    if code == PLAIN and b"_" in lower and PLAIN < request_code(lower.replace(b"_", b"-")) < KEPT:
        return DROPPED
    return code


def response_code(lower: bytes) -> int:
    """What a response field means to this hop, by its name in lower case."""
    return RESPONSE_FIELDS.get(lower, PLAIN)


def _spellings(response: bool) -> dict[bytes, int]:
    """The spellings to expect: all lower case, and with capitals."""
    known: dict[bytes, int] = {}
    for name in [*_ORDINARY.encode().split(), *(RESPONSE_FIELDS if response else REQUEST_FIELDS)]:
        code = response_code(name) if response else request_code(name)
        known[name] = code
        known[name.title()] = code
    known[b"ETag"] = response_code(b"etag") if response else request_code(b"etag")
    known[b"WWW-Authenticate"] = PLAIN
    known[b"TE"] = known[b"te"]
    return known


REQUEST_NAMES: Final[dict[bytes, int]] = _spellings(False)
RESPONSE_NAMES: Final[dict[bytes, int]] = _spellings(True)
_REQUEST_SEED: Final = REQUEST_NAMES.copy()
_RESPONSE_SEED: Final = RESPONSE_NAMES.copy()


REQUEST_LINES: Final[dict[bytes, None]] = {}
RESPONSE_LINES: Final[dict[bytes, None]] = {}
"""Whole fields as they come again and again (`Accept-Encoding: gzip`), tidy and of no concern to this hop: one look-up
instead of six steps. Those that identify a client have codes of their own and are not among them."""
RESPONSE_CODED: Final[dict[bytes, int]] = {}
"""The same for fields of answers that must not come twice or have to be noticed, with their codes."""
RECURRING: Final = DATE | CONTENT_TYPE
LONGEST_USUAL: Final = 128
_MOST_USUAL: Final = 1024


def remember(memory: dict[bytes, _V], text: bytes, value: _V) -> None:
    """Keep what `text` was found to be, for the next time; the memory begins anew when it is full."""
    if len(memory) >= _MOST_USUAL:
        memory.clear()
    memory[text] = value


def learn(name: bytes, response: bool) -> int:
    """The code of a valid name in any spelling, which is remembered."""
    known = RESPONSE_NAMES if response else REQUEST_NAMES
    code = response_code(name.lower()) if response else request_code(name.lower())
    if len(name) <= _LONGEST_REMEMBERED:
        if len(known) >= _REMEMBERED:
            # Somebody sends names at random: begin anew, so that those in earnest are known again soon.
            known.clear()
            known.update(_RESPONSE_SEED if response else _REQUEST_SEED)
        known[name] = code
    return code


def repeated(name: bytes) -> str:
    """The reason why a second field of this name is refused. Only for names in our tables: it never holds input."""
    return "repeated-" + name.lower().decode("ascii")


def tidy(line: bytes, first: bool) -> bytes:
    """A header field in the one form we forward, b"Name: value", from any form that RFC 9112 section 5 allows.

    `first` says that no field comes before this one. Raises BadMessage: no colon, a name that is no token, blanks
    before the colon, a folded line.
    """
    if line[:1] in (b" ", b"\t"):
        raise BadMessage(400, "blank-before-first-header" if first else "folded-header")
    name, colon, value = line.partition(b":")
    if not colon:
        raise BadMessage(400, "header-without-colon")
    if not is_token(name):
        blank = name[-1:] in (b" ", b"\t") and is_token(name.rstrip(b" \t"))
        raise BadMessage(400, "blank-before-colon" if blank else "bad-header-name")
    # A tab beside `chunked` or a length is legal, and seen differently by different servers: it stays, to be refused.
    return name + b": " + value.strip(b" " if name.lower() in _FRAMING else b" \t")
