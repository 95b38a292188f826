"""One loan among real gateways: scenario, notary, consent, use, withdrawal, trace."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from documents import some_document

from chopmark.core.roster import CatalogueKind, NotaryGroup, Scenario
from chopmark.core.roster_text import encode_roster, parse_roster
from rig.gateway import MEMBERS, Cluster, Gateway

LOAN = Scenario(
    name="sme-loan-hk-sz",
    title="Corporate credit report, Hong Kong → Shenzhen, SME loan",
    kinds=("credit-report",),
    issuers=("HK",),
    receivers=("CN",),
    purposes=("sme-loan", "trade-finance"),
    validity=90 * 86_400,
)
UNTIL = "2099-12-31"


@pytest.fixture(scope="module")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three gateways under a roster: Macao's is a notary, whom credit reports demand."""
    folder = tmp_path_factory.mktemp("d")
    cluster = Cluster(folder, MEMBERS, peers=False)
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
        block = folder / f"{name}.toml"
        block.write_text(gateway.cli("peers", "export").stdout)
        options += ["--join", str(block)]
    cluster["sz-1"].cli("roster", "propose", str(text), *options)
    drafted = parse_roster(text.read_text())
    banks = {one.id: one.institution for one in drafted.member}
    roster = msgspec.structs.replace(
        drafted,
        kind=(
            CatalogueKind(name="bank-statement", blinded=True),
            CatalogueKind(
                name="credit-report",
                notary=NotaryGroup(institutions=(banks["mo-1"],), threshold=1),
            ),
        ),
        scenario=(LOAN,),
        member=tuple(
            msgspec.structs.replace(one, role="notary", kinds=()) if one.id == "mo-1" else one
            for one in drafted.member
        ),
    )
    note = encode_roster(roster)
    for gateway in cluster.gateways.values():
        note = post(gateway, "roster/signatures", note=note)["note"]
    text.write_text(note)
    told = json.loads(cluster["sz-1"].cli("--json", "roster", "check", str(text)).stdout)
    for gateway in cluster.gateways.values():
        post(gateway, "roster/pin", note=note, fingerprint=told["words"])
    for gateway in cluster.gateways.values():
        gateway.wait_for(lambda one=gateway: is_member(one), "to follow the roster")


def is_member(gateway: Gateway) -> bool:
    try:
        return bool(gateway.get("/v1/roster").get("version")) and gateway.is_ready()
    except Exception:  # noqa: BLE001 - between two sets of parts
        return False


def post(gateway: Gateway, what: str, **body: Any) -> Any:
    with gateway.client() as client:
        answer = client.post(f"/v1/{what}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()


def tell(gateway: Gateway, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = gateway.cli("--json", *arguments, check=False)
    assert done.returncode == code, (done.stdout, done.stderr)
    answer: dict[str, Any] = json.loads((done.stdout or done.stderr).splitlines()[0])
    return answer


def refused(gateway: Gateway, *arguments: str) -> str:
    done = gateway.cli("--json", *arguments, check=False)
    assert done.returncode not in (0, 6), done.stdout
    code: str = json.loads(done.stderr.splitlines()[0])["code"]
    return code


def test_one_loan_from_attestation_to_withdrawal(banks: Cluster, tmp_path: Path) -> None:
    hk, sz = banks["hk-1"], banks["sz-1"]
    report = tmp_path / "report.pdf"
    report.write_bytes(some_document("loan"))
    tell(hk, "attest", str(report), "--kind", "credit-report", "--wait", "60s")
    terms = ["--receiver", "sz-1", "--purpose", "sme-loan"]
    assert refused(hk, "consent", str(report), *terms, "--until", UNTIL) == "consent-too-long"
    until = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    wrong = ["--receiver", "sz-1", "--purpose", "mortgage", "--until", until]
    assert refused(hk, "consent", str(report), *wrong) == "purpose-not-allowed"
    made = tell(hk, "consent", str(report), *terms, "--until", until, "--wait", "60s")
    assert made["scenario"] == LOAN.name
    sz.wait_for_head(hk, made["index"] + 1)

    assert refused(sz, "use", str(report), "--purpose", "trade-finance") == "consent-other-purpose"
    used = tell(sz, "use", str(report), "--purpose", "sme-loan", "--wait", "60s")
    assert used["consent"] == made["index"]

    tell(hk, "withdraw", str(report))
    sz.wait_for_head(hk, made["index"] + 2)
    assert refused(sz, "use", str(report), "--purpose", "sme-loan") == "consent-withdrawn"

    story = tmp_path / "story.json"
    traced = tell(sz, "trace", str(report), "-o", str(story))
    steps = [one["step"] for one in traced["steps"]]
    assert sorted(steps) == ["attested", "consented", "used", "withdrawn", "witnessed"]
    witnessed = next(one for one in traced["steps"] if one["step"] == "witnessed")
    assert any("mo-1" in one["name"] for one in witnessed["by"])
    policies = []
    for name in ("hk-1", "sz-1"):
        path = tmp_path / f"{name}.policy"
        path.write_text(sz.cli("peers", "policy", name).stdout)
        policies += ["--policy", str(path)]
    assert tell(sz, "trace", "--check", str(story), str(report), *policies)["good"]
    story.write_text(story.read_text().replace('sme-loan"', 'mortgage"', 1))
    assert refused(sz, "trace", "--check", str(story), *policies) == "bad-step"
