"""Key ceremonies on real SoftHSM tokens, by officers with certificates that openssl made."""

import dataclasses
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ceremonies import TIME, ended, held
from chopmark.client.officers import read_certificate
from chopmark.core.audit import parse_record
from chopmark.core.ceremony import Ceremony, End
from chopmark.core.ceremony_rules import check_trusted
from chopmark.core.errors import ConfigurationError, ExistsError, MalformedError, RefusedError
from chopmark.core.keys import VerifierKey, parse_vkey
from chopmark.hsm import HsmConfig, create_keys, open_signer
from chopmark.ledger.store import read_keys
from chopmark.service.initialise import prepare
from chopmark.service.token import create_token_keys
from integration.ceremony_scene import ORIGIN, PASSWORD, BrokenOffError, Scene, ScriptedDesk
from rig.token import MODULE, Token, provision_token


def test_ceremony_makes_a_gateway_and_a_protocol_that_auditors_can_check(scene: Scene) -> None:
    held = scene.hold()
    ceremony = scene.read()
    check_trusted(ceremony, [read_certificate(one) for one in scene.certificates()])
    assert [one.result for one in ceremony.steps] == [*["done"] * 7, "declined", "done", "done"]
    keys = ceremony.find("keys")
    assert keys is not None
    made = tuple(parse_vkey(keys.fact(f"{role}-key")) for role in ("log", "cosigner"))
    assert read_keys(scene.folder / "state/log.db") == made
    assert held.log_key == made[0].encode()
    assert "EXTRACTABLE no, NEVER_EXTRACTABLE yes, LOCAL yes" in keys.fact("log-attributes")
    assert "(!)" not in keys.fact("log-attributes") + keys.fact("cosigner-attributes")
    token = ceremony.find("token")
    assert token is not None
    assert token.fact("serial") == _serial(scene.token)
    assert not scene.unfinished.exists()
    assert not list(scene.folder.glob("protocol.step-*"))
    assert _audited(scene) == [{"kind": "init", "protocol": held.digest}]
    secret = scene.token.read_pin()
    everything = scene.protocol.read_text() + "".join(scene.desk.said)
    assert secret not in everything
    assert PASSWORD not in everything
    assert scene.desk.secrets == ["PIN of Lee Siu Ming's key in lee.p12: "] * 3


def test_officer_may_use_an_encrypted_pem_key_and_is_asked_again_after_a_slip(scene: Scene) -> None:
    answers = scene.desk.answers
    lee = str(scene.officers / "lee.key")
    answers["approve-go-ahead-2"] = ["nowhere", scene.sign_elsewhere, lee]
    scene.hold()
    assert scene.desk.asked.count("approve-go-ahead-2") == 3
    said = scene.desk.said
    refused = [said[number + 1] for number, one in enumerate(said) if "not taken" in one]
    assert len(refused) == 2
    assert "is not by the certificate beside it" in refused[1]


def test_wrong_pin_of_an_officers_key_is_not_shown(scene: Scene) -> None:
    scene.desk.password = "wrong and secret"
    scene.desk.answers["ask-again"] = "no"
    scene.desk.answers["approve-go-ahead-2"] = [str(scene.officers / "lee.p12")] * 3
    with pytest.raises(RefusedError) as caught:
        scene.hold()
    assert caught.value.code == "ceremony-aborted"
    everything = repr(caught.value.__dict__) + scene.protocol.read_text() + "".join(scene.desk.said)
    assert "secret" not in everything
    assert (scene.keys(), scene.is_set_up()) == (0, False)


STEPS = ("presence", "token", "go-ahead", "keys", "read-aloud", "restore-drill", "close")


def test_ceremony_that_breaks_off_after_each_step_goes_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off after every step there is, and once more between making and writing down."""
    from chopmark.service.ceremony_desk import Book

    add = Book.add
    left = list(STEPS)

    def break_off(book: Book, step: object) -> None:
        add(book, step)  # type: ignore[arg-type]
        if left and getattr(step, "name", "") == left[0]:
            left.pop(0)
            raise BrokenOffError

    monkeypatch.setattr(Book, "add", break_off)
    for number in range(len(STEPS)):
        with pytest.raises(BrokenOffError):
            scene.hold(resumed=number > 0)
        assert scene.unfinished.exists()
    scene.hold(resumed=True)
    ceremony = scene.read()
    assert [one.name for one in ceremony.steps].count("resumed") == len(STEPS)
    assert scene.keys() == 2


def test_keys_made_before_they_were_written_down_are_found_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chopmark.service import ceremony_init

    real = ceremony_init.prepare

    def break_off(*arguments: object) -> object:
        real(*arguments)  # type: ignore[arg-type]
        raise BrokenOffError

    monkeypatch.setattr(ceremony_init, "prepare", break_off)
    with pytest.raises(BrokenOffError):
        scene.hold()
    monkeypatch.setattr(ceremony_init, "prepare", real)
    scene.hold(resumed=True)
    keys = scene.read().find("keys")
    assert keys is not None
    assert "LOCAL yes" in keys.fact("log-attributes")
    assert scene.keys() == 2


@pytest.mark.parametrize("moment", ["close", "forget"])
def test_ceremony_that_broke_off_while_it_was_put_in_place_ends_so(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    from chopmark.service.ceremony_desk import Book

    real = getattr(Book, moment)

    def break_off(*_: object) -> str:
        raise BrokenOffError

    monkeypatch.setattr(Book, moment, break_off)
    with pytest.raises(BrokenOffError):
        scene.hold()
    assert scene.is_set_up()
    monkeypatch.setattr(Book, moment, real)
    held = scene.hold(resumed=True)
    assert scene.read().origin == ORIGIN
    assert held.digest in {one["protocol"] for one in _audited(scene)}
    assert not scene.unfinished.exists()


@pytest.mark.parametrize("change", ["token", "officers", "configuration", "text"])
def test_another_ceremony_does_not_go_on_with_it(
    scene: Scene, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.desk.answers["confirmed-1"] = _break_off
    with pytest.raises(BrokenOffError):
        scene.hold()
    scene.desk.answers["confirmed-1"] = "yes"
    if change == "token":
        other = provision_token(scene.folder / "other", "hk-1")
        monkeypatch.setenv("SOFTHSM2_CONF", str(other.conf))
    if change == "officers":
        scene.need = 1
    if change == "configuration":
        scene.lenient = False
    if change == "text":
        text = scene.unfinished.read_text()
        scene.unfinished.write_text(text.replace("auditor", "inventor"))
    with pytest.raises(RefusedError) as caught:
        scene.hold(resumed=True)
    codes = {"token": "wrong-token", "text": "broken-chain"}
    assert caught.value.code == codes.get(change, "ceremony-changed")
    assert not scene.protocol.exists()


def test_aborted_ceremony_leaves_a_record_and_no_keys(scene: Scene) -> None:
    scene.desk.answers["confirmed-2"] = "!abort"
    with pytest.raises(RefusedError) as caught:
        scene.hold()
    assert caught.value.code == "ceremony-aborted"
    end = scene.read().end
    assert end is not None
    assert end.outcome == "aborted"
    assert "were destroyed" in end.reason
    assert (scene.keys(), scene.is_set_up()) == (0, False)
    assert not (scene.folder / "state/init.pending").exists()


def test_keys_of_an_aborted_ceremony_may_stay_and_are_not_taken_later(scene: Scene) -> None:
    scene.desk.answers |= {"confirmed-2": "!abort", "destroy": "no"}
    with pytest.raises(RefusedError):
        scene.hold()
    end = scene.read().end
    assert end is not None
    assert "stay in the token" in end.reason
    scene.protocol.unlink()
    scene.desk = ScriptedDesk(scene.answers() | {"try-again": "no"})
    with pytest.raises(RefusedError):
        scene.hold()
    assert scene.keys() == 2
    again = scene.read()
    assert [one.name for one in again.steps if one.result == "failed"] == ["keys"]


def _make_beside(scene: Scene) -> tuple[VerifierKey, VerifierKey]:
    """What `chopmark init` leaves that is killed before it has made the ledger."""
    pin = scene.token.read_pin
    return prepare(
        scene.folder / "gateway.toml", scene.config, lambda: create_token_keys(scene.config, pin)
    )


def test_ceremony_does_not_begin_over_keys_that_nobody_approved(scene: Scene) -> None:
    _make_beside(scene)
    with pytest.raises(ExistsError) as caught:
        scene.hold()
    assert caught.value.code == "init-pending"
    assert caught.value.hint
    assert not scene.unfinished.exists()
    assert scene.keys() == 2


@pytest.mark.parametrize(
    "moment", ["right-token", "approve-go-ahead-1", "officer-1-present of a ceremony that goes on"]
)
def test_keys_that_something_else_made_meanwhile_are_neither_taken_nor_destroyed(
    scene: Scene, moment: str
) -> None:
    """Made before the go-ahead, after it, and while the ceremony was broken off."""
    answers = scene.desk.answers
    question, _, off = moment.partition(" ")
    before = answers.get(question, "yes")

    def answer() -> str:
        answers[question] = before
        if off:
            raise BrokenOffError
        _make_beside(scene)
        return before() if callable(before) else str(before)

    answers |= {question: answer, "try-again": "no", "destroy": "yes"}
    if off:
        with pytest.raises(BrokenOffError):
            scene.hold()
        _make_beside(scene)
    with pytest.raises(RefusedError) as caught:
        scene.hold(resumed=bool(off))
    assert caught.value.code == "ceremony-aborted"
    assert "init.pending" in caught.value.message
    assert "destroy" not in scene.desk.asked
    assert scene.read().find("keys") is None
    assert scene.keys() == 2
    pending = scene.folder / "state/init.pending"
    assert pending.exists(), "what made them can go on"


def test_nothing_else_goes_on_with_the_keys_of_a_ceremony(scene: Scene) -> None:
    scene.desk.answers["confirmed-1"] = _break_off
    with pytest.raises(BrokenOffError):
        scene.hold()
    with pytest.raises(ExistsError) as caught:
        _make_beside(scene)
    assert caught.value.code == "init-pending"
    scene.desk.answers["confirmed-1"] = "yes"
    scene.hold(resumed=True)
    assert scene.is_set_up()


def test_nothing_is_made_without_enough_approvals(scene: Scene) -> None:
    scene.desk.answers |= {"approve-go-ahead-2": "-", "ask-again": "no"}
    with pytest.raises(RefusedError) as caught:
        scene.hold()
    assert "go-ahead was not approved" in str(caught.value)
    assert scene.keys() == 0


def test_refused_credential_is_tried_once(scene: Scene) -> None:
    (scene.token.credentials / "hsm-pin").write_text("not the pin")
    with pytest.raises(ConfigurationError) as caught:
        scene.hold()
    assert caught.value.code == "pin-refused"
    assert "try-again" not in scene.desk.asked
    assert scene.unfinished.exists()


def test_restore_drill_finds_the_same_keys_in_a_backup_token(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of SoftHSM's files, made in the backup step, is what a vendor's cloning gives."""
    backup = scene.folder / "backup"

    def copy() -> str:
        shutil.copytree(scene.token.tokens, backup / "tokens")
        conf = scene.token.conf.read_text().replace(str(scene.token.tokens), f"{backup}/tokens")
        (backup / "softhsm2.conf").write_text(conf)
        return "copied"

    def put(conf: Path) -> Callable[[], str]:
        def change() -> str:
            monkeypatch.setenv("SOFTHSM2_CONF", str(conf))
            return ""

        return change

    scene.desk.backup_pin = scene.token.read_pin()
    scene.desk.answers |= {
        "backup-made": "yes",
        "backup-means": copy,
        "backup-kept": "in the safe",
        "backup-token": "yes",
        "backup-label": put(backup / "softhsm2.conf"),
        "token-back": put(scene.token.conf),
    }
    scene.hold()
    drill = scene.read().find("restore-drill")
    assert drill is not None
    assert drill.fact("backup-token").endswith("the same keys, good signatures")
    assert drill.fact("backup-log-signature")


def test_restore_drill_fails_with_a_token_of_other_keys(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = provision_token(scene.folder / "other", "hk-1")

    scene.desk.backup_pin = other.read_pin()

    def put() -> str:
        monkeypatch.setenv("SOFTHSM2_CONF", str(other.conf))
        return ""

    scene.desk.answers |= {"backup-token": "yes", "backup-label": put, "try-again": "no"}
    with pytest.raises(RefusedError):
        scene.hold()
    failed = [one for one in scene.read().steps if one.result == "failed"]
    assert [one.name for one in failed] == ["restore-drill"]


def test_ceremony_over_an_existing_gateway_does_not_begin(scene: Scene) -> None:
    scene.hold()
    with pytest.raises(ExistsError) as caught:
        scene.hold()
    assert caught.value.code == "file-exists"


def _break_off() -> str:
    raise BrokenOffError


def _serial(token: Token) -> str:
    (folder,) = token.tokens.iterdir()
    return folder.name.replace("-", "")[-16:]


def _audited(scene: Scene) -> list[dict[str, object]]:
    with closing(sqlite3.connect(scene.folder / "state/log.db")) as db:
        records = [parse_record(one) for (one,) in db.execute("SELECT record FROM audit_record")]
    held = [one for one in records if one.action == "key.ceremony"]
    return [dict(one.about) for one in held if one.outcome == "done"]


class Disguised(Ceremony):
    """What says something else than it is."""

    def encode(self) -> str:
        return "bank-hk.example/hk-1\n7\n"


async def test_key_signs_only_a_completed_ceremony_that_made_it(scene: Scene) -> None:
    config = HsmConfig(MODULE, token_label="hk-1")
    create_keys(config, ORIGIN, scene.token.read_pin)
    signer = await open_signer(config, ORIGIN, scene.token.read_pin)
    fields = {one.name: getattr(ended(), one.name) for one in dataclasses.fields(Ceremony)}
    try:
        for bad, error in (
            (held("close"), ValueError),
            (held("token"), ValueError),
            (replace(ended(), end=End("aborted", TIME + 900, "no time")), ValueError),
            (ended(), ValueError),  # by a key in software
            (replace(ended(), place="a\nb"), MalformedError),
            (ended(held(by=[1])), RefusedError),
            (Disguised(**fields), TypeError),
            ("bank-hk.example/hk-1\n7\n", TypeError),
        ):
            with pytest.raises(error):
                await signer.sign_ceremony(bad)  # type: ignore[arg-type]
        assert signer.counts["ceremonies"] == 0
    finally:
        await signer.close()
