"""The offline verifier: one file of HTML that checks documents by a gateway's roster and policies.

It opens from a disk and talks to nobody: its Content-Security-Policy lets nothing run but the one
script that is in it, and lets that reach nothing. `page/` builds script and style.
"""

import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.resources import files
from typing import Any, Final

import chopmark
from chopmark.client.gateway import GatewayClient
from chopmark.core.errors import MissingError, RefusedError, TryAgainError
from chopmark.core.note import parse_note
from chopmark.core.roster import Fingerprint, Roster
from chopmark.core.roster_text import parse_roster
from chopmark.core.wording import format_time

_WEB: Final = files("chopmark") / "api" / "web"
_POLICY: Final = (
    "default-src 'none'; script-src 'sha256-{script}' 'wasm-unsafe-eval'; "
    "style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a gateway vouches for in the file.

    Attributes:
        roster: the version in force there.
        fingerprint: of its text.
        values: what the file's script reads (`js/core/offline.js`, `openSeal`).
    """

    roster: Roster
    fingerprint: Fingerprint
    values: dict[str, Any]


def read_seal(gateway: GatewayClient, now: datetime) -> Sealed:
    """The roster in force at a gateway, and its policy for each member's log.

    Raises:
        MissingError: `no-roster` if none is pinned: then nothing says who the members are.
        RefusedError: `roster-expired`.
        TryAgainError: `roster-changed` meanwhile.
        ChopmarkError: what the gateway answers.
    """
    shown = gateway.roster()
    if not shown.get("pinned"):
        hint = "without a roster `chopmark verify --policy` checks proofs offline"
        raise MissingError("no-roster", "no roster is pinned at this gateway", hint=hint)
    text = parse_note(str(shown["note"]).encode()).text
    roster = parse_roster(text)
    if roster.expires <= now:
        hint = "propose the next version: `chopmark roster propose`"
        raise RefusedError("roster-expired", "the roster has expired", hint=hint)
    policies = {one.origin: gateway.policy(one.id).decode() for one in roster.member}
    forked = _read_forks(gateway)
    if not _is_same(gateway.roster(), shown):
        raise TryAgainError("roster-changed", "the roster has changed meanwhile", retry_after=1)
    values = {
        "version": chopmark.__version__,
        "made_at": format_time(int(now.timestamp() * 1000)),
        "gateway": _describe(gateway.export()),
        "roster": str(shown["note"]),
        "policies": policies,
        "suspended": list(shown["suspended"]),
        "forked": forked,
    }
    return Sealed(roster, Fingerprint(text), values)


def build_page(sealed: Sealed) -> bytes:
    """The file."""
    style, script = _read("offline/verifier.css"), _read("offline/verifier.js")
    parts = {
        "policy": escape(_POLICY.format(script=_hash(script), style=_hash(style))),
        "style": style,
        "licences": _read("vendor/LICENSES.txt").replace("<", "&lt;"),
        "seal": json.dumps(sealed.values, ensure_ascii=False).replace("<", "\\u003c"),
        "script": script,
    }
    page, rest = "", _read("offline/page.html")
    for name, part in parts.items():
        before, _, rest = rest.partition(f"{{{{{name}}}}}")
        page += before + part
    return (page + rest).encode()


def _read_forks(gateway: GatewayClient) -> dict[str, dict[str, Any]]:
    """By origin, of logs that are not followed any more: up to where, and since when."""
    frozen = {str(one["origin"]): one["frozen"] for one in gateway.replicas() if one.get("frozen")}
    status = gateway.status()
    if any(alarm["code"] == "own-fork" for alarm in status["alarms"]):
        # Of its own log it holds no replica, and nobody says from where on it is wrong.
        frozen[str(status["origin"])] = {"below": 0, "found_at": None}
    names = ("below", "found_at")
    return {origin: {name: stop[name] for name in names} for origin, stop in frozen.items()}


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    names = ("fingerprint", "suspended")
    return [one.get(name) for name in names] == [other.get(name) for name in names]


def _describe(identity: dict[str, Any]) -> dict[str, str]:
    return {name: str(identity[name]) for name in ("id", "origin", "institution", "jurisdiction")}


def _read(name: str) -> str:
    return _WEB.joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return b64encode(hashlib.sha256(text.encode()).digest()).decode()
