"""Policies that attach to other objects: BackendTLSPolicy, `gateway.networking.k8s.io` v1.

What the CRD requires is required here, its defaults are the defaults here. A value that is not one of an enumeration
decodes: translation refuses it where it stands.
"""

import msgspec

from pygateway.resources.meta import ObjectMeta


class PolicyTargetReference(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """An object of the policy's own namespace. `section_name` is that of a port of a Service; None: all of it."""

    group: str
    kind: str
    name: str
    section_name: str | None = None


class LocalObjectReference(msgspec.Struct, frozen=True, kw_only=True):
    group: str
    kind: str
    name: str


class SubjectAltName(msgspec.Struct, frozen=True, kw_only=True):
    """`type`: Hostname or URI, and the field of that name."""

    type: str
    hostname: str = ""
    uri: str = ""


class BackendTLSPolicyValidation(msgspec.Struct, frozen=True, kw_only=True, rename={
    "ca_certificate_refs": "caCertificateRefs",
    "well_known_ca_certificates": "wellKnownCACertificates",
    "subject_alt_names": "subjectAltNames",
}):  # fmt: skip
    """`ca_certificate_refs` or `well_known_ca_certificates` (System), one of them."""

    hostname: str
    ca_certificate_refs: tuple[LocalObjectReference, ...] = ()
    well_known_ca_certificates: str | None = None
    subject_alt_names: tuple[SubjectAltName, ...] = ()


class BackendTLSPolicySpec(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    target_refs: tuple[PolicyTargetReference, ...]
    validation: BackendTLSPolicyValidation
    options: dict[str, str] = {}


class BackendTLSPolicy(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: BackendTLSPolicySpec
