"""Which key in the token is destroyed, and which stays."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from chopmark.core.errors import MissingError, RefusedError, TryAgainError
from chopmark.core.keys import VerifierKey
from chopmark.core.member import PastKey
from chopmark.hsm.attributes import TokenKey
from chopmark.ledger import rotation as table
from chopmark.ledger.log import Log
from chopmark.service.rotation import Rotation
from ledgers import COSIGNER, LOG, member, opened
from softkeys import log_key

SECOND, THIRD = (log_key(LOG.name, seed).vkey for seed in (77, 78))


@dataclass
class Token:
    """Of a signer what is asked here."""

    log_key: VerifierKey = LOG.vkey
    cosigner_key: VerifierKey = COSIGNER.vkey
    destroyed: list[tuple[str, VerifierKey]] = field(default_factory=list)
    witness_key: VerifierKey | None = None
    keys: tuple[TokenKey, ...] | None = ()

    async def destroy(self, label: str, key: VerifierKey) -> None:
        self.destroyed.append((label, key))

    async def read_keys(self) -> tuple[TokenKey, ...]:
        if self.keys is None:
            raise TryAgainError("hsm-away", "the HSM is away")
        return self.keys


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with opened(tmp_path) as made:
        yield made


async def rotation(log: Log, token: Token, ended: VerifierKey, made: VerifierKey) -> Rotation:
    """One log key was made after the first, in `made`; the roster says that `ended` has ended."""
    past = (PastKey(ended, 0, bytes(32)),)
    own = replace(member(), log_key=token.log_key, past_log_keys=past)
    labels = {"log_label": "log", "cosigner_label": "cosigner", "witness_label": "witness"}
    config = SimpleNamespace(hsm=SimpleNamespace(**labels), anchor=None)
    membership = SimpleNamespace(own=own, peers=(), chain=())
    rosters = SimpleNamespace(current=None, membership=membership, changed=asyncio.Event())
    text = made.encode()
    used = ("UPDATE log SET log_vkey = ?", (token.log_key.encode(),))
    await log.write(lambda store: store.change(lambda db: db.execute(*used)))
    await log.write(lambda store: store.change(lambda db: table.add_key(db, text, "log", "log-2")))
    return Rotation(config, log, token, rosters)  # type: ignore[arg-type]  # as much as is looked at


async def test_key_that_was_destroyed_is_not_the_first_one_which_signs(log: Log) -> None:
    token = Token()
    keys = await rotation(log, token, SECOND, SECOND)
    await keys.retire(SECOND.encode())
    with pytest.raises(MissingError) as error:
        await keys.retire(SECOND.encode())
    assert error.value.code == "no-such-key"
    assert token.destroyed == [("log-2", SECOND)]


async def test_first_key_is_destroyed_once_another_signs(log: Log) -> None:
    token = Token(THIRD)
    keys = await rotation(log, token, LOG.vkey, THIRD)
    await keys.retire(LOG.vkey.encode())
    assert token.destroyed == [("log", LOG.vkey)]


async def test_key_that_is_due_is_not_destroyed(log: Log) -> None:
    token = Token()
    keys = await rotation(log, token, THIRD, SECOND)
    await keys.activate(SECOND.encode())
    with pytest.raises(RefusedError) as error:
        await keys.retire(SECOND.encode())
    assert (error.value.code, token.destroyed) == ("key-in-use", [])


async def test_key_whose_destruction_has_begun_is_not_activated(log: Log) -> None:
    """Not while it is being destroyed, nor after the token went away in the middle of it."""
    codes = []

    class Slow(Token):
        async def destroy(self, label: str, key: VerifierKey) -> None:
            with pytest.raises(MissingError) as error:
                await keys.activate(SECOND.encode())
            codes.append(error.value.code)
            if len(codes) == 1:
                raise TryAgainError("hsm-away", "the HSM is away")
            await super().destroy(label, key)

    token = Slow()
    keys = await rotation(log, token, THIRD, SECOND)
    with pytest.raises(TryAgainError):
        await keys.retire(SECOND.encode())
    with pytest.raises(MissingError):
        await keys.activate(SECOND.encode())
    await keys.retire(SECOND.encode())
    assert codes == ["no-such-key"] * 2
    assert token.destroyed == [("log-2", SECOND)]


async def test_keys_are_listed_while_the_token_is_away(log: Log) -> None:
    token = Token(keys=None)
    listed = await (await rotation(log, token, SECOND, SECOND)).keys()
    assert [(one["label"], one["in_use"], one["in_token"]) for one in listed] == [
        ("log", True, None),
        ("cosigner", True, None),
        ("log-2", False, None),
    ]


async def test_leftover_is_destroyed_by_label_and_fingerprint(log: Log) -> None:
    left = TokenKey("left", THIRD, 1, {})
    token = Token(keys=(left,))
    keys = await rotation(log, token, SECOND, SECOND)
    assert left.fingerprint is not None
    with pytest.raises(MissingError):
        await keys.destroy("left", left.fingerprint.words[:-1])
    await keys.destroy("left", left.fingerprint.words)
    assert token.destroyed == [("left", THIRD)]


async def test_key_of_ours_is_no_leftover_under_any_label(log: Log) -> None:
    for key, label in ((LOG.vkey, "log"), (LOG.vkey, "x"), (SECOND, "y"), (THIRD, "witness")):
        one = TokenKey(label, key, 1, {})
        token = Token(keys=(one,))
        keys = await rotation(log, token, SECOND, SECOND)
        await log.write(
            lambda store: store.change(lambda db: table.forget_key(db, SECOND.encode()))
        )
        assert one.fingerprint is not None
        with pytest.raises(RefusedError) as error:
            await keys.destroy(label, one.fingerprint.hex)
        assert (error.value.code, token.destroyed) == ("key-in-use", [])
