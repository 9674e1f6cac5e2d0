"""What matching may look at in a request."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote_plus

IPV6: Final = 1 << 128
"""Set in the number of an IPv6 address, so that IPv4 and IPv6 do not overlap."""
_UNREAD: Final = -2
_NO_LINES: list[bytes] = []


class RequestView:
    """The part of a request head that routes can ask about; the data plane's head is a subclass.

    `method` is as received. `host` is lower case, without port, IPv6 in brackets, "" when the request has none.
    `path` is canonical (`pygateway.ir.paths`). `query` is raw, without "?". `remote` is the client's address after
    trusted proxies. `lines` are the end-to-end fields as b"Name: value", in order, without Host.

    Fields, cookies and the query are indexed when first asked for: what `header` and its like answer is the head as
    it was received, also after filters changed `lines`.
    """

    # Values in the class are defaults of every instance, which saves a plain head its assignments one by one.
    method: str
    host: str = ""
    path: str
    query: str = ""
    remote: str = ""
    lines: list[bytes]
    _fields: dict[str, str] | None = None
    _cookies: dict[str, str] | None = None
    _parameters: dict[str, str] | None = None
    _address: int = _UNREAD

    def __init__(
        self, method: str, host: str, path: str, query: str = "", remote: str = "", lines: list[bytes] | None = None
    ) -> None:
        self.method = method
        self.host = host
        self.path = path
        self.query = query
        self.remote = remote
        self.lines = _NO_LINES if lines is None else lines

    def header(self, name: str) -> str | None:
        """All values of the field `name` (lower case) joined by a comma (cookies by "; "), or None. "host" answers
        the host. Bytes are read as UTF-8, as Latin-1 where they are not."""
        fields = self._fields
        if fields is None:
            fields = self._fields = _index_fields(self.lines, self.host)
        return fields.get(name)

    def cookie(self, name: str) -> str | None:
        """The first cookie of that name (with case), as it was sent, or None."""
        cookies = self._cookies
        if cookies is None:
            cookies = self._cookies = _index_cookies(self.header("cookie"))
        return cookies.get(name)

    def query_value(self, name: str) -> str | None:
        """The first value of the query parameter `name` (with case), percent- and plus-decoded, or None."""
        parameters = self._parameters
        if parameters is None:
            parameters = self._parameters = _index_query(self.query)
        return parameters.get(name)

    def address(self) -> int:
        """`remote` as a number: IPv4 below 2**32, also when it came as an IPv4-mapped IPv6 address; IPv6 with the bit
        `IPV6` set; -1 when it is no address."""
        if self._address == _UNREAD:
            self._address = _number(self.remote)
        return self._address


def _number(remote: str) -> int:
    try:
        address = ip_address(remote)
    except ValueError:
        return -1
    if address.version == 4:
        return int(address)
    mapped = address.ipv4_mapped
    return IPV6 | int(address) if mapped is None else int(mapped)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _index_fields(lines: list[bytes], host: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        raw, _, value = line.partition(b": ")
        name = raw.lower().decode("latin-1")
        text = _text(value)
        before = fields.get(name)
        if before is not None:
            text = f"{before}; {text}" if name == "cookie" else f"{before},{text}"
        fields[name] = text
    if host:
        fields["host"] = host
    return fields


def _index_cookies(field: str | None) -> dict[str, str]:
    cookies: dict[str, str] = {}
    if field is not None:
        for part in field.split(";"):
            name, equals, value = part.strip(" \t").partition("=")
            if equals and name not in cookies:
                cookies[name] = value
    return cookies


def _index_query(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    if query:
        for part in query.split("&"):
            name, _, value = part.partition("=")
            name = _decoded(name)
            if name not in parameters:
                parameters[name] = _decoded(value)
    return parameters


def _decoded(text: str) -> str:
    return unquote_plus(text) if "%" in text or "+" in text else text
