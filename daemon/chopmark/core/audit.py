"""The audit log: what people and the box did, in salted records (docs/formats/audit.md).

Each record is a leaf, hidden by a salt of its own, and each is chained to the one before. The
leaves of a day are a tree; its root and the chain, hashed, are the day's entry of type 5 in the
gateway's ledger. So one record can be shown to a third party and none of the others guessed, and
once a day's entry is in the ledger nothing of the day can be changed, left out or put in.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from chopmark.core.cbor import decode_cbor, encode_cbor
from chopmark.core.entry import Commitment
from chopmark.core.errors import MalformedError
from chopmark.core.merkle import CompactRange, leaf_hash
from chopmark.core.text import MAX_INT
from chopmark.core.wording import format_time

AUDIT: Final = 5
"""The type of the entry that holds a day's value."""
MAX_RECORD: Final = 4096
MAX_ABOUT: Final = 16
MAX_TEXT: Final = 256
"""Bytes of a text in a record."""
SALT: Final = 32
START: Final = bytes(32)
"""What the first record is chained to."""
_RECORD: Final = b"chopmark/audit/v1\n"
_CHAIN: Final = b"chopmark/audit-chain/v1\n"
_DAY: Final = b"chopmark/audit-day/v1\n"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)

Value = str | int


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that was done, or that happened.

    Attributes:
        time: by the gateway's clock as it was, ms since the Unix epoch.
        actor: who: `gateway`, or a caller, such as `uid 1000`.
        action: what, a stable code such as `hsm.away`.
        outcome: how it ended, `done` or the code of an error.
        about: what it was about: at most 16 texts and natural numbers, by name.
    """

    time: int
    actor: str
    action: str
    outcome: str = "done"
    about: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the audit log that is over.

    Attributes:
        number: of the day, from 0, without gaps; days without records have none.
        date: of the gateway's clock, UTC. One that went back may give a date twice.
        first: number of its first record, counted from the first record of all.
        count: its records, at least one.
        root: of the tree over its leaves.
        chain: of its last record.
    """

    number: int
    date: str
    first: int
    count: int
    root: bytes
    chain: bytes

    def value(self) -> bytes:
        """What the day's entry in the ledger holds: 32 bytes that cover all of the day."""
        parts = [self.number, self.date, self.first, self.count, self.root, self.chain]
        return sha256(_DAY + encode_cbor(parts)).digest()


def encode_record(record: Record) -> bytes:
    """The bytes of a record.

    Raises:
        MalformedError: `malformed-record`, or `malformed-cbor`.
    """
    fields = (1, record.time, record.actor, record.action, record.outcome, dict(record.about))
    data = encode_cbor(dict(enumerate(fields)))
    parse_record(data)
    return data


def parse_record(data: bytes) -> Record:
    """Read a record.

    Raises:
        MalformedError: `malformed-record`, or `malformed-cbor`.
    """
    if len(data) > MAX_RECORD:
        raise _bad(f"of {len(data)} bytes is too large")
    value = decode_cbor(data)
    if not isinstance(value, dict) or value.get(0) != 1 or value[0] is True:
        message = "this is no audit record of version 1"
        raise MalformedError("malformed-record", message, hint="update the software")
    if value.keys() != set(range(6)):
        raise _bad("does not have the fields 0 to 5")
    time, actor, action, outcome, about = (value[key] for key in range(1, 6))
    if not _is_natural(time) or not _is_text(actor) or not actor:
        raise _bad("has no time or no actor")
    if not _is_name(action) or not _is_name(outcome):
        raise _bad("has an action or an outcome that is no code")
    if not isinstance(about, dict) or len(about) > MAX_ABOUT:
        raise _bad(f"is about no map, or about more than {MAX_ABOUT} things")
    if not all(_is_name(key) and (_is_text(it) or _is_natural(it)) for key, it in about.items()):
        raise _bad("is about something that is no short text or natural number")
    return Record(time, actor, action, outcome, about)


def shorten(text: str) -> str:
    """A text as a record may hold it."""
    return text.encode("utf-8", "replace")[:MAX_TEXT].decode("utf-8", "ignore")


def salted_leaf(salt: bytes, record: bytes) -> bytes:
    """The leaf of a record: says nothing to who does not have its salt.

    Raises:
        MalformedError: `malformed-salt`.
    """
    if len(salt) != SALT:
        raise MalformedError("malformed-salt", f"a salt has {len(salt)} bytes, not {SALT}")
    return leaf_hash(_RECORD + salt + record)


def link(before: bytes, leaf: bytes) -> bytes:
    """The chain's value after one more leaf."""
    return sha256(_CHAIN + before + leaf).digest()


def make_day(number: int, date: str, first: int, before: bytes, leaves: Sequence[bytes]) -> Day:
    """The day that these leaves make, after a chain that has come to `before`."""
    tree = CompactRange()
    tree.append(leaves)
    return Day(number, date, first, len(leaves), tree.root(), follow(before, leaves))


def follow(chain: bytes, leaves: Iterable[bytes]) -> bytes:
    """The chain's value after some leaves more."""
    for leaf in leaves:
        chain = link(chain, leaf)
    return chain


def date_of(time: int) -> str:
    """The date of a time in ms since the Unix epoch, UTC."""
    return format_time(time)[:10]


def is_date(text: str) -> bool:
    """Whether a text has the form of a date."""
    return _DATE.fullmatch(text) is not None


def make_entry(day: Day, made_at: int) -> Commitment:
    """The day's entry in the ledger."""
    return Commitment(made_at, AUDIT, day.value())


def _is_natural(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_INT


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value.encode()) <= MAX_TEXT


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _bad(what: str) -> MalformedError:
    return MalformedError("malformed-record", f"an audit record {what}")
