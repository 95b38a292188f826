"""Rosters among real gateways: founding, joining, two texts of one version, emergency keys."""

import json
import shutil
import threading
import tomllib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from chopmark.client.emergency import make_emergency_key
from chromium import open_chromium
from rig.gateway import HONG_KONG, MACAO, SHENZHEN, Cluster, Gateway, Who

GUANGZHOU = Who("gz-1", "bank-gz.example/gz-1", "Bank of Guangzhou (example)", "CN")
FOUNDERS = ("sz-1", "hk-1", "mo-1")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Four gateways, of which three have founded a roster."""
    folder = tmp_path_factory.mktemp("r")
    cluster = Cluster(folder, (SHENZHEN, HONG_KONG, MACAO, GUANGZHOU), peers=False)
    try:
        cluster.start()
        found(cluster, folder)
        yield cluster
    finally:
        cluster.stop()


def found(cluster: Cluster, folder: Path) -> None:
    text = folder / "first"
    options = ["--first"]
    for name, gateway in cluster.gateways.items():
        block, key = folder / f"{name}.toml", folder / f"{name}.pem"
        block.write_text(gateway.cli("peers", "export").stdout)
        vkey = make_emergency_key(gateway.who.origin, key)
        if name in FOUNDERS:
            options += ["--join", str(block), "--emergency", f"{name}={vkey}"]
    cluster["sz-1"].cli("roster", "propose", str(text), *options)
    note = text.read_text()
    for name in FOUNDERS:
        note = post(cluster[name], "roster/signatures", note=note)["note"]
    text.write_text(note)
    words = say(cluster["sz-1"], "check", str(text))["words"]
    cluster["sz-1"].cli("roster", "pin", str(text), words)
    for name in ("hk-1", "mo-1", "gz-1"):
        post(cluster[name], "roster/pin", note=note, fingerprint=words)
    for name in FOUNDERS:
        wait_for_version(cluster[name], 1)
        cluster[name].wait_for(lambda name=name: len(peers(cluster[name])) == 2, "to have peers")
        cluster[name].wait_for(cluster[name].is_ready, "to be ready")


def say(gateway: Gateway, *arguments: str, check: bool = True) -> dict[str, Any]:
    done = gateway.cli("--json", "roster", *arguments, check=check)
    answer: dict[str, Any] = json.loads(done.stdout or done.stderr)
    return answer


def post(gateway: Gateway, what: str, **body: str) -> Any:
    with gateway.client() as client:
        return client.post(f"/v1/{what}", json=body).raise_for_status().json()


def ask(gateway: Gateway, path: str) -> Any:
    """JSON of a GET; None if it came between two sets of parts."""
    try:
        return gateway.get(path)
    except httpx.RemoteProtocolError:
        return None


def peers(gateway: Gateway) -> dict[str, Any]:
    return {peer["id"]: peer for peer in ask(gateway, "/v1/peers") or []}


def wait_for_version(gateway: Gateway, version: int) -> None:
    def reached() -> bool:
        return (ask(gateway, "/v1/roster") or {}).get("version") == version

    gateway.wait_for(reached, f"to adopt version {version}")


def attest(
    gateway: Gateway, number: int, kind: str = "document", wait: float = 60
) -> httpx.Response:
    with gateway.client() as client:
        body = {"digests": {"sha256": f"{number:064x}"}, "kind": kind, "wait": wait}
        return client.post("/v1/attestations", json=body)


def judge(gateway: Gateway, number: int) -> str:
    """The verdict about a document, by its digest."""
    with gateway.client() as client:
        body = {"digests": {"sha256": f"{number:064x}"}}
        return str(client.post("/v1/verifications", json=body).raise_for_status().json()["verdict"])


def adoptions(gateway: Gateway) -> list[dict[str, Any]]:
    answer = ask(gateway, f"/v1/entries?id={gateway.who.id}&after=-1&limit=100") or {}
    return [one for one in answer.get("entries", []) if one["type"] == "adoption"]


def change(gateway: Gateway, folder: Path, *options: str, by: tuple[Gateway, ...]) -> Path:
    text = folder / "next"
    gateway.cli("roster", "propose", str(text), *options)
    for one in by:
        one.cli("roster", "sign", str(text))
    return text


def test_founders_follow_each_other_and_log_what_they_adopted(made: Cluster) -> None:
    hk, sz = made["hk-1"], made["sz-1"]
    assert attest(hk, 1).status_code == 201
    sz.wait_for(lambda: peers(sz).get("hk-1", {}).get("head_size", 0) >= 1, "to follow hk-1")
    hk.wait_for(lambda: len(adoptions(hk)) == 1, "to log the adoption")
    assert hk.get("/v1/status")["roster"]["member"] == "active"


def test_exported_verifier_judges_what_gateways_made(made: Cluster, tmp_path: Path) -> None:
    hk, sz = made["hk-1"], made["sz-1"]
    document, page = tmp_path / "statement.pdf", tmp_path / "verifier.html"
    document.write_bytes(b"a statement for a branch that is cut off")
    assert (
        hk.cli("attest", str(document), "--wait", "60s").returncode == 0
    )  # 6 if the quorum had not come
    answer = json.loads(sz.cli("--json", "export-verifier", "-o", str(page)).stdout)
    assert answer["words"] == sz.get("/v1/roster")["words"]
    assert sz.cli("export-verifier", "-o", str(page), check=False).returncode == 73
    shown = sz.cli("export-verifier", "-o", str(tmp_path / "another.html")).stdout
    assert answer["words"] in shown
    assert "Hand it to clerks yourself" in shown
    proof = f"{document}.tlog-proof"
    with open_chromium() as chromium:
        opened = chromium.new_page()
        opened.goto(page.as_uri())
        opened.set_input_files("#files", [str(document), proof])
        card = opened.locator(".verdict")
        expect(card).to_have_attribute("data-word", "valid-as-of")
        expect(card).to_contain_text(hk.who.institution)
        expect(card).to_contain_text(sz.who.institution)
        expect(opened.locator(".seal")).to_contain_text(answer["words"])
        document.write_bytes(document.read_bytes() + b".")
        opened.get_by_role("button", name="Clear").click()
        opened.set_input_files("#files", [str(document), proof])
        expect(card).to_have_attribute("data-word", "mismatch")


def test_gateway_that_is_not_a_member_issues_nothing(made: Cluster) -> None:
    answer = attest(made["gz-1"], 2)
    assert (answer.status_code, answer.json()["code"]) == (403, "not-a-member")


def test_member_joins_by_a_version_that_a_majority_signs(made: Cluster, tmp_path: Path) -> None:
    sz, hk, gz = made["sz-1"], made["hk-1"], made["gz-1"]
    block = tmp_path / "gz.toml"
    block.write_text(gz.cli("peers", "export").stdout)
    vkey = gz.cli("roster", "emergency-key", gz.who.origin, str(tmp_path / "gz.pem")).stdout
    join = ("--join", str(block), "--emergency", f"gz-1={vkey.strip()}")
    text = change(sz, tmp_path, *join, by=(sz,))
    refused = say(sz, "publish", str(text), check=False)
    assert refused["code"] == "roster-unsigned"
    hk.cli("roster", "sign", str(text))
    sz.cli("roster", "publish", str(text))
    for gateway in made.gateways.values():
        wait_for_version(gateway, 2)
        gateway.wait_for(lambda one=gateway: len(peers(one)) == 3, "to have three peers")
    gz.wait_for(gz.is_ready, "to be ready")
    assert attest(gz, 3).status_code == 201
    hk.wait_for(lambda: peers(hk).get("gz-1", {}).get("head_size", 0) >= 1, "to follow gz-1")


def test_second_text_of_a_version_is_not_signed(made: Cluster, tmp_path: Path) -> None:
    sz = made["sz-1"]
    text = change(sz, tmp_path, "--threshold", "3", by=(sz,))
    other = tmp_path / "other"
    sz.cli("roster", "propose", str(other), "--threshold", "1")
    assert say(sz, "sign", str(other), check=False)["code"] == "roster-signed"
    note = text.read_text()
    for name in ("hk-1", "gz-1"):
        note = post(made[name], "roster/signatures", note=note)["note"]
    post(made["hk-1"], "roster/versions", note=note)
    for gateway in made.gateways.values():
        wait_for_version(gateway, 3)


def test_suspension_by_the_emergency_key_works_under_load(made: Cluster, tmp_path: Path) -> None:
    sz, hk, mo = made["sz-1"], made["hk-1"], made["mo-1"]
    key = hk.folder.parent / "mo-1.pem"
    note = tmp_path / "stop"
    hk.cli("roster", "suspension", "mo-1", mo.who.origin, str(key), str(note))
    stopped = threading.Event()
    recorded: list[int] = []

    def load() -> None:
        number = 1000
        while not stopped.is_set():
            number += 1
            try:
                if attest(hk, number, wait=5).status_code == 201:
                    recorded.append(number)
            except httpx.RemoteProtocolError:
                continue

    worker = threading.Thread(target=load)
    worker.start()
    try:
        hk.cli("roster", "publish", str(note))
        for gateway in (sz, hk, mo):
            gateway.wait_for(
                lambda one=gateway: (ask(one, "/v1/roster") or {}).get("suspended") == ["mo-1"],
                "to hear of the suspension",
            )
        before = len(recorded)
        hk.wait_for(lambda: len(recorded) > before + 5, "to go on issuing")
    finally:
        stopped.set()
        worker.join()
    mo.wait_for(lambda: ask(mo, "/v1/status") is not None, "to answer")
    assert attest(mo, 5).json()["code"] == "member-suspended"
    sz.wait_for(
        lambda: peers(sz).get("mo-1", {}).get("membership") == "suspended", "to see it suspended"
    )
    size = hk.get("/v1/status")["size"]
    sz.wait_for(lambda: peers(sz).get("hk-1", {}).get("head_size", 0) >= size, "to follow hk-1")
    hk.cli("fsck", "--config", str(hk.config))
    # It is named in no policy any more, and goes on verifying what is new.
    assert attest(hk, 6000).json()["state"] == "witnessed"
    good = ("valid", "valid-as-of")
    mo.wait_for(lambda: judge(mo, 6000) in good, "to hear of the quorum")


def test_log_and_cosigner_key_are_replaced_while_the_gateway_runs(
    made: Cluster, tmp_path: Path
) -> None:
    """Generate, name, activate, end, destroy; what the old keys signed stays good."""
    sz, hk = made["sz-1"], made["hk-1"]
    proof = attest(hk, 7000).json()["proof"]
    old = {one["role"]: one["vkey"] for one in hk.get("/v1/keys")}
    new = {role: post(hk, "keys/generate", role=role)["vkey"] for role in old}
    assert say_code(hk, "hsm", "activate", new["log"]) == "key-not-in-roster"
    version = hk.get("/v1/roster")["version"]
    added = [word for vkey in new.values() for word in ("--add-key", f"hk-1={vkey}")]
    enforce(made, tmp_path / "add", *added)
    for role, vkey in new.items():
        if role == "log":
            hk.cli("hsm", "activate", vkey)
        else:
            post(hk, "keys/activate", vkey=vkey)
        hk.wait_for(lambda vkey=vkey: vkey in used(hk), "to use the new key")
    assert attest(hk, 7001).status_code == 201
    size = hk.get("/v1/status")["size"]
    sz.wait_for(lambda: peers(sz).get("hk-1", {}).get("head_size", 0) >= size, "to follow")
    head = hk.get("/v1/status")["head"]
    last = f"={head['size']}={head['root']}"
    ended = [
        f"hk-1={vkey.split('+')[1]}{last if role == 'log' else ''}" for role, vkey in old.items()
    ]
    assert say_code(hk, "hsm", "retire", old["log"]) == "key-in-use"
    enforce(made, tmp_path / "end", *(word for one in ended for word in ("--retire-key", one)))
    assert hk.get("/v1/roster")["version"] == version + 2
    for role, vkey in old.items():
        row = next(one for one in hk.get("/v1/keys") if one["vkey"] == vkey)
        facts = ("--yes-destroy", row["words"], "--label", f"chopmark-{role}")
        hk.cli("hsm", "retire", vkey, *facts)
    assert {row["vkey"] for row in hk.get("/v1/keys")} == set(new.values())
    assert used(hk) == set(new.values())
    assert attest(hk, 7002).status_code == 201
    size = hk.get("/v1/status")["size"]
    sz.wait_for(lambda: peers(sz).get("hk-1", {}).get("head_size", 0) >= size, "to follow again")
    with sz.client() as client:
        body = {"digests": {"sha256": f"{7000:064x}"}, "proof": proof}
        verdict = client.post("/v1/verifications", json=body).json()
    assert verdict["verdict"] not in ("untrusted", "mismatch", "unknown"), verdict
    for gateway in (hk, sz):
        gateway.cli("fsck")


def test_catalogue_of_a_new_version_holds_at_once(made: Cluster, tmp_path: Path) -> None:
    hk = made["hk-1"]
    assert attest(hk, 8000).status_code == 201
    draft = tmp_path / "draft"
    made["sz-1"].cli("roster", "propose", str(draft))
    held = tomllib.loads(draft.read_text().partition("\n")[2])
    banks = [one["institution"] for one in held["member"] if one["id"] in ("hk-1", "gz-1")]
    draft.write_text(
        f'{draft.read_text()}\n[[kind]]\nname = "deposit"\nvalidity = 3600\n'
        f'[[kind]]\nname = "deed"\n[kind.notary]\ninstitutions = {banks}\nthreshold = 1\n'
    )
    enforce(made, tmp_path / "kinds", "--draft", str(draft))
    hk.wait_for(lambda: attest(hk, 8001, wait=5).status_code == 422, "to hold to the catalogue")
    refused = attest(hk, 8001)
    assert (refused.status_code, refused.json()["code"]) == (422, "kind-not-in-catalogue")
    assert refused.json()["hint"] == "it may attest: deed, deposit"
    done = attest(hk, 8002, "deposit").json()
    made_at, until = map(datetime.fromisoformat, (done["made_at"], done["valid_until"]))
    assert timedelta(minutes=59) < until - made_at <= timedelta(hours=1)
    lines = "".join(json.dumps({"sha256": f"{n:064x}", "kind": "deposit"}) + "\n" for n in (1, 2))
    with hk.client() as client:
        batch = client.post("/v1/attestations:batch", content=lines).text.splitlines()
    index = json.loads(batch[1])["index"]
    entry = hk.get(f"/v1/entries?id=hk-1&after={index - 1}&limit=1")["entries"][0]
    assert entry["valid_until"] is not None


def test_kind_with_a_notary_is_witnessed_with_it(made: Cluster, tmp_path: Path) -> None:
    hk, sz = made["hk-1"], made["sz-1"]
    done = attest(hk, 9000, "deed").json()
    assert done["state"] == "witnessed"
    notary = made["gz-1"].who.origin
    assert f"\n— {notary}/cosigner " in done["proof"]
    policy, proof = tmp_path / "policy", tmp_path / "proof"
    policy.write_text(sz.cli("roster", "export-policy", "hk-1").stdout)
    proof.write_text(done["proof"])
    assert f"# chopmark/notary/v1 deed 1 {notary}/cosigner\n" in policy.read_text()
    check = ("--json", "verify", "--proof", str(proof), "--policy", str(policy))
    assert json.loads(sz.cli(*check, check=False).stdout)["verdict"] == "attestation-only"
    lines = done["proof"].splitlines(keepends=True)
    proof.write_text("".join(one for one in lines if not one.startswith(f"— {notary}/")))
    assert json.loads(sz.cli(*check, check=False).stdout)["verdict"] == "unwitnessed"


def used(gateway: Gateway) -> set[str]:
    return {one["vkey"] for one in ask(gateway, "/v1/keys") or [] if one["in_use"]}


def say_code(gateway: Gateway, *arguments: str) -> str:
    return str(json.loads(gateway.cli("--json", *arguments, check=False).stderr)["code"])


def enforce(made: Cluster, path: Path, *options: str) -> None:
    """Put a version in force that three sign."""
    sz = made["sz-1"]
    version = sz.get("/v1/roster")["version"] + 1
    sz.cli("roster", "propose", str(path), *options)
    note = path.read_text()
    for name in ("sz-1", "hk-1", "gz-1"):
        note = post(made[name], "roster/signatures", note=note)["note"]
    post(sz, "roster/versions", note=note)
    for name in ("sz-1", "hk-1", "gz-1"):
        wait_for_version(made[name], version)
        made[name].wait_for(made[name].is_ready, "to be ready")


def test_lost_database_comes_back_with_the_keys_that_took_over(made: Cluster) -> None:
    """The first keys are destroyed, and the labels of the later ones are lost."""
    hk, others = made["hk-1"], [made["sz-1"], made["gz-1"]]
    keys, size = used(hk), hk.get("/v1/status")["size"]
    post(hk, "keys/generate", role="log")  # signs nothing: it is not mistaken for the newest
    noted = {one["action"] for one in hk.get("/v1/audit?after=-1&limit=1000")["records"]}
    assert {"roster.signed", "roster.pinned"} <= noted
    assert {"key.generated", "key.activated", "key.retired"} <= noted
    hk.add_peers(others)
    for other in others:
        seen = lambda one=other: peers(one).get("hk-1", {}).get("head_size", 0) >= size  # noqa: E731
        other.wait_for(seen, "to hold all of hk-1")
    hk.stop()
    shutil.rmtree(hk.state)
    done = hk.cli("recover", "--json", check=False)
    report = json.loads(done.stdout)
    assert (done.returncode, report["head"]["size"]) == (0, size), report
    hk.cli("fsck")
    hk.launch()
    hk.wait_for(hk.is_ready, "to be ready")
    assert used(hk) == keys
    (record, *_) = hk.get("/v1/audit?after=-1")["records"]
    assert (record["action"], record["about"]["result"]) == ("ledger.recovered", "goes-on")
    assert len(hk.get("/v1/keys")) == 3
