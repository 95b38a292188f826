"""Attesting any number of documents with little memory: each job of some ten thousand by itself.

A job of some thousand documents goes in compact form, a smaller one as lines. Jobs have names and
numbers, of which their request ids and idempotency keys follow: a program that was killed, and asks
for the same documents under the same name, is told what it had attested before.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import Final

from chopmark.client.compact import CompactPlan
from chopmark.client.messages import Attested, Job, Outcome, read_object
from chopmark.client.plans import (
    Call,
    Patience,
    Plan,
    Ready,
    Wish,
    attest_many,
    decode,
    insist,
)
from chopmark.client.proofs import state_of
from chopmark.core.compact import REQUEST_ID, Header, Run
from chopmark.core.digest import Digests
from chopmark.core.draft import Draft
from chopmark.core.prover import RunProver
from chopmark.core.wording import format_time

JOB: Final = 65_536
"""Documents of one request in compact form: 10 MB while their proofs are made."""
FEW: Final = 4096
"""Documents below which lines are as quick."""
STEP: Final = 4096
"""Documents sent in compact form between two words of progress: a tenth of a second, or less."""
LINES: Final = 1000
"""Of one request: some 300 KB, and one HSM signature."""
_SHOWN: Final = 1000
"""Outcomes that are made at a time."""


def attest_all(
    documents: Iterable[Digests],
    job: Job,
    wish: Wish,
    patience: Patience,
    progress: Callable[[int], None],
) -> Plan[None]:
    """Attest documents; outcomes come in their order.

    Args:
        documents: of which at most `JOB` are taken at a time.
        job: what they have in common.
        wish: what is wanted. In compact form nothing is said of duplicates: what was attested
            under another name is attested again.
        patience: how long to go on without progress.
        progress: told how many documents are recorded so far.
    """
    exported = yield from insist(Call("GET", "/v1/export"), patience)
    origin = str(read_object(decode(exported), "origin")["origin"])
    name = job.name or secrets.token_hex(16)
    source, done, number = iter(documents), 0, 0
    while taken := list(islice(source, JOB)):
        patience.renew()
        uniform = len({one.sm3 is None for one in taken}) == 1
        if len(taken) >= FEW and uniform:
            request = _hash(f"{name}\n{number}")[:REQUEST_ID]
            terms = job.kind, job.valid_until, taken[0].sm3 is not None
            header = Header(request, *terms, blinded=job.blinded)
            digests = b"".join([one.sha256 + (one.sm3 or b"") for one in taken])
            del taken
            plan = CompactPlan(header, digests, patience, 0, _counting(progress, done))
            yield from _attest_compact(plan, origin, job.kind, wish, patience)
            done += plan.total
        else:
            told = _counting(progress, done)
            yield from _attest_lines(taken, job, wish, patience, name, done, told)
            done += len(taken)
        number += 1


def _attest_lines(
    taken: Sequence[Digests],
    job: Job,
    wish: Wish,
    patience: Patience,
    name: str,
    first: int,
    tell: Callable[[int], None],
) -> Plan[None]:
    terms = job.valid_until, None, job.blinded
    drafts = (Draft(one.sha256, job.kind, one.sm3, *terms) for one in taken)
    keys = (_hash(f"{name}\n{first}\n{at}").hex()[:32] for at in range(len(taken)))
    yield from attest_many(drafts, wish, LINES, patience, keys, tell)


def _counting(progress: Callable[[int], None], before: int) -> Callable[[int], None]:
    return lambda done: progress(before + done)


def _attest_compact(
    plan: CompactPlan, origin: str, kind: str, wish: Wish, patience: Patience
) -> Plan[None]:
    while (yield from plan.record(STEP)):
        pass
    runs, prover = yield from plan.prove(wish.wait, wish.until)
    state = "recorded"
    if prover is not None:
        policy = yield from insist(Call("GET", "/v1/policy"), patience)
        state = state_of(prover.note, policy, kind)
    outcomes = _outcomes(origin, runs, prover if wish.proofs else None, state)
    while some := list(islice(outcomes, _SHOWN)):
        yield Ready(some)


def _outcomes(
    origin: str, runs: Sequence[Run], prover: RunProver | None, state: str
) -> Iterator[Outcome]:
    signed, witnessed = state != "recorded", state == "witnessed"
    provisional = state == "provisional"
    for run in runs:
        made_at = format_time(run.made_at)
        for at in range(run.count):
            proof = prover.proof(run.first + at).encode() if prover else None
            place = origin, run.start + at, made_at
            yield Outcome(Attested(*place, signed, proof, witnessed, provisional))


def _hash(text: str) -> bytes:
    return sha256(text.encode()).digest()
