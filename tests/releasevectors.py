"""The vectors of docs/formats/release.md."""

from dataclasses import replace
from typing import Any

import msgspec

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.release import Release, SignedRelease
from officers import CHAN, HO, LEE, OFFICERS, signed_by

ORIGIN = "bank-sz.example/sz-1"
TIME = 1795305602


def release() -> dict[str, Any]:
    kept = Checkpoint(ORIGIN, 7, bytes(range(32)))
    made = Release(bytes(range(32, 64)), kept, TIME, "an old disk was put back on Tuesday")
    good = signed_by(made, CHAN, LEE)
    text = good.encode().decode()
    bad: dict[str, tuple[SignedRelease | str, str]] = {
        "one officer": (signed_by(made, CHAN), "officers-missing"),
        "one officer twice": (signed_by(made, CHAN, CHAN), "officers-missing"),
        "an officer whom the roster does not name": (signed_by(made, CHAN, HO), "unknown-officer"),
        "text altered": (
            replace(good, release=replace(made, reason="another reason")),
            "bad-signature",
        ),
        "branch altered": (
            replace(good, release=replace(made, kept=replace(kept, size=8))),
            "bad-signature",
        ),
        "another version": (text.replace("/v1", "/v2", 1), "malformed-release"),
        "a line too many": (text.replace("reason", "x y\nreason"), "malformed-release"),
        "leading zero": (text.replace("keep 7", "keep 07"), "malformed-number"),
        "carriage returns": (text.replace("\n", "\r\n"), "malformed-release"),
    }
    return {
        "officers": [msgspec.to_builtins(one) for one in OFFICERS],
        "good": [
            {
                "name": "two officers",
                "release": text,
                "signed": made.encode(),
                "origin": ORIGIN,
                "evidence": made.evidence.hex(),
                "size": kept.size,
                "root": kept.root.hex(),
                "time": TIME,
                "reason": made.reason,
            }
        ],
        "bad": [
            {"name": n, "release": _write(one), "code": code} for n, (one, code) in bad.items()
        ],
    }


def _write(made: SignedRelease | str) -> str:
    return made if isinstance(made, str) else made.encode().decode()
