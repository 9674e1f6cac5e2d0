"""The check that all proxies do the same work: each thing that one might leave out is found."""

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.proxies.contender import LOG_FIELDS
from benchmarks.validate import AGENT, GIVEN_ID, Observation, faults, find_line

NAMES = {name: name for name in LOG_FIELDS}
FIRST, SECOND = "a" * 32, "b" * 32
LINE: dict[str, Any] = {
    "time": "2026-01-01T00:00:00Z",
    "client": "127.0.0.1",
    "method": "GET",
    "path": "/left/echo",
    "protocol": "HTTP/1.1",
    "status": 200,
    "bytes": 123,
    "duration": 0,
    "request_id": FIRST,
    "upstream": "127.0.0.1:9000",
    "user_agent": AGENT,
    "host": "127.0.0.1:8000",
}
RECEIVED = {
    "host": ["127.0.0.1:8000"],
    "x-forwarded-for": ["127.0.0.1"],
    "x-forwarded-proto": ["http"],
    "x-forwarded-host": ["127.0.0.1:8000"],
    "x-forwarded-port": ["8000"],
    "x-request-id": [FIRST],
}
GOOD = Observation(
    port=8000,
    received=RECEIVED,
    received_ids=(FIRST, SECOND),
    received_given_id=GIVEN_ID,
    statuses=(200, 200, 404),
    backend_connections=1,
    requests=40,
    line=LINE,
)


def test_a_proxy_that_does_everything_passes() -> None:
    assert faults(GOOD, NAMES) == []


@pytest.mark.parametrize(
    "name", ["host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"]
)
def test_a_missing_a_wrong_and_a_repeated_header_are_found(name: str) -> None:
    for values in ([], ["wrong"], RECEIVED[name] * 2):
        (fault,) = faults(replace(GOOD, received={**RECEIVED, name: values}), NAMES)
        assert f"received {name}:" in fault


@pytest.mark.parametrize("ids", [("", ""), (FIRST, FIRST), ("1", "2")])
def test_request_ids_must_be_there_long_and_different(ids: tuple[str, str]) -> None:
    seen = replace(GOOD, received_ids=ids, line={**LINE, "request_id": ids[0] or "x"})
    assert any("X-Request-Id is not generated" in fault for fault in faults(seen, NAMES))


def test_a_given_request_id_is_kept_or_replaced_but_never_dropped() -> None:
    assert faults(replace(GOOD, received_given_id="c" * 32), NAMES) == []
    for given in ("", FIRST):
        (fault,) = faults(replace(GOOD, received_given_id=given), NAMES)
        assert "neither kept nor replaced" in fault


def test_a_backend_connection_for_each_request_is_found() -> None:
    (fault,) = faults(replace(GOOD, backend_connections=40), NAMES)
    assert "none is kept alive" in fault


def test_a_wrong_status_is_found() -> None:
    (fault,) = faults(replace(GOOD, statuses=(200, 502, 404)), NAMES)
    assert "[200, 502, 404]" in fault


def test_a_log_without_the_line_is_found() -> None:
    (fault,) = faults(replace(GOOD, line=None), NAMES)
    assert "no JSON line" in fault


@pytest.mark.parametrize("name", LOG_FIELDS)
def test_a_field_that_the_log_leaves_out_is_found(name: str) -> None:
    shorter = {key: value for key, value in LINE.items() if key != name}
    assert faults(replace(GOOD, line=shorter), NAMES) == [f"the log has no field for {name}"]


def test_a_field_with_a_wrong_value_is_found() -> None:
    (fault,) = faults(replace(GOOD, line={**LINE, "request_id": SECOND}), NAMES)
    assert "for request_id" in fault


def test_a_log_may_call_its_fields_differently() -> None:
    renamed = {("bytes_out" if key == "bytes" else key): value for key, value in LINE.items()}
    assert faults(replace(GOOD, line=renamed), {**NAMES, "bytes": "bytes_out"}) == []
    assert faults(replace(GOOD, line=renamed), NAMES) == ["the log has no field for bytes"]


def test_lines_that_are_not_json_are_passed_over() -> None:
    text = 'starting up\n[1]\n{"user_agent": "other"}\n{"user_agent": "mine", "status": 200}\n'
    assert find_line(text, "mine") == {"user_agent": "mine", "status": 200}
    assert find_line(text, "nobody") is None
