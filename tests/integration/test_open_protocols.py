"""What other people's log clients see of real gateways: C2SP tlog-tiles and tlog-witness."""

import httpx
from documents import attest_many

import tlogclient
from rig.gateway import Cluster, Gateway


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
