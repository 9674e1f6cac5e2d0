"""The cases of public corpora, at once and byte by byte."""

import pytest

from tests.http1 import corpus_requests, corpus_responses
from tests.http1.driver import read_requests, read_responses

REQUESTS = [
    pytest.param(wire, expected, id=f"{table}: {shows}")
    for table, rows in corpus_requests.TABLES.items()
    for shows, wire, expected in rows
]
RESPONSES = [
    pytest.param(wire, methods, expected, id=f"{table}: {shows}")
    for table, rows in corpus_responses.TABLES.items()
    for shows, wire, methods, expected in rows
]


@pytest.mark.parametrize(("wire", "expected"), REQUESTS)
def test_request(wire: bytes, expected: list[str]) -> None:
    assert read_requests(wire) == expected


@pytest.mark.parametrize(("wire", "expected"), REQUESTS)
def test_request_byte_by_byte(wire: bytes, expected: list[str]) -> None:
    assert read_requests(wire, step=1) == expected


@pytest.mark.parametrize(("wire", "methods", "expected"), RESPONSES)
def test_response(wire: bytes, methods: tuple[str, ...], expected: list[str]) -> None:
    assert read_responses(wire, methods=methods) == expected


@pytest.mark.parametrize(("wire", "methods", "expected"), RESPONSES)
def test_response_byte_by_byte(wire: bytes, methods: tuple[str, ...], expected: list[str]) -> None:
    assert read_responses(wire, step=1, methods=methods) == expected
