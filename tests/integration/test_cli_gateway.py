"""The `chopmark` command at real gateways: what it prints, writes, and its exit codes."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from pdfs import OTHER, SAME
from rig.gateway import Cluster, Gateway
from rig.patience import PATIENCE


@pytest.fixture
def hong_kong(cluster: Cluster) -> Gateway:
    return cluster["hk-1"]


@pytest.fixture
def shenzhen(cluster: Cluster, hong_kong: Gateway) -> Gateway:
    receiver = cluster["sz-1"]
    receiver.wait_for(
        lambda: receiver.peer(hong_kong)["as_of"] is not None, "to have an as-of time"
    )
    return receiver


@pytest.fixture
def document(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    made = tmp_path / "statement.pdf"
    made.write_text(f"a statement for {request.node.name}")
    return made


def attest(gateway: Gateway, document: Path, *more: str) -> int:
    done = gateway.cli("--json", "attest", str(document), *more)
    answer = json.loads(done.stdout)
    index: int = (answer[0] if isinstance(answer, list) else answer)["index"]
    return index


def test_attest_writes_the_proof_beside_the_file(hong_kong: Gateway, document: Path) -> None:
    attest(hong_kong, document)
    proof = document.with_name("statement.pdf.tlog-proof")
    assert proof.read_text().startswith("c2sp.org/tlog-proof@v1\n")


def test_attest_replaces_no_document_of_another_kind_but_a_wrong_kind(
    hong_kong: Gateway, document: Path
) -> None:
    index = str(attest(hong_kong, document))
    other = document.with_name("diploma.pdf")
    other.write_text(f"another than {document.read_text()}")
    diploma = ("--kind", "diploma", "--supersedes", index)
    done = hong_kong.cli("attest", str(other), *diploma, check=False)
    assert done.returncode == 65
    assert "is of the kind document: no diploma takes its place" in done.stderr
    assert "or attest it as document" in done.stderr
    document.with_name("statement.pdf.tlog-proof").unlink()
    assert attest(hong_kong, document, *diploma) > int(index)


def test_attest_refuses_to_overwrite_a_proof_and_attests_nothing(
    hong_kong: Gateway, document: Path
) -> None:
    attest(hong_kong, document)
    size = hong_kong.get("/v1/status")["size"]
    again = hong_kong.cli("attest", str(document), check=False)
    assert again.returncode == 73
    assert hong_kong.get("/v1/status")["size"] == size


def test_verify_finds_proof_beside_the_file_and_by_digest_without(
    hong_kong: Gateway, shenzhen: Gateway, document: Path
) -> None:
    index = attest(hong_kong, document)
    shenzhen.wait_for_head(hong_kong, index + 1)
    assert shenzhen.cli("verify", str(document)).returncode == 0
    document.with_name("statement.pdf.tlog-proof").unlink()
    assert shenzhen.cli("verify", str(document)).returncode == 0


def test_question_put_wrongly_is_no_verdict(
    hong_kong: Gateway, shenzhen: Gateway, document: Path
) -> None:
    index = attest(hong_kong, document)
    shenzhen.wait_for_head(hong_kong, index + 1)
    done = shenzhen.cli("verify", str(document), "--expect-issuer", "hk1", check=False)
    assert done.returncode == 65
    told = " ".join(done.stderr.split())
    assert "no issuer 'hk1' is known here" in told
    assert "did you mean 'hk-1'?" in told
    assert "proof cannot be read" not in told
    digest = hashlib.sha256(document.read_bytes()).hexdigest()
    with shenzhen.client() as client:
        answer = client.post("/v1/verifications", json={"digests": {"sha256": digest}})
        line = client.post("/v1/verifications:batch", content=f'{{"sha256":"{digest}"}}\n')
    assert (answer.status_code, answer.json()["code"]) == (422, "digest-missing")
    assert line.json()["error"]["code"] == "digest-missing"


def test_verify_offline_needs_no_gateway_and_is_valid_as_of(
    hong_kong: Gateway, document: Path, tmp_path: Path
) -> None:
    attest(hong_kong, document)
    policy = tmp_path / "policy"
    with hong_kong.client() as client:
        policy.write_bytes(client.get("/v1/policy").content)
    proof = f"{document}.tlog-proof"
    offline = ("--gateway", "unix:/nowhere", "verify", str(document), "--proof", proof)
    done = hong_kong.cli(*offline, "--policy", str(policy), check=False)
    assert done.returncode == 5, done.stdout + done.stderr
    document.write_bytes(document.read_bytes() + b"x")
    done = hong_kong.cli(*offline, "--policy", str(policy), check=False)
    assert done.returncode == 3, done.stdout + done.stderr


def test_verify_of_several_files_exits_with_the_worst(
    hong_kong: Gateway, shenzhen: Gateway, document: Path, tmp_path: Path
) -> None:
    index = attest(hong_kong, document)
    shenzhen.wait_for_head(hong_kong, index + 1)
    unknown = tmp_path / "unknown.pdf"
    unknown.write_text("nobody attested this")
    assert shenzhen.cli("verify", str(document), str(unknown), check=False).returncode == 2


def test_revoke_names_the_reason_and_the_receiver_shows_it(
    hong_kong: Gateway, shenzhen: Gateway, document: Path
) -> None:
    index = attest(hong_kong, document)
    hong_kong.cli("revoke", f"{hong_kong.who.origin}#{index}", "--reason", "fraud")
    shenzhen.wait_for_head(hong_kong, index + 2)
    done = shenzhen.cli("verify", str(document), check=False)
    assert done.returncode == 1
    assert "fraud" in done.stdout


def test_revoke_of_another_gateways_entry_is_refused(
    hong_kong: Gateway, shenzhen: Gateway, document: Path
) -> None:
    index = attest(hong_kong, document)
    done = shenzhen.cli("revoke", f"{hong_kong.who.origin}#{index}", check=False)
    assert done.returncode not in (0, 70)
    assert done.stderr.startswith("chopmark: ")


def test_proof_of_a_file_is_fetched_again(hong_kong: Gateway, document: Path) -> None:
    attest(hong_kong, document)
    beside = document.with_name("statement.pdf.tlog-proof")
    beside.unlink()
    hong_kong.cli("proof", str(document))
    assert beside.exists()


@pytest.mark.parametrize(
    "command", [("status",), ("peers",), ("peers", "list"), ("log", "show"), ("config", "check")]
)
def test_command_answers_for_people_and_as_json(hong_kong: Gateway, command: tuple[str]) -> None:
    assert hong_kong.cli(*command).stdout.strip()
    assert json.loads(hong_kong.cli("--json", *command).stdout) is not None


def test_peers_export_is_the_block_that_the_configuration_takes(hong_kong: Gateway) -> None:
    block = hong_kong.cli("peers", "export").stdout
    assert block.lstrip().startswith("[[peer]]")
    assert f'origin = "{hong_kong.who.origin}"' in block


def test_init_on_an_existing_gateway_changes_nothing(hong_kong: Gateway) -> None:
    before = hong_kong.config.read_bytes()
    options = ["--id", "hk-1", "--origin", hong_kong.who.origin, "--institution", "X"]
    options += ["--jurisdiction", "HK", "--module", hong_kong.token.module]
    options += ["--token-label", "hk-1", "--config", str(hong_kong.config)]
    options += ["--state", str(hong_kong.state), "--socket", str(hong_kong.socket)]
    assert hong_kong.cli("init", *options, check=False).returncode == 73
    assert hong_kong.config.read_bytes() == before


def test_missing_file_exits_66_and_gateway_away_69(hong_kong: Gateway, document: Path) -> None:
    assert hong_kong.cli("verify", "/no/such/file", check=False).returncode == 66
    away = hong_kong.cli("--gateway", "unix:/no/such.sock", "verify", str(document), check=False)
    assert away.returncode == 69
    assert "hint: " in away.stderr


def test_hsm_keys_are_read_back_by_the_gateway_and_without_it(hong_kong: Gateway) -> None:
    rows = json.loads(hong_kong.cli("--json", "hsm", "keys").stdout)
    assert [(row["role"], row["label"], row["wrong"]) for row in rows] == [
        ("log", "chopmark-log", []),
        ("cosigner", "chopmark-cosigner", []),
    ]
    assert {row["attributes"]["extractable"] for row in rows} == {False}
    offline = json.loads(hong_kong.cli("--json", "hsm", "keys", "--offline").stdout)
    for row in rows:
        row.update(attributes=None, mechanisms=None)
    assert offline == rows
    fallen = hong_kong.cli("--config", str(hong_kong.config), "hsm", "export", "log")
    assert fallen.stdout.strip() == rows[0]["vkey"]


def test_transport_key_is_made_and_destroyed_beside_the_running_gateway(
    hong_kong: Gateway, tmp_path: Path
) -> None:
    request = tmp_path / "hk-1.csr"
    asked = ("hsm", "csr", "--common-name", "hk-1", "--dns", "gw.example", str(request))
    assert hong_kong.cli(*asked, check=False).returncode == 66
    hong_kong.cli(*asked, "--generate")
    verify = ["openssl", "req", "-in", request, "-noout", "-verify"]
    subprocess.run(verify, check=True, capture_output=True, timeout=PATIENCE)
    assert hong_kong.cli(*asked, check=False).returncode == 73
    refused = hong_kong.cli(
        *asked[:-1], str(tmp_path / "x"), "--label", "chopmark-log", check=False
    )
    assert (refused.returncode, "transport" in refused.stderr) == (65, True)
    rows = json.loads(hong_kong.cli("--json", "hsm", "keys").stdout)
    (tls,) = (row for row in rows if row["label"] == "chopmark-tls")
    destroy = ("hsm", "destroy", "chopmark-tls", "--yes-destroy")
    assert hong_kong.cli(*destroy, rows[0]["words"], check=False).returncode == 64
    hong_kong.cli(*destroy, tls["words"])
    assert len(hong_kong.get("/v1/keys")) == 2
    records = hong_kong.get("/v1/audit?after=-1&limit=1000")["records"]
    assert {"key.generated", "key.destroyed"} <= {one["action"] for one in records}


def test_key_in_use_is_refused_by_the_api_itself(hong_kong: Gateway) -> None:
    (log, *_) = hong_kong.get("/v1/keys")
    with hong_kong.client() as client:
        body = {"label": log["label"], "fingerprint": log["fingerprint"]}
        answer = client.post("/v1/keys/destroy", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "key-in-use")
    assert hong_kong.get("/v1/keys")[0]["in_token"] is True


def test_hsm_doctor_looks_and_signs_beside_the_running_gateway(hong_kong: Gateway) -> None:
    found = json.loads(hong_kong.cli("--json", "hsm", "doctor", "--sign").stdout)
    assert {line["mark"] for line in found["lines"]} == {"ok", "warning"}
    assert found["speed"]["rate"] > 0
    module = ("--module", hong_kong.token.module)
    assert hong_kong.cli("hsm", "doctor", *module).returncode == 0
    missing = hong_kong.cli("hsm", "doctor", *module, "--token-label", "xx", check=False)
    assert (missing.returncode, "next: " in missing.stdout) == (10, True)
    assert hong_kong.cli("hsm", "doctor", "--token-label", "x", check=False).returncode == 64


def test_file_that_was_saved_again_is_a_mismatch_that_explains_itself(
    hong_kong: Gateway, shenzhen: Gateway, document: Path
) -> None:
    document.write_bytes(SAME["as issued"])
    index = attest(hong_kong, document, "--canonical")
    shenzhen.wait_for_head(hong_kong, index + 1)
    for again, words in (("objects renumbered", "the same content"), ("another amount", "differ")):
        document.write_bytes((SAME | OTHER)[again])
        done = shenzhen.cli("--json", "verify", str(document), check=False)
        answer = json.loads(done.stdout)
        assert (done.returncode, answer["verdict"]) == (3, "mismatch")
        assert words in answer["sentence"]
    assert shenzhen.cli("verify", str(document), "--no-proof", check=False).returncode == 2
    reference = f"{hong_kong.who.origin}#{index}"
    document.write_bytes(SAME["content in hexadecimal"])
    done = shenzhen.cli("--json", "verify", str(document), "--reference", reference, check=False)
    (found,) = json.loads(done.stdout)["attestations"]
    assert (done.returncode, found["same_content"], found["canonical"]) == (
        3,
        True,
        ["pdf-pages/1"],
    )
