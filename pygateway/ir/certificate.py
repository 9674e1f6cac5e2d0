"""Certificates, with keys that cannot print."""

import msgspec


class Certificate(msgspec.Struct, frozen=True, array_like=True):
    """A chain and its key, PEM. The key never appears in a repr, a log or a dump."""

    name: str
    chain: bytes
    key: bytes

    def __repr__(self) -> str:
        return f"Certificate({self.name!r}, key=<hidden>)"
