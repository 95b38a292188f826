"""Two real gateways, and a folder with a document for every verdict."""

import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rig.authority import Authority
from rig.gateway import HONG_KONG, SHENZHEN, Cluster, Gateway
from sample import make_statement

KINDS = "\n[kinds.diploma]\nmax_age = 1\n"
"""Of a diploma an answer is old but for a second after each heartbeat of its issuer."""

CLIENT = """
[[api.client]]
name = "auditing"
subject = "clerk"
roles = ["verifier", "auditor"]
"""


class Scene:
    """What the tests of the page share: hk-1 has attested, sz-1 has the page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "documents"
        self.folder.mkdir()
        self.cluster = Cluster(folder / "c", (SHENZHEN, HONG_KONG), rule="jurisdictions")
        self.shenzhen, self.hong_kong = (self.cluster[who.id] for who in (SHENZHEN, HONG_KONG))
        self.authority = Authority(folder)
        self.shenzhen.serve_page(self.authority, 'open_to = ["127.0.0.1/32"]')
        self.shenzhen.serve_tls(self.authority)
        with self.shenzhen.config.open("a") as file:
            file.write(KINDS + CLIENT)

    def fill(self) -> "Scene":
        """Start the gateways, and make a document for every verdict."""
        self.cluster.start()
        hong_kong = self.hong_kong
        valid = self.attest(hong_kong, "valid.pdf")
        self.keep_proof("valid.pdf", valid)
        self.change("valid.pdf", "changed.pdf", valid)
        self.keep_proof("alone", valid)
        self.write("untrusted.pdf", self.path("valid.pdf").read_bytes())
        self.keep_proof("untrusted.pdf", valid | {"proof": spoil(valid["proof"])})
        self.keep_proof("blinded.pdf", self.attest(hong_kong, "blinded.pdf", blinded=True))
        self.attest(hong_kong, "diploma.pdf", kind="diploma")
        old = self.attest(hong_kong, "replaced.pdf")
        self.attest(hong_kong, "replacement.pdf", supersedes=old["index"])
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
        self.attest(hong_kong, "short.pdf", valid_until=end)
        for name, reason in (("fraud.pdf", 4), ("withdrawn.pdf", 3)):
            index = self.attest(hong_kong, name)["index"]
            with hong_kong.client() as client:
                body = {"index": index, "reason": reason}
                client.post("/v1/revocations", json=body).raise_for_status()
        for gateway in (hong_kong, self.shenzhen):
            self.attest(gateway, "both.pdf")
        self.write("never.pdf")
        size = hong_kong.get("/v1/status")["size"]
        self.shenzhen.wait_for_head(hong_kong, size)
        self.shenzhen.wait_for(lambda: self.verdict("short.pdf") == "expired", "to see it expire")
        self.shenzhen.wait_for(lambda: self.verdict("valid.pdf") == "valid", "to be up to date")
        return self

    def path(self, name: str) -> Path:
        return self.folder / name

    def paths(self, *names: str) -> Sequence[str]:
        return [str(self.path(name)) for name in names]

    def write(self, name: str, data: bytes | None = None) -> bytes:
        """A document; a statement that no other test has, if nothing is given."""
        made = data or make_statement() + os.urandom(20).hex().encode()
        self.path(name).write_bytes(made)
        return made

    def attest(self, gateway: Gateway, name: str, **more: Any) -> dict[str, Any]:
        """Have a document attested, which is made if it is not there."""
        path = self.path(name)
        data = path.read_bytes() if path.exists() else self.write(name)
        body = {"digests": digests_of(data), "kind": "bank-statement", **more}
        with gateway.client() as client:
            answer: dict[str, Any] = client.post("/v1/attestations", json=body).json()
        assert answer["state"] == "witnessed", answer
        return answer

    def keep_proof(self, name: str, answer: dict[str, Any]) -> None:
        self.path(f"{name}.tlog-proof").write_text(answer["proof"])

    def change(self, name: str, to: str, answer: dict[str, Any]) -> None:
        """A document with one byte changed, beside the proof of the one that it was."""
        data = bytearray(self.path(name).read_bytes())
        data[100] ^= 1
        self.write(to, bytes(data))
        self.keep_proof(to, answer)

    def verdict(self, name: str) -> str:
        with self.shenzhen.client() as client:
            body = {"digests": digests_of(self.path(name).read_bytes())}
            return str(client.post("/v1/verifications", json=body).json()["verdict"])

    def stop(self) -> None:
        self.cluster.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def digests_of(data: bytes) -> dict[str, str]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "sm3": sm3(data)}


def sm3(data: bytes) -> str:
    return hashlib.new("sm3", data).hexdigest()


def spoil(proof: str) -> str:
    """The proof with one character of the log's signature changed."""
    head, dash, signature = proof.partition("\n— ")
    place = signature.index(" ") + 40
    other = "A" if signature[place] != "A" else "B"
    return head + dash + signature[:place] + other + signature[place + 1 :]
