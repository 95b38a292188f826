"""Files that are there already, after the roster has changed the keys of whose they are."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from chopmark.core.errors import ConfigurationError
from chopmark.core.keys import VerifierKey
from chopmark.core.member import Member
from chopmark.core.roster import Fingerprint, ListedKey, Roster
from chopmark.core.roster_text import encode_roster
from chopmark.ledger import rosters as table
from chopmark.ledger.index import DigestIndex
from chopmark.ledger.schema import connect
from chopmark.ledger.store import create_store
from chopmark.ledger.worker import Worker
from chopmark.service.config import parse_config
from chopmark.service.fsck import plan_checks
from chopmark.service.parts.opening import _Files
from chopmark.service.places import log_path, replica_path
from configs import BASE
from rosters import HK, ISSUED, SZ, founding, signed, with_member
from softkeys import cosigner

NEW = ListedKey(vkey=cosigner(f"{SZ.origin}/cosigner-2", 9).vkey.encode())
STRANGE = cosigner(SZ.cosigner.vkey.name, 8).vkey


def after(state: str) -> Roster:
    """A roster that has ended the first cosigner key of sz-1, and names a second one."""
    old = ListedKey(vkey=SZ.cosigner.vkey.encode(), state=state, since=ISSUED)  # type: ignore[arg-type]  # one of its words
    roster = founding()
    return replace(roster, member=with_member(roster, "sz-1", cosigner_key=(old, NEW)))


def peer(state: str) -> Member:
    return next(one for one in after(state).members() if one.id == "sz-1")


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[_Files]:
    replica_path(tmp_path, "sz-1").parent.mkdir()
    async with AsyncExitStack() as stack:
        reading = Worker("read")
        stack.callback(reading.close)
        yield _Files(tmp_path, reading, stack, DigestIndex)


@pytest.mark.parametrize("state", ["retired", "compromised"])
async def test_replica_opens_though_its_cosigner_key_has_ended(files: _Files, state: str) -> None:
    create_store(replica_path(files.state, "sz-1"), SZ.log.vkey, SZ.cosigner.vkey)
    log = await files.open_replica(peer(state))
    assert log.state.size == 0


async def test_replica_of_a_key_that_the_roster_never_named_does_not_open(files: _Files) -> None:
    create_store(replica_path(files.state, "sz-1"), SZ.log.vkey, STRANGE)
    with pytest.raises(ConfigurationError) as error:
        await files.open_replica(peer("compromised"))
    assert error.value.code == "keys-changed"


@pytest.mark.parametrize(
    ("key", "codes"), [(SZ.cosigner.vkey, []), (STRANGE, ["other-keys"])], ids=["stolen", "other"]
)
def test_replica_whose_cosigner_key_was_stolen_is_sound(
    tmp_path: Path, key: VerifierKey, codes: list[str]
) -> None:
    create_store(log_path(tmp_path), HK.log.vkey, HK.cosigner.vkey)
    replica_path(tmp_path, "sz-1").parent.mkdir()
    create_store(replica_path(tmp_path, "sz-1"), SZ.log.vkey, key)
    roster = after("compromised")
    digest = Fingerprint(encode_roster(roster)).digest
    with closing(connect(log_path(tmp_path))) as db:
        table.keep(db, 1, digest, signed(roster))
        table.adopt(db, 1, digest, 1)
    text = BASE.replace('jurisdiction = "HK"', f'jurisdiction = "HK"\nstate = "{tmp_path}"')
    (check,) = plan_checks(parse_config(text.encode()), "sz-1")
    assert [one.code for one in check.run()] == codes
