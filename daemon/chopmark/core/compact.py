"""The compact bulk form: digests in, runs and one signed head out (docs/formats/compact.md).

A body is a header record and then nothing but digests. The answer is records: runs, each durable
when it is told, and one that ends the answer. A record is a four-byte big-endian length and so
many bytes of deterministic CBOR.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from chopmark.core.blinding import SEED, blind_drafts
from chopmark.core.cbor import decode_cbor, encode_cbor
from chopmark.core.draft import Drafts
from chopmark.core.entry import KIND, SHA256, SM3
from chopmark.core.errors import MalformedError
from chopmark.core.merkle import HASH
from chopmark.core.text import MAX_INT

MEDIA_TYPE: Final = "application/vnd.chopmark.compact"
REQUEST_ID: Final = 16
"""Bytes of a request id."""
MAX_HEADER: Final = 512
"""Bytes of a header, without its length; the largest that says anything has 99."""
MAX_RECORD: Final = 4 * 1024 * 1024
"""Bytes of an answer's record: hashes beside a thousand runs of one request fit ten times."""
MAX_TEXT: Final = 1024
"""Characters of a message or hint that are sent; the rest is left out."""
CODE: Final = "malformed-compact"
_LENGTH: Final = 4


@dataclass(frozen=True, slots=True)
class Header:
    """What all digests of a request have in common.

    Attributes:
        request: id of the request, 16 random bytes, the same in each of its bodies.
        kind: kind of the documents.
        valid_until: ms since the Unix epoch, if they end.
        with_sm3: whether each SHA-256 is followed by the SM3 of the same document.
        offset: number, within the request, of this body's first digest.
        total: number of digests of the request, if it is known; nothing rests on it.
        blinded: whether the attestations are to be blinded; the digests of a request never are.
    """

    request: bytes
    kind: str = "document"
    valid_until: int | None = None
    with_sm3: bool = False
    offset: int = 0
    total: int | None = None
    blinded: bool = False

    @property
    def width(self) -> int:
        """Bytes of one document's digests."""
        return 2 * HASH if self.with_sm3 else HASH

    def encode(self) -> bytes:
        """The header as a record."""
        algorithms = [SHA256, SM3] if self.with_sm3 else [SHA256]
        values = (
            *(1, self.request, self.kind, self.valid_until, algorithms, self.offset, self.total),
            self.blinded or None,
        )
        return _frame({key: value for key, value in enumerate(values) if value is not None})


@dataclass(frozen=True, slots=True)
class Run:
    """Digests that are durable in the log: [first, first + count) of the request.

    Attributes:
        first: number of the run's first digest within the request.
        start: index in the log of that one.
        count: how many.
        made_at: their common time, ms since the Unix epoch.
        valid_until: the end of their validity (ms), where the request named none and the gateway
            has set one by the catalogue of kinds.
        seed: where they are blinded, what their salts follow from: that of a digest has the
            digest's number within the request.
    """

    first: int
    start: int
    count: int
    made_at: int
    valid_until: int | None = None
    seed: bytes | None = None

    def encode(self) -> bytes:
        """The run as a record."""
        values = (
            *(1, self.first, self.start, self.count, self.made_at, self.valid_until),
            self.seed,
        )
        return _frame({key: value for key, value in enumerate(values) if value is not None})


@dataclass(frozen=True, slots=True)
class End:
    """All runs of this answer lie under a signed head.

    Attributes:
        note: its checkpoint note.
        beside: hashes, joined, of the compact range of each stretch of `beside(runs, size)`.
    """

    note: bytes
    beside: tuple[bytes, ...]

    def encode(self) -> bytes:
        """The end as a record."""
        return _frame({0: 2, 1: self.note, 2: list(self.beside)})


@dataclass(frozen=True, slots=True)
class Unsigned:
    """All runs of this answer are durable, but no signed head covers them yet: one will."""

    def encode(self) -> bytes:
        """As a record."""
        return _frame({0: 3})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the answer ends here; the runs before it stand.

    Attributes:
        retry_after: seconds after which going on makes sense, or None if it makes none.
    """

    code: str
    message: str
    hint: str = ""
    retry_after: int | None = None

    def encode(self) -> bytes:
        """The failure as a record."""
        texts = {1: self.code, 2: self.message[:MAX_TEXT], 3: self.hint[:MAX_TEXT] or None}
        values: dict[int, object] = {0: 4, **texts, 4: self.retry_after}
        return _frame({key: value for key, value in values.items() if value is not None})


Record = Run | End | Unsigned | Failure


def split_record(data: bytes, limit: int) -> tuple[bytes, bytes] | None:
    """The first record's CBOR and what follows it; None if more bytes are needed for that.

    Raises:
        MalformedError: `malformed-compact` if the record is longer than the limit.
    """
    size = int.from_bytes(data[:_LENGTH], "big")
    if len(data) >= _LENGTH and size > limit:
        raise MalformedError(CODE, f"a record of {size} bytes is too large")
    end = _LENGTH + size
    if len(data) < max(end, _LENGTH):
        return None
    return data[_LENGTH:end], data[end:]


def parse_header(data: bytes) -> Header:
    """Read a header, without its length.

    Raises:
        MalformedError: `malformed-compact`, `malformed-cbor`.
    """
    if len(data) > MAX_HEADER:
        raise MalformedError(CODE, f"a header of {len(data)} bytes is too large")
    value = decode_cbor(data)
    if not isinstance(value, dict):
        raise MalformedError(CODE, "a header is a map")
    _check_keys(value, {0, 1, 2, 4, 5}, {3, 6, 7})
    if value[0] != 1 or value[0] is True:
        raise MalformedError(CODE, "a header of another version", hint="update the software")
    request, kind, algorithms = value[1], value[2], value[4]
    if not isinstance(request, bytes) or len(request) != REQUEST_ID:
        raise MalformedError(CODE, f"a request id has {REQUEST_ID} bytes")
    if not isinstance(kind, str) or not KIND.fullmatch(kind):
        raise MalformedError(CODE, f"not a kind of document: {str(kind)[:40]!r}")
    if algorithms not in ([SHA256], [SHA256, SM3]):
        raise MalformedError(CODE, "the digests are SHA-256, or SHA-256 and SM3")
    valid_until = _uint(value[3], "valid until") if 3 in value else None
    offset = _uint(value[5], "offset")
    total = _uint(value[6], "total") if 6 in value else None
    if total is not None and total < offset:
        raise MalformedError(CODE, f"the offset {offset} lies beyond the {total} of the request")
    if value.get(7, True) is not True:
        raise MalformedError(CODE, "key 7 of a header is true or absent")
    return Header(request, kind, valid_until, len(algorithms) == 2, offset, total, 7 in value)


def parse_record(data: bytes) -> Record:
    """Read a record of an answer, without its length.

    Raises:
        MalformedError: `malformed-compact`, `malformed-cbor`.
    """
    value = decode_cbor(data)
    if not isinstance(value, dict):
        raise MalformedError(CODE, "a record is a map")
    parse = _PARSERS.get(_uint(value.get(0), "type"))
    if parse is None:
        raise MalformedError(CODE, "a record of an unknown type", hint="update the software")
    return parse(value)


class AnswerReader:
    """Reads an answer as it comes, and keeps it to its rules.

    1. Runs come first: each begins in the request where the one before ends, the first one at the
       offset asked for; and in the log not before the end of the one before.
    2. One record ends the answer, and nothing follows.
    """

    def __init__(self, offset: int) -> None:
        """Begin.

        Args:
            offset: that of the header sent.
        """
        self.next = offset
        self.runs: list[Run] = []
        self.last: End | Unsigned | Failure | None = None
        self._free = 0
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Run]:
        """The runs that these bytes complete; `runs` has all, `next` what follows them.

        Raises:
            MalformedError: `malformed-compact`, `malformed-cbor`.
        """
        self._rest += data
        while (found := split_record(self._rest, MAX_RECORD)) is not None:
            content, self._rest = found
            record = parse_record(content)
            if self.last is not None:
                raise MalformedError(CODE, "an answer goes on after its end")
            if isinstance(record, Run):
                self._take(record)
                yield record
            else:
                self.last = record

    def finish(self) -> End | Unsigned | Failure:
        """The record that ended the answer.

        Raises:
            MalformedError: `malformed-compact` if there is none: the answer was cut short.
        """
        if self.last is None or self._rest:
            raise MalformedError(CODE, "an answer is cut short")
        return self.last

    def _take(self, run: Run) -> None:
        if run.first != self.next or run.start < self._free:
            raise MalformedError(CODE, "the runs of an answer are out of order")
        self.runs.append(run)
        self.next = run.first + run.count
        self._free = run.start + run.count


def of_run(header: Header, run: Run) -> Header:
    """The header of a run, with what the gateway has set by the catalogue of kinds."""
    if run.valid_until is not None:
        header = replace(header, valid_until=run.valid_until)
    return header if run.seed is None else replace(header, blinded=True)


def make_drafts(header: Header, digests: bytes) -> Drafts:
    """What a request asks for, from its header and some of its digests, whole ones."""
    sha256, sm3 = digests, None
    if header.with_sm3:
        places = range(0, len(digests), header.width)
        sha256 = b"".join([digests[at : at + HASH] for at in places])
        sm3 = b"".join([digests[at + HASH : at + 2 * HASH] for at in places])
    return Drafts(sha256, header.kind, sm3, header.valid_until, blinded=header.blinded)


def run_drafts(header: Header, run: Run, digests: bytes, first: int, origin: str) -> Drafts:
    """What stands in the entries of a run, from its digest number `first` on.

    Args:
        header: of the request.
        run: of the answer.
        digests: some of the run's, as they were sent.
        first: number of the first of these within the request.
        origin: of the log.
    """
    drafts = make_drafts(of_run(header, run), digests)
    return drafts if run.seed is None else blind_drafts(drafts, origin, run.seed, first)


def stretches(runs: Sequence[Run]) -> list[tuple[int, int]]:
    """The runs' places in the log as [start, end), those that touch each other as one."""
    found: list[tuple[int, int]] = []
    for run in runs:
        start, end = run.start, run.start + run.count
        if found and found[-1][1] == start:
            start = found.pop()[0]
        found.append((start, end))
    return found


def beside(runs: Sequence[Run], size: int) -> list[tuple[int, int]]:
    """The stretches [start, end) of a log that are not the runs': before, between and after."""
    edges = [0, *(edge for stretch in stretches(runs) for edge in stretch), size]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _frame(value: object) -> bytes:
    data = encode_cbor(value)
    return len(data).to_bytes(_LENGTH, "big") + data


def _parse_run(value: dict[object, object]) -> Run:
    _check_keys(value, {0, 1, 2, 3, 4}, {5, 6})
    first, start, count, made_at = (_uint(value[key], "part of a run") for key in range(1, 5))
    if count == 0 or max(first, start) > MAX_INT - count:
        raise MalformedError(CODE, "a run is empty, or beyond what a log can hold")
    until = _uint(value[5], "valid until") if 5 in value else None
    return Run(first, start, count, made_at, until, _seed(value[6]) if 6 in value else None)


def _seed(value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) != SEED:
        raise MalformedError(CODE, f"the seed of a run has {SEED} bytes")
    return value


def _parse_end(value: dict[object, object]) -> End:
    _check_keys(value, {0, 1, 2})
    note, hashes = value[1], value[2]
    if not isinstance(note, bytes) or not isinstance(hashes, list) or not hashes:
        raise MalformedError(CODE, "an end has a note and hashes")
    ranges = tuple(part for part in hashes if isinstance(part, bytes) and len(part) % HASH == 0)
    if len(ranges) != len(hashes):
        raise MalformedError(CODE, "the hashes of an end are cut short, or no bytes")
    return End(note, ranges)


def _parse_unsigned(value: dict[object, object]) -> Unsigned:
    _check_keys(value, {0})
    return Unsigned()


def _parse_failure(value: dict[object, object]) -> Failure:
    _check_keys(value, {0, 1, 2}, {3, 4})
    code, message, hint = value[1], value[2], value.get(3, "")
    if not isinstance(code, str) or not isinstance(message, str) or not isinstance(hint, str):
        raise MalformedError(CODE, "code, message and hint of a failure are texts")
    return Failure(code, message, hint, _uint(value[4], "seconds") if 4 in value else None)


_PARSERS: Final[dict[int, Callable[[dict[object, object]], Record]]] = {
    1: _parse_run,
    2: _parse_end,
    3: _parse_unsigned,
    4: _parse_failure,
}


def _check_keys(value: dict[object, object], must: set[int], may: set[int] | None = None) -> None:
    keys = value.keys()
    if must - keys or keys - must - (may or set()):
        raise MalformedError(CODE, "a record has not the keys that it should have")


def _uint(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_INT:
        raise MalformedError(CODE, f"{what} of the compact form is not a natural number")
    return value
