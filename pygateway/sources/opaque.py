"""Secrets: their data is carried as text that nobody has looked into."""

import base64
from typing import Any, Final

import msgspec

from pygateway.resources.world import KINDS

SECRET: Final = next(info for info in KINDS if info.kind == "Secret")


def closed(body: dict[str, Any]) -> dict[str, Any]:
    """The plain tree of a Secret, as `msgspec.convert` wants it: `data` encoded, and `stringData` in it, which comes
    first, as an API server has it. Raises ValidationError, which does not repeat what is wrong."""
    data = msgspec.convert(body.get("data") or {}, dict[str, str])
    plain = msgspec.convert(body.get("stringData") or {}, dict[str, str])
    data |= {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
    kept = {key: value for key, value in body.items() if key in ("metadata", "type")}
    return {**kept, "data": msgspec.Raw(msgspec.json.encode(data))}
