"""h2spec (github.com/summerwind/h2spec) against the gateway. Its cases follow RFC 7540."""

import asyncio
import contextlib
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.dataplane.harness import Gateway, Wire, story

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tools" / "h2spec"
BUILT = ROOT / ".cache" / "bin" / "h2spec"

CHANGED = {
    "Sends HEADERS frame that depend on itself": "RFC 9113 section 5.3.2: priorities are passed over",
    "Sends PRIORITY frame that depend on itself": "RFC 9113 section 5.3.2: priorities are passed over",
    "Sends invalid connection preface": "RFC 9113 section 3.3: on a port of both versions this is no HTTP/2; it gets "
    "the 400 of HTTP/1.1 and is closed, which h2spec reads as a broken frame",
}


async def _serve(gateway: Gateway) -> None:
    """A backend that answers everything with a short body, which h2spec expects."""
    async with asyncio.TaskGroup() as group:
        while True:
            wire = await gateway.backends[0]._accepted.get()
            group.create_task(_answer(wire))


async def _answer(wire: Wire) -> None:
    with contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.IncompleteReadError, ValueError):
        while True:
            method = (await wire.read_head())[0].split(" ")[0]
            if wire.field("transfer-encoding") or wire.field("content-length"):
                await wire.body()
            await wire.send("HTTP/1.1 200 OK", "Content-Length: 5", body=b"" if method == "HEAD" else b"hello")


@pytest.mark.slow
@pytest.mark.skipif(
    not (BUILT.exists() or shutil.which("h2spec") or shutil.which("go")),
    reason="neither h2spec nor go to build it with",
)
@pytest.mark.timeout(400)
def test_h2spec(tmp_path: Path) -> None:
    subprocess.run([PROGRAM, "--version"], check=True, capture_output=True)
    report = tmp_path / "report.xml"

    @story
    async def run() -> None:
        async with Gateway() as gateway:
            serving = asyncio.create_task(_serve(gateway))
            words = ["-h", "127.0.0.1", "-p", str(gateway.port), "-o", "2", "-j", str(report)]
            process = await asyncio.create_subprocess_exec(PROGRAM, *words, stdout=asyncio.subprocess.DEVNULL)
            await process.wait()
            serving.cancel()

    run()
    cases = list(ET.parse(report).getroot().iter("testcase"))
    assert len(cases) > 140
    failed = {
        case.attrib["classname"] for case in cases if case.find("failure") is not None or case.find("error") is not None
    }
    assert failed == set(CHANGED)


@story
async def test_an_invalid_preface_is_answered_by_http_1_and_closed() -> None:
    async with Gateway() as gateway:
        wire = await gateway.client()
        await wire.send(body=b"INVALID CONNECTION PREFACE\r\n\r\n")
        await wire.expect_response(400)
        await wire.body()
        await wire.expect_close()
