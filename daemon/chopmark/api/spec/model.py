"""How a route is described."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
NDJSON: Final = "application/x-ndjson"
TEXT: Final = "text/plain"
PROBLEM: Final = "application/problem+json"

Problems = Mapping[int, tuple[str, ...]]
"""Codes of problems by status."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a body is.

    Attributes:
        type: the type that it is read or made by; for NDJSON that of a line. Text and bytes if
            None.
        media: its media type.
        example: as JSON values, or as text; for NDJSON a list of lines.
        binary: bytes that are no text.
    """

    type: Any = None
    media: str = JSON
    example: Any = None
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no problem.

    Attributes:
        what: it means.
        content: of its body.
        headers: names of headers that it may have, and what they say.
    """

    what: str
    content: Content
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one route.

    Attributes:
        method: in lower case.
        path: with its parameters in braces, which `build.PATH` describes.
        name: unique, for programs that are generated.
        tag: what it belongs to.
        summary: in one line.
        answers: by status, all that are no problems.
        problems: by status, besides those that every route has.
        query: the type that the query is read by.
        body: of the request; without one the route takes none.
        headers: of the request, and what they are for.
        about: more to say.
    """

    method: str
    path: str
    name: str
    tag: str
    summary: str
    answers: Mapping[int, Answer]
    problems: Problems = field(default_factory=dict)
    query: type | None = None
    body: Content | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    about: str = ""


def merge(*groups: Problems) -> Problems:
    """All codes of some groups, by status."""
    merged: dict[int, tuple[str, ...]] = {}
    for group in groups:
        for status, codes in group.items():
            known = merged.get(status, ())
            merged[status] = known + tuple(code for code in codes if code not in known)
    return merged


EVERYWHERE: Final[Problems] = {
    400: ("malformed-request",),
    401: (
        *("no-client-certificate", "certificate-expired", "certificate-revoked"),
        *("sign-in-needed", "session-ended"),
    ),
    403: ("foreign-host", "foreign-origin", "unknown-client", "role-missing", "csrf-token-wrong"),
    415: ("unknown-encoding",),
    429: ("too-many-connections",),
    500: ("internal-error",),
    503: ("overloaded", "stopping", "certificate-recheck"),
}
"""Of every route."""
BODY: Final[Problems] = {
    400: ("malformed-json",),
    408: ("body-too-slow",),
    413: ("body-too-large",),
}
"""Of routes that take a JSON body."""
MEMBER: Final[Problems] = {404: ("no-such-member",)}
"""Of routes about one member's log."""
UNIX: Final[Problems] = {403: ("unix-only",)}
"""Of routes on the unix socket."""
KNOWN: Final[Problems] = {403: ("caller-unknown",)}
"""Of routes that the loopback port does not have."""
NAMED: Final[Problems] = {403: ("caller-unknown", "not-by-session")}
"""Of routes for callers whom the kernel or a certificate names."""
TOKEN: Final[Problems] = {
    503: (
        "hsm-away",
        "pin-latched",
        "pin-awaited",
        "hsm-maintenance",
        "key-worn-out",
        "not-counted",
    ),
}
"""Of routes that need the HSM."""
KEYED: Final[Problems] = {
    400: ("malformed-key",),
    422: ("key-reused",),
    503: ("too-many-keys",),
}
"""Of routes that take an idempotency key."""
RATED: Final[Problems] = {429: ("rate-limited",)}
"""Of routes that count against a client's rate."""
STORING: Final[Problems] = {503: ("not-recorded",), 507: ("storage-full",)}
"""Of routes that write to the ledger."""
ISSUING: Final[Problems] = merge(
    {403: ("not-a-member", "member-suspended", "key-not-in-roster", "kind-not-granted")},
    {429: ("queue-full",)},
    TOKEN,
    STORING,
    {503: ("confirming", "log-behind", "mark-refused", "clock-wrong")},
)
"""Of routes that add to our log."""
KIND: Final[Problems] = {
    422: (
        "kind-not-allowed",
        "kind-not-in-catalogue",
        "digest-missing",
        "validity-too-long",
        "already-expired",
    )
}
"""Of attestations that the catalogue of kinds forbids."""
PROOF: Final[Problems] = {
    400: ("malformed-proof", "malformed-note", "malformed-base64", "malformed-slip")
}
"""Of a proof or slip that cannot be read; there are more, one for each of its parts."""
LOOKUP: Final[Problems] = {503: ("index-rebuilding",)}
"""Of look-ups by digest."""
