"""What schemathesis must know to ask a gateway: its media types, and what would take long.

It runs in a process of its own, as `tests/schemathesis.toml` says, and reads this by
`SCHEMATHESIS_HOOKS`.
"""

import json
from typing import Any

import jsonschema_rs
import schemathesis

NDJSON = "application/x-ndjson"
WAIT = 0.01
"""Seconds that anything asked for waits: what would come is not what is tested."""


@schemathesis.serializer(NDJSON)
def write_lines(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n"


@schemathesis.serializer("application/vnd.chopmark.compact")
def write_bytes(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def before_call(_: Any, case: Any, kwargs: dict[str, Any]) -> None:  # noqa: ARG001 - the hook's
    """Wait for nothing, and leave the HSM in use; what is asked for wrongly stays so."""
    for values, name in ((case.query, "wait"), (case.body, "wait"), (case.query, "seconds")):
        if isinstance(values, dict) and _is_long(values.get(name)):
            values[name] = WAIT
    if case.path == "/v1/events":
        case.query = {"seconds": WAIT} | (case.query or {})
    if case.path == "/v1/hsm/maintenance" and case.body == {"on": True}:
        case.body = {"on": False}


@schemathesis.check
def lines_conform(_: Any, response: Any, case: Any) -> None:
    """Each line of a streamed answer is what the document says of one."""
    if response.headers.get("content-type") == [NDJSON]:
        raw = case.operation.schema.raw_schema
        content = raw["paths"][case.operation.path]["post"]["responses"]["200"]["content"]
        wanted = {"components": raw["components"], **content[NDJSON]["schema"]}
        validator = jsonschema_rs.Draft202012Validator(wanted)
        for line in response.content.splitlines():
            validator.validate(json.loads(line))


def _is_long(value: Any) -> bool:
    """Of a query there are numbers, and numbers that are written down already."""
    try:
        return not isinstance(value, bool) and WAIT < float(value) <= 86_400
    except (TypeError, ValueError):
        return False
