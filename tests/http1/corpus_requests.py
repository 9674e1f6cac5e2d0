"""What clients send, well or badly: the classes of cases of the llhttp corpus (test/request), as facts.

Each row: what it shows, the bytes, what a server understands (`tests.http1.driver`). llhttp reads some of these
leniently, or knows further protocols; where strictness refuses them, the reason is the expectation.
"""

H = b" HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"PUT /url" + H + b"Transfer-Encoding: chunked\r\n\r\n"

Row = tuple[str, bytes, list[str]]

SAMPLE: list[Row] = [
    ("a simple request", b"OPTIONS /url" + H + b"Header1: Value1\r\nHeader2:\t Value2\r\n\r\n", ["OPTIONS /url b''"]),
    ("a method that begins like a response", b"HEAD /url" + H + b"\r\n", ["HEAD /url b''"]),
    (
        "curl",
        b"GET /test HTTP/1.1\r\nUser-Agent: curl/7.18.0\r\nHost: 0.0.0.0:5000\r\nAccept: */*\r\n\r\n",
        ["GET /test b''"],
    ),
    (
        "a host with a character of no host",
        b"GET /test HTTP/1.1\r\nHost: 0.0.0.0=5000\r\n\r\n",
        ["refused 400 bad-host"],
    ),
    (
        "an old browser, with Keep-Alive",
        b"GET /favicon.ico" + H + b"Accept-Charset: ISO-8859-1,utf-8;q=0.7,*;q=0.7\r\nKeep-Alive: 300\r\n"
        b"Connection: keep-alive\r\n\r\n",
        ["GET /favicon.ico b''"],
    ),
    ("a field of signs", b"GET /dumb" + H + b"aaaaaaaaaaaaa:++++++++++\r\n\r\n", ["GET /dumb b''"]),
    ("no fields at all", b"GET /world HTTP/1.1\r\n\r\n", ["refused 400 missing-host"]),
    ("no fields at all in HTTP/1.0", b"GET /world HTTP/1.0\r\n\r\n", ["GET /world b'' close"]),
    ("a field, but no host", b"GET /one HTTP/1.1\r\nAccept: */*\r\n\r\n", ["refused 400 missing-host"]),
    ("ab, over HTTP/1.0", b"GET /test HTTP/1.0\r\nHost: 0.0.0.0:5000\r\nAccept: */*\r\n\r\n", ["GET /test b'' close"]),
    ("an empty line first", b"\r\nGET /test" + H + b"\r\n", ["GET /test b''"]),
    ("two empty lines first", b"\r\n\r\nGET /test" + H + b"\r\n", ["refused 400 bad-request-line"]),
    ("an empty line of LF first", b"\nGET /test" + H + b"\r\n", ["refused 400 bare-lf"]),
    ("no version", b"GET /\r\n\r\n", ["refused 400 bad-request-line"]),
    ("no target", b"GET HTTP/1.1\r\nHost: a\r\n\r\n", ["refused 400 bad-request-line"]),
    ("two blanks before the target", b"GET  /" + H + b"\r\n", ["refused 400 bad-target"]),
    ("two blanks after the target", b"GET / " + H + b"\r\n", ["refused 400 bad-target"]),
    ("a blank after the version", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", ["refused 400 bad-version"]),
    ("a tab for a blank", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", ["refused 400 bad-method"]),
    ("a blank before the method", b" GET /" + H + b"\r\n", ["refused 400 bad-request-line"]),
    ("folded lines", b"GET /" + H + b"Line1:   abc\r\n\tdef\r\n ghi\r\n\r\n", ["refused 400 folded-header"]),
    ("a folded line of blanks", b"GET /" + H + b"Line4: \r\n \r\n\r\n", ["refused 400 folded-header"]),
    ("folded lines, ended by LF", b"GET /" + H + b"Line1: abc\n\tdef\n\n", ["refused 400 bare-lf"]),
    ("CR for CRLF", b"GET / HTTP/1.1\rLine: 1\r\n\r\n", ["refused 400 bare-cr"]),
    ("a value beyond ASCII", b"GET /" + H + b"Test: D\xc3\xbcsseldorf\r\n\r\n", ["GET / b''"]),
    ("a value with the byte 255", b"OPTIONS /url" + H + b"Header2: \xffValue2\r\n\r\n", ["OPTIONS /url b''"]),
    (
        "a certificate in a folded field",
        b"GET /" + H + b"X-SSL-Nonsense:   -----BEGIN CERTIFICATE-----\r\n\tMIIFbTCC\r\n\tRA==\r\n\r\n",
        ["refused 400 folded-header"],
    ),
]

METHOD: list[Row] = [
    *[
        (method, method.encode() + b" /x" + H + b"\r\n", [f"{method} /x b''"])
        for method in (
            "REPORT",
            "PURGE",
            "SEARCH",
            "LINK",
            "UNLINK",
            "SOURCE",
            "ANNOUNCE",
            "NOTIFY",
            "MKACTIVITY",
            "M-SEARCH",
        )
    ],
    ("an unknown method", b"MKCOLA /" + H + b"\r\n", ["MKCOLA / b''"]),
    ("a method in lower case is another one", b"get /" + H + b"\r\n", ["get / b''"]),
    ("a method with a sign of no token", b"GE(T /" + H + b"\r\n", ["refused 400 bad-method"]),
    ("an endless method", b"G" * 40 + b" /" + H + b"\r\n", ["refused 400 bad-method"]),
    ("CONNECT", b"CONNECT 0-home0.example.com:443 HTTP/1.0\r\nUser-agent: x\r\n\r\ndata", ["refused 501 connect"]),
    ("CONNECT in HTTP/1.1", b"CONNECT a:443" + H + b"Content-Length: 10\r\n\r\nblarfcicle", ["refused 501 connect"]),
    (
        "an SSDP search, whose asterisk is for OPTIONS only",
        b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\n\r\n',
        ["refused 400 bad-target"],
    ),
    (
        "PATCH",
        b"PATCH /file.txt" + H + b'If-Match: "e0023aa4e"\r\nContent-Length: 10\r\n\r\ncccccccccc',
        ["PATCH /file.txt b'cccccccccc'"],
    ),
    (
        "QUERY",
        b"QUERY /contacts" + H + b"Content-Type: example/query\r\nContent-Length: 6\r\n\r\nselect",
        ["QUERY /contacts b'select'"],
    ),
    (
        "repeated Link fields",
        b"LINK /dog.jpg" + H + b'Link: <http://e/joe>; rel="tag"\r\nLink: <http://e/sally>; rel="tag"\r\n\r\n',
        ["LINK /dog.jpg b''"],
    ),
    ("another protocol: ICE", b"SOURCE /music ICE/1.0\r\nHost: a\r\n\r\n", ["refused 400 bad-version"]),
    ("another protocol: RTSP", b"OPTIONS /music RTSP/1.0\r\nHost: a\r\n\r\n", ["refused 400 bad-version"]),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ["refused 505 http-version"]),
    ("the preface of HTTP/2 as HTTP/1.1", b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n", ["refused 400 bad-target"]),
]

URI: list[Row] = [
    (
        "quotes are encoded in the path and stay in the query",
        b'GET /with_"lovely"_quotes?foo="bar"' + H + b"\r\n",
        ["GET /with_%22lovely%22_quotes?foo=\"bar\" b''"],
    ),
    ("a question mark in the query", b"GET /test.cgi?foo=bar?baz" + H + b"\r\n", ["GET /test.cgi?foo=bar?baz b''"]),
    ("a vertical bar in the query", b"GET /test.cgi?query=|" + H + b"\r\n", ["GET /test.cgi?query=| b''"]),
    ("an empty query", b"GET /x?" + H + b"\r\n", ["GET /x? b''"]),
    ("absolute, the authority ended by a query", b"GET http://h.org?hail=all" + H + b"\r\n", ["GET /?hail=all b''"]),
    ("the same with a port", b"GET http://h.org:1234?hail=all" + H + b"\r\n", ["GET /?hail=all b''"]),
    ("absolute, the authority ended by a blank", b"GET http://h.org:1234" + H + b"\r\n", ["GET / b''"]),
    ("absolute with a path", b"GET HTTP://h.org/a/b?c" + H + b"\r\n", ["GET /a/b?c b''"]),
    (
        "absolute with user information",
        b"GET http://a%12:b!&*$@h.org:1234/toto" + H + b"\r\n",
        ["refused 400 bad-host"],
    ),
    ("absolute without an authority", b"GET http:///toto" + H + b"\r\n", ["refused 400 bad-host"]),
    ("absolute with another scheme", b"GET ftp://h.org/" + H + b"\r\n", ["refused 400 bad-target"]),
    ("UTF-8 in the path", "GET /δ¶/δt/pope?q=1".encode() + H + b"\r\n", ["refused 400 non-ascii-target"]),
    ("UTF-8 in the query", "GET /?q=δ".encode() + H + b"\r\n", ["refused 400 non-ascii-target"]),
    ("a fragment after the query", b"GET /forums/1?page=1#posts-17408" + H + b"\r\n", ["refused 400 bad-target"]),
    ("a fragment after the path", b"GET /forums/1#posts" + H + b"\r\n", ["refused 400 bad-path"]),
    ("an underscore in the host", b"GET / HTTP/1.0\r\nHost: home_0.example.com:443\r\n\r\n", ["GET / b'' close"]),
    ("a blank in the path", b"GET /foo bar/" + H + b"\r\n", ["refused 400 bad-target"]),
    ("a blank in the query", b"GET /?foo bar" + H + b"\r\n", ["refused 400 bad-target"]),
    ("a tab in the path", b"GET /foo\tbar/" + H + b"\r\n", ["refused 400 bad-path"]),
    ("a tab in the query", b"GET /?foo\tbar" + H + b"\r\n", ["refused 400 bad-target"]),
    ("a form feed in the path", b"GET /foo\x0cbar/" + H + b"\r\n", ["refused 400 control-character"]),
    ("the asterisk", b"OPTIONS *" + H + b"\r\n", ["OPTIONS * b''"]),
    ("absolute without a path, for OPTIONS", b"OPTIONS http://h.org:8001" + H + b"\r\n", ["OPTIONS * b''"]),
    ("the asterisk with more", b"OPTIONS */x" + H + b"\r\n", ["refused 400 bad-target"]),
    ("authority form", b"GET h.org:443" + H + b"\r\n", ["refused 400 bad-target"]),
    ("no slash first", b"GET index.html" + H + b"\r\n", ["refused 400 bad-target"]),
    ("a query alone", b"GET ?a" + H + b"\r\n", ["refused 400 bad-target"]),
]

CONNECTION: list[Row] = [
    ("keep-alive, said", b"PUT /url" + H + b"Connection: keep-alive\r\n\r\n", ["PUT /url b''"]),
    (
        "keep-alive, and another request",
        2 * (b"PUT /url" + H + b"Connection: keep-alive\r\n\r\n"),
        ["PUT /url b''", "PUT /url b''"],
    ),
    (
        "HTTP/1.0 ends after one request",
        b"PUT /url HTTP/1.0\r\n\r\nPUT /url" + H + b"\r\n",
        ["PUT /url b'' close", r"ignored b'PUT /url HTTP/1.1\r\nHost: a\r\n\r\n'"],
    ),
    (
        "HTTP/1.0 with keep-alive",
        b"PUT /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nPUT /b HTTP/1.0\r\n\r\n",
        ["PUT /a b''", "PUT /b b'' close"],
    ),
    (
        "CRLF between requests",
        b"POST /" + H + b"Content-Length: 4\r\n\r\nq=42\r\nGET /" + H + b"\r\n",
        ["POST / b'q=42'", "GET / b''"],
    ),
    ("CR is no dash", b"PUT /url" + H + b"Connection: keep\ralive\r\n\r\n", ["refused 400 bare-cr"]),
    ("close", b"PUT /url" + H + b"Connection: close\r\n\r\n", ["PUT /url b'' close"]),
    ("close and a tab", b"PUT /url" + H + b"Connection: close\t\r\n\r\n", ["PUT /url b'' close"]),
    ("close in capitals", b"PUT /url" + H + b"Connection: CLOSE\r\n\r\n", ["PUT /url b'' close"]),
    (
        "what follows close is not read",
        b"POST /" + H + b"Content-Length: 4\r\nConnection: close\r\n\r\nq=42\r\nGET / HTTP/1.1\r\n\r\n",
        ["POST / b'q=42' close", r"ignored b'\r\nGET / HTTP/1.1\r\n\r\n'"],
    ),
    (
        "many options, close among them",
        b"PUT /url" + H + b"Connection: close, token, upgrade, token, keep-alive\r\n\r\n",
        ["PUT /url b'' close"],
    ),
    (
        "options in a folded field",
        b"GET /demo" + H + b"Connection: Something,\r\n Upgrade, ,Keep-Alive\r\nUpgrade: WebSocket\r\n\r\n",
        ["refused 400 folded-header"],
    ),
    ("an option that is none", b"GET /" + H + b"Connection: keep alive\r\n\r\n", ["refused 400 bad-connection"]),
    (
        "options in two fields, empty ones among them",
        b"GET /demo" + H + b"Connection: Something,\r\nConnection: ,Upgrade, ,\r\nUpgrade: WebSocket\r\n\r\nhot",
        ["GET /demo b'' upgrade=websocket", "tunnel b'hot'"],
    ),
    (
        "a blank before the colon",
        b"PUT /url" + H + b"Connection : upgrade\r\nContent-Length: 4\r\nUpgrade: ws\r\n\r\nabcdefgh",
        ["refused 400 blank-before-colon"],
    ),
    ("upgrade", b"PUT /url" + H + b"Connection: upgrade\r\nUpgrade: ws\r\n\r\n", ["PUT /url b'' upgrade=ws"]),
    (
        "upgrade after a body",
        b"PUT /url" + H + b"Connection: upgrade\r\nContent-Length: 4\r\nUpgrade: ws\r\n\r\nabcdefgh",
        ["PUT /url b'abcd' upgrade=ws", "tunnel b'efgh'"],
    ),
    (
        "upgrade to a WebSocket",
        b"GET /demo" + H + b"Connection: Upgrade\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\nUpgrade: WebSocket\r\n"
        b"\r\nHot diggity dogg",
        ["GET /demo b'' upgrade=websocket", "tunnel b'Hot diggity dogg'"],
    ),
    (
        "another HTTP is never upgraded to",
        b"POST /demo" + H + b"Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\nContent-Length: 4\r\n\r\nbody",
        ["POST /demo b'body'"],
    ),
    ("upgrade, not named in Connection", b"GET /" + H + b"Upgrade: websocket\r\n\r\n", ["GET / b''"]),
    ("upgrade in Connection only", b"GET /" + H + b"Connection: upgrade\r\n\r\n", ["GET / b''"]),
    (
        "upgrade in HTTP/1.0",
        b"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        ["GET / b'' close"],
    ),
]

CONTENT_LENGTH: list[Row] = [
    ("zeros first", b"PUT /url" + H + b"Content-Length: 003\r\n\r\nabc", ["PUT /url b'abc'"]),
    ("a field after it", b"PUT /url" + H + b"Content-Length: 003\r\nOhai: world\r\n\r\nabc", ["PUT /url b'abc'"]),
    (
        "more digits than any integer",
        b"PUT /url" + H + b"Content-Length: 1000000000000000000000\r\n\r\n",
        ["refused 400 bad-content-length"],
    ),
    (
        "twice",
        b"PUT /url" + H + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        ["refused 400 repeated-content-length"],
    ),
    (
        "with Transfer-Encoding: identity",
        b"PUT /url" + H + b"Content-Length: 1\r\nTransfer-Encoding: identity\r\n\r\n",
        ["refused 501 unknown-transfer-coding"],
    ),
    (
        "a blank before the colon",
        b"PUT /url" + H + b"Content-Length : 4\r\n\r\nabcd",
        ["refused 400 blank-before-colon"],
    ),
    (
        "any capitals",
        b"GET /funky HTTP/1.0\r\nconTENT-Length: 5\r\n\r\nHELLO",
        ["GET /funky b'HELLO' close"],
    ),
    ("blanks around", b"POST /" + H + b"Content-Length:  3 \r\n\r\nabc", ["POST / b'abc'"]),
    ("tabs around", b"POST /" + H + b"Content-Length:\t3\t  \r\n\r\nabc", ["refused 400 bad-content-length"]),
    ("a blank inside", b"POST /" + H + b"Content-Length: 4 2\r\n\r\n", ["refused 400 bad-content-length"]),
    ("blanks inside", b"POST /" + H + b"Content-Length: 13 37\r\n\r\n", ["refused 400 bad-content-length"]),
    ("nothing", b"POST /" + H + b"Content-Length:\r\n\r\n", ["refused 400 bad-content-length"]),
    ("CR for its dash", b"PUT /url" + H + b"Content\rLength: 003\r\n\r\nabc", ["refused 400 bare-cr"]),
    ("a name that only begins like it", b"PUT /url" + H + b"Content-Length-X: 3\r\n\r\n", ["PUT /url b''"]),
    (
        "no empty line before the body",
        b"PUT /url" + H + b"Content-Length: 3\r\nabc\r\n\r\n",
        ["refused 400 header-without-colon"],
    ),
    ("half a body", b"PUT /url" + H + b"Content-Length: 123\r\n\r\nabc", ["more"]),
    ("none, and no body", b"POST /" + H + b"\r\nGET /b" + H + b"\r\n", ["POST / b''", "GET /b b''"]),
]

TRANSFER_ENCODING: list[Row] = [
    ("a chunked body begins", CHUNKED, ["more"]),
    ("a size in lower case", CHUNKED + b"a\r\n0123456789\r\n0\r\n\r\n", ["PUT /url b'0123456789'"]),
    ("a size in upper case", CHUNKED + b"A\r\n0123456789\r\n0\r\n\r\n", ["PUT /url b'0123456789'"]),
    (
        "a size of two digits",
        CHUNKED + b"1e\r\nall your base are belong to us\r\n0\r\n\r\n",
        ["PUT /url b'all your base are belong to us'"],
    ),
    (
        "two chunks and a last one of many zeros",
        CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n",
        ["PUT /url b'hello world'"],
    ),
    (
        "trailers: those that may not be there are dropped",
        CHUNKED + b"5\r\nhello\r\n0\r\nVary: *\r\nContent-Type: text/plain\r\nX-Sum: 1\r\n\r\n",
        ["PUT /url b'hello' trailers=[b'X-Sum: 1']"],
    ),
    (
        "extensions are dropped",
        CHUNKED + b"5;ilovew3;somuchlove=arethese;another=withvalue\r\nhello\r\n6;blahblah;blah\r\n world\r\n0\r\n\r\n",
        ["PUT /url b'hello world'"],
    ),
    ("no semicolon before an extension", CHUNKED + b"2 erfr\r\naa\r\n0 rrrr\r\n\r\n", ["refused 400 bad-chunk-size"]),
    ("no extension after the semicolon", CHUNKED + b"2;\r\naa\r\n0\r\n\r\n", ["refused 400 bad-chunk-extension"]),
    (
        "quoted extensions",
        CHUNKED + b'5;ilovew3="I \\"love\\"; \\\\extensions\\\\";more="x";blah;foo=bar\r\nhello\r\n0\r\n\r\n',
        ["PUT /url b'hello'"],
    ),
    (
        "a quote that does not end",
        CHUNKED + b'5;ilovew3="abc";somuchlove="def; ghi\r\nhello\r\n0\r\n\r\n',
        ["refused 400 bad-chunk-extension"],
    ),
    (
        "a coding of its own",
        b"PUT /url" + H + b"Transfer-Encoding: pigeons\r\n\r\n",
        ["refused 501 unknown-transfer-coding"],
    ),
    (
        "identity, and a length",
        b"POST /" + H + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nWorld",
        ["refused 501 unknown-transfer-coding"],
    ),
    (
        "chunked, and a length",
        b"POST /" + H + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nWorld",
        ["refused 400 content-length-and-transfer-encoding"],
    ),
    (
        "empty ones, and a length",
        b"POST /" + H + b"Content-Length: 10\r\nTransfer-Encoding:\r\nTransfer-Encoding:\r\n\r\n2\r\nAA\r\n0\r\n",
        ["refused 400 bad-transfer-encoding"],
    ),
    (
        "chunked, but not last",
        b"POST /" + H + b"Transfer-Encoding: chunked, deflate\r\n\r\nWorld",
        ["refused 400 bad-transfer-encoding"],
    ),
    (
        "chunked, but not last, in two fields",
        b"POST /" + H + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: deflate\r\n\r\nWorld",
        ["refused 400 repeated-transfer-encoding"],
    ),
    (
        "another coding before chunked",
        b"POST /" + H + b"Transfer-Encoding: deflate, chunked\r\n\r\n5\r\nWorld\r\n0\r\n\r\n",
        ["refused 400 bad-transfer-encoding"],
    ),
    (
        "another coding before chunked, in two fields",
        b"POST /" + H + b"Transfer-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nWorld\r\n0\r\n\r\n",
        ["refused 501 unknown-transfer-coding"],
    ),
    (
        "chunkedchunked",
        b"POST /" + H + b"Transfer-Encoding: chunkedchunked\r\n\r\n5\r\nWorld\r\n0\r\n\r\n",
        ["refused 501 unknown-transfer-coding"],
    ),
    ("no last chunk", CHUNKED + b"3\r\nfoo\r\n\r\n", ["refused 400 bad-chunk-size"]),
    ("blanks and LF after the size", CHUNKED + b"3 \n  \r\nfoo\r\n", ["refused 400 bare-lf"]),
    ("a folded line after the size of the last chunk", CHUNKED + b"0\r\n  abc\r\n\r\n", ["refused 400 folded-header"]),
    (
        "a folded line after chunked",
        b"PUT /url" + H + b"Transfer-Encoding: chunked\r\n  abc\r\n\r\n5\r\nWorld\r\n0\r\n\r\n",
        ["refused 400 folded-header"],
    ),
    ("a size ended by two CR", CHUNKED + b"5\r\r;ABCD\r\n34\r\n0\r\n\r\n", ["refused 400 bad-chunk-size"]),
    ("data not ended by CRLF", CHUNKED + b"5\r\nABCDE0\r\n\r\n", ["refused 400 bad-chunk-end"]),
    ("a blank after the size", CHUNKED + b"a \r\n0123456789\r\n0\r\n\r\n", ["refused 400 bad-chunk-size"]),
    ("a blank before the size", CHUNKED + b" a\r\n0123456789\r\n0\r\n\r\n", ["refused 400 bad-chunk-size"]),
]

PIPELINING: list[Row] = [
    (
        "three requests at once",
        b"POST /aaa" + H + b"Content-Length: 3\r\n\r\nAAA"
        b"PUT /bbb" + H + b"Content-Length: 4\r\n\r\nBBBB"
        b"PATCH /ccc" + H + b"Content-Length: 5\r\n\r\nCCCCC",
        ["POST /aaa b'AAA'", "PUT /bbb b'BBBB'", "PATCH /ccc b'CCCCC'"],
    ),
    (
        "a chunked request before another",
        CHUNKED + b"3\r\nabc\r\n0\r\n\r\nGET /next" + H + b"\r\n",
        ["PUT /url b'abc'", "GET /next b''"],
    ),
    (
        "a good request before a bad one",
        b"GET /" + H + b"\r\nBAD\r\n\r\n",
        ["GET / b''", "refused 400 bad-request-line"],
    ),
]

FINISH: list[Row] = [
    ("nothing", b"", []),
    ("an end between requests", b"GET /" + H + b"\r\n", ["GET / b''"]),
    ("an end in a head", b"GET /" + H, ["more"]),
    ("an end in a request line", b"GET", ["more"]),
    ("an end in a body", b"PUT /" + H + b"Content-Length: 100\r\n\r\n", ["more"]),
    ("an end in a chunk", CHUNKED + b"a\r\n0123", ["more"]),
]

INVALID: list[Row] = [
    ("another protocol: ICE", b"GET /music ICE/1.0\r\nHost: a\r\n\r\n", ["refused 400 bad-version"]),
    ("nearly HTTP", b"GET /music IHTTP/1.0\r\nHost: a\r\n\r\n", ["refused 400 bad-version"]),
    ("another protocol: RTSP", b"PUT /music RTSP/1.0\r\nHost: a\r\n\r\n", ["refused 400 bad-version"]),
    ("fields ended by CR", b"GET /" + H + b"Foo: 1\rBar: 2\r\n\r\n", ["refused 400 bare-cr"]),
    (
        "fields ended by LF",
        b"POST /" + H + b"x:x\nTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n0\r\n\r\n",
        ["refused 400 bare-lf"],
    ),
    (
        "fields ended by CR and a letter",
        b"GET /" + H + b"Connection: close\r\n\rZGET /evil: HTTP/1.1\r\nHost: a\r\n\r\n",
        ["refused 400 bare-cr"],
    ),
    ("an empty field ended by CR", b"POST /" + H + b"x:\rTransfer-Encoding: chunked\r\n\r\n", ["refused 400 bare-cr"]),
    ("an empty field ended by LF", b"POST /" + H + b"x:\nTransfer-Encoding: chunked\r\n\r\n", ["refused 400 bare-lf"]),
    ("an at sign in a name", b"GET /" + H + b"Fo@: Failure\r\n\r\n", ["refused 400 bad-header-name"]),
    ("a control character in a name", b"GET /" + H + b"Foo\x01\\test: Bar\r\n\r\n", ["refused 400 control-character"]),
    ("no name", b"GET /" + H + b": Bar\r\n\r\n", ["refused 400 bad-header-name"]),
    ("no colon", b"GET /" + H + b"name\r\n\r\n", ["refused 400 header-without-colon"]),
    ("a folded name", b"GET /" + H + b"name\r\n : value\r\n\r\n", ["refused 400 header-without-colon"]),
    (
        "a broken Connection",
        b"GET /" + H + b"Connection\r\x1b5\xd5eep-Alive\r\nAccept-Encoding: gzip\r\n\r\n",
        ["refused 400 bare-cr"],
    ),
    ("letters beyond ASCII in a name", b"GET /" + H + b"N\xc3\xa4me: x\r\n\r\n", ["refused 400 bad-header-name"]),
    (
        "LF in a value, that would smuggle a length",
        b"GET /"
        + H
        + b"Dummy: x\nContent-Length: 23\r\n\r\nGET / HTTP/1.1\r\nDummy: GET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        ["refused 400 bare-lf"],
    ),
    ("another version", b"GET / HTTP/5.6\r\n\r\n", ["refused 505 http-version"]),
    ("a version of two digits", b"GET / HTTP/01.1\r\n\r\n", ["refused 400 bad-version"]),
    ("a version without a point", b"GET / HTTP/11\r\n\r\n", ["refused 400 bad-version"]),
    (
        "a blank before the first field",
        b"GET / HTTP/1.1\r\n Host: foo\r\n\r\n",
        ["refused 400 blank-before-first-header"],
    ),
    ("LF everywhere", b"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n1\nA\n0\n\n", ["refused 400 bare-lf"]),
    (
        "a blank before a field",
        b"POST /hello" + H + b"Foo: bar\r\n Content-Length: 38\r\n\r\nGET /bye HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ["refused 400 folded-header"],
    ),
]

TABLES: dict[str, list[Row]] = {
    "sample": SAMPLE,
    "method": METHOD,
    "uri": URI,
    "connection": CONNECTION,
    "content-length": CONTENT_LENGTH,
    "transfer-encoding": TRANSFER_ENCODING,
    "pipelining": PIPELINING,
    "finish": FINISH,
    "invalid": INVALID,
}
