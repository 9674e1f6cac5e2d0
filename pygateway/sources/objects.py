"""From the text of one document to typed objects, with everything that is wrong with them."""

from collections.abc import Iterator
from typing import Any

import msgspec

from pygateway.resources.meta import Ref
from pygateway.resources.validate import Path, faults, path_text, without_nulls
from pygateway.resources.world import KindInfo
from pygateway.sources import kinds, opaque, places, texts
from pygateway.sources.source import DocumentFault
from pygateway.sources.yamldocs import Document

Found = tuple[Path, str]
"""A fault: (path in the object, message)."""


class ReadObject(msgspec.Struct, frozen=True, eq=False):
    """One object of a text. `value` is None when it has faults; `ref` when nobody can say which object it is.

    `document` and `at` say where it is: the document's index, and the path to it there (in a List). `line` is where
    the document begins in the text.
    """

    ref: Ref | None
    info: KindInfo | None
    value: Any
    document: int
    at: Path
    line: int


class ReadFault(msgspec.Struct, frozen=True):
    """`line` counts from 1 within the text."""

    line: int
    ref: Ref | None
    path: str
    message: str


class Content(msgspec.Struct, frozen=True, eq=False):
    """What a text holds. `unsure`: there may be objects in it that cannot be told, so no absence proves a removal."""

    objects: tuple[ReadObject, ...] = ()
    faults: tuple[ReadFault, ...] = ()
    unsure: bool = False


class _Report:
    """Collects the objects and faults of one document."""

    def __init__(self) -> None:
        self.objects: list[ReadObject] = []
        self.found: list[tuple[Ref | None, Path, Path, str]] = []
        """(object, path to it in the document, path within it, message)"""
        self.unsure = False


def read(text: str, *, json: bool) -> Content:
    """Reads one text: a whole JSON file, or one part of a YAML file. Never raises: what is wrong is in the faults."""
    try:
        documents = texts.read_json(text) if json else texts.read_yaml(text)
    except DocumentFault as fault:
        return Content(faults=(ReadFault(fault.line, None, "", fault.message),), unsure=True)
    objects: list[ReadObject] = []
    found: list[ReadFault] = []
    unsure = False
    for index, document in enumerate(documents):
        report = _read_document(document, index)
        objects += report.objects
        unsure = unsure or report.unsure
        if report.found or document.faults:
            found += _with_lines(report, document, places.of_document(text, index, json=json))
    return Content(tuple(objects), tuple(found), unsure)


def _read_document(document: Document, index: int) -> _Report:
    report = _Report()
    for tree, at in _items(document.value, (), report):
        ref, info, found = _identify(tree)
        if info is opaque.SECRET and (found or ref is None):
            continue
        if info is None or ref is None:
            report.unsure = report.unsure or (bool(found) and _may_be_misspelt(tree))
        if info is not None and not found:
            found = [] if document.faults else _check(info, tree)
        value = None
        if info is not None and ref is not None and not found and not document.faults:
            value, found = _decode(info, tree)
        if info is not opaque.SECRET:
            report.found += [(ref, at, path, message) for path, message in found]
        if info is not None:
            report.objects.append(ReadObject(ref, info, value, index, at, document.line))
    return report


def _items(tree: Any, at: Path, report: _Report) -> Iterator[tuple[dict[str, Any], Path]]:
    """The object, or those of a List, which may leave kind and apiVersion to the List."""
    if tree is None:
        return
    if not isinstance(tree, dict):
        report.unsure = True
        report.found.append((None, at, (), "not a Kubernetes object: a mapping with apiVersion and kind is expected"))
        return
    kind, items = tree.get("kind"), tree.get("items")
    if not (isinstance(kind, str) and kind.endswith("List") and "items" in tree):
        yield tree, at
        return
    if items is not None and not isinstance(items, list):
        report.unsure = True
        report.found.append((None, at, ("items",), "expected a list"))
        return
    given = {} if kind == "List" else {"apiVersion": tree.get("apiVersion"), "kind": kind.removesuffix("List")}
    for index, item in enumerate(items or ()):
        full = {**given, **item} if isinstance(item, dict) else item
        if full is not None:
            yield from _items(full, (*at, "items", index), report)


def _identify(tree: dict[str, Any]) -> tuple[Ref | None, KindInfo | None, list[Found]]:
    """Which object it is. No ref, no info and no faults: it is none of our concern."""
    api_version, kind = tree.get("apiVersion"), tree.get("kind")
    if not isinstance(kind, str) or not kind:
        return None, None, [(("kind",), "not a Kubernetes object: there is no kind")]
    if not isinstance(api_version, str) or not api_version:
        return None, None, [(("apiVersion",), f"this {kind} has no apiVersion")]
    group, version = kinds.split_version(api_version)
    info = kinds.find(group, kind)
    metadata = tree.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = metadata.get("name")
    namespace = metadata.get("namespace") or "default"
    if info is None:
        message = kinds.unusable(group, kind)
        ref = Ref(group, kind, "", name) if isinstance(name, str) else None
        return ref, None, [(("kind",), message)] if message else []
    if not isinstance(name, str) or not name:
        return None, info, [(("metadata", "name"), f"this {kind} has no name")]
    if info.namespaced and not isinstance(namespace, str):
        return None, info, [(("metadata", "namespace"), "the namespace is not a string")]
    ref = Ref(group, kind, namespace if info.namespaced else "", name)
    if version not in info.versions:
        known = " or ".join(f'"{one}"' for one in info.api_versions())
        return ref, info, [(("apiVersion",), f'"{api_version}" is not supported, use {known}')]
    return ref, info, _bad_names(ref)


def _bad_names(ref: Ref) -> list[Found]:
    found: list[Found] = []
    label = ref.kind in ("Service", "Namespace")
    if not (_is_label(ref.name) if label else _is_subdomain(ref.name)):
        allowed = 'lower case letters, digits and "-"' if label else 'lower case letters, digits, "-" and "."'
        found.append((("metadata", "name"), f'"{ref.name}" is no valid name ({allowed})'))
    if ref.namespace and not _is_label(ref.namespace):
        found.append((("metadata", "namespace"), f'"{ref.namespace}" is no valid namespace'))
    return found


def _is_label(text: str) -> bool:
    """RFC 1123 label, as the API server reads it."""
    return len(text) <= 63 and _is_part(text)


def _is_subdomain(text: str) -> bool:
    return len(text) <= 253 and all(_is_part(part) for part in text.split("."))


def _is_part(text: str) -> bool:
    plain = text.replace("-", "0")
    return (
        plain.isascii()
        and plain.isalnum()
        and plain == plain.lower()
        and not text.startswith("-")
        and not text.endswith("-")
    )


def _may_be_misspelt(tree: dict[str, Any]) -> bool:
    """May this have been one of our objects before somebody touched its kind or apiVersion?"""
    kind, api_version = tree.get("kind"), tree.get("apiVersion")
    if not isinstance(kind, str) or not isinstance(api_version, str):
        return True
    return kinds.suggestion(kinds.split_version(api_version)[0], kind) is not None


def _check(info: KindInfo, tree: dict[str, Any]) -> list[Found]:
    """Nothing is said of Secrets: a message might repeat what is in them."""
    if info is opaque.SECRET:
        return []
    return [
        (fault.path, fault.message)
        for fault in faults(info.type, _body(tree))
        if not (fault.unknown and kinds.not_read(info.kind, ".".join(p for p in fault.path if isinstance(p, str))))
    ]


def _decode(info: KindInfo, tree: dict[str, Any]) -> tuple[Any, list[Found]]:
    body = _body(tree) if info is opaque.SECRET else without_nulls(info.type, _body(tree))
    metadata = {key: value for key, value in body["metadata"].items() if value is not None}
    # What an API server would set or refuse; a manifest that was taken from one may still have it.
    metadata.pop("deletionTimestamp", None)
    metadata["namespace"] = metadata.get("namespace") or "default" if info.namespaced else ""
    try:
        if info is opaque.SECRET:
            body = opaque.closed(body)
        return msgspec.convert({**body, "metadata": metadata}, info.type), []
    except msgspec.ValidationError as error:
        return None, [((), str(error))]


def _body(tree: dict[str, Any]) -> dict[str, Any]:
    """Without what says the type, and without the status: that is ours to write."""
    return {key: value for key, value in tree.items() if key not in ("apiVersion", "kind", "status")}


def _with_lines(report: _Report, document: Document, lines: places.Lines) -> list[ReadFault]:
    found = [
        ReadFault(lines.line((*at, *path)), ref, path_text(path), message) for ref, at, path, message in report.found
    ]
    alone = report.objects[0].ref if len(report.objects) == 1 else None
    found += [ReadFault(line, alone, "", message) for line, message in document.faults]
    return sorted(found, key=lambda fault: fault.line)
