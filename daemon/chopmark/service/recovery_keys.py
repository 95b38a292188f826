"""Which keys in the token are ours to go on with, when the ledger that said so is lost.

A token may hold several log keys and cosigner keys: those that were replaced and not destroyed, and
such as were made and never used. Only the ledger has their labels. So, unless the token holds the
first ones alone, the peers are asked what was signed:
1. The log key is the one that has signed the largest head of our log; of two that have signed that
   one, the later.
2. The cosigner key is the one whose cosignature has the latest time. Its name stands beside the
   cosignature, and nowhere in the token.
3. Where nothing is seen by any of them, it is what a ledger on the disk names, or the first, or if
   that is not there any more the last.

Nothing is believed but signatures that verify by a key in the token.
"""

import asyncio
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from chopmark.core.checkpoint import parse_checkpoint
from chopmark.core.errors import ChopmarkError
from chopmark.core.keys import VerifierKey
from chopmark.core.member import is_cosigner_name
from chopmark.core.note import Note, parse_note, verify_note
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.listing import LabelledKey, TokenKeys, list_keys
from chopmark.ledger.log import open_log
from chopmark.ledger.replica import Replica
from chopmark.ledger.rotation import Role
from chopmark.ledger.store import create_store
from chopmark.ledger.worker import Worker
from chopmark.mesh.fetching import Fetch
from chopmark.service.background import beside
from chopmark.service.brokers import make_brokers
from chopmark.service.clock import SystemClock
from chopmark.service.config import Config
from chopmark.service.membership import read_membership
from chopmark.service.token import hsm_config, present_hsm_config

FIRST: Final = 1


@dataclass(frozen=True, slots=True)
class Chosen:
    """The keys to go on with.

    Attributes:
        hsm: names them to the signer.
        log_keys: every log key in the token: what they have signed is ours.
        public: the public halves of all keys in the token.
        made: later keys, as the ledger is to list them: vkey, role, label. None if the token holds
            the first ones alone, and there is nothing to say.
    """

    hsm: HsmConfig
    log_keys: tuple[VerifierKey, ...] = ()
    public: frozenset[bytes] = frozenset()
    made: tuple[tuple[str, Role, str], ...] | None = None


async def choose_keys(config: Config, patience: float) -> Chosen:
    """Find the keys; peers are asked only if there is something to choose, or to name.

    Args:
        config: of a gateway that is stopped.
        patience: seconds to wait for peers that do not answer.

    Raises:
        ConfigurationError: what listing the keys raises, and `own_member`.
        TryAgainError: `hsm-away`.
    """
    first = hsm_config(config)
    token = await asyncio.to_thread(list_keys, first, config.gateway.origin)
    keys = (*token.log, *token.cosigner)
    public = frozenset(one.key.public for one in keys)
    usual = present_hsm_config(config)
    if not token.log or not token.cosigner or all(one.number == FIRST for one in keys):
        return Chosen(usual, public=public)
    notes = await _ask(config, token, patience)
    return choose(config, usual, token, notes)


def choose(config: Config, usual: HsmConfig, token: TokenKeys, notes: Iterable[bytes]) -> Chosen:
    """Apply the rules to what peers have shown; `usual` is what rule 3 falls back to."""
    parsed = list(_parse(notes))
    origin = config.gateway.origin
    log = _newest_log(token.log, parsed)
    names = _cosigned(token.cosigner, parsed, origin)
    second = max(names, key=lambda one: (names[one][0], one.number), default=None)
    labels: dict[Role, str] = {"log": usual.log_label, "cosigner": usual.cosigner_label}
    name = usual.cosigner_name
    if log is None and usual.log_label not in {one.label for one in token.log}:
        log = token.log[-1]
    if log is not None:
        labels["log"] = log.label
    if second is not None:
        labels["cosigner"], name = second.label, names[second][1]
    elif usual.cosigner_label not in {one.label for one in token.cosigner}:
        last = token.cosigner[-1]  # names and labels are numbered alike
        labels["cosigner"], name = last.label, f"{origin}/cosigner-{last.number}"
    made: list[tuple[str, Role, str]] = []
    made += [(one.key.encode(), "log", one.label) for one in token.log if one.number > FIRST]
    made += [
        (one.named(names[one][1]).encode(), "cosigner", one.label)
        for one in token.cosigner
        if one.number > FIRST and one in names
    ]
    return Chosen(
        hsm_config(config, labels, name),
        tuple(one.key for one in token.log),
        frozenset(one.key.public for one in (*token.log, *token.cosigner)),
        tuple(made),
    )


def _parse(notes: Iterable[bytes]) -> Iterable[Note]:
    for note in notes:
        try:
            yield parse_note(note)
        except ChopmarkError:
            continue


def _newest_log(keys: Sequence[LabelledKey], notes: Sequence[Note]) -> LabelledKey | None:
    signed: dict[LabelledKey, int] = {}
    for note in notes:
        for one in keys:
            if _time_of(note, one.key) is not None:
                size = _size_of(note, one.key.name)
                signed[one] = max(signed.get(one, 0), size)
    return max(signed, key=lambda one: (signed[one], one.number), default=None)


def _cosigned(
    keys: Sequence[LabelledKey], notes: Sequence[Note], origin: str
) -> dict[LabelledKey, tuple[int, str]]:
    """Of each key that has cosigned something: when last, and under which name."""
    found: dict[LabelledKey, tuple[int, str]] = {}
    for note in notes:
        for name in {line.name for line in note.signatures if is_cosigner_name(line.name, origin)}:
            for one in keys:
                time = _time_of(note, one.named(name))
                if time is not None:
                    found[one] = max(found.get(one, (0, "")), (time, name))
    return found


def _time_of(note: Note, key: VerifierKey) -> int | None:
    """When a key has signed a note, 0 for one that says no time; None if it has not."""
    try:
        return next((one.time for one in verify_note(note, (key,))), None)
    except ChopmarkError:
        return None


def _size_of(note: Note, origin: str) -> int:
    try:
        head = parse_checkpoint(note.text)
    except ChopmarkError:
        return 0
    return head.size if head.origin == origin else 0


async def _ask(config: Config, token: TokenKeys, patience: float) -> list[bytes]:
    """What peers have seen of our log, and what they and the brokers show of theirs."""
    log_key, cosigner_key = token.log[0].key, token.cosigner[0].key
    members = read_membership(config, log_key, cosigner_key)
    own = replace(members.own, state="active")
    peers = {peer.id: peer.origin for peer in members.peers if peer.state != "left"}
    if not peers:
        return []
    reading = Worker("read")
    try:
        with tempfile.TemporaryDirectory(dir=config.gateway.state, prefix="keys-") as folder:
            path = Path(folder) / "log.db"
            create_store(path, own.log_key, own.cosigner_key)
            log = await open_log(path, Path(folder) / "index", reading)
            try:
                brokers = make_brokers(config)
                fetch = Fetch(own.id, brokers, list(peers), Replica(own, log, SystemClock()))
                return await beside(fetch.run(), _collect(fetch, peers, patience))
            finally:
                await log.close()
    finally:
        reading.close()


async def _collect(fetch: Fetch, peers: dict[str, str], patience: float) -> list[bytes]:
    found = await fetch.ask_all(patience, lambda _done: None)
    await fetch.ask_own({peer: peers[peer] for peer in found})
    notes = [note for answer in found.values() for note in answer.notes]
    return notes + [note for kept in fetch.notes.values() for note in kept]
