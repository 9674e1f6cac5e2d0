"""BackendTLSPolicy: what each says about TLS to a Service, and which of several counts.

One that cannot be honoured still counts: requests to its Service are answered with 500, never sent in clear text. Of
several for the same port (or the same whole Service) the older counts, then the first by name, be it good or not; one
for a port comes before one for the whole Service.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from pygateway import ir
from pygateway.resources.core import ConfigMap, Secret
from pygateway.resources.policies import BackendTLSPolicy, LocalObjectReference
from pygateway.resources.world import World
from pygateway.translate import hostnames
from pygateway.translate.certificates import authorities_in, authorities_of
from pygateway.translate.dial import Dial
from pygateway.translate.result import Problem

INVALID: Final = "Invalid"
BAD_REFERENCE: Final = "InvalidCACertificateRef"
_NO_AUTHORITY: Final = "NoValidCACertificate"
_FIELD: Final = "ca.crt"
_Read = tuple[ConfigMap | Secret, ir.Certificate | str]
"""An object, and the authorities in it or what is wrong with them."""


class BackendPolicy(msgspec.Struct, frozen=True):
    """A policy, understood. `dial` is None when it cannot be honoured, for the reason `refused`; `unresolved` is what
    its references lack, `ignored` what it says of other objects."""

    policy: BackendTLSPolicy
    dial: Dial | None
    refused: Problem | None = None
    unresolved: Problem | None = None
    ignored: tuple[Problem, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.policy.metadata.namespace}/{self.policy.metadata.name}"


class ServicePolicies(msgspec.Struct, frozen=True):
    """The policies of one Service by the name of the port, "" for the whole of it; the one that counts comes first."""

    sections: dict[str, tuple[BackendPolicy, ...]]

    def of(self, port: str) -> BackendPolicy | None:
        """The one that counts for the port of that name."""
        found = self.sections.get(port) or self.sections.get("")
        return found[0] if found else None


class BackendPolicies:
    """Reads policies. ConfigMaps and Secrets that did not change are not opened again."""

    def __init__(self) -> None:
        self._read: dict[str, _Read] = {}
        self._world = World()
        self._inputs: tuple[object, ...] = ()
        self._result: dict[str, ServicePolicies] = {}

    def look_at(self, world: World) -> dict[str, ServicePolicies]:
        """By the key of the Service; the very same dict when nothing that counts has changed."""
        inputs = (world.backend_tls_policies, world.config_maps, world.secrets)
        if len(self._inputs) == len(inputs) and all(a is b for a, b in zip(inputs, self._inputs, strict=True)):
            return self._result
        self._inputs, self._world = inputs, world
        self._read, before = {}, self._read
        found = [self._policy(one, before) for one in sorted(world.backend_tls_policies.values(), key=_age)]
        by_service: dict[str, dict[str, list[BackendPolicy]]] = {}
        for one in found:
            for target in one.policy.spec.target_refs:
                if (target.group, target.kind) == ("", "Service"):
                    sections = by_service.setdefault(f"{one.policy.metadata.namespace}/{target.name}", {})
                    sections.setdefault(target.section_name or "", []).append(one)
        made = {
            service: ServicePolicies({section: tuple(some) for section, some in sections.items()})
            for service, sections in by_service.items()
        }
        if made != self._result:
            self._result = {
                key: self._result[key] if self._result.get(key) == value else value for key, value in made.items()
            }
        return self._result

    def _policy(self, policy: BackendTLSPolicy, before: dict[str, _Read]) -> BackendPolicy:
        ignored = tuple(
            Problem(
                "NotSupported", f"a target of kind {target.kind} is not supported", f"spec.targetRefs[{index}].kind"
            )
            for index, target in enumerate(policy.spec.target_refs)
            if (target.group, target.kind) != ("", "Service")
        )
        refused = _refused(policy)
        if refused is not None:
            return BackendPolicy(policy, None, refused, ignored=ignored)
        found = [
            self._authorities(policy, reference, f"spec.validation.caCertificateRefs[{index}]", before)
            for index, reference in enumerate(policy.spec.validation.ca_certificate_refs)
        ]
        bad = next((one for one in found if isinstance(one, Problem)), None)
        good = tuple(one for one in found if isinstance(one, ir.Certificate))
        if bad is not None and not good:
            refused = Problem(_NO_AUTHORITY, f"there is no authority to trust: {bad.message}", bad.at)
            return BackendPolicy(policy, None, refused, bad, ignored)
        return BackendPolicy(policy, _dial(policy, good), None, bad, ignored)

    def _authorities(
        self,
        policy: BackendTLSPolicy,
        reference: LocalObjectReference,
        at: str,
        before: dict[str, _Read],
    ) -> ir.Certificate | Problem:
        """What one reference leads to. It stays in the namespace of the policy."""
        kind = reference.kind
        if reference.group or kind not in {"ConfigMap", "Secret"}:
            group = reference.group or "core"
            return Problem("InvalidKind", f"authorities of kind {kind}, group {group}, are not supported", f"{at}.kind")
        key = f"{policy.metadata.namespace}/{reference.name}"
        there: Mapping[str, ConfigMap | Secret]
        there = self._world.config_maps if kind == "ConfigMap" else self._world.secrets
        one = there.get(key)
        if one is None:
            return Problem(BAD_REFERENCE, f"{kind} {key} does not exist", f"{at}.name")
        kept = before.get(f"{kind} {key}")
        if kept is None or kept[0] is not one:
            kept = (one, _read(one, key))
        self._read[f"{kind} {key}"] = kept
        return Problem(BAD_REFERENCE, kept[1], f"{at}.name") if isinstance(kept[1], str) else kept[1]


def _age(policy: BackendTLSPolicy) -> tuple[str, str, str]:
    meta = policy.metadata
    return meta.creation_timestamp, meta.namespace, meta.name


def _read(one: ConfigMap | Secret, key: str) -> ir.Certificate | str:
    return authorities_of(key, one, (_FIELD,)) if isinstance(one, Secret) else authorities_in(key, one)


def _dial(policy: BackendTLSPolicy, trusted: tuple[ir.Certificate, ...]) -> Dial:
    """`trusted` empty: the authorities of the system."""
    validation = policy.spec.validation
    bundle = trusted
    if len(trusted) > 1:
        name = f"authorities of BackendTLSPolicy {policy.metadata.namespace}/{policy.metadata.name}"
        bundle = (ir.Certificate(name, b"".join(one.chain for one in trusted), b""),)
    hostname = validation.hostname.lower()
    names = tuple(one.hostname.lower() for one in validation.subject_alt_names if one.type == "Hostname")
    uris = tuple(one.uri for one in validation.subject_alt_names if one.type == "URI")
    tls = ir.UpstreamTls(
        server_name=hostname,
        authorities=bundle[0].name if bundle else "",
        names=names if validation.subject_alt_names else (hostname,),
        uris=uris,
    )
    return Dial(tls, certificates=bundle)


def _refused(policy: BackendTLSPolicy) -> Problem | None:
    """Why the policy cannot be honoured, whatever its references lead to."""
    spec, validation = policy.spec, policy.spec.validation
    for name in spec.options:
        return Problem(INVALID, f"option {name} is not supported", f"spec.options.{name}")
    fault = hostnames.fault(validation.hostname.lower(), wildcard=False)
    if fault:
        return Problem(INVALID, fault, "spec.validation.hostname")
    well_known = validation.well_known_ca_certificates
    if bool(well_known) == bool(validation.ca_certificate_refs):
        message = "there must be either caCertificateRefs or wellKnownCACertificates"
        return Problem(INVALID, message, "spec.validation.caCertificateRefs")
    if well_known and well_known != "System":
        message = f'"{well_known}" is not supported, use System'
        return Problem(INVALID, message, "spec.validation.wellKnownCACertificates")
    for index, one in enumerate(validation.subject_alt_names):
        at = f"spec.validation.subjectAltNames[{index}]"
        if one.type not in {"Hostname", "URI"}:
            return Problem(INVALID, f'"{one.type}" is neither Hostname nor URI', f"{at}.type")
        if one.type == "URI" and ":" not in one.uri:
            return Problem(INVALID, f'"{one.uri}" is no URI with a scheme', f"{at}.uri")
        wrong = hostnames.fault(one.hostname.lower()) if one.type == "Hostname" else ""
        if wrong:
            return Problem(INVALID, wrong, f"{at}.hostname")
    return None
