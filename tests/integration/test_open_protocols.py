"""What other people's log clients see of real gateways: C2SP tlog-tiles and tlog-witness."""

import json
from hashlib import sha256

import httpx
from documents import attest_many

import tlogclient
import trees
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.keys import parse_vkey
from chopmark.core.note import parse_note, verify_note
from chopmark.core.text import encode_base64
from rig.gateway import Cluster, Gateway
from softkeys import ed25519_key, sign_head

SOFA = ed25519_key("example.com/behind-the-sofa", 31)
LEAVES = trees.numbered(300)


def audit(at: Gateway, of: Gateway) -> tlogclient.Audited:
    """Audit a log from its prefix alone, by HTTP on the loopback port."""
    with httpx.Client(base_url=f"http://127.0.0.1:{at.port}/log/{of.who.id}") as client:

        def get(path: str) -> bytes:
            return client.get(f"/{path}").raise_for_status().content

        return tlogclient.audit(get, of.get("/v1/export")["log_vkey"])


def test_own_log_and_replica_are_audited_by_a_foreign_client(cluster: Cluster) -> None:
    issuer, receiver = cluster["hk-1"], cluster["sz-1"]
    made = attest_many(issuer, 700)
    size = made[-1]["index"] + 1
    receiver.wait_for_head(issuer, size)
    own, replica = audit(issuer, issuer), audit(receiver, issuer)
    assert own.size >= size
    assert own.entries[:size] == replica.entries[:size]
    with issuer.client() as client:
        page = client.get("/v1/entries?after=698&limit=1").json()
    assert own.leaves[699].hex() == page["entries"][0]["hash"]


def submission(old: int, new: int) -> bytes:
    """A request to cosign a head of a log that is no member's."""
    proof = trees.proof(old, LEAVES[:new]) if old else []
    lines = "".join(f"{encode_base64(one)}\n" for one in proof)
    head = Checkpoint(SOFA.name, new, trees.root(LEAVES[:new]))
    return f"old {old}\n{lines}\n".encode() + sign_head(head, SOFA)


def test_log_of_others_is_cosigned_by_the_key_that_witness_init_made(cluster: Cluster) -> None:
    macao = cluster["mo-1"]
    with macao.client() as client:
        assert client.post("/add-checkpoint", content=submission(0, 9)).status_code == 404
    macao.stop()
    made = macao.cli("--json", "witness", "init").stdout
    again = macao.cli("witness", "init", check=False)
    assert (again.returncode, "key-exists" in again.stderr or "has a key" in again.stderr) == (
        73, True,
    )  # fmt: skip
    vkey = parse_vkey(json.loads(made)["witness_vkey"])
    assert vkey.name == "bank-mo.example/mo-1/witness"
    with macao.config.open("a") as file:
        file.write(f'\n[[witness.log]]\norigin = "{SOFA.name}"\nvkey = "{SOFA.vkey.encode()}"\n')
    macao.start()
    with macao.client() as client:
        for old, new in ((0, 9), (9, 300)):
            answer = client.post("/add-checkpoint", content=submission(old, new))
            assert answer.status_code == 200, answer.text
            head = submission(old, new).partition(b"\n\n")[2]
            assert len(verify_note(parse_note(head + answer.content), (SOFA.vkey, vkey))) == 2
        macao.kill()
    macao.start()
    with macao.client() as client:
        stale = client.post("/add-checkpoint", content=submission(9, 300))
        assert (stale.status_code, stale.text) == (409, "300\n")
        name = sha256(SOFA.name.encode()).hexdigest()
        kept = client.get(f"/witness/{name}/checkpoint").content
    assert kept == head + answer.content
    status = macao.get("/v1/status")
    assert status["state"] == "ready", status["reasons"]
