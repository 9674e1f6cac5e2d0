"""Durations as Go writes them."""

import pytest

from pygateway.translate.durations import seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("500ms", 0.5),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("2.s", 2.0),
        ("+3s", 3.0),
        ("1m30s", 90.0),
        ("72h3m0.5s", 259380.5),
        ("1s1s", 2.0),
        ("250us", 0.00025),
        ("1\u00b5s", 1e-6),
        ("1\u03bcs", 1e-6),
        ("100ns", 1e-7),
    ],
)
def test_a_duration_is_a_number_of_seconds(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "s",
        "-1s",
        "5 s",
        " 5s",
        "5s\n",
        "1h1",
        "1e3s",
        "5S",
        "1d",
        "\u0665s",
        "\ud800s",
        "9" * 20 + "h",
        "1" * 99 + "s",
    ],
)
def test_other_text_is_not(text: str) -> None:
    assert seconds(text) is None
