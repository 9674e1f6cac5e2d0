"""curl, in every version that it speaks, through the gateway."""

import hashlib
import json
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.backend import CONTENT, DIGEST, LARGE, Site, run, site
from tests.dataplane.harness import story

ROOT = Path(__file__).parents[2]
# Options, and whether it is over TLS, and the version that must have been spoken.
VERSIONS: dict[str, tuple[tuple[str, ...], bool, str]] = {
    "1.0": (("--http1.0",), False, "1.1"),  # what the answer says
    "1.1": (("--http1.1",), False, "1.1"),
    "2 by prior knowledge": (("--http2-prior-knowledge",), False, "2"),
    "2 by an upgrade, which is not taken": (("--http2",), False, "1.1"),
    "1.1 over TLS": (("--http1.1",), True, "1.1"),
    "2 over TLS": (("--http2",), True, "2"),
    "2 over TLS 1.2": (("--http2", "--tls-max", "1.2"), True, "2"),
    "1.1 over TLS 1.3": (("--http1.1", "--tlsv1.3"), True, "1.1"),
}


@pytest.fixture(scope="module", autouse=True)
def _program() -> None:
    subprocess.run([ROOT / "tools" / "packages", "curl=curl"], check=True)


class Curl:
    """curl with the options of one version, and the site that it asks."""

    def __init__(self, origin: str, site: Site, authority: Path, options: tuple[str, ...], version: str) -> None:
        self.origin = origin
        self.site = site
        self.version = version
        self.options = (
            "--silent", "--show-error", "--noproxy", "*", "--cacert", str(authority), "--max-time", "50",
            "--connect-to", f"a.example::127.0.0.1:{origin.rpartition(':')[2]}", *options,
        )  # fmt: skip

    async def __call__(self, *words: str | Path, stdin: bytes | None = None, ends: int = 0) -> str:
        """What it printed; `ends` is the exit status that it must have."""
        status, out, err = await run("curl", *self.options, *words, stdin=stdin)
        assert status == ends, (status, err)
        return out

    async def told(self, *words: str | Path, stdin: bytes | None = None) -> dict[str, Any]:
        """What curl says about the transfer."""
        form = (
            '{"code": %{http_code}, "version": "%{http_version}", "size": %{size_download}, "new": %{num_connects}}\n'
        )
        out = await self("--output", os.devnull, "--write-out", form, *words, stdin=stdin)
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        assert found["version"] == self.version
        return found


def curls(*names: str) -> Any:
    """A story with curl for each version, or for those named."""

    def decorate(test: Callable[[Curl], Awaitable[None]]) -> Any:
        @pytest.mark.parametrize("name", names or VERSIONS)
        def tell(name: str) -> None:
            options, secure, version = VERSIONS[name]

            @story
            async def told() -> None:
                async with site(secure) as (origin, behind, authority):
                    await test(Curl(origin, behind, authority, options, version))

            told()

        tell.__doc__ = test.__doc__
        return tell

    return decorate


@curls()
async def test_a_get_a_head_and_a_post(curl: Curl) -> None:
    scheme = curl.origin.partition(":")[0]
    assert await curl(f"{curl.origin}/x?y=1") == f"GET /x?y=1 {scheme}\n"
    assert (await curl.told(f"{curl.origin}/x"))["code"] == 200
    head = await curl("--head", f"{curl.origin}/large")
    assert f"content-length: {LARGE}" in head.lower()
    assert await curl("--data", "a=b", f"{curl.origin}/post") == f"POST /post {scheme}\n"
    assert (await curl.told(f"{curl.origin}/redirect"))["code"] == 302


@curls()
async def test_a_large_download(curl: Curl) -> None:
    out = (await curl(f"{curl.origin}/large")).encode("latin-1")
    assert hashlib.sha256(out).hexdigest() == DIGEST
    out = (await curl(f"{curl.origin}/chunked")).encode("latin-1")
    assert out == CONTENT[: 1 << 20]


@curls()
async def test_a_large_upload(curl: Curl) -> None:
    wanted = f"{LARGE} {DIGEST}\n"
    assert await curl("--data-binary", "@-", f"{curl.origin}/upload", stdin=CONTENT) == wanted
    if "--http1.0" not in curl.options:
        assert await curl("--upload-file", "-", f"{curl.origin}/upload", stdin=CONTENT) == wanted  # length unknown


@curls("1.1", "2 by prior knowledge", "1.1 over TLS", "2 over TLS")
async def test_an_expectation_is_met_or_refused_by_the_backend(curl: Curl) -> None:
    asks = ("--header", "Expect: 100-continue", "--expect100-timeout", "40", "--data-binary", "@-")
    assert await curl(*asks, f"{curl.origin}/upload", stdin=CONTENT) == f"{LARGE} {DIGEST}\n"
    if curl.version == "1.1":  # over 2 curl 7.88 takes an early answer for none, of any server
        assert (await curl.told(*asks, f"{curl.origin}/refuses", stdin=CONTENT))["code"] == 403


@curls("1.1", "2 by prior knowledge", "2 over TLS")
async def test_trailers(curl: Curl) -> None:
    """curl shows them where it shows the head."""
    out = await curl("--dump-header", "-", "--output", os.devnull, f"{curl.origin}/chunked")
    assert out.lower().rstrip().endswith("x-sum: abc")


@curls("1.1", "2 over TLS")
async def test_compression_is_between_the_ends(curl: Curl) -> None:
    assert await curl("--compressed", f"{curl.origin}/compressed") == "hello " * 10000
    assert (await curl.told("--compressed", f"{curl.origin}/compressed"))["size"] < 1000
    assert await curl(f"{curl.origin}/compressed") == f"GET /compressed {curl.origin.partition(':')[0]}\n"


@curls(
    "1.1", "1.1 over TLS", "2 over TLS"
)  # curl 7.88 cannot use a connection of prior knowledge again, with any server
async def test_one_connection_for_many_requests(curl: Curl) -> None:
    out = await curl("--write-out", "opened %{num_connects}\n", f"{curl.origin}/[1-20]")
    assert [line for line in out.splitlines() if "opened" in line] == ["opened 1", *["opened 0"] * 19]
    assert [one for one in curl.site.seen if one.startswith("GET /")] == [f"GET /{n}" for n in range(1, 21)]


@curls("2 over TLS")
async def test_many_at_once(curl: Curl) -> None:
    out = await curl("--parallel", "--parallel-max", "40", f"{curl.origin}/[1-40]")
    assert sorted(curl.site.seen) == sorted(f"GET /{n}" for n in range(1, 41))
    assert out.count("GET /") == 40


@curls("1.1 over TLS", "2 over TLS 1.2")
async def test_a_name_that_nobody_serves_gets_no_certificate(curl: Curl) -> None:
    port = curl.origin.rpartition(":")[2]
    to = ("--connect-to", f"other.example::127.0.0.1:{port}", f"https://other.example:{port}/")
    await curl(*to, ends=35)  # the handshake was refused; 60 were a certificate for another name
    assert not curl.site.seen
