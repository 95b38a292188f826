"""What must be true of a gateway's disk, whatever happened to it: one check for all faults.

1. Every answer that a client got is in the ledger, at its index, saying what was answered; no
   index was given to two different ones.
2. What was answered as signed lies under a signed head at once; all else once the gateway was
   started again and is ready.
3. No two signed heads of one size differ, whoever showed them; none is larger than the ledger's
   own, and each has the root that the ledger has at its size.
4. `fsck` finds nothing, in the own log, the replicas and the indices.
5. A peer's replica is a prefix of the log.

Answers and heads are kept outside of what is killed.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from chopmark.core.checkpoint import open_checkpoint
from chopmark.core.entry import Attestation, Revocation, parse_entry
from chopmark.core.errors import ChopmarkError
from chopmark.core.keys import VerifierKey
from chopmark.core.proof import parse_proof
from chopmark.core.tiles import WIDTH
from chopmark.ledger.cosigned_check import check_cosigned
from chopmark.ledger.fsck import check_store
from chopmark.ledger.reader import Reader
from chopmark.ledger.schema import connect
from chopmark.ledger.store import LogState, read_keys, read_state
from chopmark.service.fsck import read_listed
from chopmark.service.places import index_path, log_path


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing that a gateway said it has recorded.

    Attributes:
        index: where.
        says: the SHA-256 of an attestation, or (target, reason) of a revocation.
        signed: whether it was answered as signed, not only as recorded.
    """

    index: int
    says: bytes | tuple[int, int]
    signed: bool = True


@dataclass(slots=True)
class Heads:
    """Every signed head of one log that anybody was shown, and what is wrong with them.

    Threads may share it.
    """

    log_key: VerifierKey
    roots: dict[int, bytes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    _known: set[bytes] = field(default_factory=set)

    def add(self, note: bytes) -> None:
        """Take the note of a head."""
        if note in self._known:
            return
        try:
            head = open_checkpoint(note, self.log_key).checkpoint
        except ChopmarkError as error:
            self.faults.append(f"a head was shown that is none: {error}")
            return
        self._known.add(note)
        if self.roots.setdefault(head.size, head.root) != head.root:
            self.faults.append(f"two signed heads of size {head.size} differ")

    def add_proof(self, proof: bytes) -> None:
        """Take the head that a proof carries."""
        try:
            self.add(parse_proof(proof).note)
        except ChopmarkError as error:
            self.faults.append(f"a proof was given that is none: {error}")


def check_gateway(
    state: Path,
    answers: Iterable[Answer] = (),
    heads: Heads | None = None,
    replicas: Sequence[Path] = (),
    *,
    restarted: bool = True,
    whole: bool = True,
) -> list[str]:
    """Check what a gateway has on its disk. It may be running.

    Args:
        state: its state folder.
        answers: all that clients were answered.
        heads: all heads of its log that were seen; those stored here are added.
        replicas: databases of peers that replicate its log. Read them before or while it runs.
        restarted: whether it came back and is ready, so that all that is stored must be signed.
        whole: whether to read every byte on the disk (`fsck`) too.

    Returns:
        What is wrong; empty if all is well.
    """
    faults = list(_fsck(state)) if whole else []
    path = log_path(state)
    # What peers hold first: the log may grow meanwhile, and they must never be ahead of it.
    held = [(replica, *_look(replica)) for replica in replicas]
    try:
        with closing(Reader(path)) as reader:
            own = _state_of(path)
            faults += _check_answers(reader, own, answers, restarted=restarted)
            for replica, there, root in held:
                faults += _check_replica(reader, own, replica, there, root)
                _show(heads, there.note, there.seen_note, there.fork_note)
            _show(heads, own.note, own.seen_note)
            faults += _check_heads(reader, own, heads)
    except ChopmarkError as error:
        faults.append(f"{path}: {error}")
    return faults


def check_peer(peer: dict[str, Any]) -> list[str]:
    """Check what a running gateway says of a peer (one row of `GET /v1/peers`)."""
    if peer["state"] == "failed":
        return [f"{peer['id']} has failed: {peer['reason']}"]
    return []


def _fsck(state: Path) -> Iterator[str]:
    for finding in check_cosigned(log_path(state), read_listed(log_path(state))):
        yield f"fsck {state}: {finding.code}: {finding.message}"
    for path in [log_path(state), *sorted((state / "replica").glob("*.db"))]:
        try:
            keys = read_keys(path)
        except ChopmarkError as error:
            yield f"fsck {path}: {error}"
            continue
        own = path == log_path(state)
        member = keys[0].name.rpartition("/")[2] if own else path.stem
        for finding in check_store(path, index_path(state, member), *keys):
            yield f"fsck {path}: {finding.code}: {finding.message}"


def _check_answers(
    reader: Reader, own: LogState, answers: Iterable[Answer], *, restarted: bool
) -> Iterator[str]:
    if restarted and own.size != own.head.size:
        yield f"{own.size - own.head.size} entries are not signed after a restart"
    by_index = sorted(answers, key=lambda answer: answer.index)
    for n, some in groupby(by_index, lambda answer: answer.index // WIDTH):
        entries = _read_bundle(reader, n, own.size)
        for answer in some:
            at = answer.index % WIDTH
            if at >= len(entries):
                yield f"entry {answer.index} was answered, and is lost: {own.size} are there"
            elif _says(entries[at]) != answer.says:
                yield f"entry {answer.index} does not say what was answered"
            elif answer.signed and answer.index >= own.head.size:
                yield f"entry {answer.index} was answered as signed, and no head covers it"


def _read_bundle(reader: Reader, n: int, size: int) -> list[bytes]:
    end = min((n + 1) * WIDTH, size)
    return reader.entries(n * WIDTH, end) if end > n * WIDTH else []


def _says(data: bytes) -> bytes | tuple[int, int] | None:
    match parse_entry(data):
        case Attestation(sha256=digest):
            return digest
        case Revocation(target=target, reason=reason):
            return target, reason
    return None


def _check_replica(
    reader: Reader, own: LogState, path: Path, there: LogState, root: bytes
) -> Iterator[str]:
    if there.fork_note is not None:
        yield f"{path} has seen a fork"
    if there.size > own.head.size:
        yield f"{path} has {there.size} entries, and the log's head covers {own.head.size}"
    elif reader.root_at(there.size) != root:
        yield f"{path} holds another history"


def _check_heads(reader: Reader, own: LogState, heads: Heads | None) -> Iterator[str]:
    if heads is None:
        return
    yield from heads.faults
    for size, root in heads.roots.copy().items():
        if size > own.head.size:
            yield f"a head of size {size} was shown, and the ledger's is of size {own.head.size}"
        elif reader.root_at(size) != root:
            yield f"a head of size {size} was shown that is not the ledger's"


def _show(heads: Heads | None, *notes: bytes | None) -> None:
    if heads is not None:
        for note in notes:
            if note is not None:
                heads.add(note)


def _state_of(path: Path) -> LogState:
    with closing(connect(path, read_only=True)) as db:
        return read_state(db)


def _look(path: Path) -> tuple[LogState, bytes]:
    """The state of a replica, and the root of all that it holds."""
    there = _state_of(path)
    with closing(Reader(path)) as reader:
        return there, reader.root_at(there.size)
