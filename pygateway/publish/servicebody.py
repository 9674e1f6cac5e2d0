"""The Services of Gateways as they are applied. Pure: what is wanted and what is there go in, bodies come out."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pygateway.publish.ports import Owner
from pygateway.resources.meta import Ref
from pygateway.translate.result import GatewayService, ServiceWish
from pygateway.translate.services import UID_LABEL

Json = dict[str, Any]

APPLIED: Final = "pygateway.dev/applied"
"""A digest of what we applied. What is no longer wanted is not in the body: only this tells that it is still there."""
_KEYS: Final = {"ports": ("port", "protocol"), "ownerReferences": ("uid",)}
"""Lists in which an entry is known by some of its fields; others may have entries of their own in them."""


class Owned(msgspec.Struct, frozen=True):
    """To whom a Service belongs: what it is deleted with."""

    api_version: str
    kind: str
    name: str
    uid: str


def service(
    ref: Ref, one: GatewayService, numbers: Mapping[Owner, int], owner: Owned | None, there: Json | None
) -> Json:
    """The Service that leads to pygateway's pods. A port without a number is left out."""
    wish = one.wish or ServiceWish(type="", ports=(), selector={})
    held = (there or {}).get("spec", {})
    spec: Json = {"type": wish.type, "ports": [], **({"selector": wish.selector} if wish.selector else {})}
    for port in wish.ports:
        number = numbers.get(Owner(one.uid, port.port, port.protocol))
        if number is not None:
            entry = {"name": port.name, "port": port.port, "protocol": port.protocol, "targetPort": number}
            spec["ports"].append({**entry, "nodePort": port.node_port} if port.node_port else entry)
    if wish.external_traffic_policy:
        spec["externalTrafficPolicy"] = wish.external_traffic_policy
    if wish.type == "LoadBalancer":
        spec.update(_balanced(wish, held))
    elif wish.type == "ClusterIP" and wish.address and held.get("clusterIP", wish.address) == wish.address:
        # It is given once and never changes: where the Service has another one, asking would be refused.
        spec["clusterIP"] = wish.address
    labels = {**wish.service_labels, **wish.labels}
    return _sealed(ref, (labels, {**wish.service_annotations, **wish.annotations}), owner, spec)


def _balanced(wish: ServiceWish, held: Json) -> Json:
    """The class of a load balancer cannot change either, except by way of another type."""
    before = held.get("loadBalancerClass", "") if held.get("type") == "LoadBalancer" else wish.load_balancer_class
    if before != wish.load_balancer_class:
        return {"type": "NodePort"}
    return {
        **({"loadBalancerClass": wish.load_balancer_class} if wish.load_balancer_class else {}),
        **({"loadBalancerIP": wish.address} if wish.address else {}),
    }


def alias(ref: Ref, one: GatewayService, owner: Owned) -> Json:
    """The Service of the Gateway's name, which leads to the other one."""
    wish = one.wish or ServiceWish(type="", ports=(), selector={})
    spec = {"type": "ExternalName", "externalName": one.target}
    return _sealed(ref, (wish.labels, wish.annotations), owner, spec)


def _sealed(ref: Ref, told: tuple[Mapping[str, str], Mapping[str, str]], owner: Owned | None, spec: Json) -> Json:
    """`told`: labels and annotations."""
    labels, annotations = told
    meta: Json = {"name": ref.name, "namespace": ref.namespace, "labels": labels, "annotations": annotations}
    if owner is not None:
        reference = {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
        meta["ownerReferences"] = [reference]
    body: Json = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": spec,
    }
    digest = hashlib.sha256(msgspec.json.encode(body, order="deterministic")).hexdigest()[:16]
    return {**body, "metadata": {**meta, "annotations": {**annotations, APPLIED: digest}}}


def covers(there: Json, body: Json) -> bool:
    """Whether all of `body` is so already; what others have added does not matter. (An item of a list does not say
    what it is.)"""
    return all(_covers(there.get(field), body[field], field) for field in ("metadata", "spec"))


def _covers(there: Any, body: Any, name: str = "") -> bool:
    """A selector is one thing, as it is to the API server."""
    if isinstance(body, dict) and name != "selector":
        return isinstance(there, dict) and all(_covers(there.get(key), value, key) for key, value in body.items())
    if name in _KEYS and isinstance(there, list):
        keys = _KEYS[name]
        known = {tuple(one.get(key) for key in keys): one for one in there}
        return all(_covers(known.get(tuple(one[key] for key in keys)), one) for one in body)
    return bool(there == body)


def without_others_ports(there: Json, body: Json) -> Json | None:
    """A merge patch that takes away the ports which are not ours to serve; None when there are none. Applying cannot:
    an entry stays for as long as anybody else owns a field of it."""
    ports = there["spec"].get("ports") or []
    wanted = {(one["port"], one["protocol"]) for one in body["spec"].get("ports", ports)}
    kept = [one for one in ports if (one["port"], one.get("protocol", "TCP")) in wanted]
    if len(kept) == len(ports):
        return None
    return {"metadata": {"resourceVersion": there["metadata"]["resourceVersion"]}, "spec": {"ports": kept}}


def gateway_uid(service: Json) -> str:
    """The Gateway that we made it for; "" when we did not make it."""
    return str((service["metadata"].get("labels") or {}).get(UID_LABEL, ""))


def belongs_to(service: Json, owner: Owned | None) -> bool:
    """Whether it was made by this installation. One that belongs to nobody may be."""
    owners = service["metadata"].get("ownerReferences") or []
    return owner is None or not owners or any(one.get("uid") == owner.uid for one in owners)


class _Status(msgspec.Struct):
    message: str = ""


def reason(answer: bytes) -> str:
    """Why the API server refuses."""
    try:
        return msgspec.json.decode(answer, type=_Status).message or "the API server refuses it"
    except msgspec.DecodeError:
        return "the API server refuses it"
