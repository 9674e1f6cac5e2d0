"""Where a piece of configuration came from, in words a person recognises."""

import msgspec


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """The object, and the rule in it, that a route was made from.

    `rule` is the rule's name where the API has one, else its index as text, else empty.
    """

    kind: str
    namespace: str
    name: str
    rule: str = ""

    def __str__(self) -> str:
        base = f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"
        return f"{base} rule {self.rule}" if self.rule else base
