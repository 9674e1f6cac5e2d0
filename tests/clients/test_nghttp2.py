"""nghttp and h2load, the clients of the library nghttp2."""

import re  # noqa: TID251 - our own patterns on the reports of our own tools
import subprocess
from pathlib import Path

import pytest

from tests.clients.backend import CONTENT, run, site
from tests.dataplane.harness import story

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _programs() -> None:
    subprocess.run([ROOT / "tools" / "packages", "nghttp=nghttp2-client", "h2load=nghttp2-client"], check=True)


def _local(origin: str) -> str:
    """These programs look up names themselves, and look at no certificate."""
    return origin.replace("a.example", "127.0.0.1")


@story
async def test_a_page_with_everything_at_once() -> None:
    async with site(secure=False) as (origin, behind, _):
        urls = [f"{_local(origin)}/{number}" for number in range(60)]
        status, out, err = await run("nghttp", "--null-out", "--stat", *urls)
        assert status == 0, err
        assert len(re.findall(r" 200 +\d+[KM]? +/\d+$", out, re.MULTILINE)) == 60
        assert len(behind.seen) == 60


@story
async def test_trailers_and_a_large_body() -> None:
    async with site(secure=False) as (origin, _, _):
        status, out, err = await run("nghttp", "--verbose", "--null-out", f"{_local(origin)}/chunked")
        assert status == 0, err
        assert "x-sum: abc" in out
        status, out, err = await run("nghttp", f"{_local(origin)}/large")
        assert out.encode("latin-1") == CONTENT


@story
async def test_padding_and_small_windows() -> None:
    async with site(secure=False) as (origin, _, _):
        words = ("--padding=200", "--window-bits=10", "--header", "x-long: " + "a" * 9000)
        status, out, err = await run("nghttp", *words, f"{_local(origin)}/large")
        assert (status, out.encode("latin-1") == CONTENT) == (0, True), err


@pytest.mark.parametrize("words", [(), ("--h1",), ("--max-concurrent-streams=50",)], ids=["2", "1.1", "2, 50 at once"])
def test_a_load_of_thousands(words: tuple[str, ...]) -> None:
    @story
    async def test() -> None:
        async with site(secure=False) as (origin, behind, _):
            status, out, err = await run("h2load", "-n2000", "-c20", *words, f"{_local(origin)}/x")
            assert status == 0, err
            assert "requests: 2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored" in out
            assert len(behind.seen) == 2000

    test()
