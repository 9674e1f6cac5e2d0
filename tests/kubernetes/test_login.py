"""Who we are: tokens change while we run."""

import asyncio
import logging
import stat
from pathlib import Path

import pytest

from pygateway.aio.clock import VirtualClock
from pygateway.sources.kubernetes import Client
from pygateway.sources.kubernetes.login import REFRESH, Login
from pygateway.sources.source import SourceError
from tests.kubernetes.apiserver import ApiServer
from tests.kubernetes.harness import kubeconfig


def token_of(server: ApiServer) -> str:
    return server.requests[-1].headers.get("Authorization", "")


async def ask(client: Client) -> int:
    return (await client.request("GET", "/api/v1/services", query={"limit": "1"})).status


def test_a_rotated_token_is_used_within_a_minute(tmp_path: Path) -> None:
    assert REFRESH < 60
    token = tmp_path / "token"
    token.write_text("first\n")

    async def story() -> None:
        server, clock = ApiServer(), VirtualClock()
        async with server.running():
            config = kubeconfig(tmp_path, server.url, f"{{tokenFile: {token}}}")
            client = await Client.connect(config, clock=clock)
            assert await ask(client) == 200
            assert token_of(server) == "Bearer first"
            token.write_text("second\n")
            clock.jump(REFRESH + 1)
            await ask(client)
            assert token_of(server) == "Bearer second"
            # A file that is away for a moment costs nothing.
            token.unlink()
            clock.jump(REFRESH + 1)
            assert await ask(client) == 200
            assert token_of(server) == "Bearer second"
            await client.close()

    asyncio.run(story())


def test_a_token_that_is_refused_is_read_again_at_once(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")

    async def story() -> None:
        server = ApiServer()
        server.tokens = {"old"}
        async with server.running():
            client = await Client.connect(kubeconfig(tmp_path, server.url, f"{{tokenFile: {token}}}"))
            assert await ask(client) == 200
            server.tokens = {"new"}
            token.write_text("new")
            assert await ask(client) == 200
            assert client.requests == {"list services 200": 2}
            # With nothing better to offer a refusal is an answer, and no reason to read it again each time.
            server.tokens = set()
            before = len(server.requests)
            assert [await ask(client), await ask(client)] == [401, 401]
            assert len(server.requests) == before + 2
            await client.close()

    asyncio.run(story())


def test_a_watch_too_begins_with_the_new_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")

    async def story() -> None:
        server = ApiServer()
        server.tokens = {"new"}
        async with server.running():
            client = await Client.connect(kubeconfig(tmp_path, server.url, f"{{tokenFile: {token}}}"))
            token.write_text("new")
            lines = client.stream("/api/v1/services", {"watch": "true", "resourceVersion": "100"})
            assert await anext(lines) == b""
            await lines.aclose()
            await client.close()

    asyncio.run(story())


@pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning")
def test_a_plugin_is_asked_again_when_its_token_is_about_to_expire(tmp_path: Path) -> None:
    count = tmp_path / "count"
    plugin = tmp_path / "plugin"
    plugin.write_text(
        "#!/bin/sh\n"
        f"echo x >> {count}\n"
        f"n=$(wc -l < {count} | tr -d ' ')\n"
        'expires=2000-01-01T00:00:00Z; [ "$n" -ge 2 ] && expires=2100-01-01T00:00:00Z\n'
        'echo "{\\"apiVersion\\": \\"client.authentication.k8s.io/v1\\", \\"kind\\": \\"ExecCredential\\",'
        ' \\"status\\": {\\"token\\": \\"t-$n\\", \\"expirationTimestamp\\": \\"$expires\\"}}"\n'
    )
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    user = f"{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: {plugin}}}}}"

    async def story() -> list[str]:
        server, clock, tokens = ApiServer(), VirtualClock(), []
        async with server.running():
            client = await Client.connect(kubeconfig(tmp_path, server.url, user), clock=clock)
            for _ in range(4):
                await ask(client)
                tokens.append(token_of(server))
                clock.jump(REFRESH + 1)
            await client.close()
        return tokens

    assert asyncio.run(story()) == ["Bearer t-1", "Bearer t-2", "Bearer t-2", "Bearer t-2"]
    assert len(count.read_text().split()) == 2


def test_the_service_account_of_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("first")
    (tmp_path / "ca.crt").write_text("not read yet")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "2001:db8::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")

    async def story() -> None:
        clock = VirtualClock()
        login = Login("", clock, tmp_path)
        configuration = await login.configuration()
        assert configuration.host == "https://[2001:db8::1]:443"
        assert configuration.ssl_ca_cert == str(tmp_path / "ca.crt")
        (tmp_path / "token").write_text("second")
        assert (await configuration.auth_settings())["BearerToken"]["value"] == "Bearer first"
        clock.jump(REFRESH + 1)
        assert (await configuration.auth_settings())["BearerToken"]["value"] == "Bearer second"
        assert str(login) == f"the service account in {tmp_path}"
        # A kubeconfig that is named comes first.
        assert str(Login("/x", clock, tmp_path)) == "the kubeconfig /x"

    asyncio.run(story())


def test_a_token_that_cannot_be_read_again_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    token = tmp_path / "token"
    token.write_text("secret-token")

    async def story() -> None:
        clock = VirtualClock()
        login = Login(kubeconfig(tmp_path, "http://127.0.0.1:1", f"{{tokenFile: {token}}}"), clock)
        configuration = await login.configuration()
        token.unlink()
        clock.jump(REFRESH + 1)
        assert (await configuration.auth_settings())["BearerToken"]["value"] == "Bearer secret-token"

    with caplog.at_level(logging.WARNING):
        asyncio.run(story())
    assert len(caplog.messages) == 1
    assert "cannot be read again" in caplog.messages[0]
    assert "secret-token" not in caplog.text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "there is no such file"),
        ("a: [", "while parsing"),
        ("current-context: c\ncontexts: []\n", "contexts"),
        ("{}\n", "current-context"),
    ],
)
def test_a_kubeconfig_that_is_of_no_use(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SourceError, match=f"(?s)no way to log in to the cluster by the kubeconfig {path}: .*{reason}"):
        asyncio.run(Client.connect(str(path)))
