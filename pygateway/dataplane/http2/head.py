"""Heads from fields: RFC 9113 section 8, as strict as HTTP/1.1.

What makes a message malformed (section 8.1.1) is a `StreamFault`; what is well-formed and refused all the same is a
`BadMessage`, which can be answered. A field is looked at once: what it means stays with it (`Field.kind`), also in
the tables of HPACK, so that for a repeated field one comparison is left.
"""

from http import HTTPStatus
from typing import Final

from pygateway.dataplane.http1 import names
from pygateway.dataplane.http1.body import may_be_trailer
from pygateway.dataplane.http1.errors import BadMessage
from pygateway.dataplane.http1.fields import FIELD_TEXT, length_of
from pygateway.dataplane.http1.head import consume, method_of, set_target
from pygateway.dataplane.http1.limits import Limits
from pygateway.dataplane.http1.names import (
    CONNECTION,
    CONTENT_LENGTH,
    COOKIE,
    DATE,
    EXPECT,
    HOST,
    KEPT,
    PLAIN,
    REPEATABLE,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    USER_AGENT,
)
from pygateway.dataplane.http1.request import RequestHead
from pygateway.dataplane.http1.response import ResponseHead
from pygateway.dataplane.http1.target import host_of
from pygateway.dataplane.http2.errors import PROTOCOL_ERROR, StreamFault
from pygateway.dataplane.http2.hpack import UNSEEN, Field

HTTP_2: Final = 2
"""`RequestHead.minor` of a request that came over HTTP/2."""

# Kinds of pseudo-fields; regular fields have the codes of `http1.names`, which are not negative.
METHOD: Final = -2
SCHEME: Final = -3
AUTHORITY: Final = -4
PATH: Final = -5
PROTOCOL: Final = -6
STATUS: Final = -7
_PSEUDO: Final[dict[bytes, int]] = {
    b":method": METHOD,
    b":scheme": SCHEME,
    b":authority": AUTHORITY,
    b":path": PATH,
    b":protocol": PROTOCOL,
}
_NAME: Final = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
_OF_HTTP_1: Final = frozenset([b"keep-alive", b"proxy-connection", b"http2-settings"])
_REASONS: Final[dict[int, bytes]] = {status.value: status.phrase.encode() for status in HTTPStatus}
"""For clients of HTTP/1.1: HTTP/2 has no reason phrases."""
_BLANKS: Final = b" \t"
_NONE: Final = b"\0"
"""No value that a field can have."""


def request_head(  # noqa: PLR0912, PLR0915 - in one piece: every head goes through it
    fields: list[Field], end: bool, over: bool, limits: Limits
) -> RequestHead:
    """The request that a header block is; `end`: it has no body; `over`: the list was longer than allowed, and is cut.

    Raises StreamFault or BadMessage.
    """
    if over:
        raise BadMessage(431, "header-bytes")
    if len(fields) > limits.headers:
        _check_count(fields, limits)
    method = scheme = authority = path = protocol = _NONE
    request = RequestHead("", HTTP_2)
    lines: list[bytes] = []
    crumbs: list[bytes] = []
    seen = 0
    for field in fields:
        kind = field.kind
        if kind == UNSEEN:
            kind = _learn(field, limits)
        if kind == PLAIN:
            lines.append(field.line)
        elif kind < 0:
            if seen or lines:
                raise StreamFault(PROTOCOL_ERROR, "late-pseudo-field")
            if kind == PATH and path is _NONE:
                path = field.value
            elif kind == METHOD and method is _NONE:
                method = field.value
            elif kind == SCHEME and scheme is _NONE:
                scheme = field.value
            elif kind == AUTHORITY and authority is _NONE:
                authority = field.value
            elif kind == PROTOCOL and protocol is _NONE:
                protocol = field.value
            else:
                raise StreamFault(PROTOCOL_ERROR, "repeated-pseudo-field")
        else:
            if kind & seen and not kind & REPEATABLE:
                raise BadMessage(400, names.repeated(field.name))
            seen |= kind
            if kind == COOKIE:
                crumbs.append(field.value)
            elif kind >= KEPT:
                lines.append(field.line)
                if kind == USER_AGENT:
                    request.user_agent = field.value
            elif kind == HOST:
                _agree(request, field.value, authority)
            else:
                consume(request, kind, field.line, field.value)
    if crumbs:
        # Section 8.2.3: one field again for whoever is not to see several.
        lines.append(b"cookie: " + b"; ".join(crumbs))
    request.lines = lines
    _set_pseudo(request, method, scheme, path, protocol)
    if authority is not _NONE and authority:
        request.host = host_of(authority)
        request.authority = authority
    elif not request.authority:
        raise BadMessage(400, "missing-host")
    if seen & (CONTENT_LENGTH | EXPECT) or not end or request.upgrade:
        request.framed = True
        _set_body(request, end)
    return request


def _learn(field: Field, limits: Limits) -> int:
    """The kind of a field that was not looked at before. Raises StreamFault or BadMessage, and then each time anew."""
    name = field.name
    value = field.value
    if name[:1] == b":":
        kind = _PSEUDO.get(name, 0)
        if kind == 0:
            raise StreamFault(PROTOCOL_ERROR, "unknown-pseudo-field")
        _check_value(value)
    else:
        check_field(name, value)
        if len(field.line) > limits.header_line:
            raise BadMessage(431, "header-line")
        kind = names.REQUEST_NAMES.get(name, -1)
        if kind < 0:
            kind = names.learn(name, False)
    field.kind = kind
    return kind


def check_field(name: bytes, value: bytes) -> None:
    """Sections 8.2.1 and 8.2.2: lower case, field text, nothing that concerns a connection of HTTP/1.1."""
    if not name or name.translate(None, _NAME):
        raise StreamFault(PROTOCOL_ERROR, "bad-header-name")
    _check_value(value)
    code = names.REQUEST_NAMES.get(name, PLAIN)
    if code == CONNECTION or code == UPGRADE or code == TRANSFER_ENCODING or name in _OF_HTTP_1:
        raise StreamFault(PROTOCOL_ERROR, "connection-specific-field")
    if code == TE and value.lower() != b"trailers":
        raise StreamFault(PROTOCOL_ERROR, "te-beyond-trailers")


def _check_value(value: bytes) -> None:
    if value.translate(None, FIELD_TEXT):
        raise StreamFault(PROTOCOL_ERROR, "control-character")
    if value.strip(_BLANKS) != value:
        raise StreamFault(PROTOCOL_ERROR, "blank-around-value")


def _check_count(fields: list[Field], limits: Limits) -> None:
    """Crumbs of a cookie count as one field."""
    crumbs = 0
    for field in fields:
        if field.name == b"cookie":
            crumbs += 1
    if len(fields) - max(crumbs - 1, 0) > limits.headers:
        raise BadMessage(431, "headers")


def _agree(request: RequestHead, host: bytes, authority: bytes) -> None:
    """Section 8.3.1: Host, if there is one beside :authority, says the same."""
    if authority is _NONE:
        request.host = host_of(host)
        request.authority = host
    elif authority.lower() != host.lower():
        raise StreamFault(PROTOCOL_ERROR, "host-differs")


def _set_pseudo(request: RequestHead, method: bytes, scheme: bytes, path: bytes, protocol: bytes) -> None:
    """Section 8.3.1."""
    if method is _NONE:
        raise StreamFault(PROTOCOL_ERROR, "missing-method")
    if method == b"CONNECT" and protocol is _NONE and (path is not _NONE or scheme is not _NONE):
        raise StreamFault(PROTOCOL_ERROR, "connect-with-path")
    if protocol is _NONE:
        request.method = method_of(method)
    elif method == b"CONNECT":
        _set_protocol(request, protocol)
    else:
        raise StreamFault(PROTOCOL_ERROR, "protocol-without-connect")
    if scheme is _NONE or path is _NONE or not path:
        raise StreamFault(PROTOCOL_ERROR, "missing-pseudo-field")
    if scheme != b"http" and scheme != b"https":
        raise BadMessage(400, "bad-scheme")
    if path[:1] != b"/" and not (path == b"*" and method == b"OPTIONS"):
        raise StreamFault(PROTOCOL_ERROR, "bad-path")
    set_target(request, path)


def _set_protocol(request: RequestHead, protocol: bytes) -> None:
    """Extended CONNECT (RFC 8441): what is an upgrade of a GET in HTTP/1.1 (RFC 6455) is this here."""
    if protocol != b"websocket":
        raise BadMessage(501, "unknown-protocol")
    request.method = "GET"
    request.upgrade = "websocket"


def _set_body(request: RequestHead, end: bool) -> None:
    if request.upgrade:
        if request.content_length >= 0 or end:
            raise StreamFault(PROTOCOL_ERROR, "connect-with-a-body")
    elif end:
        if request.content_length > 0:
            raise StreamFault(PROTOCOL_ERROR, "content-length-differs")
    elif request.content_length < 0:
        # As in HTTP/1.1 a chunked body: its length is told by its end.
        request.chunked = True


def response_head(fields: list[Field], end: bool, method: str, over: bool, limits: Limits) -> ResponseHead:
    """The response to a `method` request that a header block is, informational ones included; `end`: nothing follows.

    Raises StreamFault.
    """
    if over or len(fields) > limits.headers:
        raise StreamFault(PROTOCOL_ERROR, "header-bytes")
    if not fields or fields[0].name != b":status":
        raise StreamFault(PROTOCOL_ERROR, "missing-status")
    status = _status(fields[0].value)
    head = ResponseHead(status, _REASONS.get(status, b""), 1)
    lines: list[bytes] = []
    seen = 0
    for field in fields[1:]:
        kind = field.kind
        if kind == UNSEEN:
            kind = _learn_response(field, limits)
        if kind == PLAIN:
            lines.append(field.line)
            continue
        if kind & seen and not kind & REPEATABLE:
            raise StreamFault(PROTOCOL_ERROR, names.repeated(field.name))
        seen |= kind
        if kind == CONTENT_LENGTH:
            head.content_length = _length(field.value)
        elif kind >= KEPT:
            lines.append(field.line)
    head.lines = lines
    head.has_date = seen & DATE != 0
    _set_response_body(head, end, method)
    return head


def _set_response_body(head: ResponseHead, end: bool, method: str) -> None:
    status = head.status
    if status < 200 or status in (204, 304) or method == "HEAD":
        head.has_body = False
        if status < 200 or status == 204:
            head.content_length = -1
    elif end:
        if head.content_length > 0:
            raise StreamFault(PROTOCOL_ERROR, "content-length-differs")
        head.content_length = 0
    elif head.content_length < 0:
        head.chunked = True


def _status(value: bytes) -> int:
    if len(value) != 3 or not value.isdigit() or value[0] == 0x30 or value == b"101":
        raise StreamFault(PROTOCOL_ERROR, "bad-status")
    return int(value)


def _length(value: bytes) -> int:
    try:
        return length_of(value)
    except BadMessage as fault:
        raise StreamFault(PROTOCOL_ERROR, fault.reason) from None


def _learn_response(field: Field, limits: Limits) -> int:
    name = field.name
    check_field(name, field.value)
    if len(field.line) > limits.header_line:
        raise StreamFault(PROTOCOL_ERROR, "header-line")
    kind = names.RESPONSE_NAMES.get(name, -1)
    if kind < 0:
        kind = names.learn(name, True)
    field.kind = kind
    return kind


def trailers(fields: list[Field], over: bool, limits: Limits) -> list[bytes]:
    """The trailer fields of a message, without those that have no place there (RFC 9110 section 6.5.1).

    Raises StreamFault or BadMessage.
    """
    if over or len(fields) > limits.headers or sum([len(field.line) + 2 for field in fields]) > limits.trailer_bytes:
        raise BadMessage(431, "trailer-bytes")
    lines: list[bytes] = []
    for field in fields:
        if field.name[:1] == b":":
            raise StreamFault(PROTOCOL_ERROR, "pseudo-field-in-trailers")
        check_field(field.name, field.value)
        if may_be_trailer(field.name):
            lines.append(field.line)
    return lines
