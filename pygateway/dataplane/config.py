"""The data plane's settings as the hot path reads them: a native object, 4 ns an attribute instead of 31."""

import ipaddress

from pygateway.dataplane.http1.limits import Limits
from pygateway.dataplane.http2.budget import Http2Limits
from pygateway.dataplane.settings import DataPlaneSettings


def is_address(text: str) -> bool:
    """Whether `text` is an IPv4 or IPv6 address and nothing else."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class TrustedProxies:
    """Addresses whose forwarded headers are believed. `holds` is asked once a connection, and per hop of a trusted
    chain."""

    _networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]

    def __init__(self, cidrs: tuple[str, ...]) -> None:
        self._networks = [ipaddress.ip_network(cidr, strict=False) for cidr in cidrs]

    def holds(self, address: str) -> bool:
        if not self._networks:
            return False
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


class Config:
    """See `DataPlaneSettings` for the meaning of each."""

    header_timeout: float
    keepalive_timeout: float
    body_timeout: float
    body_min_rate: int
    send_timeout: float
    tunnel_idle_timeout: float
    linger_timeout: float
    linger_bytes: int
    pipeline_bytes: int
    retry_body_bytes: int
    mirror_bytes: int
    mirror_timeout: float
    max_mirrors: int
    tcp_idle_timeout: float
    udp_idle_timeout: float
    stream_drain_idle: float
    max_udp_sessions: int
    max_connections: int
    max_requests: int
    max_idle_per_endpoint: int
    retry_after: bytes
    handshake_timeout: float
    max_handshakes: int
    client_hello_bytes: int
    proxy_protocol_bytes: int
    tls_min_version: str
    tls_ciphers: str
    tls_ticket_age: float
    max_tls_contexts: int
    via: bool
    limits: Limits
    http2: Http2Limits
    trusted: TrustedProxies

    def __init__(self, settings: DataPlaneSettings) -> None:
        self.header_timeout = settings.header_timeout
        self.keepalive_timeout = settings.keepalive_timeout
        self.body_timeout = settings.body_timeout
        self.body_min_rate = settings.body_min_rate
        self.send_timeout = settings.send_timeout
        self.tunnel_idle_timeout = settings.tunnel_idle_timeout
        self.linger_timeout = settings.linger_timeout
        self.linger_bytes = settings.linger_bytes
        self.pipeline_bytes = settings.pipeline_bytes
        self.retry_body_bytes = settings.retry_body_bytes
        self.mirror_bytes = settings.mirror_bytes
        self.mirror_timeout = settings.mirror_timeout
        self.max_mirrors = settings.max_mirrors
        self.tcp_idle_timeout = settings.tcp_idle_timeout
        self.udp_idle_timeout = settings.udp_idle_timeout
        self.stream_drain_idle = settings.stream_drain_idle
        self.max_udp_sessions = settings.max_udp_sessions
        self.max_connections = settings.max_connections
        self.max_requests = settings.max_requests
        self.max_idle_per_endpoint = settings.max_idle_per_endpoint
        self.retry_after = str(settings.retry_after).encode()
        self.handshake_timeout = settings.handshake_timeout
        self.max_handshakes = settings.max_handshakes
        self.client_hello_bytes = settings.client_hello_bytes
        self.proxy_protocol_bytes = settings.proxy_protocol_bytes
        self.tls_min_version = settings.tls_min_version
        self.tls_ciphers = settings.tls_ciphers
        self.tls_ticket_age = settings.tls_ticket_age
        self.max_tls_contexts = settings.max_tls_contexts
        self.via = settings.via
        self.limits = Limits()
        self.limits.request_line = settings.request_line
        self.limits.header_bytes = settings.header_bytes
        self.limits.header_line = settings.header_line
        self.limits.headers = settings.headers
        self.limits.trailer_bytes = settings.trailer_bytes
        self.limits.settle()
        self.http2 = Http2Limits()
        self.http2.max_streams = settings.http2_max_streams
        self.http2.stream_window = settings.http2_stream_window
        self.http2.connection_window = settings.http2_connection_window
        self.http2.continuations = settings.http2_continuations
        self.http2.resets = float(settings.http2_resets)
        self.http2.reset_rate = float(settings.http2_reset_rate)
        self.http2.control_frames = float(settings.http2_control_frames)
        self.http2.control_rate = float(settings.http2_control_rate)
        self.trusted = TrustedProxies(settings.trusted)
