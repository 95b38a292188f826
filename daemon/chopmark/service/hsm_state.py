"""How the HSM is, as JSON, and what an operator must look after there."""

from collections.abc import Iterator
from typing import Any, Final

from chopmark.hsm.meter import WORN
from chopmark.hsm.signer import HsmSigner
from chopmark.service.config_model import Hsm

PATIENCE: Final = 60.0
"""Seconds without a good signature after which an HSM that is away is an alarm."""


def describe_hsm(signer: HsmSigner, config: Hsm) -> dict[str, Any]:
    """The state as JSON (docs/api.md, `hsm` of `GET /v1/status`)."""
    meter, since = signer.meter, signer.since_good
    count = meter.count
    return {
        "state": signer.state,
        "module": signer.module,
        "token": signer.token_label,
        "reason": signer.reason,
        "hint": signer.hint,
        "warning": signer.warning,
        "unlock": "auto" if config.is_unattended else "attended",
        "sessions": signer.sessions,
        "last_good_seconds": None if since is None else round(since, 1),
        "signatures": count,
        "mean_ms": round(meter.seconds / count * 1000, 3) if count else None,
        "errors": dict(meter.errors),
        "healed": dict(meter.healed),
        "usage_limit": signer.usage_limit,
        "used": signer.used,
    }


def hsm_alarms(signer: HsmSigner) -> list[dict[str, str]]:
    """What an operator must know."""
    return [
        {"code": code, "message": message, "hint": hint} for code, message, hint in _alarms(signer)
    ]


def _alarms(signer: HsmSigner) -> Iterator[tuple[str, str, str]]:
    state, hint = signer.state, signer.hint or ""
    if state in ("latched", "locked", "maintenance"):
        yield f"hsm-{state}", f"nothing is signed: {signer.reason}", hint
    since = signer.since_good
    if state == "away" and (since is None or since > PATIENCE):
        yield "hsm-away", f"nothing is signed: the HSM is away: {signer.reason}", hint
    limit = signer.usage_limit
    for role, used in signer.used.items():
        if limit is not None and used > limit * WORN:
            message = f"the {role} key has made {used} of the {limit} signatures that it may make"
            yield "key-worn", message, "replace it: docs/operations/roster.md"
