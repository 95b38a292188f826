"""Taking everything off a real box: what it refuses, what it hands out, and what is left."""

import base64
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from adminbox import AdminBox
from chopmark.core.entry import Attestation, parse_entry
from chopmark.hsm import HsmConfig
from chopmark.hsm.listing import list_pairs
from configs import peer_block
from rig.patience import PATIENCE

VICTIM = Path(__file__).parents[1] / "adminvictim.py"
ORIGIN = "bank-hk.example/hk-1"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[AdminBox]:
    made = AdminBox(tmp_path).start()
    try:
        made.init()
        yield made
    finally:
        made.close()


def keys_in_token(box: AdminBox, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    for name, value in box.token_environment.items():
        monkeypatch.setenv(name, value)
    return [key.label for key in list_pairs(HsmConfig(box.token.module, token_label="hk-1"))]


def start_gateway(box: AdminBox) -> None:
    box.do("unit-start", unit="gateway")
    box.wait_for(lambda: box.is_up() and is_ready(box), "the daemon to be ready")


def is_ready(box: AdminBox) -> bool:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(box.api)), timeout=PATIENCE) as client:
        return client.get("http://localhost/readyz").status_code == 200


def attest(box: AdminBox, count: int) -> list[str]:
    """Have documents attested, and signed; gives their digests."""
    digests = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(count)]
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(box.api)), timeout=PATIENCE) as client:
        for digest in digests:
            body = {"digests": {"sha256": digest}, "until": "signed"}
            answer = client.post("http://localhost/v1/attestations", json=body)
            assert answer.status_code in (201, 202), answer.text
    return digests


def assert_nothing_is_left(box: AdminBox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not box.config.exists()
    assert list(box.state.iterdir()) == []
    assert [one for one in box.pins.rglob("*") if not one.is_dir()] == []
    assert list(box.own.iterdir()) == []
    assert keys_in_token(box, monkeypatch) == []
    assert not box.is_up()


def test_reset_publishes_the_end_destroys_the_keys_and_leaves_nothing(
    box: AdminBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_gateway(box)
    attest(box, 1)
    before = keys_in_token(box, monkeypatch)
    assert sorted(before) == ["chopmark-cosigner", "chopmark-log"]
    assert box.refused("wipe", origin="bank-sz.example/sz-1", scope="state") == "other-log"
    assert box.do("reset-look")["waiting"] == 0
    (box.pins / "hsm-pin.cred").write_text("encrypted for this machine")
    (box.pins / "more").mkdir()
    (box.pins / "more" / "salt.cred").write_text("what somebody keeps beside it")
    (box.config.parent / "broker").mkdir()
    (box.config.parent / "broker" / "hk-1.key").write_text("made by hand, without a request")
    done = box.do("wipe", origin=ORIGIN, scope="state")
    assert done == {"keys": before, "kept": []} or sorted(done["keys"]) == sorted(before)
    log = (box.folder / "daemon.log").read_text()
    assert "audit records, root in entry" in log, "the end is not in the ledger"
    assert_nothing_is_left(box, monkeypatch)
    assert list((box.config.parent / "broker").glob("*.key")) == []
    box.init()  # and the box is good for another gateway


def test_reset_takes_copies_and_a_set_up_cut_off_and_leaves_the_network(box: AdminBox) -> None:
    copies, begun = box.folder / "copies", box.own / "init"
    for folder in (copies, begun):
        folder.mkdir()
    (copies / "chopmark-hk-1-2026-12-01T000000Z.log.db").write_text("all that was ever attested")
    (begun / "gateway.toml").write_text(box.config.read_text())
    (box.own / "network.json").write_text('{"vlan":120,"link":"enp1s0"}')
    box.do("wipe", origin=ORIGIN, scope="state", audit="impossible")
    assert list(copies.iterdir()) == []
    assert [one.name for one in box.own.iterdir()] == ["network.json"]
    assert ["stop", "chopmark-backup.service"] in [words for words, _ in box.controlled()]


def test_reset_waits_for_what_is_not_witnessed_until_it_was_handed_out(
    box: AdminBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = box.config.read_text().replace("alone = false", "alone = true")
    box.config.write_text(text + peer_block())  # a peer that never comes
    start_gateway(box)
    digests = attest(box, 3)
    there = box.do("reset-look")
    assert (there["waiting"], there["handed_out"]) == (3, False)
    asked = {"origin": ORIGIN, "scope": "state", "audit": "impossible"}
    assert box.refused("wipe", **asked) == "unwitnessed"
    page = box.do("reset-export", start=there["floor"])
    entries = [parse_entry(base64.b64decode(data)) for _, data in page["entries"]]
    found = [one.sha256.hex() for one in entries if isinstance(one, Attestation)]
    assert found == digests
    assert box.do("reset-look")["handed_out"]
    attest(box, 4)
    assert not box.do("reset-look")["handed_out"], "more has come since"
    assert box.refused("wipe", **asked) == "unwitnessed"
    box.do("unit-stop", unit="gateway")
    box.do("reset-export", start=page["next"])
    assert box.refused("wipe", origin=ORIGIN, scope="state") == "audit-unpublished"
    box.do("wipe", **asked)
    assert_nothing_is_left(box, monkeypatch)


LATE = """\
#!{python}
import os, sys, httpx
if sys.argv[1:] == ["stop", "chopmark.service"] and not os.path.exists({came!r}):
    open({came!r}, "w").close()
    with httpx.Client(transport=httpx.HTTPTransport(uds={api!r}), timeout=120) as client:
        body = {{"digests": {{"sha256": "ab" * 32}}, "until": "signed"}}
        client.post("http://localhost/v1/attestations", json=body).raise_for_status()
os.execv({real!r}, [{real!r}, *sys.argv[1:]])
"""


def test_reset_counts_what_came_until_the_gateway_was_stopped(
    box: AdminBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = box.config.read_text().replace("alone = false", "alone = true")
    box.config.write_text(text + peer_block())  # a peer that never comes
    start_gateway(box)
    attest(box, 1)
    box.do("reset-export", start=box.do("reset-look")["floor"])
    control, real = box.folder / "control", str(box.folder / "systemctl")
    control.rename(real)
    came = str(box.folder / "came")
    control.write_text(LATE.format(python=sys.executable, came=came, api=str(box.api), real=real))
    control.chmod(0o755)
    asked = {"origin": ORIGIN, "scope": "state", "audit": "impossible"}
    assert box.refused("wipe", **asked) == "unwitnessed"
    assert not (box.own / "wipe.json").exists()
    assert len(keys_in_token(box, monkeypatch)) == 2
    box.wait_for(box.is_up, "the gateway to go on")
    there = box.do("reset-look")
    assert (there["waiting"], there["handed_out"]) == (2, False)


def test_reset_with_the_token_away_leaves_the_keys_only_if_that_was_said(box: AdminBox) -> None:
    box.do("transport-request")
    shown = box.config.parent / "broker"
    (shown / "hk-1.pem").write_text("a certificate")
    (shown / "ca.pem").write_text("of the broker")
    away = box.folder / "hsm-away"
    (box.folder / "hsm").rename(away)
    asked = {"origin": ORIGIN, "scope": "state", "audit": "impossible"}
    assert box.refused("wipe", **asked) in ("hsm-away", "no-such-token")
    assert box.config.exists()
    assert len(list(shown.iterdir())) == 4
    assert box.do("wipe", **asked, keys="left")["kept"] == ["*"]
    assert [one.name for one in shown.iterdir()] == ["ca.pem"], "keys for brokers were left"
    assert not box.config.exists()
    assert list(box.state.iterdir()) == []
    away.rename(box.folder / "hsm")


UNSEEN = {"scope": "state", "ledger": "unreadable", "audit": "impossible"}


def test_box_with_an_unreadable_configuration_is_reset_only_for_who_knows_it(
    box: AdminBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert box.refused("wipe", **UNSEEN, keys="left") == "ledger-readable"
    assert box.refused("wipe", scope="state") == "other-log"
    box.config.write_text('[gateway]\nid = "hk-1\n')
    there = box.do("reset-look")
    assert there["unreadable"]["code"].startswith("config-")
    assert box.refused("wipe", origin=ORIGIN, scope="state").startswith("config-")
    assert box.refused("wipe", **UNSEEN) == "keys-unknown"
    assert list(box.state.iterdir())
    assert box.do("wipe", **UNSEEN, keys="left")["kept"] == ["*"]
    assert not box.config.exists()
    assert list(box.state.iterdir()) == []
    assert [*box.pins.iterdir(), *box.own.iterdir()] == []
    assert len(keys_in_token(box, monkeypatch)) == 2


def test_box_with_a_damaged_ledger_is_reset_and_its_keys_destroyed_by_their_labels(
    box: AdminBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (box.state / "log.db").write_bytes(b"no database at all" * 1000)
    there = box.do("reset-look")
    assert there["unreadable"]
    assert there["origin"] == ORIGIN
    done = box.do("wipe", **UNSEEN)
    assert sorted(done["keys"]) == ["chopmark-cosigner", "chopmark-log"]
    assert_nothing_is_left(box, monkeypatch)
    box.init()


@pytest.mark.parametrize("steps", [2, 4, 5, 6, 9])
def test_reset_that_is_killed_is_finished_by_the_next_service(
    box: AdminBox, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    box.stop()
    box.program = (sys.executable, str(VICTIM), str(steps))
    box.start()
    asked = {"origin": ORIGIN, "scope": "state", "audit": "impossible"}
    assert box.send_or_dead("wipe", **asked) is None
    assert (box.own / "wipe.json").exists()
    box.kill()
    box.program = AdminBox.program
    box.start()
    box.wait_for(lambda: not (box.own / "wipe.json").exists(), "the reset to end")
    assert_nothing_is_left(box, monkeypatch)


@pytest.mark.parametrize("steps", [2, 3, 4])
def test_reset_that_is_killed_before_it_has_begun_leaves_a_gateway_that_runs(
    box: AdminBox, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    start_gateway(box)
    box.stop()
    box.program = (sys.executable, str(VICTIM), str(steps))
    box.start()
    asked = {"origin": ORIGIN, "scope": "state", "audit": "impossible"}
    assert box.send_or_dead("wipe", **asked) is None
    assert not (box.own / "wipe.json").exists()
    assert box.is_up() == (steps == 2)
    box.kill()
    box.program = AdminBox.program
    box.start()
    box.wait_for(lambda: not (box.own / "stopping.json").exists(), "the gateway to go on")
    box.wait_for(box.is_up, "the gateway to be there")
    assert len(keys_in_token(box, monkeypatch)) == 2


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_initialising_that_is_killed_goes_on_with_the_same_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    box = AdminBox(tmp_path)
    box.program = (sys.executable, str(VICTIM), str(steps))
    box.start()
    who = box.who()
    try:
        box.do("pin-put", pin=box.token.read_pin())
        died = box.send_or_dead("gateway-init", **who) is None
        made = sorted(keys_in_token(box, monkeypatch))
        box.kill()
        box.program = AdminBox.program
        box.start()
        assert died == (steps < 3)
        if not box.config.exists():
            box.do("gateway-init", **who)
        assert sorted(keys_in_token(box, monkeypatch)) == made
        start_gateway(box)
    finally:
        box.close()
