"""What our ledger says about a request in compact form; on the readers' thread."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from chopmark.core.columns import make_columns
from chopmark.core.compact import End, Header, Run, beside, of_run, run_drafts
from chopmark.core.entry import Attestation, parse_entry, template
from chopmark.core.errors import RefusedError
from chopmark.core.merkle import HASH, read_range
from chopmark.ledger.reader import Reader
from chopmark.ledger.store import LogState

_HINT: Final = "a request id stands for one list of digests, and one kind, validity and algorithms"


def read_runs(reader: Reader, header: Header) -> list[Run]:
    """What is recorded of a request from the header's offset on.

    Raises:
        RefusedError: `compact-gap` if less than up to there is; `compact-mismatch` if it was of
            another kind, validity or algorithms.
        MissingError: `salt-gone`: they are blinded, and their salts were kept for a day.
    """
    # From one before the offset: so that what ends there is found as well.
    parts = reader.request_parts(header.request, max(0, header.offset - 1))
    end = parts[-1].first + parts[-1].size if parts else 0
    if header.offset > end:
        message = f"less of this request is recorded than the {header.offset} that were sent before"
        hint = "send it from offset 0; requests are forgotten after 30 days"
        raise RefusedError("compact-gap", message, hint=hint)
    runs = [_with_terms(reader, header, Run(*part)) for part in parts]
    if runs:
        _check_terms(reader, header, runs[0])
    cut = [cut_run(run, max(0, header.offset - run.first)) for run in runs]
    return [run for run in cut if run.count > 0]


def _with_terms(reader: Reader, header: Header, run: Run) -> Run:
    """A run with the end of validity that it has, where the header names none, and its seed.

    They are what the catalogue of kinds had set; by now the catalogue may be another.
    """
    entry = parse_entry(reader.entry(run.start))
    if not isinstance(entry, Attestation):
        return run
    end = entry.valid_until if header.valid_until is None else None
    seed = reader.seed(run.start)[1] if entry.blinded else None
    return replace(run, valid_until=end, seed=seed)


def cut_run(run: Run, count: int) -> Run:
    """A run without its first digests."""
    return replace(run, first=run.first + count, start=run.start + count, count=run.count - count)


def compare(reader: Reader, header: Header, run: Run, digests: bytes, origin: str) -> None:
    """See that the digests from a run's first one on are the ones recorded; there may be fewer.

    Raises:
        RefusedError: `compact-mismatch`.
    """
    count = len(digests) // header.width
    drafts = run_drafts(header, run, digests, run.first, origin)
    wanted = list(make_columns(drafts, run.made_at))
    held = reader.entries(run.start, run.start + count)
    if held != wanted:
        at = next(at for at in range(count) if held[at] != wanted[at])
        message = f"digest {run.first + at} of this request was another one before"
        raise RefusedError("compact-mismatch", message, hint=_HINT)


def make_end(reader: Reader, state: LogState, runs: Sequence[Run]) -> End | None:
    """The end of an answer with these runs, all signed; None as long as there is no head at all.

    It is under the newest head that a quorum has cosigned if that covers them, as for a proof.
    """
    last = max((run.start + run.count for run in runs), default=0)
    kind = reader.kind(runs[0].start) if runs and state.notarised else ""
    size, note = state.covering(last - 1, kind)
    if note is None:
        return None
    places = beside(runs, size)
    joined = (b"".join(read_range(start, end, reader.node)) for start, end in places)
    return End(note, tuple(joined))


def _check_terms(reader: Reader, header: Header, run: Run) -> None:
    """The run's first entry must be what the header asks for, whatever its digests are."""
    entry = reader.entry(run.start)
    header = of_run(header, run)
    before, between, after = template(
        *(run.made_at, header.kind, header.valid_until, None),
        with_sm3=header.with_sm3,
        blinded=header.blinded,
    )
    first = len(before)
    second = first + HASH + len(between)
    form = before + entry[first : first + HASH] + between
    if header.with_sm3:
        form += entry[second : second + HASH] + after
    if entry != form:
        message = "this request was of another kind, validity or algorithms before"
        raise RefusedError("compact-mismatch", message, hint=_HINT)
