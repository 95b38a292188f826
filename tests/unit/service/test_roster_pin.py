"""Pinning without a running gateway: what is in the state that it will start with."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from chopmark.core.errors import ChopmarkError
from chopmark.core.roster import Fingerprint
from chopmark.core.roster_text import encode_roster
from chopmark.ledger.rosters import read_held
from chopmark.ledger.schema import connect
from chopmark.ledger.store import create_store
from chopmark.service.config import Config, parse_config
from chopmark.service.locking import lock_state
from chopmark.service.membership import read_membership
from chopmark.service.roster_pin import pin_offline
from configs import BASE
from rosters import GZ, HK, Keys, following, founding, signed

FIRST = founding()
SECOND = following(FIRST)
RIVAL = following(FIRST, threshold=3)


def words(text: str) -> str:
    return Fingerprint(text).words


def hexadecimal(text: str) -> str:
    return Fingerprint(text).hex


def made(folder: Path, keys: Keys = HK) -> Config:
    """The configuration of a gateway that was never started."""
    create_store(folder / "log.db", keys.log.vkey, keys.cosigner.vkey)
    text = BASE.replace("bank-hk.example/hk-1", keys.origin)
    text = text.replace('id = "hk-1"', f'id = "{keys.id}"\nstate = "{folder}"')
    return parse_config(text.encode())


def pinned(folder: Path) -> list[bytes]:
    with closing(connect(folder / "log.db", read_only=True)) as db:
        return list(read_held(db).notes)


def code_of(config: Config, note: bytes, fingerprint: str) -> str:
    with pytest.raises(ChopmarkError) as caught:
        pin_offline(config, note, fingerprint)
    return caught.value.code


@pytest.mark.parametrize("say", [words, hexadecimal])
def test_gateway_starts_with_the_version_that_was_pinned(
    tmp_path: Path, say: Callable[[str], str]
) -> None:
    config = made(tmp_path)
    answer = pin_offline(config, signed(FIRST), say(encode_roster(FIRST)))
    assert (answer["pinned"], answer["version"], answer["member"]) == (True, 1, "active")
    assert pinned(tmp_path) == [signed_lines(answer)]
    members = read_membership(config, HK.log.vkey, HK.cosigner.vkey)
    assert members.signed is not None
    assert members.refusal is None
    assert [peer.id for peer in members.peers] == ["sz-1", "mo-1"]


def signed_lines(answer: dict[str, object]) -> bytes:
    return str(answer["note"]).encode()


def test_wrong_fingerprint_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    config = made(tmp_path)
    for said in (words("x"), hexadecimal("x"), "", hexadecimal(encode_roster(FIRST))[:32]):
        assert code_of(config, signed(FIRST), said) == "wrong-fingerprint"
    changed = signed(FIRST).replace(b"threshold = 2", b"threshold = 1")
    assert code_of(config, changed, words(encode_roster(FIRST))) == "wrong-fingerprint"
    assert pinned(tmp_path) == []


def test_signatures_of_what_is_pinned_must_be_good(tmp_path: Path) -> None:
    note = signed(FIRST)
    line = note.rindex(b" ") + 20
    bad = note[:line] + bytes([note[line] ^ 1]) + note[line + 1 :]
    assert code_of(made(tmp_path), bad, words(encode_roster(FIRST))) in (
        "bad-signature",
        "malformed-note",
    )
    assert pinned(tmp_path) == []


def test_running_gateway_is_left_alone(tmp_path: Path) -> None:
    config = made(tmp_path)
    with lock_state(tmp_path):
        assert code_of(config, signed(FIRST), words(encode_roster(FIRST))) == "already-running"


def test_version_never_goes_back(tmp_path: Path) -> None:
    config = made(tmp_path)
    pin_offline(config, signed(SECOND), words(encode_roster(SECOND)))
    assert code_of(config, signed(FIRST), words(encode_roster(FIRST))) == "roster-older"


def test_one_of_two_texts_is_chosen(tmp_path: Path) -> None:
    config = made(tmp_path)
    for roster in (FIRST, SECOND, RIVAL):
        answer = pin_offline(config, signed(roster), words(encode_roster(roster)))
    assert answer["fingerprint"] == hexadecimal(encode_roster(RIVAL))
    assert len(pinned(tmp_path)) == 2


def test_roster_that_does_not_name_the_gateway_is_told_of(tmp_path: Path) -> None:
    answer = pin_offline(made(tmp_path, GZ), signed(FIRST), words(encode_roster(FIRST)))
    assert [alarm["code"] for alarm in answer["alarms"]] == ["not-a-member"]


def test_state_without_a_ledger_is_refused(tmp_path: Path) -> None:
    config = made(tmp_path)
    (tmp_path / "log.db").unlink()
    assert code_of(config, signed(FIRST), words(encode_roster(FIRST))) == "no-ledger"
