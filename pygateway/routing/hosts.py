"""Which of several hostnames takes a request: exact first, then the longest wildcard, then "every host".

Two kinds of wildcard: `*.foo.com` takes any host below foo.com, at any depth, and never foo.com itself; `*foo.com`
is a suffix of text and takes foo.com and barfoo.com as well (APISIX). "*" and "" take every host, also no host at all.
"""

from collections.abc import Sequence
from typing import Final

_LONGEST_NAME: Final = 253  # RFC 1035 section 2.3.4, in text; what is longer is no name, and a wildcard need not look


def normal(host: str) -> str:
    """`host` without the one trailing dot that marks a name as fully qualified."""
    return host[:-1] if host[-1:] == "." else host


def takes(hostname: str, host: str) -> bool:
    """Whether the pattern `hostname` takes `host` (normal, lower case)."""
    if hostname in {"*", ""}:
        return True
    if hostname[0] != "*":
        return hostname == host
    if len(host) > _LONGEST_NAME or not host.endswith(hostname[1:]):
        return False
    return hostname[1] != "." or len(host) >= len(hostname)


def specificity(hostname: str) -> tuple[int, int]:
    """Greater is more specific. Two different wildcards that take one host never tie: the longer text wins."""
    if hostname in {"*", ""}:
        return (0, 0)
    return (1, len(hostname)) if hostname[0] == "*" else (2, 0)


class HostIndex:
    """Hostnames, found by host. Answers are positions in the sequence that it was made from; of two equal hostnames
    the first counts. The work for a host does not grow with the number of hostnames."""

    exact: dict[str, int]
    every: int
    """The position of "*", or -1."""
    wild: dict[str, int]
    """By the text after the star; that of `*.foo.com` begins with a dot, that of `*foo.com` does not."""
    longest: int
    lengths: list[int]
    """The lengths of the texts that do not begin with a dot, longest first."""

    def __init__(self, hostnames: Sequence[str]) -> None:
        self.exact = {}
        self.wild = {}
        self.every = -1
        for position, hostname in enumerate(hostnames):
            if hostname in {"*", ""}:
                self.every = position if self.every < 0 else self.every
            elif hostname[0] == "*":
                self.wild.setdefault(hostname[1:], position)
            else:
                self.exact.setdefault(hostname, position)
        self.longest = max((len(text) for text in self.wild), default=0)
        self.lengths = sorted({len(text) for text in self.wild if text[0] != "."}, reverse=True)

    def best(self, host: str) -> int:
        """The most specific hostname that takes `host`, or -1."""
        position = self.exact.get(host, -1)
        if position >= 0:
            return position
        if self.wild:
            found = self.wildcards(host)
            if found:
                return found[0]
        return self.every

    def wildcards(self, host: str) -> list[int]:
        """The wildcards that take `host`, longest first."""
        size = len(host)
        if size > _LONGEST_NAME:
            return []
        if self.lengths:
            return self._mixed(host)
        found: list[int] = []
        dot = host.find(".", max(1, size - self.longest))
        while dot >= 0:
            position = self.wild.get(host[dot:], -1)
            if position >= 0:
                found.append(position)
            dot = host.find(".", dot + 1)
        return found

    def _mixed(self, host: str) -> list[int]:
        size = len(host)
        starts = {size - length for length in self.lengths if length <= size}
        dot = host.find(".", max(1, size - self.longest))
        while dot >= 0:
            starts.add(dot)
            dot = host.find(".", dot + 1)
        found: list[int] = []
        for start in sorted(starts):
            position = self.wild.get(host[start:], -1)
            # A host that itself begins with a dot is below nothing.
            if position >= 0 and (start > 0 or host[0] != "."):
                found.append(position)
        return found
