"""The report of a recovery: what a roster needs to retire an origin, and what people ask."""

import json
from pathlib import Path
from typing import Any

from chopmark.client.files import write_new
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.note import parse_note
from chopmark.core.text import encode_base64
from chopmark.service.recovery import Recovered
from chopmark.service.recovery_rule import Fate


def describe(made: Recovered) -> dict[str, Any]:
    """A recovery as JSON."""
    judgement = made.judgement
    return {
        "origin": made.origin,
        "result": judgement.fate.value,
        "reasons": list(judgement.reasons),
        "head": _head(made.head) | {"note": made.note.decode() if made.note else None},
        "mark": _mark(made),
        "answered": list(made.answered),
        "silent": list(judgement.silent),
        "lost": _lost(made) if judgement.fate is Fate.RETIRED else None,
        "kept": str(made.kept) if made.kept else None,
        "floors_lost": made.floors_lost,
    }


def write_report(made: Recovered, state: Path) -> Path:
    """Write it beside the ledger, under a name that was free."""
    number = 1
    while (path := state / f"recovery-{number}.json").exists():
        number += 1
    text = json.dumps(describe(made), indent=2, ensure_ascii=False) + "\n"
    write_new(path, text.encode(), 0o600)
    return path


def _head(head: Checkpoint) -> dict[str, Any]:
    return {"size": head.size, "root": encode_base64(head.root)}


def _mark(made: Recovered) -> dict[str, Any] | None:
    mark = made.mark
    return None if mark is None else _head(mark.head) | {"clean": mark.clean}


def _lost(made: Recovered) -> dict[str, Any]:
    """What our key has signed beyond the recovered head, as far as anybody has seen it."""
    sizes = [int(parse_note(note).text.split("\n")[1]) for note in made.beyond]
    sizes += [made.mark.head.size] if made.mark else []
    known = max([*sizes, made.head.size])
    certain = made.mark is not None and made.mark.clean
    return {
        "from": made.head.size,
        "to": known,
        "complete": certain,
        "notes": [note.decode() for note in made.beyond],
    }
