"""A gateway that runs two histories under one key, and how the others catch it.

The attacker copies state and token of sz-1, and runs the two copies one after the other, each
towards another broker: hk-1 sees one history, mo-1 the other.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import attest, some_document, verify

from chopmark.client.officers import add_signature
from chopmark.core.evidence import parse_evidence
from chopmark.core.roster import Fingerprint
from officers import CHAN, LEE
from rig.broker import Broker
from rig.gateway import Cluster, Gateway

COMMON, LEFT, RIGHT = (some_document(name) for name in ("common", "left", "right"))


class Split:
    """The cluster over two brokers, and the attacker's copies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.other = Broker(folder / "other")
        try:
            self.cluster = Cluster(folder)
        except BaseException:
            self.other.stop()
            raise
        self.shenzhen, self.hong_kong, self.macao = self.cluster.gateways.values()
        self.made: dict[bytes, dict[str, Any]] = {}

    def run(self) -> "Split":
        """Everybody sees the common history, hk-1 then one that goes on, mo-1 another."""
        self.connect(self.shenzhen, self.cluster.broker, self.other)
        self.connect(self.macao, self.other)
        self.cluster.start()
        for name in ("first", "second"):
            attest(self.shenzhen, some_document(name))
        self.attest(COMMON)
        attest(self.shenzhen, some_document("head above it"))
        for receiver in (self.hong_kong, self.macao):
            receiver.wait_for_head(self.shenzhen, 4)
            receiver.wait_for(lambda one=receiver: self._is_vouched(one), "to hear a heartbeat")
        self.shenzhen.stop()
        copy(self.shenzhen.folder, self.folder / "kept")
        self.go_on(self.cluster.broker, LEFT, self.hong_kong)
        copy(self.folder / "kept", self.shenzhen.folder)
        self.go_on(self.other, RIGHT, self.macao)
        return self

    def _is_vouched(self, receiver: Gateway) -> bool:
        return receiver.peer(self.shenzhen)["as_of"] is not None

    def go_on(self, broker: Broker, document: bytes, receiver: Gateway) -> None:
        """Run one history towards one broker."""
        self.connect(self.shenzhen, broker)
        self.shenzhen.start()
        self.attest(document)
        attest(self.shenzhen, some_document(f"behind {document!r}"))
        receiver.wait_for_head(self.shenzhen, 6)
        self.shenzhen.stop()

    def branch_of_left(self, found: dict[str, Any]) -> str:
        """Which head in evidence is that of hk-1: 1 or 2."""
        with self.hong_kong.client() as client:
            note = client.get("/log/sz-1/checkpoint").text
        roots = [head["root"] for head in found["heads"]]
        return str(1 + next(n for n, root in enumerate(roots) if root in note))

    def attest(self, document: bytes) -> None:
        self.made[document] = attest(self.shenzhen, document)

    @staticmethod
    def connect(gateway: Gateway, *brokers: Broker) -> None:
        """Write which brokers a gateway connects to."""
        before, _, after = gateway.config.read_text().partition("[[broker]]")
        rest = after[after.index("\n[") :] if "\n[" in after else ""
        while rest.startswith("\n[[broker]]"):
            rest = rest[rest.index("\n[", 1) :]
        blocks = [f'[[broker]]\nhost = "{one.host}"\nport = {one.port}\n' for one in brokers]
        gateway.config.write_text(before + "\n".join(blocks) + rest)

    def stop(self) -> None:
        self.cluster.stop()
        self.other.stop()


def copy(source: Path, target: Path) -> None:
    """Copy state and token; where both lie on one disk nothing keeps an attacker from it."""
    for part in ("state", "hsm/tokens"):
        shutil.rmtree(target / part, ignore_errors=True)
        shutil.copytree(source / part, target / part)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Split]:
    made = Split(tmp_path_factory.mktemp("f"))
    try:
        yield made.run()
    finally:
        made.stop()


def evidence(gateway: Gateway) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = gateway.get("/v1/evidence")
    return found


def test_presented_proof_of_the_other_history_is_caught(split: Split) -> None:
    """Each side believes what it was shown, until the two heads meet."""
    hong_kong, macao = split.hong_kong, split.macao
    assert verify(hong_kong, LEFT)["verdict"] == "valid"
    assert verify(macao, RIGHT)["verdict"] == "valid"
    assert evidence(hong_kong) == []
    with macao.client() as client:
        proof = client.get(f"/v1/proofs/sz-1/{split.made[RIGHT]['index']}").text
    assert verify(hong_kong, RIGHT, proof=proof)["verdict"] == "untrusted"
    # It is frozen at once, and its evidence made and stored after that.
    hong_kong.wait_for(lambda: bool(evidence(hong_kong)), "to keep the evidence")
    [found] = evidence(hong_kong)
    assert (found["id"], found["heads"][0]["size"]) == ("sz-1", 6)
    assert hong_kong.get("/v1/status")["alarms"][0]["code"] == "fork"
    assert "fork" in hong_kong.log.read_text()


def test_evidence_convicts_offline(split: Split, tmp_path: Path) -> None:
    hong_kong, shenzhen = split.hong_kong, split.shenzhen
    done = hong_kong.cli("evidence", "show", "--save", str(tmp_path), check=False)
    assert (done.returncode, "FORKED" in done.stdout) == (10, True)
    [file] = tmp_path.iterdir()
    parse_evidence(file.read_bytes())
    key = next(
        line.split('"')[1]
        for line in shenzhen.cli("peers", "export").stdout.splitlines()
        if line.startswith("log_vkey")
    )
    done = hong_kong.cli("evidence", "check", str(file), "--key", key, check=False)
    assert (done.returncode, "FORKED" in done.stdout) == (10, True)
    assert hong_kong.cli("evidence", "check", str(file), check=False).returncode == 10
    file.write_text(file.read_text().replace("size 6", "size 5"))
    assert hong_kong.cli("evidence", "check", str(file), check=False).returncode == 65
    thief = hong_kong.cli("peers", "export").stdout.split('log_vkey = "')[1].split('"')[0]
    assert hong_kong.cli("evidence", "check", str(file), "--key", thief, check=False).returncode


def test_earlier_entries_stay_valid_with_a_warning_and_later_ones_do_not(split: Split) -> None:
    hong_kong = split.hong_kong
    verdict = verify(hong_kong, COMMON)
    assert verdict["verdict"] == "valid"
    assert "Warning:" in verdict["sentence"]
    assert verdict["attestations"][0]["warning"] in verdict["sentence"]
    behind = verify(hong_kong, some_document(f"behind {LEFT!r}"))
    assert behind["verdict"] == "untrusted"


def test_published_evidence_freezes_the_log_elsewhere_and_lasts(split: Split) -> None:
    """mo-1 meets hk-1 at last; it has seen nothing wrong itself."""
    macao = split.macao
    assert evidence(macao) == []
    macao.stop()
    split.connect(macao, split.cluster.broker, split.other)
    macao.start()
    macao.wait_for(lambda: bool(evidence(macao)), "to learn of the fork")
    assert evidence(macao)[0]["digest"] == evidence(split.hong_kong)[0]["digest"]
    macao.stop()
    macao.start()
    assert macao.peer(split.shenzhen)["state"] == "failed"
    assert verify(macao, some_document(f"behind {RIGHT!r}"))["verdict"] == "untrusted"
    assert "Warning:" in verify(macao, COMMON)["sentence"]


def pin_officers(gateway: Gateway, others: tuple[Gateway, ...], folder: Path) -> None:
    """Found a roster at one gateway, with two officers."""
    folder.mkdir()
    options: list[str] = []
    for one in (gateway, *others):
        block = folder / f"{one.folder.name}.toml"
        block.write_text(one.cli("peers", "export").stdout)
        options += ["--join", str(block)]
    bank = gateway.who.origin.partition(".")[0]
    for person in (CHAN, LEE):
        path = folder / f"{person.seed}.crt"
        path.write_bytes(person.certificate)
        options += ["--officer", f"{person.name}={bank}={path}"]
    text = folder / "roster"
    gateway.cli("roster", "propose", str(text), "--first", *options)
    words = Fingerprint(text.read_text()).words
    gateway.cli("roster", "sign", str(text))
    gateway.cli("roster", "pin", str(text), words)
    gateway.wait_for(lambda: gateway.get("/v1/roster")["pinned"], "to have the roster")


def test_two_officers_release_the_replica_while_the_gateway_runs(
    split: Split, tmp_path: Path
) -> None:
    """mo-1 holds the right branch; its officers keep the left one, which hk-1 has."""
    macao, hong_kong = split.macao, split.hong_kong
    pin_officers(macao, (split.shenzhen, hong_kong), tmp_path / "roster")
    [found] = evidence(macao)
    file = tmp_path / "release"
    options = ("--keep", split.branch_of_left(found), "--reason", "an old disk")
    macao.cli("evidence", "release", found["digest"][:8], str(file), *options)
    assert "No attestation" in verify(macao, LEFT)["sentence"]
    certificate, key = tmp_path / "crt", tmp_path / "key"
    certificate.write_bytes(CHAN.certificate)
    key.write_bytes(CHAN.pem)
    macao.cli("evidence", "sign", str(file), "--certificate", str(certificate), "--key", str(key))
    refused = macao.cli("evidence", "release", "--apply", str(file), check=False)
    assert (refused.returncode, "two different officers" in refused.stderr) == (65, True)
    certificate.write_bytes(LEE.certificate)
    key.write_bytes(LEE.pem)
    add_signature(file, certificate, key, None)
    macao.cli("evidence", "release", "--apply", str(file))
    macao.wait_for((macao.folder / "state/replica/sz-1.db.released-1").exists, "to set it aside")
    macao.wait_for(lambda: macao.peer(split.shenzhen)["head_size"] == 6, "to fetch it again")
    verdict = verify(macao, LEFT)
    assert "an old disk" in verdict["attestations"][0]["warning"]
    assert evidence(macao)[0]["released"]["reason"] == "an old disk"
    actions = {one["action"]: one for one in macao.get("/v1/audit")["records"]}
    assert actions["fork.released"]["about"]["origin"] == split.shenzhen.who.origin
