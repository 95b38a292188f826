"""Asks a gateway whatever its OpenAPI document allows and forbids, by schemathesis.

`SCHEMA_EXAMPLES=100` asks at greater length: each route is asked so many times, beside some dozens
of times for the edges of its schemas.
"""

import json
from typing import Any

import jsonschema_rs
import schemathesis
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig

from chopmark.api.spec.build import build

CONFIG = {
    "checks": {
        # That the HSM is away, or a token refuses the PIN, is an answer; 500 never is.
        "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503", "507"]},
        # A kind that is not in the catalogue, an index that is not there: rules beyond schemas.
        "positive_data_acceptance": {"enabled": False},
    },
    # Each route refuses all that it does not have in one way.
    "phases": {"coverage": {"unexpected-methods": ["put"]}},
}
STREAMS = ("/v1/attestations:batch", "/v1/verifications:batch")
WAIT = 0.01
"""Seconds that anything asked for waits: what would come is not what is tested."""

load_all_checks()


schema = schemathesis.openapi.from_dict(build(), config=SchemathesisConfig.from_dict(CONFIG))


@schemathesis.serializer("application/x-ndjson")
def write_lines(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n"


@schemathesis.serializer("application/vnd.chopmark.compact", "application/octet-stream")
def write_bytes(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def before_call(_: Any, case: Any, kwargs: dict[str, Any]) -> None:  # noqa: ARG001 - the hook's
    """Wait for nothing that is asked for, unless it is asked for wrongly."""
    for values, name in ((case.query, "wait"), (case.body, "wait"), (case.query, "seconds")):
        if isinstance(values, dict) and _is_long(values.get(name)):
            values[name] = WAIT
    if case.path == "/v1/events":
        case.query = {"seconds": WAIT} | (case.query or {})


def _is_long(value: Any) -> bool:
    """Of a query there are numbers, and numbers that are written down already."""
    try:
        return not isinstance(value, bool) and WAIT < float(value) <= 86_400
    except (TypeError, ValueError):
        return False


def check_lines(ctx: Any, response: Any, case: Any) -> None:  # noqa: ARG001 - a check's
    """Each line of a streamed answer is what the document says of one."""
    if response.headers.get("content-type") == ["application/x-ndjson"]:
        raw = case.operation.schema.raw_schema
        content = raw["paths"][case.path]["post"]["responses"]["200"]["content"]
        wanted = {"components": raw["components"], **content["application/x-ndjson"]["schema"]}
        validator = jsonschema_rs.Draft202012Validator(wanted)
        for line in response.content.splitlines():
            validator.validate(json.loads(line))


def ask(case: Any, address: str) -> None:
    """Make a request, and see that its answer is what the document says."""
    # A bad line is told by a line, in an answer that began well.
    excluded = ["negative_data_rejection"] if case.path in STREAMS else []
    case.call_and_validate(
        base_url=address,
        timeout=20,
        additional_checks=[check_lines],
        excluded_checks=CHECKS.get_by_names(excluded),
    )
