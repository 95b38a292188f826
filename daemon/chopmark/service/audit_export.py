"""Days of the audit log in a file: made before their records go, and checked by anybody.

Lines of JSON, bytes in base64: what it is and of which log; then each day, with the proof of its
entry in the ledger, followed by its records. The chain leads from day to day.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from chopmark.core.audit import AUDIT, Day, make_day, parse_record, salted_leaf
from chopmark.core.entry import Commitment, parse_entry
from chopmark.core.errors import ChopmarkError, MalformedError
from chopmark.core.policy import Policy
from chopmark.core.proof import parse_proof, verify_proof
from chopmark.core.text import encode_base64, parse_base64
from chopmark.ledger.audit import Logged, read_day, read_days
from chopmark.ledger.fsck import Finding
from chopmark.ledger.reader import Reader
from chopmark.ledger.store import LogState

FORMAT: Final = "chopmark/audit-export/v1"


@dataclass(slots=True)
class Exported:
    """What a file was found to hold."""

    origin: str
    days: int = 0
    records: int = 0
    first: str = ""
    last: str = ""


def export_days(reader: Reader, state: LogState, days: Sequence[Logged]) -> bytes:
    """The file of some days whose entries are signed.

    Raises:
        MissingError: `not-signed`.
    """
    origin = state.head.origin
    return b"".join(map(_encode, _make_lines(reader, state, days, origin)))


def is_export(data: bytes) -> bool:
    """Whether a file looks like one."""
    return data.startswith(_encode({"format": FORMAT})[:-2])


def check_export(data: bytes, policy: Policy, find: Callable[[Finding], None]) -> Exported:
    """Check a file, offline.

    Args:
        data: the file.
        policy: names the log key of the gateway that it is from.
        find: told what is wrong.

    Raises:
        MalformedError: `malformed-export`: it cannot be read at all.
    """
    try:
        head, *lines = [json.loads(line) for line in data.splitlines()]
        made = Exported(str(head["origin"]))
        chain: str | None = None
        at = 0
        while at < len(lines):
            day, count = lines[at], int(lines[at]["count"])
            rows = lines[at + 1 : at + 1 + count]
            if chain is not None and day["before"] != chain:
                find(Finding("audit-chain", f"{day['date']} does not follow the day before it"))
            _check_day(made.origin, day, rows, policy, find)
            made.days, made.records = made.days + 1, made.records + len(rows)
            made.first, made.last = made.first or str(day["date"]), str(day["date"])
            chain, at = day["chain"], at + 1 + count
    except (ValueError, KeyError, TypeError, MalformedError) as error:
        message = f"this file of days cannot be read: {error}"
        raise MalformedError("malformed-export", message) from error
    return made


def _make_lines(
    reader: Reader, state: LogState, days: Sequence[Logged], origin: str
) -> Iterator[dict[str, Any]]:
    yield {"format": FORMAT, "origin": origin}
    before = {one.day.number + 1: one.day.chain for one in reader.look(read_days)}
    for one in days:
        day = one.day
        proof = reader.proof(-1 if one.entry is None else one.entry, state).encode()
        yield {
            "day": day.number,
            "date": day.date,
            "first": day.first,
            "count": day.count,
            "root": encode_base64(day.root),
            "chain": encode_base64(day.chain),
            "before": encode_base64(before.get(day.number, bytes(32))),
            "proof": proof.decode(),
        }
        for row in reader.look(read_day, day):
            salt, record = encode_base64(row.salt), encode_base64(row.record)
            yield {"number": row.number, "salt": salt, "record": record}


def _check_day(
    origin: str,
    line: dict[str, Any],
    rows: Sequence[dict[str, Any]],
    policy: Policy,
    find: Callable[[Finding], None],
) -> None:
    date, before = str(line["date"]), _bytes(line["before"])
    places = (int(line["day"]), date, int(line["first"]))
    day = Day(*places, int(line["count"]), _bytes(line["root"]), _bytes(line["chain"]))
    leaves = [salted_leaf(_bytes(row["salt"]), _bytes(row["record"])) for row in rows]
    for row in rows:
        parse_record(_bytes(row["record"]))
    if not leaves or make_day(*places, before, leaves) != day:
        find(Finding("audit-day", f"the records of {date} are not those of its root"))
    try:
        proven = verify_proof(parse_proof(str(line["proof"]).encode()), policy)
        entry = parse_entry(proven.extra.entry)
    except ChopmarkError as error:
        find(Finding("audit-root", f"the entry of {date} is not proven: {error.message}"))
        return
    held = isinstance(entry, Commitment) and (entry.type, entry.value) == (AUDIT, day.value())
    if not held or proven.head.checkpoint.origin != origin:
        find(Finding("audit-root", f"the entry in the ledger is not that of {date}"))


def _bytes(text: object) -> bytes:
    return parse_base64(str(text), "a value")


def _encode(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
