"""Makes the document: schemas from the types, routes from the operations (OpenAPI 3.1.0)."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

import chopmark
from chopmark.api.identity import ROLES
from chopmark.api.roles import TABLE
from chopmark.api.spec import operating, signing, watching, working
from chopmark.api.spec.examples import PROBLEM as PROBLEM_EXAMPLE
from chopmark.api.spec.fields import ABOUT, DEMANDS, PATH
from chopmark.api.spec.model import EVENTS, EVERYWHERE, NDJSON, PROBLEM, Content, Operation, merge
from chopmark.api.spec.shapes import Problem
from chopmark.api.tiles import PREFIX

OPERATIONS: Final = (
    *(*working.OPERATIONS, *watching.OPERATIONS),
    *(*operating.OPERATIONS, *signing.OPERATIONS),
)
_ABOUT: Final = (
    "Takes and gives digests, never documents. docs/api.md says what each route is for, and what "
    "each code of a problem means. Answers may get more fields: pass over what you do not know."
)
_TITLES: Final = {
    400: "What was sent cannot be read",
    401: "Who asks is not known",
    403: "Not permitted",
    404: "Not there",
    408: "It did not come in time",
    409: "It is otherwise already",
    410: "The body of the entry was removed here",
    413: "Too large",
    415: "It is packed",
    422: "It breaks a rule",
    429: "Too much at once",
    500: "Our fault",
    503: "Not now",
    507: "The disk is nearly full",
}
_TLS: Final = "mutualTLS"
_SCHEMES: Final = {
    _TLS: {
        "type": "mutualTLS",
        "description": (
            "By HTTPS: a client certificate whose common name an [[api.client]] of the gateway's "
            "configuration gives roles to. The unix socket asks for none: the kernel says who "
            "asks, and [[api.user]] which roles that user has."
        ),
    }
}
_EACH: Final = {
    NDJSON: "One JSON object a line, each ended by a line feed; the schema is of one line.",
    EVENTS: "Server-sent events; the schema is of one event, by its fields.",
}
"""Bodies that go on and on, of which OpenAPI 3.1 can describe one piece only."""
_RETRY: Final = (429, 503)
_Json = dict[str, Any]


class _Schemas:
    """All types that are named, and what stands for them."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._types = [type_ for one in operations for type_ in _types(one)] + [Problem]
        template = "#/components/schemas/{name}"
        made, components = msgspec.json.schema_components(self._types, ref_template=template)
        self._made = [_reword(schema) for schema in made]
        self.components = {
            name: _explain(name, _reword(schema)) for name, schema in sorted(components.items())
        }

    def of(self, type_: Any) -> _Json:
        """The schema of a type; one that it refers to, where it has a name."""
        # By identity: types that are equal to others, such as of lists, are as good.
        made: _Json = self._made[self._types.index(type_)]
        return made

    def fields(self, type_: Any) -> _Json:
        """The fields of a named type."""
        fields: _Json = self.components[self.of(type_)["$ref"].rpartition("/")[2]]["properties"]
        return fields

    def content(self, content: Content) -> _Json:
        """A body, by its media type."""
        if isinstance(content.type, tuple):
            schema: _Json = {"anyOf": [self.of(one) for one in content.type]}
        elif content.type is not None:
            schema = self.of(content.type)
        else:
            schema = {"type": "string"} | ({"format": "binary"} if content.binary else {})
        made: _Json = {"schema": schema}
        if content.media in _EACH:
            made["schema"] = {"description": _EACH[content.media], **schema}
        if content.example is not None:
            lines = content.media == NDJSON
            made["examples"] = {
                f"line{number}" if lines else "example": {"value": value}
                for number, value in enumerate(content.example if lines else [content.example], 1)
            }
        return {content.media: made}


def build() -> _Json:
    """The document."""
    schemas = _Schemas(OPERATIONS)
    paths: dict[str, _Json] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method] = _describe(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "chopmark",
            "version": chopmark.__version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(one.tag for one in OPERATIONS)],
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": _SCHEMES},
    }


def _types(one: Operation) -> Iterator[Any]:
    contents = [answer.content for answer in one.answers.values()]
    contents += [] if one.body is None else [one.body]
    for content in contents:
        yield from content.type if isinstance(content.type, tuple) else [content.type]
    yield one.query


def _describe(one: Operation, schemas: _Schemas) -> _Json:
    made: _Json = {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": one.summary,
        "parameters": [*_path(one), *_query(one, schemas), *_headers(one)],
        "responses": _responses(one, schemas),
        "security": _security(one),
    }
    if one.about:
        made["description"] = one.about
    if one.body is not None:
        required = one.body.media != NDJSON  # no lines are lines, too
        made["requestBody"] = {"required": required, "content": schemas.content(one.body)}
    return made


def _security(one: Operation) -> list[_Json]:
    """The roles of which any one will do; every client that is known, if all will.

    Roles stand where the scopes of other schemes do (OpenAPI 3.1.0, Security Requirement Object).
    """
    path = PREFIX if one.path.startswith(PREFIX) else one.path.replace("{id}", "{member}")
    roles = TABLE[path]
    return [{_TLS: [role]} for role in sorted(roles)] if roles != ROLES else [{_TLS: []}]


def _path(one: Operation) -> Iterator[_Json]:
    for name in re.findall(r"\{(\w+)\}", one.path):
        about, schema, example = PATH[name]
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": about,
            "schema": {"type": "string", **schema},
            "example": example,
        }


def _query(one: Operation, schemas: _Schemas) -> Iterator[_Json]:
    if one.query is None:
        return
    needed = {field.encode_name for field in msgspec.structs.fields(one.query) if field.required}
    for name, schema in schemas.fields(one.query).items():
        about, bare = schema["description"], _not_null(schema)
        must = {"required": True} if name in needed else {}
        yield {"name": name, "in": "query", **must, "description": about, "schema": bare}


def _headers(one: Operation) -> Iterator[_Json]:
    for name, about in one.headers.items():
        yield {"name": name, "in": "header", "description": about, "schema": {"type": "string"}}


def _responses(one: Operation, schemas: _Schemas) -> _Json:
    made: dict[int, _Json] = {}
    for status, answer in one.answers.items():
        made[status] = {"description": answer.what, "content": schemas.content(answer.content)}
        if answer.headers:
            text = {"type": "string"}
            made[status]["headers"] = {
                name: {"description": about, "schema": text}
                for name, about in answer.headers.items()
            }
    for status, codes in merge(one.problems, EVERYWHERE).items():
        response = made.setdefault(status, {"description": _TITLES[status], "content": {}})
        response["description"] += f". Problems: {', '.join(f'`{code}`' for code in codes)}"
        response["content"][PROBLEM] = {"schema": schemas.of(Problem)}
        if status in _RETRY:
            about = "Seconds after which trying again makes sense"
            header = {"description": about, "schema": {"type": "integer", "minimum": 0}}
            response.setdefault("headers", {})["Retry-After"] = header
        if status == PROBLEM_EXAMPLE["status"]:
            response["content"][PROBLEM]["examples"] = {"example": {"value": PROBLEM_EXAMPLE}}
    return {str(status): made[status] for status in sorted(made)}


def _explain(name: str, schema: _Json) -> _Json:
    """Say what the fields of a request mean, and what is demanded of them besides."""
    for field, about in schema.get("properties", {}).items():
        key = f"{name}.{field}"
        if name == "VerificationLine" and key not in ABOUT:
            key = f"VerificationIn.{field}"
        if key in DEMANDS:
            _demand(about, DEMANDS[key])
        if key in ABOUT:
            schema["properties"][field] = {"description": ABOUT[key], **about}
    return schema


def _demand(schema: _Json, more: Any) -> None:
    """Add to a schema, or to what it may be besides null."""
    text = next(
        (one for one in schema.get("anyOf", ()) if one.get("type") == "string"),
        schema,
    )
    text.update(more)


def _not_null(schema: _Json) -> _Json:
    """A parameter is there, or it is not; null it cannot be."""
    bare = {key: value for key, value in schema.items() if key != "description"}
    if "anyOf" in bare:
        (bare,) = (one for one in bare["anyOf"] if one.get("type") != "null")
    return bare


def _reword(schema: Any) -> Any:
    """Python's anchors of a pattern in place of ECMA-262's."""
    if isinstance(schema, list):
        return [_reword(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _reword(value) for key, value in schema.items()}
    if isinstance(pattern := made.get("pattern"), str):
        made["pattern"] = re.sub(r"\\A(.*)\\Z", r"^\1$", pattern)
    return made
