"""Vectors of the compact form."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

import compactlog
from chopmark.core.cbor import encode_cbor
from chopmark.core.compact import End, Failure, Header, Record, Run, Unsigned
from chopmark.core.entry import SHA256, SM3
from chopmark.core.prover import RunProver
from mutations import flipped
from vectorparts import MADE_AT, SALT, Vectors


def compact() -> Vectors:
    log = compactlog.made(-3, 5, -2, 4, 6, -1)
    end, (first, *_, last) = log.end(), log.runs
    ranges = end.beside
    answers: dict[str, tuple[list[Run | End], str]] = {
        "hash before changed": ([*log.runs, with_range(end, 0, flipped(ranges[0]))], "bad-compact"),
        "hash between changed": (
            [*log.runs, with_range(end, 1, flipped(ranges[1]))],
            "bad-compact",
        ),
        "hash after missing": ([*log.runs, with_range(end, 2, b"")], "bad-compact"),
        "a range too few": ([*log.runs, replace(end, beside=ranges[:-1])], "bad-compact"),
        "another time": ([*log.runs[:-1], replace(last, made_at=1), end], "bad-compact"),
        "another index": ([*log.runs[:-1], replace(last, start=15), end], "bad-compact"),
        "a run missing": ([*log.runs[:-1], end], "bad-compact"),
        "runs in another order": ([*log.runs[1:], first, end], "malformed-compact"),
        "beyond the checkpoint": (
            [*log.runs, replace(end, note=compactlog.made(-3, 5).note())],
            "bad-compact",
        ),
        "note not signed by the log": (
            [*log.runs, replace(end, note=end.note.replace(b"\n21\n", b"\n22\n"))],
            "bad-signature",
        ),
        "cut short": ([*log.runs], "malformed-compact"),
        "two ends": ([*log.runs, end, end], "malformed-compact"),
    }
    limited = compactlog.made(-3, 5)
    unlimited = replace(limited.add_run(2, MADE_AT + 1000), valid_until=None)
    whole = Header(compactlog.REQUEST, "k", MADE_AT, with_sm3=True, offset=2, total=9)
    hidden = Header(compactlog.REQUEST, "k", with_sm3=True, blinded=True)
    secret = compactlog.CompactLog(hidden)
    secret.add_others(3)
    for count, seed in ((5, SALT), (70, SALT[::-1])):
        secret.add_run(count, seed=seed)
    open_run, other = replace(secret.runs[0], seed=None), replace(secret.runs[0], seed=SALT[::-1])
    return {
        "log": compactlog.LOG.vkey.encode(),
        "headers": [
            {
                "hex": made.encode().hex(),
                "fields": json.loads(json.dumps(asdict(made), default=bytes.hex)),
            }
            for made in (log.header, whole, hidden)
        ],
        "bad_headers": [
            {"name": name, "hex": encode_cbor(value).hex(), "code": code}
            for name, (value, code) in bad_headers().items()
        ],
        "digests": log.digests.hex(),
        "answer": answered([*log.runs, end]),
        "proofs": [proven.encode().decode() for proven in prove(log).proofs()],
        "validity_set": {
            "digests": limited.digests.hex(),
            "answer": answered([*limited.runs, limited.end()]),
            "proofs": [proven.encode().decode() for proven in prove(limited).proofs()],
            "bad": answered([limited.runs[0], unlimited, limited.end()]),
        },
        "blinded": {
            "header": hidden.encode().hex(),
            "digests": secret.digests.hex(),
            "answer": answered([*secret.runs, secret.end()]),
            "proofs": {n: prove(secret).proof(n).encode().decode() for n in (0, 4, 5, 63, 64, 74)},
            "bad": {
                "seed missing": answered([open_run, secret.runs[1], secret.end()]),
                "another seed": answered([other, secret.runs[1], secret.end()]),
            },
        },
        "others": {
            "not signed in time": answered([first, Unsigned()]),
            "failed": answered([first, Failure("queue-full", "too many", "send less", 1)]),
        },
        "bad": [
            {"name": name, "answer": answered(records), "code": code}
            for name, (records, code) in answers.items()
        ],
    }


def prove(log: compactlog.CompactLog) -> RunProver:
    return RunProver(log.header, log.digests, log.runs, log.end(), compactlog.open_note)


def with_range(end: End, at: int, joined: bytes) -> End:
    return replace(end, beside=(*end.beside[:at], joined, *end.beside[at + 1 :]))


def answered(records: Sequence[Record]) -> str:
    return b"".join(record.encode() for record in records).hex()


def bad_headers() -> dict[str, tuple[object, str]]:
    good = {0: 1, 1: compactlog.REQUEST, 2: "k", 4: [SHA256], 5: 0}
    changes: dict[str, dict[int, object]] = {
        "another version": {0: 2},
        "request id of 15 bytes": {1: bytes(15)},
        "kind in capitals": {2: "K"},
        "validity before 1970": {3: -1},
        "SM3 alone": {4: [SM3]},
        "SM3 first": {4: [SM3, SHA256]},
        "offset beyond the total": {5: 3, 6: 2},
        "blinded is false": {7: False},
        "unknown key": {8: 1},
        "unknown negative key": {-1: True},
    }
    made = {name: (good | change, "malformed-compact") for name, change in changes.items()}
    lacking = {key: value for key, value in good.items() if key != 5}
    return {
        **made,
        "no offset": (lacking, "malformed-compact"),
    }
