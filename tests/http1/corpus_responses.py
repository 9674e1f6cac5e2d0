"""What backends answer, well or badly: the classes of cases of the llhttp corpus (test/response), as facts.

Each row: what it shows, the bytes, the methods that were asked with, what a client understands (`tests.http1.driver`).
llhttp reads some of these leniently; where strictness refuses them, the reason is the expectation.
"""

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GET = ("GET",)

Row = tuple[str, bytes, tuple[str, ...], list[str]]

SAMPLE: list[Row] = [
    (
        "a simple answer",
        OK + b"Header1: Value1\r\nHeader2:\t Value2\r\nContent-Length: 0\r\n\r\n",
        GET,
        ["200 OK b''"],
    ),
    ("another protocol: RTSP", b"RTSP/1.1 200 OK\r\n\r\n", GET, ["refused bad-version"]),
    ("another protocol: ICE", b"ICE/1.1 200 OK\r\n\r\n", GET, ["refused bad-version"]),
    ("nearly HTTP", b"HTTPER/1.1 200 OK\r\n\r\n", GET, ["refused bad-version"]),
    ("an empty body until the end", OK + b"\r\n", GET, ["200 OK b'' close"]),
    (
        "a dollar in a name, blanks around a length",
        b"HTTP/1.1 301 Moved Permanently\r\nX-$PrototypeBI-Version: 1.6.0.3\r\nContent-Length:  5  \r\n\r\nmoved",
        GET,
        ["301 Moved Permanently b'moved'"],
    ),
    ("a chunk of LF", CHUNKED + b"1\r\n\n\r\n0\r\n\r\n", GET, [r"200 OK b'\n'"]),
    ("no fields", b"HTTP/1.1 404 Not Found\r\n\r\n", GET, ["404 Not Found b'' close"]),
    ("no reason", b"HTTP/1.1 301\r\n\r\n", GET, ["301  b'' close"]),
    ("no reason, but a blank", b"HTTP/1.1 200 \r\n\r\n", GET, ["200  b'' close"]),
    ("LF for CRLF", b"HTTP/1.1 200 OK\nConnection: close\n\nx\r\n\r\n", GET, ["refused bare-lf"]),
    (
        "an underscore in a name",
        OK + b"Content-Length: 0\r\nDCLK_imp: v7;x;114750856;0-0;0;17820020;0/0;~okv=;dcmt=text/xml;;~cs=o\r\n\r\n",
        GET,
        ["200 OK b''"],
    ),
    (
        "an empty field is not joined with the next",
        b"HTTP/1.0 301 Moved\r\nPragma: \r\nLocation: http://e/\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
        GET,
        ["301 Moved b''"],
    ),
    (
        "names that begin with signs",
        OK + b".et-Cookie: a=b\r\n_eep-Alive: timeout=45\r\n_onnection: Keep-Alive\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: close\r\n\r\n0\r\n\r\n",
        GET,
        ["200 OK b'' close"],
    ),
    ("a blank in a name", OK + b"en-US Content-Type: text/xml\r\n\r\n", GET, ["refused bad-header-name"]),
    (
        "a reason beyond ASCII",
        b"HTTP/1.1 500 Ori\xebntatieprobleem\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        GET,
        ["500 Oriëntatieprobleem b'' close"],
    ),
    ("HTTP/0.9", b"HTTP/0.9 200 OK\r\n\r\n", GET, ["refused bad-version"]),
    ("a body until the end", OK + b"Content-Type: text/plain\r\n\r\nhello", GET, ["200 OK b'hello' close"]),
    ("an empty line first", b"\r\nHTTP/1.1 200 OK\r\n\r\n", GET, ["refused bad-version"]),
]

CONNECTION: list[Row] = [
    (
        "Proxy-Connection is nobody's",
        OK + b"Content-Length: 11\r\nProxy-Connection: close\r\n\r\nhello world",
        GET,
        ["200 OK b'hello world'"],
    ),
    (
        "HTTP/1.0, keep-alive, until the end",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nHTTP/1.0 200 OK",
        GET,
        ["200 OK b'HTTP/1.0 200 OK' close"],
    ),
    (
        "HTTP/1.0, keep-alive, 204",
        b"HTTP/1.0 204 No content\r\nConnection: keep-alive\r\n\r\nHTTP/1.0 200 OK\r\n\r\n",
        ("GET", "GET"),
        ["204 No content b''", "200 OK b'' close"],
    ),
    ("HTTP/1.1 until the end", OK + b"\r\nHTTP/1.1 200 OK", GET, ["200 OK b'HTTP/1.1 200 OK' close"]),
    (
        "204 has no body",
        b"HTTP/1.1 204 No content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ("GET", "GET"),
        ["204 No content b''", "200 OK b'' close"],
    ),
    (
        "204 and close",
        b"HTTP/1.1 204 No content\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ("GET", "GET"),
        ["204 No content b'' close", r"ignored b'HTTP/1.1 200 OK\r\n\r\n'"],
    ),
    (
        "a length, close, and more",
        OK + b"Content-Length: 5\r\nConnection: close\r\n\r\n2ad731e3",
        GET,
        ["200 OK b'2ad73' close", "ignored b'1e3'"],
    ),
    (
        "101 has no body",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n\r\nproto",
        GET,
        ["101 Switching b'' upgrade=websocket", "tunnel b'proto'"],
    ),
    (
        "101 has no chunks",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n",
        GET,
        ["101 Switching b'' upgrade=x", r"tunnel b'2\r\n'"],
    ),
    (
        "200 does not upgrade",
        OK + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\nbody",
        GET,
        ["200 OK b'body' close"],
    ),
    (
        "200 with a length does not upgrade",
        OK + b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n\r\nbody",
        GET,
        ["200 OK b'body'"],
    ),
    (
        "200 with chunks does not upgrade",
        OK
        + b"Connection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
        GET,
        ["200 OK b'body'"],
    ),
    (
        "304 has no body, whatever its length",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
        ("GET", "GET"),
        ["304 Not Modified b''", "200 OK b'hello'"],
    ),
    (
        "304 has no chunks",
        b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
        ("GET", "GET"),
        ["304 Not Modified b''", "200 OK b'hello'"],
    ),
    (
        "100 comes before the answer",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 14\r\n\r\n404: Not Found",
        GET,
        ["100 Continue b''", "404 Not Found b'404: Not Found'"],
    ),
    (
        "103 comes before the answer",
        b"HTTP/1.1 103 Early Hints\r\nLink: </styles.css>; rel=preload\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok",
        GET,
        ["103 Early Hints b''", "200 OK b'ok'"],
    ),
    (
        "the answer to HEAD has no body",
        OK + b"Content-Length: 123\r\n\r\n" + OK + b"Transfer-Encoding: chunked\r\n\r\n",
        ("HEAD", "HEAD"),
        ["200 OK b''", "200 OK b''"],
    ),
]

CONTENT_LENGTH: list[Row] = [
    ("none: until the end", OK + b"Connection: close\r\n\r\n<xml>\n</xml>", GET, [r"200 OK b'<xml>\n</xml>' close"]),
    (
        "a name that only begins like it",
        OK + b"Content-Length-X: 0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n",
        GET,
        ["200 OK b'OK'"],
    ),
    ("half a body", OK + b"Content-Length: 123\r\n\r\nabc", GET, ["more"]),
    ("tabs around", OK + b"Content-Length:\t42\t\r\n\r\n", GET, ["refused bad-content-length"]),
    ("twice", OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", GET, ["refused repeated-content-length"]),
    ("a list", OK + b"Content-Length: 2, 2\r\n\r\nok", GET, ["refused bad-content-length"]),
    ("a sign", OK + b"Content-Length: +2\r\n\r\nok", GET, ["refused bad-content-length"]),
]

TRANSFER_ENCODING: list[Row] = [
    ("blanks after a size", CHUNKED + b"5  \r\nfirst\r\n0  \r\n\r\n", GET, ["refused bad-chunk-size"]),
    (
        "chunked, but not last",
        OK + b"Transfer-Encoding: chunked, deflate\r\n\r\nWorld",
        GET,
        ["refused bad-transfer-encoding"],
    ),
    (
        "chunked, but not last, in two fields",
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\nWorld",
        GET,
        ["refused repeated-transfer-encoding"],
    ),
    (
        "chunkedchunked",
        OK + b"Transfer-Encoding: chunkedchunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n",
        GET,
        ["refused unknown-transfer-coding"],
    ),
    (
        "with a length",
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nOK\r\n0\r\n\r\n",
        GET,
        ["refused content-length-and-transfer-encoding"],
    ),
    (
        "in HTTP/1.0",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n",
        GET,
        ["refused transfer-encoding-in-http-1-0"],
    ),
    (
        "extensions are dropped",
        CHUNKED + b'5;ilovew3="a; b";so=much\r\nhello\r\n6;blahblah;blah\r\n world\r\n0\r\n\r\n',
        GET,
        ["200 OK b'hello world'"],
    ),
    ("no semicolon before an extension", CHUNKED + b"2 erfr\r\naa\r\n0\r\n\r\n", GET, ["refused bad-chunk-size"]),
    ("no extension after the semicolon", CHUNKED + b"2;\r\naa\r\n0\r\n\r\n", GET, ["refused bad-chunk-extension"]),
    ("a quote that does not end", CHUNKED + b'2;a="b\r\naa\r\n0\r\n\r\n', GET, ["refused bad-chunk-extension"]),
    (
        "a folded line after chunked",
        OK + b"Transfer-Encoding: chunked\r\n  abc\r\n\r\n5\r\nWorld\r\n0\r\n\r\n",
        GET,
        ["refused folded-header"],
    ),
    (
        "trailers",
        CHUNKED + b"2\r\nOK\r\n0\r\ngrpc-status: 0\r\nSet-Cookie: a=b\r\n\r\n",
        GET,
        ["200 OK b'OK' trailers=[b'grpc-status: 0']"],
    ),
]

PIPELINING: list[Row] = [
    (
        "three answers at once",
        OK + b"Content-Length: 3\r\n\r\nAAA"
        b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\nBBBB"
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nCCCCC",
        ("GET", "PUT", "POST"),
        ["200 OK b'AAA'", "201 Created b'BBBB'", "202 Accepted b'CCCCC'"],
    ),
]

FINISH: list[Row] = [
    ("nothing", b"", GET, []),
    ("an end in the status line", b"HTTP/1.1 2", GET, ["more"]),
    ("an end in a chunked body", CHUNKED + b"5\r\nhel", GET, ["more"]),
    ("an end before the last chunk's empty line", CHUNKED + b"0\r\n", GET, ["more"]),
]

INVALID: list[Row] = [
    ("a letter too few", b"HTP/1.1 200 OK\r\n\r\n", GET, ["refused bad-version"]),
    ("a digit too many before the point", b"HTTP/01.1 200 OK\r\n\r\n", GET, ["refused bad-version"]),
    ("another digit too many before the point", b"HTTP/11.1 200 OK\r\n\r\n", GET, ["refused bad-version"]),
    ("a digit too many after the point", b"HTTP/1.01 200 OK\r\n\r\n", GET, ["refused bad-version"]),
    ("a tab after the version", b"HTTP/1.1\t200 OK\r\n\r\n", GET, ["refused bad-version"]),
    ("CR first", b"\rHTTP/1.1 200 OK\r\n\r\n", GET, ["refused bare-cr"]),
    ("fields ended by CR", OK + b"Foo: 1\rBar: 2\r\n\r\n", GET, ["refused bare-cr"]),
    ("CR in the reason", b"HTTP/1.1 200 OK\rContent-Length: 0\r\n\r\n", GET, ["refused bare-cr"]),
    ("CR CR in the reason", b"HTTP/1.1 200 OK\r\rContent-Length: 4\r\n\r\nEvil", GET, ["refused bare-cr"]),
    ("another version", b"HTTP/5.6 200 OK\r\n\r\n", GET, ["refused bad-version"]),
    ("a blank before the first field", OK + b" Host: foo\r\n\r\n", GET, ["refused blank-before-first-header"]),
    ("two blanks before the status", b"HTTP/1.1  200 OK\r\n\r\n", GET, ["refused bad-status"]),
    ("two blanks before the reason", b"HTTP/1.1 200  OK\r\n\r\n", GET, ["200  OK b'' close"]),
    ("a status of one digit", b"HTTP/1.1 2 OK\r\n\r\n", GET, ["refused bad-status"]),
    ("a status of four digits", b"HTTP/1.1 2000 OK\r\n\r\n", GET, ["refused bad-status"]),
    ("a status with a sign", b"HTTP/1.1 +20 OK\r\n\r\n", GET, ["refused bad-status"]),
    ("LF everywhere", OK[:-2] + b"\nFoo: abc\n\nBODY\n\r\n\r\n", GET, ["refused bare-lf"]),
    ("NUL in a value", OK + b"Foo: a\0b\r\n\r\n", GET, ["refused control-character"]),
]

TABLES: dict[str, list[Row]] = {
    "sample": SAMPLE,
    "connection": CONNECTION,
    "content-length": CONTENT_LENGTH,
    "transfer-encoding": TRANSFER_ENCODING,
    "pipelining": PIPELINING,
    "finish": FINISH,
    "invalid": INVALID,
}
