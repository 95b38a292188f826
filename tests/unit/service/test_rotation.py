"""Which key in the token is destroyed, and which stays."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from chopmark.core.errors import MissingError
from chopmark.core.keys import VerifierKey
from chopmark.core.member import PastKey
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

    async def destroy(self, label: str, key: VerifierKey) -> None:
        self.destroyed.append((label, key))


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with opened(tmp_path) as made:
        yield made


async def rotation(log: Log, token: Token, ended: VerifierKey, made: VerifierKey) -> Rotation:
    """One log key was made after the first, in `made`; the roster says that `ended` has ended."""
    past = (PastKey(ended, 0, bytes(32)),)
    own = replace(member(), log_key=token.log_key, past_log_keys=past)
    config = SimpleNamespace(hsm=SimpleNamespace(log_label="log", cosigner_label="cosigner"))
    rosters = SimpleNamespace(current=None, membership=SimpleNamespace(own=own))
    text = made.encode()
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
