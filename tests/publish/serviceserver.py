"""The API server of `cluster`, with what Services need of it: server-side apply, lists by label, deletion."""

import copy
import itertools
import json
from typing import Any

from pygateway.publish.pen import Bucket, Pen
from pygateway.publish.services import Home, ServiceWriter
from pygateway.resources.meta import ObjectMeta, Ref
from pygateway.translate.result import GatewayPort, GatewayService, ServiceWish
from pygateway.translate.services import GATEWAY_ANNOTATION, labels, service_name
from tests.publish.cluster import Answer, Cluster, Json, Request, failure, path_of

HOME = "gateway-system"
APPLY = "application/apply-patch+yaml"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{HOME}/deployments/pygateway"
_KEYS = {"ports": ("port", "protocol"), "ownerReferences": ("uid",)}


def gateway_ref(name: str, namespace: str = "shop") -> Ref:
    return Ref("gateway.networking.k8s.io", "Gateway", namespace, name)


def wanted(name: str = "web", *ports: int | GatewayPort, uid: str = "", **wish: Any) -> GatewayService:
    """What translation asks for."""
    meta = ObjectMeta(name=name, namespace="shop", uid=uid or f"uid-{name}")
    own = service_name(meta)
    listeners = tuple(GatewayPort(port) if isinstance(port, int) else port for port in ports or (80,))
    fields: dict[str, Any] = {
        "type": "LoadBalancer",
        "selector": {"app": "pygateway"},
        "labels": labels(meta),
        "annotations": {GATEWAY_ANNOTATION: f"shop/{name}"},
        **wish,
    }
    return GatewayService(
        uid=meta.uid,
        name=own,
        alias=name,
        target=f"{own}.{HOME}.svc.cluster.local",
        wish=ServiceWish(ports=listeners, **fields),
    )


class Services(Cluster):
    """`writer` is the first leader's; `leader` makes another one."""

    def __init__(self, *, deployment: bool = True) -> None:
        super().__init__()
        self._applied: dict[str, Json] = {}
        self._uids = itertools.count(1)
        if deployment:
            self.objects[DEPLOYMENT] = {"metadata": {"name": "pygateway", "uid": "uid-deployment"}}
        self.leads = True
        self.refusals = 0
        self.writer = self.leader()

    def leader(self, **home: Any) -> ServiceWriter:
        pen = Pen(self, self.clock, Bucket(20.0, 100, self.clock), lambda: self.leads)
        place = Home(**{"namespace": HOME, "deployment": "pygateway", **home})
        writer = ServiceWriter(pen, self, place, self.clock, self._refused)
        self.on_seen = [writer.seen]
        return writer

    def _refused(self) -> None:
        self.refusals += 1

    # What a test looks at

    def service(self, one: GatewayService) -> Json:
        return self.objects[path_of(Ref("", "Service", HOME, one.name))]

    def alias(self, one: GatewayService) -> Json:
        return self.objects[path_of(Ref("", "Service", "shop", one.alias))]

    def numbers(self, one: GatewayService) -> dict[tuple[int, str], Any]:
        return {(each["port"], each["protocol"]): each["targetPort"] for each in self.service(one)["spec"]["ports"]}

    def edit(self, one: GatewayService, **spec: Any) -> None:
        """As somebody else does it."""
        old = copy.deepcopy(self.service(one))
        self._store(path_of(Ref("", "Service", HOME, one.name)), {**old, "spec": {**old["spec"], **spec}})

    # The server

    def _answer(self, request: Request) -> Answer:
        if request.method == "DELETE":
            return self._deleted(request)
        if request.content_type == APPLY:
            assert request.query == {"fieldManager": "pygateway", "force": "true"}
            return self._apply(request.path, request.body)
        if request.method == "GET" and request.path.endswith("/services"):
            label = request.query["labelSelector"]
            found = [  # as the API server has it: what they are is said of the list
                {field: one[field] for field in one if field not in ("apiVersion", "kind")}
                for path, one in self.objects.items()
                if path.startswith(request.path) and label in one["metadata"].get("labels", {})
            ]
            return Answer(200, json.dumps({"kind": "ServiceList", "items": found}).encode())
        return super()._answer(request)

    def _deleted(self, request: Request) -> Answer:
        old = self.objects.get(request.path)
        if old is None:
            return failure(404, "not found")
        only = request.body["preconditions"]
        if any(old["metadata"][field] != value for field, value in only.items()):
            return failure(409, "precondition failed")
        self.remove(Ref("", "Service", *request.path.split("/")[4:7:2]))
        return Answer(200, b'{"kind": "Status"}')

    def _apply(self, path: str, body: Json) -> Answer:
        old = self.objects.get(path)
        before = self._applied.get(path, {}) if old is not None else {}
        if old is None:
            meta = {"uid": f"uid-service-{next(self._uids)}", "creationTimestamp": f"{self.clock.now():09.1f}"}
            old = {"metadata": meta, "spec": {}}
            if body["spec"]["type"] != "ExternalName":
                old["spec"]["clusterIP"] = body["spec"].get("clusterIP", f"10.96.0.{next(self._uids)}")
        new = _applied(copy.deepcopy(old), before, body)
        self._applied[path] = body
        return Answer(200, json.dumps(old if new == old else self._store(path, new)).encode())


def _applied(old: Any, before: Any, body: Any, name: str = "") -> Any:
    """`old` with all of `body`, without what only `before` had."""
    if isinstance(body, dict) and name != "selector":
        new = {key: value for key, value in (old or {}).items() if key in body or key not in (before or {})}
        for key, value in body.items():
            new[key] = _applied(new.get(key), (before or {}).get(key), value, key)
        return new
    if name in _KEYS:

        def by_key(entries: Any) -> dict[Any, Any]:
            return {tuple(one[key] for key in _KEYS[name]): one for one in entries or ()}

        return list(_applied(by_key(old), by_key(before), by_key(body), "selector-like").values())
    return body
