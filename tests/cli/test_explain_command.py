"""`pygateway explain` and `pygateway routes`, as a person sees them."""

import json
from pathlib import Path

import pytest

from pygateway.cli import main

HERE = Path(__file__).parent
SHOP = str(HERE / "manifests" / "shop.yaml")
GATEWAY = str(HERE / "manifests" / "gateway.yaml")


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(words)
    return code, capsys.readouterr().out


def test_the_winner_and_what_would_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = shown(capsys, "explain", "GET", "http://localhost/cart", "-f", SHOP)
    assert code == 0
    assert text == (
        "GET localhost/cart on port 80\n"
        "\n"
        "✔ ApisixRoute default/cart rule stable → default/cart:80 90%, default/cart-next:80 10%\n"
        "    listener default takes every host\n"
        "    host *: every host\n"
        "    exact path /cart\n"
        "    method GET or POST: GET\n"
        "\n"
        "These would come first, but\n"
        "  ApisixRoute default/cart rule canary (/cart, header x-canary = yes)\n"
        '    ✘ header x-canary: want "yes", got none\n'
    )


def test_a_header_changes_the_winner(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = shown(capsys, "explain", "GET", "http://localhost/cart", "-H", "X-Canary: yes", "-f", SHOP)
    assert code == 0
    assert text == (
        "GET localhost/cart on port 80\n"
        "\n"
        "✔ ApisixRoute default/cart rule canary → default/cart-next:80\n"
        "    listener default takes every host\n"
        "    host *: every host\n"
        "    exact path /cart\n"
        '    header x-canary is "yes"\n'
        "  next is ApisixRoute default/cart rule stable (/cart): the higher priority comes first: 10 before 0\n"
    )


def test_a_404_names_the_nearest_routes_and_the_hosts_asked(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = shown(capsys, "explain", "GET", "http://www.example/welcom", "-f", SHOP, "-f", GATEWAY)
    assert code == 1
    assert text == (
        "GET www.example/welcom on port 80\n"
        "\n"
        "✘ 404: none of 2 routes for host www.example takes GET /welcom\n"
        "\n"
        "The nearest routes\n"
        "  HTTPRoute default/pages rule pages (/welcome/…, GET)\n"
        "    ✘ path: want /welcome or below, got /welcom\n"
        "\n"
        "HOSTS ASKED  LISTENER          ROUTES  OUTCOME\n"
        "www.example  default/web/http  2       no route takes the request, and the search ends here\n"
        "*            default           5       not asked\n"
        "\n"
        "➜ HTTPRoute default/pages rule pages: did you mean /welcome?\n"
    )


def test_the_client_address_counts(capsys: pytest.CaptureFixture[str]) -> None:
    url = "http://localhost/admin/users"
    assert shown(capsys, "explain", "GET", url, "--from", "10.1.2.3", "-f", SHOP)[0] == 0
    code, text = shown(capsys, "explain", "GET", url, "--from", "192.0.2.1", "-f", SHOP)
    assert code == 1
    assert "    ✘ client address: want 10.0.0.0/8, got 192.0.2.1\n" in text


def test_options_may_stand_between_method_and_url(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("explain", "-f", SHOP, "GET", "-H", "X-Canary: yes", "http://localhost/cart")
    assert "rule canary" in shown(capsys, *words)[1]


def test_a_port_that_no_listener_has_is_that_of_run_http(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = shown(capsys, "explain", "GET", "http://localhost:30800/cart", "-f", SHOP)
    assert code == 0
    assert text.startswith("GET localhost/cart on port 30800\n")


def test_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = shown(capsys, "explain", "GET", "http://localhost/cart", "-f", SHOP, "--format", "json")
    assert code == 0
    answer = json.loads(text)
    assert answer["winner"]["origin"] == "ApisixRoute default/cart rule stable"
    assert answer["near_misses"][0]["failed"] == 'header x-canary: want "yes", got none'


def test_what_a_terminal_would_obey_does_not_reach_it(capsys: pytest.CaptureFixture[str]) -> None:
    url = "http://localhost/cart?\x1b[2J"
    assert "\x1b" not in shown(capsys, "explain", "GET\x1b[2J", url, "-H", "X-Canary: \x1b[2J", "-f", SHOP)[1]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("/cart", "url must be whole"),
        ("http://localhost/%zz", "refuses this path"),
        ("http://localhost:x/", "localhost:x"),
    ],
)
def test_a_url_that_means_nothing_is_refused(url: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "GET", url, "-f", SHOP]) == 2
    error = capsys.readouterr().err
    assert error.startswith("pygateway explain: ")
    assert message in error


def test_routes_stand_in_the_order_of_asking(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = shown(capsys, "routes", "-f", SHOP, "-f", GATEWAY)
    assert code == 0
    rows = [" ".join(line.split()[:4]) for line in text.splitlines()]
    assert rows == [
        "LISTENER PORT HOST PATH",
        "default/web/http 80 www.example /",
        "default/web/http 80 www.example /welcome/…",
        "default 80 shop.example /help/…",
        "default 80 * /cart",
        "default 80 * /cart",
        "default 80 * /cart/*",
        "default 80 * /cart/*",
        "default 80 * /admin*",
    ]


def test_routes_say_where_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "routes", "-f", GATEWAY)[1] == (
        "LISTENER          PORT  HOST         PATH        CONDITIONS  TO                              FROM\n"
        "default/web/http  80    www.example  /           -           redirects 302 to …://…/welcome  "
        "HTTPRoute default/pages rule home\n"
        "default/web/http  80    www.example  /welcome/…  GET         default/pages:80                "
        "HTTPRoute default/pages rule pages\n"
    )


def test_routes_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(shown(capsys, "routes", "-f", GATEWAY, "--format", "json")[1])
    assert [(row["host"], row["port"], row["path"]) for row in rows] == [
        ("www.example", 80, "/"),
        ("www.example", 80, "/welcome/…"),
    ]


def test_no_routes_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "routes", "-f", str(tmp_path)) == (0, "no routes\n")


def test_faults_are_counted_beside_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["routes", "-f", str(HERE / "manifests")]) == 0
    assert capsys.readouterr().err == "pygateway: 2 faults in the manifests (pygateway check lists them)\n"
