"""The key of a chain account in SoftHSM: made, used for anchors only, and no harm if wrong."""

from dataclasses import replace
from pathlib import Path

import pytest
from pkcs11.mechanisms import KeyType

from chopmark.core.errors import ConfigurationError, ExistsError, MissingError
from chopmark.core.keys import ED25519
from chopmark.core.note import Note
from chopmark.core.transaction import Anchor
from chopmark.hsm.chain_making import create_chain_key
from chopmark.hsm.generation import generate
from chopmark.hsm.quirks import find_profile
from integration.hsm_box import HEAD, ORIGIN, Box
from softkeys import SoftKey

LABEL = "chopmark-chain"


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    made = Box.make(tmp_path, monkeypatch)
    made.create()
    made.config = replace(made.config, chain_label=LABEL)
    return made


def make_anchor(origin: str = ORIGIN) -> Anchor:
    head = replace(HEAD, origin=origin)
    note = Note(head.encode(), (SoftKey(origin, ED25519, 1).sign(head.encode()),)).encode()
    return Anchor(20_200, b"\x11" * 20, 0, note)


async def test_anchor_is_signed_by_the_account_that_was_made(box: Box) -> None:
    account = create_chain_key(box.config, box.token.read_pin)
    async with box.signer() as signer:
        assert signer.account == account
        for _ in range(4):  # both recovery ids, most likely
            raw = await signer.sign_anchor(make_anchor())
            assert raw[0] >= 0xF8, "a long list of RLP"
        assert signer.counts["anchors"] == 4
        assert signer.counts["bad_signatures"] == 0
        await signer.sign_checkpoint(HEAD)  # all else works beside it


async def test_key_is_made_once(box: Box) -> None:
    create_chain_key(box.config, box.token.read_pin)
    with pytest.raises(ExistsError):
        create_chain_key(box.config, box.token.read_pin)


async def test_anchor_of_another_log_is_not_signed(box: Box) -> None:
    create_chain_key(box.config, box.token.read_pin)
    async with box.signer() as signer:
        with pytest.raises(ValueError, match="no other log's heads"):
            await signer.sign_anchor(make_anchor("bank-sz.example/sz-1"))


async def test_without_a_key_nothing_is_anchored_and_all_else_works(box: Box) -> None:
    async with box.signer() as signer:
        assert signer.account is None
        with pytest.raises(MissingError, match="no key for a chain"):
            await signer.sign_anchor(make_anchor())
        await signer.sign_checkpoint(HEAD)
        assert signer.state == "ready"


async def test_key_on_another_curve_is_as_good_as_none(box: Box) -> None:
    with box.session() as session:
        generate(session, LABEL, KeyType.EC, find_profile(session.token.manufacturer_id))
    async with box.signer() as signer:
        assert signer.account is None
        await signer.sign_checkpoint(HEAD)


async def test_key_that_is_not_wanted_is_not_looked_for(box: Box) -> None:
    create_chain_key(box.config, box.token.read_pin)
    box.config = replace(box.config, chain_label=None)
    async with box.signer() as signer:
        assert signer.account is None


@pytest.mark.parametrize("label", ["", "chopmark-log"])
def test_label_of_another_key_is_refused(box: Box, label: str) -> None:
    with pytest.raises(ConfigurationError, match="label"):
        replace(box.config, chain_label=label)
