"""What is asked of a gateway, step by step, without asking: one plan for both clients.

A plan is a generator. It yields calls and pauses, and is sent the answers; what a call raises is
raised in it. `client.gateway` carries plans out with blocking calls, `client.async_gateway` in an
event loop.
"""

import json
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeVar

from chopmark.client.messages import (
    Attested,
    Json,
    Outcome,
    encode_digests,
    encode_draft,
    read_attested,
    read_object,
)
from chopmark.client.problem import bad_answer, error_from_line
from chopmark.core.digest import Digests
from chopmark.core.draft import Draft
from chopmark.core.errors import TryAgainError, UnreachableError

T = TypeVar("T")

MAX_LINE: Final = 512 * 1024
"""A line of an NDJSON answer carries at most one proof, which has at most 128 KiB."""
KEY: Final = "Idempotency-Key"
Query = dict[str, str | int | float]
"""Of a URL."""
_Lines = list[tuple[Draft, str | None]]
"""What to attest, with idempotency keys."""
_PAUSES: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each attempt, where the gateway does not say."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        method: of HTTP.
        path: without the query.
        query: of the URL.
        body: to be sent as JSON, if there is no content.
        content: to be sent as it is, piece by piece.
        headers: besides the usual ones.
        wait: seconds that the gateway is asked to wait at most.
        take: given the answer's bytes as they come; otherwise they are what the call gives.
    """

    method: str
    path: str
    query: Query | None = None
    body: object = None
    content: Sequence[bytes] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0
    take: Callable[[bytes], None] | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Ready:
    """Outcomes for whoever asked; the plan goes on once they are consumed."""

    outcomes: Sequence[Outcome]


Step = Call | Pause | Ready
Plan = Generator[Step, Any, T]


class Patience:
    """How long to go on asking after what may pass: overload, an HSM that is away, a lost line.

    Args:
        seconds: without progress after which to give up; 0 for no second attempt.
        clock: seconds that only go forward.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._since = clock()
        self._failures = 0

    def renew(self) -> None:
        """There was progress."""
        self._since, self._failures = self._clock(), 0

    def pause(self, error: TryAgainError | UnreachableError) -> Pause | None:
        """The pause before the next attempt; None if there is to be none."""
        seconds = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        seconds = max(seconds, float(error.retry_after or 0))
        late = self._clock() - self._since + seconds > self._seconds
        if error.code == "bad-answer" or late:
            return None
        self._failures += 1
        return Pause(seconds)

    def after(self, error: TryAgainError | UnreachableError) -> Pause:
        """The pause before the next attempt; raises the error if there is to be none."""
        pause = self.pause(error)
        if pause is None:
            raise error
        return pause


def insist(call: Call, patience: Patience) -> Plan[bytes]:
    """Ask, and again after whatever may pass. The call must be safe to repeat."""
    while True:
        try:
            answer: bytes = yield call
        except (TryAgainError, UnreachableError) as error:
            yield patience.after(error)
        else:
            return answer


def decode(data: bytes) -> object:
    """The JSON of an answer.

    Raises:
        UnreachableError: `bad-answer`.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise bad_answer() from error


def make_key() -> str:
    """A new idempotency key."""
    return os.urandom(16).hex()


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of attestations, besides what they say.

    Attributes:
        wait: seconds to wait.
        until: `witnessed`, or `signed`.
        proofs: whether proofs are wanted.
        again: whether to attest anew what this client has attested already.
    """

    wait: float
    until: str
    proofs: bool = True
    again: bool = False


def attest(draft: Draft, wish: Wish, key: str, patience: Patience) -> Plan[Attested]:
    """Attest one document, once, however often it must be asked for."""
    digests = Digests(draft.sha256, draft.sm3, draft.canonical)
    body = {"digests": encode_digests(digests), **encode_draft(draft), "wait": wish.wait}
    body |= {"until": wish.until} | ({"duplicates": "again"} if wish.again else {})
    answer = yield from insist(_post("/v1/attestations", body, key, wish.wait), patience)
    return read_attested(decode(answer))


def revoke(index: int, reason: int, wait: float, key: str, patience: Patience) -> Plan[Json]:
    """Revoke an attestation, once; see `attest`."""
    body = {"index": index, "reason": reason, "wait": wait}
    answer = yield from insist(_post("/v1/revocations", body, key, wait), patience)
    return read_object(decode(answer), "origin", "made_at", "state")


def deal(path: str, body: Json, wait: float, key: str, patience: Patience) -> Plan[Json]:
    """Record a consent or a use, once; see `attest`."""
    answer = yield from insist(_post(path, body | {"wait": wait}, key, wait), patience)
    return read_object(decode(answer), "origin", "made_at", "state", "salt", "body")


def _post(path: str, body: Json, key: str, wait: float) -> Call:
    return Call("POST", path, body=body, headers={KEY: f'"{key}"'}, wait=wait)


def attest_many(
    drafts: Iterable[Draft],
    wish: Wish,
    batch: int,
    patience: Patience,
    keys: Iterator[str] | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> Plan[None]:
    """Attest many documents line by line, each once; outcomes come in their order.

    A gateway that has no room for more keys gets lines without: what it has recorded of them is
    found by the digests. Lines that this does not hold for fail (`too-many-keys`).

    Args:
        drafts: of which at most `batch` are taken at a time.
        wish: what is wanted.
        batch: lines of one request.
        patience: for each of them anew.
        keys: one for each draft; made here if None.
        tell: told how many have their outcome, after each request.
    """
    exported = read_object(decode((yield Call("GET", "/v1/export"))), "origin")
    source, full, done = iter(drafts), False, 0
    while taken := list(islice(source, batch)):
        patience.renew()
        named = [next(keys) if keys is not None else make_key() for _ in taken]
        lines: _Lines = list(zip(taken, named, strict=True))
        full = yield from _attest_batch(lines, exported, wish, patience, full=full)
        done += len(taken)
        tell(done)


def _attest_batch(
    lines: _Lines, exported: Json, wish: Wish, patience: Patience, *, full: bool
) -> Plan[bool]:
    """What was not answered, or may pass, is sent again with the same keys.

    Args:
        lines: what to attest.
        exported: who the gateway is.
        wish: what is wanted.
        patience: how long to go on.
        full: whether the gateway has no room for keys.

    Returns:
        The same, as it is by then.
    """
    lines = _without_keys(lines, wish) if full else lines
    query: Query = {"proofs": int(wish.proofs), "wait": wish.wait, "until": wish.until}
    query |= {"duplicates": "again"} if wish.again else {}
    while lines:
        answers = _Answers(str(exported["origin"]))
        content = [b"".join(_encode_line(draft, key) for draft, key in lines)]
        headers = {"Content-Type": "application/x-ndjson"}
        call = Call(
            *("POST", "/v1/attestations:batch", query, None, content, headers, wish.wait),
            take=answers.feed,
        )
        pause = None
        try:
            yield call
            answers.finish(len(lines))
        except (TryAgainError, UnreachableError) as error:
            done = _decided(answers.outcomes, full=full)
            if done:
                patience.renew()
                yield Ready(done)
            pause = patience.after(error)
        else:
            done = _decided(answers.outcomes, full=full)
            undecided = answers.outcomes[len(done) :]
            if done:
                patience.renew()
            if not full and any(_is_full(one) for one in undecided):
                full = True
                lines = lines[: len(done)] + _without_keys(lines[len(done) :], wish)
            else:
                if undecided and isinstance(undecided[0].error, TryAgainError):
                    pause = patience.pause(undecided[0].error)
                if pause is None:
                    done = answers.outcomes  # it stays at that
            yield Ready(done)
        lines = lines[len(done) :]
        if pause is not None:
            yield pause
    return full


def _is_full(outcome: Outcome) -> bool:
    return outcome.error is not None and outcome.error.code == "too-many-keys"


def _without_keys(lines: _Lines, wish: Wish) -> _Lines:
    """The lines, with keys only where nothing but a key keeps them from being attested twice."""
    return [(draft, key if draft.blinded or wish.again else None) for draft, key in lines]


def _decided(outcomes: Sequence[Outcome], *, full: bool) -> Sequence[Outcome]:
    """Those before the first that may be another one the next time."""
    later = (
        at
        for at, one in enumerate(outcomes)
        if isinstance(one.error, TryAgainError) or (_is_full(one) and not full)
    )
    return outcomes[: next(later, len(outcomes))]


class _Answers:
    """The answer lines of a batch, as they come."""

    def __init__(self, origin: str) -> None:
        self.outcomes: list[Outcome] = []
        self._origin = origin
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Read the lines that these bytes complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.outcomes += [_read_line(decode(line), self._origin) for line in lines]
        if len(self._rest) > MAX_LINE:
            raise bad_answer()

    def finish(self, count: int) -> None:
        """See that all lines have come."""
        if self._rest:
            self.feed(b"\n")
        if len(self.outcomes) != count:
            raise bad_answer()


def _encode_line(draft: Draft, key: str | None) -> bytes:
    named = {name: digest.hex() for name, digest in draft.canonical}  # flat, as all of a line
    digests = encode_digests(Digests(draft.sha256, draft.sm3)) | named
    line = {**digests, **encode_draft(draft)} | ({"key": key} if key else {})
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _read_line(answer: object, origin: str) -> Outcome:
    if isinstance(answer, dict) and "error" in answer:
        return Outcome(error=error_from_line(answer["error"]))
    return Outcome(attested=read_attested(answer, origin))
