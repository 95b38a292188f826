"""`GET /v1/hsm` in words."""

from collections.abc import Mapping
from typing import Any, Final

_STARTS: Final = {
    "auto": "signs by itself, also where the box was carried to (unlock = auto)",
    "attended": "waits for the PIN (unlock = attended)",
}


def hsm_fields(state: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Names and values; what is not told is left out."""
    fields = {
        "reason": state.get("reason"),
        "what to do": state.get("hint"),
        "after a start": _STARTS.get(str(state.get("unlock"))),
        "token": state.get("token"),
        "module": state.get("module"),
        "last good": _ago(state.get("last_good_seconds")),
        "signatures": _signatures(state),
        "sessions": state.get("sessions"),
        "healed": _counts(state.get("healed")),
        "errors": _counts(state.get("errors")),
        "keys used": _counts(state.get("used")),
        "limit": state.get("usage_limit"),
        "warning": state.get("warning"),
    }
    return [(name, value) for name, value in fields.items() if value not in (None, "")]


def _ago(seconds: object) -> str:
    return "never" if seconds is None else f"{seconds} s ago"


def _signatures(state: Mapping[str, Any]) -> str:
    mean = state.get("mean_ms")
    return f"{state.get('signatures')}" + (f", {mean} ms each" if mean is not None else "")


def _counts(counts: object) -> str:
    if not isinstance(counts, dict):
        return ""
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
