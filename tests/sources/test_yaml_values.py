"""YAML is read as Kubernetes reads it, and text that cannot be trusted is refused with its line."""

import pytest

from pygateway.sources import yamldocs
from pygateway.sources.scalars import key_text, resolve, tagged
from pygateway.sources.source import DocumentFault


def values(text: str) -> list[object]:
    return [document.value for document in yamldocs.parse(text)]


def fault(text: str) -> tuple[int, str]:
    with pytest.raises(DocumentFault) as caught:
        yamldocs.parse(text)
    return caught.value.line, caught.value.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("on", True),
        ("Y", True),
        ("TRUE", True),
        ("no", False),
        ("NO", False),
        ("off", False),
        ("n", False),
        ("yEs", "yEs"),
        ("~", None),
        ("null", None),
        ("", None),
        ("80", 80),
        ("-3", -3),
        ("+5", 5),
        ("010", 8),
        ("08", 8),
        ("0o17", 15),
        ("0x1F", 31),
        ("-0x10", -16),
        ("0b101", 5),
        ("1_000", 1000),
        ("80.0", 80),
        ("1e3", 1000),
        (".5", 0.5),
        ("-1.5", -1.5),
        ("1:30", "1:30"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("2024-01-01", "2024-01-01"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("1.2.3", "1.2.3"),
        ("--1", "--1"),
        ("-", "-"),
        (".", "."),
        ("+", "+"),
        ("0x", "0x"),
        ("\u0661", "\u0661"),
        ("5m", "5m"),
        ("<<", "<<"),
    ],
)
def test_a_plain_scalar_is_what_kubernetes_takes_it_for(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@pytest.mark.parametrize("text", [".nan", ".inf", "-.INF"])
def test_numbers_that_json_does_not_know_are_refused(text: str) -> None:
    with pytest.raises(DocumentFault, match="JSON"):
        resolve(text)


def test_a_quoted_scalar_is_text() -> None:
    assert values("[\"80\", 'yes', '010', \"\"]") == [["80", "yes", "010", ""]]


def test_tags_of_the_core_schema_are_followed_and_others_refused() -> None:
    assert values('[!!str 80, !!int "80", !!bool "on", ! yes]') == [["80", 80, True, "yes"]]
    assert tagged("tag:yaml.org,2002:float", "3") == 3
    assert fault("a: 1\nb: !!int x") == (2, '"x" is no int')
    assert fault("a: !Ref x") == (1, 'the tag "!Ref" is not supported')


def test_keys_become_text_as_in_json() -> None:
    assert values("{80: a, on: b, 1.5: c, 'x': d}") == [{"80": "a", "true": "b", "1.5": "c", "x": "d"}]
    assert key_text(False) == "false"
    assert fault("~: 1")[1] == "a mapping key is null"


def test_a_large_number_is_a_number_and_an_endless_one_is_text() -> None:
    assert resolve("1" * 30) == int("1" * 30)
    assert resolve("1" * 5000 + "x") == "1" * 5000 + "x"
    assert resolve("1.5e300") == 1.5e300
    assert resolve("9" * 5000) == "9" * 5000
    assert resolve("1e999") == "1e999"


def test_several_documents_and_empty_ones() -> None:
    assert values("a: 1\n---\n---\nb: 2\n...\n---\n# nothing\n") == [{"a": 1}, None, {"b": 2}, None]
    assert values("") == []


def test_anchors_aliases_and_merge_keys() -> None:
    text = (
        "base: &base {a: 1, b: 2}\none:\n  <<: *base\n  b: 3\ntwo: *base\n"
        "all:\n  <<: [*base, {c: 4}]\nname: &n x\nalso: *n\n"
    )
    assert values(text) == [
        {
            "base": {"a": 1, "b": 2},
            "one": {"b": 3, "a": 1},
            "two": {"a": 1, "b": 2},
            "all": {"a": 1, "b": 2, "c": 4},
            "name": "x",
            "also": "x",
        }
    ]
    assert fault("a:\n  <<: 5")[1] == 'the merge key "<<" wants a mapping'


def test_an_anchor_ends_with_its_document() -> None:
    assert fault("a: &x 1\n---\nb: *x\n") == (3, 'there is no anchor "x" above this alias')


def test_aliases_that_multiply_are_refused_before_they_are_built() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
    )
    assert fault(bomb) == (6, "aliases stand for more than 100000 nodes")


def test_an_anchor_that_contains_itself_is_refused() -> None:
    assert fault("a: &a\n- *a\n") == (2, 'the anchor "a" contains itself')


def test_depth_has_a_bound() -> None:
    assert values("[" * 100 + "]" * 100)
    assert fault("[" * 101 + "]" * 101) == (1, "nested more than 100 levels deep")
    assert fault("[" * 100_000)[1] == "nested more than 100 levels deep"


def test_a_key_that_is_there_twice_is_a_fault_with_its_line() -> None:
    (document,) = yamldocs.parse("a:\n  b: 1\n  c: 2\n  b: 3\na: 5\n")
    assert document.faults == [(4, 'the key "b" is there twice'), (5, 'the key "a" is there twice')]


def test_the_faults_of_one_document_are_not_those_of_the_next() -> None:
    assert [document.faults for document in yamldocs.parse("a: 1\na: 2\n---\nb: 1\n")] == [
        [(2, 'the key "a" is there twice')],
        [],
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: [\n", 1, "not YAML: did not find expected node content (while parsing a flow node)"),
        ("a: 1\nb\n", 2, "not YAML: could not find expected ':' (while scanning a simple key)"),
        ("a:\n\t- b\n", 2, "not YAML: the line begins with a tab, where YAML wants spaces"),
        ("a:\n  b: 1\n \tc: 1\n", 3, "not YAML: the line begins with a tab, where YAML wants spaces"),
        ('a: 1\nb: "x\nc: 1\n', 2, "not YAML: found unexpected end of stream (while scanning a quoted scalar)"),
        ("a: b: c\n", 1, "not YAML: mapping values are not allowed in this context"),
        ("a: 1\nb: \x01\n", 2, "not YAML: control characters are not allowed"),
        ("{a: 1}: b", 1, "a mapping key is a collection (text with { or [ in it wants quotes)"),
        ("a: {{ .Values.x }}\n", 1, "a mapping key is a collection (text with { or [ in it wants quotes)"),
        ("a: &x 1\n*x : 2\n", 2, "an alias as a mapping key is not supported"),
    ],
)
def test_broken_text_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    assert fault(text) == (line, message)


def test_marks_have_the_form_of_the_values_with_lines() -> None:
    text = "# first\na: 1\nb:\n- x\n- c: &c {d: 1}\n\ne: *c\n"
    (document,) = yamldocs.marks(text)
    assert document.value == {
        "a": (2, None),
        "b": (3, [(4, None), (5, {"c": (5, {"d": (5, None)})})]),
        "e": (7, {"d": (5, None)}),
    }
    assert document.line == 2


def test_marks_follow_merge_keys() -> None:
    (document,) = yamldocs.marks("a: &a\n  x: 1\nb:\n  <<: [*a]\n  z: 2\n")
    assert document.value["b"] == (3, {"z": (5, None), "x": (2, None)})
