"""What can be set about the data plane; every limit has a name, a default and a counter of its own."""

import msgspec


class DataPlaneSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds and bytes throughout. 0 switches a timeout or a limit off where that is said."""

    header_timeout: float = 10.0
    """From the first byte of a head (or from accept) until the head is whole; then 408 and close."""
    keepalive_timeout: float = 75.0
    """How long a client connection may idle between requests."""
    body_timeout: float = 60.0
    """Longest silence in a request body; then 408 and close."""
    body_min_rate: int = 240
    """Bytes a second that a request body must average after its first `body_timeout` seconds; 0 = any rate."""
    send_timeout: float = 60.0
    """How long a client may refuse to take data; then the connection is reset."""
    tunnel_idle_timeout: float = 3600.0
    """Longest silence in both directions of an upgraded connection."""
    linger_timeout: float = 5.0
    """How long the rest of an unwanted request body is read and dropped before the connection closes."""
    linger_bytes: int = 16_777_216

    request_line: int = 8192
    header_bytes: int = 65536
    header_line: int = 16384
    headers: int = 100
    trailer_bytes: int = 8192
    pipeline_bytes: int = 65536
    """Bytes of further requests that are kept while one is being answered; reading pauses beyond."""
    retry_body_bytes: int = 65536
    """Bytes of a request body that are kept for another try where the route wants that; a longer one has one try."""
    mirror_bytes: int = 65536
    """Bytes of one mirrored request that wait for its backend; beyond them that copy is dropped."""
    mirror_timeout: float = 15.0
    """How long a mirror may take to answer after the last byte came for it; then the copy is dropped."""
    max_mirrors: int = 1000
    """Mirrored requests of one worker under way; a further one is not sent. 0 = any number."""
    http2_max_streams: int = 100
    """Streams that an HTTP/2 client may have open at once; a further one is refused."""
    http2_stream_window: int = 262_144
    """Bytes of one request body that an HTTP/2 client may send before they were passed on."""
    http2_connection_window: int = 1_048_576
    """The same for all bodies of one connection: what slow backends can make us hold."""
    http2_continuations: int = 16
    """CONTINUATION frames of one header block; GOAWAY beyond."""
    http2_resets: int = 200
    """Streams of one connection that may be reset at once, by the client or because of what it did; GOAWAY beyond."""
    http2_reset_rate: int = 20
    """Further ones each second."""
    http2_control_frames: int = 1000
    """SETTINGS, PING, WINDOW_UPDATE, PRIORITY, empty DATA and unknown frames that may come at once beyond those that
    requests and bodies bring with them; GOAWAY beyond."""
    http2_control_rate: int = 50
    """Further ones each second."""
    handshake_timeout: float = 10.0
    """From accept until the TLS handshake is done; then the connection is dropped."""
    max_handshakes: int = 2000
    """TLS handshakes of one worker under way; a further one drops the oldest. 0 = any number."""
    client_hello_bytes: int = 16384
    """The first message of a TLS handshake; a larger one is refused."""
    proxy_protocol_bytes: int = 4096
    """A whole header of the PROXY protocol, version 2; a larger one is refused. (One of version 1 has 107 at most.)"""
    tls_min_version: str = "1.2"
    tls_ciphers: str = "ECDHE+AESGCM:ECDHE+CHACHA20"
    """Of TLS 1.2, in OpenSSL's words; those of 1.3 are all good."""
    tls_ticket_age: float = 14400.0
    """How old the keys of session tickets get."""
    max_tls_contexts: int = 1000
    """Certificates that are kept ready in a worker; the least recently used is made ready again when it is needed."""
    tcp_idle_timeout: float = 3600.0
    """Longest silence in both directions of a TCP connection that is passed on; 0 = any."""
    udp_idle_timeout: float = 60.0
    """Longest silence between a UDP client and its backend; then the client may get another one."""
    stream_drain_idle: float = 5.0
    """The same of both once this worker, or the port, is about to end."""
    max_udp_sessions: int = 10000
    """UDP clients of one worker; what comes from a further one is dropped. 0 = any number."""
    max_connections: int = 10000
    """Client connections of one worker. For a further one an idle one is closed; if there is none, it is answered 503
    with Retry-After. 0 = any number."""
    max_requests: int = 0
    """Requests of one worker in progress at once; a further one is answered 503 with Retry-After. 0 = any number."""
    max_idle_per_endpoint: int = 320
    """Idle connections that a worker keeps to one endpoint."""
    retry_after: int = 1
    """Seconds that overload answers ask a client to wait."""

    trusted: tuple[str, ...] = ()
    """CIDRs of proxies before this one, whose X-Forwarded-* is believed. (X-Request-Id is kept from anybody.)"""
    via: bool = False
    """Whether requests carry Via (RFC 9110 section 7.6.3). Off: nginx backends stop compressing when they see it."""
    access_log: str = "auto"
    """"json", "text", "off", or "auto": text on a terminal, else JSON."""
