"""Certificates, with keys that cannot print, and how a listener ends TLS with them."""

import msgspec


class Certificate(msgspec.Struct, frozen=True, array_like=True):
    """A chain and its key, PEM; `hosts` are the names that the leaf holds, in lower case. Authorities (of clients'
    or backends' certificates) have no key. The key never appears in a repr, a log or a dump."""

    name: str
    chain: bytes
    key: bytes
    hosts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Certificate({self.name!r}, key=<hidden>)"


class ClientAuth(msgspec.Struct, frozen=True, array_like=True):
    """The client's certificate is asked for; `authorities` is the key of the certificates entry that must have signed
    it. Not `required`: a client that has none is let in too, never one that shows a bad one, unless `fallback`: then
    whatever a client shows is good enough (Gateway API, AllowInsecureFallback)."""

    authorities: str
    required: bool = True
    fallback: bool = False


class Termination(msgspec.Struct, frozen=True, array_like=True):
    """How TLS ends for clients that name `hostname` in the handshake ("" = every other name, and none): exact, or
    "*.suffix". Of `certificates` (keys) the first one that has the name is shown, else the first."""

    hostname: str
    certificates: tuple[str, ...]
    client: ClientAuth | None = None
