"""The two kinds of requests: the plainest head that is valid, and heads as browsers send them, each one different."""

import random
from pathlib import Path

POOL_SIZE = 4096
_WORDS = (
    "about", "account", "album", "archive", "basket", "brand", "catalog", "checkout", "comment", "country", "delivery",
    "detail", "download", "event", "family", "forum", "garden", "guide", "health", "history", "home", "image", "index",
    "journal", "kitchen", "letter", "list", "market", "member", "music", "news", "order", "partner", "photo", "press",
    "price", "product", "project", "question", "report", "review", "search", "season", "service", "shop", "sport",
    "stock", "story", "summer", "table", "ticket", "topic", "travel", "update", "video", "weather", "winter", "world",
)  # fmt: skip
_LANGUAGES = (
    "en-GB,en;q=0.9",
    "de-DE,de;q=0.9,en;q=0.7",
    "fr-FR,fr;q=0.8,en;q=0.5",
    "pl-PL,pl;q=0.9",
    "ja,en-US;q=0.7",
)
_SYSTEMS = ("X11; Linux x86_64", "Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7")


def browser_request(rng: random.Random, host: str, path: str) -> bytes:
    """One GET with 13 header fields, some 900 bytes: path, query, user agent, referrer, language and cookie vary."""
    words = rng.choices(_WORDS, k=6)
    version = f"{rng.randint(90, 139)}.0.{rng.randint(1000, 9999)}.{rng.randint(1, 200)}"
    target = f"{path}/{words[0]}/{words[1]}-{rng.randint(1, 10**6)}?q={words[2]}+{words[3]}&page={rng.randint(1, 90)}"
    fields = (
        f"Host: {host}",
        "Connection: keep-alive",
        "Cache-Control: max-age=0",
        "Upgrade-Insecure-Requests: 1",
        f"User-Agent: Mozilla/5.0 ({rng.choice(_SYSTEMS)}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version} "
        "Safari/537.36",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        "Sec-Fetch-Site: same-origin",
        "Sec-Fetch-Mode: navigate",
        "Sec-Fetch-Dest: document",
        f"Referer: http://{host}/{words[4]}/{words[5]}?from={rng.randint(1, 10**9)}",
        "Accept-Encoding: gzip, deflate, br",
        f"Accept-Language: {rng.choice(_LANGUAGES)}",
        f"Cookie: session={rng.getrandbits(128):032x}; visitor={rng.getrandbits(64):016x}; theme={rng.choice(_WORDS)}",
    )
    return "\r\n".join((f"GET {target} HTTP/1.1", *fields, "", "")).encode()


def browser_pool(host: str, paths: list[str], size: int = POOL_SIZE, seed: int = 7) -> list[bytes]:
    """`size` different requests, the paths in turn; the same for every proxy, since the seed is fixed."""
    rng = random.Random(seed)
    return [browser_request(rng, host, paths[number % len(paths)]) for number in range(size)]


def plain_pool(host: str, paths: list[str]) -> list[bytes]:
    """One request for each path, with a Host field and nothing else."""
    return [f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() for path in paths]


def write_pool(requests: list[bytes], path: Path) -> None:
    """The pool as the wrk script reads it: each request ends with its own empty line."""
    path.write_bytes(b"".join(requests))
