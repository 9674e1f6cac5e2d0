"""What can be set about a running gateway: flags of `pygateway run`, or variables of the environment.

One struct says it all. The flag of `drain_grace` is `--drain-grace`, its variable `PYGATEWAY_DRAIN_GRACE`; those of
the data plane (`pygateway.dataplane.settings`) are called likewise. A flag beats a variable, a variable the default.
"""

import ipaddress
import os
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pygateway.dataplane.settings import DataPlaneSettings

if TYPE_CHECKING:
    import argparse  # workers import this module and have no command line


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds throughout. Ports are TCP ports, 0 = none."""

    files: tuple[str, ...] = ()
    """Manifests, or folders of them, that are the configuration."""
    http: int = 8080
    """Where listeners on port 80 are bound, and what no Gateway claims."""
    https: int = 8443
    """Where listeners on port 443 are bound."""
    addresses: tuple[str, ...] = ("0.0.0.0", "::")  # noqa: S104 - a gateway listens to the world
    """Local addresses of all listeners; an IPv6 address is passed over where the host has no IPv6."""
    admin: int = 9091
    """Port of /metrics, /readyz and the like; 0 = none."""
    admin_address: str = "127.0.0.1"
    workers: int = 0
    """Worker processes; 0 = one for each CPU that this process may use."""
    worker_max_age: float = 0.0
    """A worker is replaced, gently, when it gets older; 0 = any age."""
    backlog: int = 4096
    """Connections that wait in the queue of one listening socket."""

    drain_delay: float = 0.0
    """After SIGTERM: how long to accept and serve on, but not ready, while load balancers learn of it. Each answer is
    the last of its connection."""
    drain_grace: float = 5.0
    """Then: how long an idle client connection stays open for one more request, which closes it."""
    drain_timeout: float = 30.0
    """Then: when the last exchange must have ended."""

    kubernetes: bool = False
    """Follow the objects of a cluster instead of files."""
    kubeconfig: str = ""
    """A file; empty: the service account in a pod, else as kubectl has it."""
    watch_namespaces: tuple[str, ...] = ()
    """Read these namespaces only; empty = all."""
    namespace_selector: str = ""
    """Label selector of the namespaces whose objects count; empty = all."""
    pod_name: str = ""
    pod_namespace: str = "default"
    pod_selector: tuple[str, ...] = ()
    """Labels of our pods ("name=value"), for the Services of Gateways."""
    deployment: str = ""
    """The Deployment that owns the Services of Gateways."""
    service: str = ""
    """The Service that leads to the http port: its addresses go into the status of Ingresses."""
    publish_addresses: tuple[str, ...] = ()
    """Addresses for the status of Ingresses instead of that Service's."""
    cluster_domain: str = "cluster.local"
    gateway_class: str = ""
    """The GatewayClass to make where there is none of that name; empty = none. With `watch_namespaces`, which leave
    no right to read classes: the one that is ours."""
    lease: str = "pygateway"
    leader_election: bool = True
    """Without it every replica writes statuses: for a single one."""

    apisix_metrics: bool = False
    """Serve APISIX's names of metrics too."""
    apisix_metrics_prefix: str = "apisix_"

    default_certificate: str = ""
    """The Secret ("namespace/name") of what Ingress and APISIX hosts without a certificate of their own show."""
    proxy_protocol: str = "off"
    """On: every connection to `http` and `https` must begin with a header of the PROXY protocol, version 1 or 2."""
    proxy_protocol_senders: tuple[str, ...] = ()
    """CIDRs from which such connections come; all others are closed. Empty: from anywhere."""
    proxy_http: int = 0
    """A further port, for the Ingress and APISIX objects of `http`, whose connections begin with such a header."""
    proxy_https: int = 0
    """The same for `https`."""
    stream_tcp: tuple[int, ...] = ()
    """Ports that are open for TCP rules of ApisixRoutes (`spec.stream`)."""
    stream_tls: tuple[int, ...] = ()
    """The same, where TLS ends: rules may name the host of the handshake."""
    stream_udp: tuple[int, ...] = ()
    """Ports that are open for UDP rules."""
    ingress_class: str = "pygateway"
    controller_name: str = "pygateway.dev/gateway-controller"

    access_log_path: str = "-"
    """A file, or "-" for standard output."""
    log_level: str = "info"
    log_format: str = "auto"
    """Of the program's own log, on standard error: "text", "json", or "auto": text on a terminal."""

    dataplane: DataPlaneSettings = DataPlaneSettings()


class SettingsError(ValueError):
    """A value that cannot be used; the text names the flag or the variable."""


class _Option(msgspec.Struct, frozen=True):
    field: str
    type: Any
    default: Any
    of_dataplane: bool

    @property
    def flag(self) -> str:
        return "--" + self.field.replace("_", "-")

    @property
    def variable(self) -> str:
        return "PYGATEWAY_" + self.field.upper()


_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "log_level": ("debug", "info", "warning", "error"),
    "log_format": ("auto", "text", "json"),
    "proxy_protocol": ("off", "on"),
    "access_log": ("auto", "text", "json", "off"),
    "tls_min_version": ("1.2", "1.3"),
}
_HELP: Final[Mapping[str, str]] = {
    "http": "port for listeners on 80 and for Ingress and APISIX objects",
    "https": "port for listeners on 443",
    "addresses": "local addresses, with commas between them",
    "admin": "port for /metrics, /readyz, /routes, /explain; 0 = none",
    "admin_address": "local address of the admin port",
    "workers": "worker processes; 0 = one for each CPU",
    "access_log": "json, text, off, or auto: text on a terminal, else json",
    "access_log_path": "a file, or - for standard output",
    "drain_delay": "seconds to go on serving after SIGTERM, but not ready",
    "drain_grace": "seconds that idle connections stay open while draining",
    "drain_timeout": "seconds until the last exchange must have ended",
    "trusted": "CIDRs of proxies whose X-Forwarded-* is believed, with commas between them",
    "worker_max_age": "seconds after which a worker is replaced; 0 = never",
    "backlog": "connections that the kernel keeps waiting on each socket",
    "kubernetes": "follow the objects of a cluster instead of files",
    "kubeconfig": "login at the cluster (default: the pod's service account, else as kubectl has it)",
    "watch_namespaces": "the only namespaces to read, with commas between them",
    "namespace_selector": "labels of the namespaces whose objects count",
    "pod_name": "the name of this pod, which names the leader",
    "pod_namespace": "our own namespace: of the Lease and of the Services of Gateways",
    "pod_selector": "labels of our pods as name=value, with commas between them",
    "deployment": "the Deployment that owns the Services of Gateways",
    "service": "the Service that leads here, for the addresses of Ingresses",
    "publish_addresses": "addresses of Ingresses instead of that Service's",
    "cluster_domain": "the domain of the cluster's names",
    "gateway_class": "the GatewayClass to make where it is missing",
    "lease": "the Lease by which replicas elect who writes statuses",
    "leader_election": "whether replicas elect who writes statuses",
    "apisix_metrics": "serve metrics under APISIX's names too",
    "apisix_metrics_prefix": "what those names begin with",
    "default_certificate": "the Secret, namespace/name, whose certificate is shown where no other fits",
    "proxy_protocol": "on: connections to http and https begin with a header of the PROXY protocol",
    "proxy_http": "a further port for Ingress and APISIX objects, with that header; 0 = none",
    "proxy_https": "the same over TLS; 0 = none",
    "proxy_protocol_senders": "CIDRs from which such connections are taken, with commas between them; empty = any",
    "stream_tcp": "ports for TCP rules of ApisixRoutes, with commas between them, or the flag again",
    "stream_tls": "the same where TLS ends, with the certificates of ApisixTls objects",
    "stream_udp": "ports for UDP rules of ApisixRoutes",
    "ingress_class": "the class of Ingress and APISIX objects that are served, beside none and apisix",
    "controller_name": "the spec.controllerName of GatewayClasses that are served",
    "log_level": "debug, info, warning or error",
    "log_format": "json, text, or auto: text on a terminal, else json",
    "header_timeout": "until a head is whole, from its first byte",
    "keepalive_timeout": "how long a client may idle between requests",
    "body_timeout": "longest silence in a request body",
    "body_min_rate": "bytes a second that a request body must average after body-timeout; 0 = any",
    "send_timeout": "how long a client may take nothing of an answer",
    "tunnel_idle_timeout": "longest silence of an upgraded connection; 0 = any",
    "linger_timeout": "how long the rest of an unwanted body is dropped before the connection closes",
    "linger_bytes": "how much of it",
    "request_line": "the request line (414 beyond)",
    "header_bytes": "a whole head (431 beyond)",
    "header_line": "one field (431 beyond)",
    "headers": "number of fields (431 beyond)",
    "trailer_bytes": "all trailers of a body (431 beyond)",
    "pipeline_bytes": "of further requests kept while one is answered",
    "retry_body_bytes": "of a request body kept for another try, where a route wants that (one try beyond)",
    "mirror_bytes": "of one mirrored request that wait for its backend (dropped beyond)",
    "mirror_timeout": "how long a mirror may take to answer",
    "max_mirrors": "mirrored requests of a worker under way (dropped beyond); 0 = any",
    "http2_max_streams": "streams that an HTTP/2 client may have open (refused beyond)",
    "http2_stream_window": "of one HTTP/2 body that may come before it was passed on",
    "http2_connection_window": "the same for all bodies of a connection",
    "http2_continuations": "CONTINUATION frames of one header block",
    "http2_resets": "HTTP/2 streams of a connection that may be reset at once (closed beyond)",
    "http2_reset_rate": "further ones each second",
    "http2_control_frames": "HTTP/2 control frames at once, beyond those that work brings (closed beyond)",
    "http2_control_rate": "further ones each second",
    "tcp_idle_timeout": "longest silence of a TCP connection that is passed on; 0 = any",
    "udp_idle_timeout": "longest silence between a UDP client and its backend",
    "stream_drain_idle": "the same of both once they are to end",
    "max_udp_sessions": "UDP clients of a worker (dropped beyond); 0 = any",
    "max_connections": "client connections of a worker (503 beyond); 0 = any",
    "max_requests": "requests of a worker in progress (503 beyond); 0 = any",
    "max_idle_per_endpoint": "idle connections that a worker keeps to an endpoint",
    "retry_after": "seconds that an overload answer asks to wait",
    "handshake_timeout": "until a TLS handshake is done, from accept",
    "max_handshakes": "TLS handshakes of a worker under way; a further one drops the oldest; 0 = any",
    "client_hello_bytes": "the first message of a TLS handshake",
    "proxy_protocol_bytes": "a whole header of the PROXY protocol",
    "tls_min_version": "of TLS with clients: 1.2 or 1.3",
    "tls_ciphers": "of TLS 1.2 with clients, in OpenSSL's words",
    "tls_ticket_age": "seconds after which the keys of TLS session tickets are replaced",
    "max_tls_contexts": "certificates that a worker keeps ready",
    "via": "send Via to backends",
}


_COMMON: Final = ("trusted", "access_log")
"""Settings of the data plane that nearly everybody meets."""


def _options() -> Iterator[_Option]:
    for field in msgspec.structs.fields(Settings):
        if field.name not in ("files", "dataplane"):
            yield _Option(field.name, field.type, field.default, of_dataplane=False)
    for field in msgspec.structs.fields(DataPlaneSettings):
        yield _Option(field.name, field.type, field.default, of_dataplane=True)


def add_arguments(parser: "argparse.ArgumentParser") -> None:
    """Give `parser` a flag for every setting, and `-f`/`--file`."""
    parser.add_argument("-f", "--file", dest="files", action="append", metavar="PATH", help="manifests, or a folder")
    common = parser.add_argument_group("settings (each also from the environment: --log-level is PYGATEWAY_LOG_LEVEL)")
    details = parser.add_argument_group("limits and timeouts (bytes, seconds)")
    for option in _options():
        group = details if option.of_dataplane and option.field not in _COMMON else common
        shown = ",".join(option.default) if isinstance(option.default, tuple) else option.default
        text = _HELP[option.field]
        group.add_argument(
            option.flag,
            dest=option.field,
            metavar=option.type.__name__.upper() if isinstance(option.type, type) else "LIST",
            choices=_CHOICES.get(option.field),
            action="append" if isinstance(option.default, tuple) else "store",
            nargs="?" if option.type is bool else None,
            const="true" if option.type is bool else None,
            help=f"{text} (default: {shown})" if shown not in ("", ()) else text,
        )


def parse(flags: "argparse.Namespace", environment: Mapping[str, str]) -> Settings:
    """The settings of a command line that `add_arguments` described. SettingsError names what cannot be used."""
    given: dict[str, Any] = {}
    dataplane: dict[str, Any] = {}
    for option in _options():
        raw, name = _joined(getattr(flags, option.field, None)), option.flag
        if raw is None:
            raw, name = environment.get(option.variable), option.variable
        if raw is not None:
            (dataplane if option.of_dataplane else given)[option.field] = _value(option, raw, name)
    files = getattr(flags, "files", None) or [one for one in environment.get("PYGATEWAY_FILES", "").split(":") if one]
    return Settings(files=tuple(files), dataplane=DataPlaneSettings(**dataplane), **given)


def _joined(raw: str | list[str] | None) -> str | None:
    """A flag of a list may be given several times."""
    return ",".join(raw) if isinstance(raw, list) else raw


def _value(option: _Option, raw: str, name: str) -> Any:
    if option.field in _CHOICES and raw not in _CHOICES[option.field]:
        raise SettingsError(f"{name}: {raw!r} is none of {', '.join(_CHOICES[option.field])}")
    source: Any = raw
    if isinstance(option.default, tuple):
        source = [part for part in raw.split(",") if part]
    try:
        value = msgspec.convert(source, option.type, strict=False)
        _check(option.field, value)
    except ValueError as error:  # msgspec.ValidationError is one
        raise SettingsError(f"{name}: {error}") from error
    return value


def _check(field: str, value: Any) -> None:
    """ValueError when a value of the right type makes no sense."""
    if field in ("http", "https", "admin", "proxy_http", "proxy_https") and not 0 <= value <= 65535:
        raise ValueError(f"{value} is no port")
    if field in ("stream_tcp", "stream_tls", "stream_udp"):
        _check_ports(value)
    if field in ("trusted", "proxy_protocol_senders"):
        for one in value:
            ipaddress.ip_network(one, strict=False)
    if field == "pod_selector" and not all("=" in pair for pair in value):
        raise ValueError("labels are written name=value")
    if field in ("addresses", "admin_address"):
        for one in (value,) if isinstance(value, str) else value:
            ipaddress.ip_address(one)
    if field == "default_certificate" and value and value.count("/") != 1:
        raise ValueError("a Secret is written namespace/name")
    if field == "tls_ciphers":
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(value)
        except ssl.SSLError as error:
            raise ValueError(f"{value!r} selects no cipher") from error
    if not isinstance(value, str | tuple) and value < 0:
        raise ValueError(f"{value} is less than 0")


def _check_ports(ports: tuple[int, ...]) -> None:
    for one in ports:
        if not 1 <= one <= 65535:
            raise ValueError(f"{one} is no port")


def worker_count(settings: Settings) -> int:
    """How many workers run: as set, else one for each CPU that the process may use, quota included."""
    if settings.workers > 0:
        return settings.workers
    count = len(os.sched_getaffinity(0))
    quota = _cpu_quota(Path("/sys/fs/cgroup/cpu.max"))
    return max(1, min(count, round(quota))) if quota else count


def _cpu_quota(path: Path) -> float:
    """CPUs that a cgroup (version 2, cpu.max) grants, 0 = no limit."""
    try:
        quota, period = path.read_text().split()
        return 0.0 if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return 0.0
