"""`faults` finds everything that is wrong with a tree, and says it so that the reader knows what to do."""

import enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from pygateway.resources.validate import Fault, faults, path_text, without_nulls


class Kind(enum.Enum):
    EXACT = "Exact"
    PREFIX = "PathPrefix"


class Inner(msgspec.Struct, rename="camel"):
    path_type: Kind = Kind.EXACT
    inner: "Inner | None" = None


class Cat(msgspec.Struct, tag="cat", tag_field="type"):
    lives: int = 9


class Dog(msgspec.Struct, tag="dog", tag_field="type"):
    name: str = ""


class Thing(msgspec.Struct, rename="camel"):
    name: str
    paths: tuple[str, ...] = ()
    service_port: int | str = 0
    weight: Annotated[int, Meta(ge=0, le=100)] = 1
    ratio: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    enabled: bool = False
    labels: dict[str, str] = {}
    config: dict[str, Any] | None = None
    raw: msgspec.Raw = msgspec.Raw(b"null")
    mode: Literal["On", "Off"] = "On"
    only: Literal["Same"] = "Same"
    label: Annotated[str, Meta(min_length=1, max_length=5, pattern="^[a-z]+$")] = "a"
    inners: Annotated[list[Inner], Meta(min_length=1, max_length=2)] = []
    pet: Cat | Dog | None = None


def messages(data: Any) -> list[str]:
    return [f"{path_text(fault.path)}: {fault.message}" for fault in faults(Thing, data)]


def test_a_tree_that_fits_has_no_faults() -> None:
    tree = {
        "name": "x",
        "paths": ["/a"],
        "servicePort": "http",
        "weight": 100,
        "ratio": 0.25,
        "enabled": True,
        "labels": {"a": "b"},
        "config": {"anything": [1, None, {"goes": True}]},
        "raw": [1, {"x": None}],
        "mode": "Off",
        "inners": [{"pathType": "PathPrefix", "inner": {"inner": {"pathType": "Exact"}}}],
        "pet": {"type": "dog", "name": "rex"},
    }
    assert faults(Thing, tree) == []


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"pathss": []}, 'pathss: unknown field "pathss" (did you mean "paths"?)'),
        ({"service_port": 80}, 'service_port: unknown field "service_port" (did you mean "servicePort"?)'),
        ({"serviceport": 80}, 'serviceport: unknown field "serviceport" (did you mean "servicePort"?)'),
        ({"qqq": 1}, 'qqq: unknown field "qqq"'),
        ({"weight": "abc"}, 'weight: expected integer, got string "abc"'),
        ({"weight": True}, "weight: expected integer, got boolean true"),
        ({"weight": 1.5}, "weight: expected integer, got number 1.5"),
        ({"weight": 101}, "weight: expected at most 100, got integer 101"),
        ({"weight": -1}, "weight: expected at least 0, got integer -1"),
        ({"ratio": 0}, "ratio: expected more than 0, got integer 0"),
        ({"ratio": 1.0}, "ratio: expected less than 1, got number 1.0"),
        ({"enabled": "yes"}, 'enabled: expected boolean, got string "yes"'),
        ({"name": 5}, "name: expected string, got integer 5"),
        ({"name": ["a"]}, "name: expected string, got list"),
        ({"name": {}}, "name: expected string, got mapping"),
        ({"paths": "/left"}, 'paths: expected list, got string "/left"'),
        ({"paths": ["/a", 5]}, "paths[1]: expected string, got integer 5"),
        ({"paths": [None]}, "paths[0]: expected string, got null"),
        ({"labels": []}, "labels: expected mapping, got list"),
        ({"labels": {"a.b/c": 1}}, 'labels["a.b/c"]: expected string, got integer 1'),
        ({"config": []}, "config: expected mapping, got list"),
        ({"servicePort": 8.5}, "servicePort: expected integer or string, got number 8.5"),
        ({"mode": "on"}, 'mode: expected one of "Off", "On", got string "on"'),
        ({"mode": True}, 'mode: expected one of "Off", "On", got boolean true'),
        ({"only": "All"}, 'only: expected "Same", got string "All"'),
        ({"label": ""}, 'label: expected at least 1 character, got string ""'),
        ({"label": "abcdef"}, 'label: expected at most 5 characters, got string "abcdef"'),
        ({"label": "A"}, 'label: expected text of the form ^[a-z]+$, got string "A"'),
        ({"inners": []}, "inners: expected at least 1 item, got 0"),
        ({"inners": [{}, {}, {}]}, "inners: expected at most 2 items, got 3"),
        (
            {"inners": [{"pathType": "exact"}]},
            'inners[0].pathType: expected one of "Exact", "PathPrefix", got string "exact"',
        ),
        ({"inners": [{"inner": {"inner": 5}}]}, "inners[0].inner.inner: expected mapping, got integer 5"),
        ({"pet": {"type": "cow"}}, 'pet.type: expected one of "cat", "dog", got string "cow"'),
        ({"pet": {"type": "cat", "lives": "9"}}, 'pet.lives: expected integer, got string "9"'),
        ({"pet": 5}, "pet: expected mapping, got integer 5"),
    ],
)
def test_one_fault_is_one_helpful_sentence(tree: dict[str, Any], message: str) -> None:
    assert messages({"name": "x", **tree}) == [message]


def test_a_missing_required_field_is_named_at_its_place() -> None:
    assert faults(list[Thing], [{}]) == [Fault((0, "name"), 'missing required field "name"')]


def test_all_faults_are_found_not_only_the_first() -> None:
    tree = {"weight": "a", "nme": "x", "paths": [1, "/ok", 2]}
    assert messages(tree) == [
        'weight: expected integer, got string "a"',
        'nme: unknown field "nme" (did you mean "name"?)',
        "paths[0]: expected string, got integer 1",
        "paths[2]: expected string, got integer 2",
        'name: missing required field "name"',
    ]


def test_only_unknown_fields_are_marked_as_unknown() -> None:
    assert [fault.unknown for fault in faults(Thing, {"x": 1, "name": 1})] == [True, False]


def test_a_long_wrong_value_is_cut() -> None:
    (fault,) = faults(Thing, {"name": "x", "weight": "a" * 1000})
    assert len(fault.message) < 100
    assert fault.message.endswith('..."')


def test_a_null_stands_for_an_absent_field_but_not_for_a_required_one() -> None:
    assert messages({"name": "x", "paths": None, "weight": None, "mode": None, "inners": None, "config": None}) == []
    assert messages({"name": None}) == ["name: expected string, got null"]


def test_nulls_that_mean_absent_are_taken_out_before_decoding() -> None:
    tree = {"name": "x", "paths": None, "config": {"kept": None}, "inners": [{"pathType": None}], "pet": None}
    clean = without_nulls(Thing, tree)
    assert clean == {"name": "x", "config": {"kept": None}, "inners": [{}], "pet": None}
    thing = msgspec.convert(clean, Thing)
    assert thing.paths == ()
    assert thing.config == {"kept": None}


def test_a_tree_without_nulls_is_handed_back_itself() -> None:
    tree = {"name": "x", "inners": [{"pathType": "Exact"}], "labels": {"a": "b"}, "pet": {"type": "cat"}}
    assert without_nulls(Thing, tree) is tree


def test_the_text_of_a_path_can_be_read_back_by_people() -> None:
    assert path_text(("spec", "rules", 0, "match", "a.b/c", "x-y_z")) == 'spec.rules[0].match["a.b/c"].x-y_z'
    assert path_text(()) == ""
