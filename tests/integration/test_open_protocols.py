"""What people take out of real gateways: tiles, cosignatures, backups, and entries as they come."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from hashlib import sha256
from pathlib import Path

import httpx
from documents import attest, attest_many, some_document, verify

import tlogclient
import trees
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.keys import parse_vkey
from chopmark.core.note import parse_note, verify_note
from chopmark.core.text import encode_base64
from chopmark.ledger.pruning import prune_range
from chopmark.ledger.store import Store
from rig.gateway import Cluster, Gateway
from rig.patience import PATIENCE
from softkeys import ed25519_key, sign_head

SOFA = ed25519_key("example.com/behind-the-sofa", 31)
LEAVES = trees.numbered(300)


def audit(at: Gateway, of: Gateway) -> tlogclient.Audited:
    """Audit a log from its prefix alone, by HTTP on the loopback port."""
    base = f"http://127.0.0.1:{at.port}/log/{of.who.id}"
    with httpx.Client(base_url=base, timeout=PATIENCE) as client:

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
    macao.wait_for(lambda: macao.get("/v1/status")["state"] == "ready", "to be as it was")


def following(gateway: Gateway, *options: str) -> subprocess.Popen[str]:
    # Whoever runs the tests in the background of a shell has SIGINT ignored, and so would it.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "chopmark.cli.main"]
    command += ["log", "follow", "--json", *options]
    environment = gateway.environment()
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_backup_is_taken_at_full_speed_and_is_sound(cluster: Cluster, tmp_path: Path) -> None:
    gateway = cluster["hk-1"]
    attest_many(gateway, 5000)
    stop = threading.Event()
    batches = 0

    def write() -> None:
        nonlocal batches
        while not stop.is_set():
            attest_many(gateway, 2000)
            batches += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = []
        for number in range(2):
            before, file = batches, tmp_path / f"{number}.db"
            made.append(json.loads(gateway.cli("--json", "backup", str(file)).stdout))
            gateway.wait_for(lambda before=before: batches > before, "to go on writing")
    finally:
        stop.set()
        writer.join()
    sizes = [one["head_size"] for one in made]
    assert 5000 <= sizes[0] <= sizes[1] <= gateway.get("/v1/status")["size"]
    for number, one in enumerate(made):
        file = tmp_path / f"{number}.db"
        assert one["bytes"] == file.stat().st_size
        command = [sys.executable, "-m", "chopmark.cli.main", "--json", "fsck", "--backup", file]
        # Anywhere: no configuration, no token, no gateway.
        bare = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        checked = subprocess.run(command, env=bare, capture_output=True, text=True, check=True)
        assert json.loads(checked.stdout)["findings"] == []
    again = gateway.cli("backup", str(tmp_path / "0.db"), check=False)
    assert (again.returncode, "exists already" in again.stderr) == (73, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.db", "1.db"]


def test_follow_goes_on_over_a_kill_without_a_gap(cluster: Cluster) -> None:
    gateway = cluster["mo-1"]
    attest_many(gateway, 3)
    size = gateway.get("/v1/status")["head"]["size"]
    process = following(gateway, "--after", str(size - 3))
    assert process.stdout is not None
    try:
        seen = [json.loads(process.stdout.readline())["index"] for _ in range(2)]
        attest_many(gateway, 1500)
        gateway.kill()
        gateway.start()
        attest_many(gateway, 5)
        total = gateway.get("/v1/status")["size"]
        while seen[-1] < total - 1:
            seen.append(json.loads(process.stdout.readline())["index"])
        assert seen == list(range(size - 2, total))
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        process.stdout.close()
    assert process.wait(PATIENCE) == 130


def test_follow_of_a_replica_ends_when_its_reader_has_gone(cluster: Cluster) -> None:
    issuer, receiver = cluster["hk-1"], cluster["sz-1"]
    last = attest_many(issuer, 3)[-1]["index"]
    process = following(receiver, "--id", "hk-1", "--after", str(last - 1))
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["index"] == last
    process.stdout.close()
    assert process.wait(PATIENCE) == 141


def test_stopping_does_not_wait_for_followers(cluster: Cluster) -> None:
    gateway = cluster["sz-1"]
    size = gateway.get("/v1/status")["size"]
    with socket.socket(socket.AF_UNIX) as follower:
        follower.settimeout(PATIENCE)
        follower.connect(str(gateway.socket))
        head = f"GET /v1/entries?after={size}&wait=60 HTTP/1.1\r\nhost: x\r\nconnection: close"
        follower.sendall(f"{head}\r\n\r\n".encode())
        gateway.get("/v1/status")  # who came before has been let in, and was heard
        assert gateway.stop() == 0
        answer = b"".join(iter(lambda: follower.recv(65_536), b""))
    assert answer.split()[1] in (b"200", b"503"), answer
    gateway.start()


def prune_by_hand(gateway: Gateway, member: str, number: int) -> None:
    """Take a range out of a replica of a gateway that does not run; none of it is really over."""
    store = Store(gateway.state / "replica" / f"{member}.db")
    try:
        assert store.change(lambda db: prune_range(db, number)) == 64
    finally:
        store.close()


def test_removed_range_is_fetched_again_over_the_broker(cluster: Cluster) -> None:
    issuer, receiver = cluster["hk-1"], cluster["sz-1"]
    document = some_document("removed and fetched again")
    index = attest(issuer, document)["index"]
    number = index // 16_384
    attest_many(issuer, (number + 1) * 16_384 - index)
    receiver.wait_for_head(issuer, (number + 1) * 16_384)
    receiver.stop()
    prune_by_hand(receiver, "hk-1", number)
    checked = receiver.cli("--json", "fsck", "--member", "hk-1").stdout
    runs = [[number * 16_384, (number + 1) * 16_384]]
    assert [json.loads(checked)[key] for key in ("findings", "pruned")] == [[], runs]
    receiver.start()
    first = verify(receiver, document)
    assert (first["verdict"], first["pruned"][0]["index"]) == ("unknown", index)
    receiver.wait_for(lambda: not verify(receiver, document)["pruned"], "to have it again")
    assert verify(receiver, document)["attestations"][0]["index"] == index

    def pruned() -> list[list[int]]:  # what is before and after the entry comes by and by
        found: list[list[int]] = json.loads(
            receiver.cli("--json", "fsck", "--member", "hk-1").stdout
        )["pruned"]
        return found

    receiver.wait_for(lambda: not pruned(), "to have all of it")
