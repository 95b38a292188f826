"""The vectors of docs/formats/ceremony.md."""

from dataclasses import replace
from typing import Any

from ceremonies import COSIGNER, LOG, ORIGIN, PEOPLE, TIME, begun, ended, held, signed
from chopmark.core.ceremony import End, Step
from officers import CHAN, LEE


def ceremony() -> dict[str, Any]:
    made = ended()
    good = signed(made)
    text = good.decode()
    aborted = replace(held("keys"), end=End("aborted", TIME + 400, "a key was misread"))
    later = Step("keys", TIME, TIME, held().steps[4].facts)
    bad: dict[str, tuple[bytes, str]] = {
        "a step altered": (text.replace("serial 0123", "serial 9123").encode(), "broken-chain"),
        "a step left out": (
            signed(replace(made, steps=(*made.steps[:6], *made.steps[7:]))),
            "ceremony-order",
        ),
        "a step altered, and its hashes": (
            signed(ended(replace(made, steps=_altered(made.steps)))),
            "bad-signature",
        ),
        "one approval only": (signed(ended(held(by=[1]))), "officers-missing"),
        "approved by one who was absent": (signed(ended(held(by=[1, 3]))), "officer-absent"),
        "a step before the one above it": (
            signed(ended(held(changes={"keys": later}))),
            "ceremony-order",
        ),
        "one officer twice": (
            begun((CHAN, replace(CHAN, name=LEE.name))).encode().encode(),
            "officers-missing",
        ),
        "not signed": (made.encode().encode(), "no-known-signature"),
        "not ended": (held("keys").encode().encode(), "ceremony-unfinished"),
        "another version": (text.replace("/v1", "/v2", 1).encode(), "malformed-ceremony"),
        "more needed than there are": (
            text.replace("need 2", "need 4", 1).encode(),
            "malformed-ceremony",
        ),
        "leading zero": (text.replace("need 2", "need 02", 1).encode(), "malformed-number"),
        "carriage returns": (text.replace("\n", "\r\n").encode(), "malformed-ceremony"),
    }
    return {
        "officers": [{"name": one.name, "fingerprint": one.listed.certificate} for one in PEOPLE],
        "good": [
            {
                "name": "completed",
                "protocol": text,
                "origin": ORIGIN,
                "keys": [LOG.vkey.encode(), COSIGNER.vkey.encode()],
                "approval_of_step_4": made.approval_text(4),
                "hashes": [made.hash_of(number + 1).hex() for number in range(len(made.steps))],
            },
            {
                "name": "aborted",
                "protocol": aborted.encode(),
                "origin": ORIGIN,
                "keys": [LOG.vkey.encode(), COSIGNER.vkey.encode()],
                "approval_of_step_4": aborted.approval_text(4),
                "hashes": [aborted.hash_of(number + 1).hex() for number in range(5)],
            },
        ],
        "bad": [
            {"name": name, "protocol": data.decode(), "code": code}
            for name, (data, code) in bad.items()
        ],
    }


def _altered(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    token = steps[1]
    facts = tuple((w, "f" * 16 if w == "serial" else v) for w, v in token.facts)
    return (steps[0], replace(token, facts=facts), *steps[2:])
