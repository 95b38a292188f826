"""One loan among real gateways: scenario, notary, consent, use, withdrawal, trace."""

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from documents import attest, digests_of, some_document, wait_valid
from playwright.sync_api import Browser, Page, Route, expect

from browser.pages import AXE, DEADLINE, find_violations, open_page
from chopmark.cli.records import read_shown
from chopmark.client.files import proof_path
from chopmark.core.consent import read_records
from chopmark.core.proof import parse_extra, parse_proof
from chopmark.core.roster import CatalogueKind, NotaryGroup, Scenario
from chopmark.core.roster_text import encode_roster, parse_roster
from chromium import open_chromium
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
    wait_valid(sz, some_document("loan"))

    assert refused(sz, "use", str(report), "--purpose", "trade-finance") == "consent-other-purpose"
    used = tell(sz, "use", str(report), "--purpose", "sme-loan", "--wait", "60s")
    assert used["consent"] == made["index"]

    tell(hk, "withdraw", str(report), "--wait", "60s")
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


def test_notary_attests_nothing_and_its_word_is_demanded(banks: Cluster, tmp_path: Path) -> None:
    hk, sz, mo = banks["hk-1"], banks["sz-1"], banks["mo-1"]
    with mo.client() as client:
        body = {"digests": digests_of(b"x"), "kind": "bank-statement"}
        answer = client.post("/v1/attestations", json=body)
    assert answer.json()["code"] == "kind-not-allowed"
    assert "notary" in answer.json()["detail"]
    report = tmp_path / "notarised.pdf"
    report.write_bytes(some_document("notarised"))
    tell(hk, "attest", str(report), "--kind", "credit-report", "--wait", "60s")
    hidden = tmp_path / "without.policy"
    shown = sz.cli("peers", "policy", "hk-1").stdout
    assert "# chopmark/notary/v1 credit-report 1 bank-mo.example/mo-1/cosigner" in shown
    vkeys = {line.split()[1]: line.split()[2] for line in shown.splitlines() if "witness" in line}
    proof = report.with_name("notarised.pdf.tlog-proof")
    kept = [
        line for line in proof.read_text().splitlines(keepends=True) if "/mo-1/cosigner" not in line
    ]
    alone = tmp_path / "alone.tlog-proof"
    alone.write_text("".join(kept))
    hidden.write_text(
        f"{shown.splitlines()[0]}\n"
        + "".join(f"witness {name} {vkey}\n" for name, vkey in vkeys.items())
        + "# chopmark/notary/v1 credit-report 1 bank-mo.example/mo-1/cosigner\n"
        + "quorum bank-sz.example/sz-1/cosigner\n"
    )
    by = ("--policy", str(hidden))
    assert tell(sz, "verify", str(report), *by, code=5)["verdict"] == "valid-as-of"
    lacking = tell(sz, "verify", str(report), "--proof", str(alone), *by, code=6)
    assert lacking["verdict"] == "unwitnessed"
    assert "bank-mo.example/mo-1" in lacking["sentence"]


def test_same_request_gives_the_same_consent_and_others_see_nothing_of_it(banks: Cluster) -> None:
    hk, sz = banks["hk-1"], banks["sz-1"]
    made = attest(hk, some_document("kept"), kind="credit-report", wait=60)
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="milliseconds")
    body = {
        "index": made["index"],
        "receiver": "Bank of Shenzhen (example)",
        "purpose": "sme-loan",
        "valid_until": until.replace("+00:00", "Z"),
        "proof": made["proof"],
        "wait": 60,
    }
    with hk.client() as client:
        first, second = (
            client.post("/v1/consents", json=body, headers={"Idempotency-Key": "once-1"}).json()
            for _ in range(2)
        )
    assert [first[one] for one in ("index", "salt", "body")] == [
        second[one] for one in ("index", "salt", "body")
    ]
    carried = parse_extra(parse_proof(first["document_proof"].encode()).extra).bodies
    assert [one.proof.index for one in read_records(carried)] == [first["index"]]
    sz.wait_for_head(hk, first["index"] + 1)
    with sz.client() as client:
        bare = client.get(f"/v1/proofs/hk-1/{first['index']}").text
    extra = parse_extra(parse_proof(bare.encode()).extra)
    assert (extra.salt, extra.bodies) == (None, None)
    for gateway in (hk, sz):
        for path in gateway.folder.rglob("*"):
            with suppress(FileNotFoundError):  # both are at work, and remove files
                data = path.read_bytes() if path.is_file() else b""
                assert base64.b64decode(first["salt"]) not in data, path
                assert base64.b64decode(first["body"]) not in data, path


def test_command_that_got_no_proof_fetches_that_of_what_was_recorded(
    banks: Cluster, tmp_path: Path
) -> None:
    hk = banks["hk-1"]
    report = tmp_path / "late.pdf"
    report.write_bytes(some_document("late"))
    tell(hk, "attest", str(report), "--kind", "credit-report", "--wait", "60s")
    until = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    command = ["consent", str(report), "--receiver", "sz-1", "--purpose", "sme-loan"]
    command += ["--until", until, "--wait"]
    done = hk.cli("--json", *command, "0s", check=False)
    first = json.loads(done.stdout)
    hk.wait_for(lambda: hk.get("/v1/status")["head"]["size"] > first["index"], "to sign it")
    if not first["proof_files"]:  # else it was signed at once
        assert done.returncode == 6
        assert tell(hk, *command, "60s")["index"] == first["index"]
    assert [one.proof.index for one in read_shown(proof_path(report))] == [first["index"]]
    assert list(tmp_path.glob("*.chopmark")) == []


def test_document_is_not_withdrawn_for_its_consent(banks: Cluster) -> None:
    hk = banks["hk-1"]
    made = attest(hk, some_document("kept whole"), kind="credit-report", wait=60)
    assert refused(hk, "withdraw", f"{made['origin']}#{made['index']}") == "no-such-consent"


def test_page_leads_through_a_loan_from_both_sides(banks: Cluster, tmp_path: Path) -> None:
    hk, sz = banks["hk-1"], banks["sz-1"]
    report = tmp_path / "page.pdf"
    report.write_bytes(some_document("page"))
    with open_chromium() as chromium:
        seen = Seen(chromium, tmp_path)
        page = seen.open(hk, f"scenario/{LOAN.name}")
        page.locator("input[type=file]").set_input_files(str(report))
        page.get_by_role("button", name="Attest it").click(timeout=DEADLINE)
        page.get_by_role("button", name="Record the consent").click(timeout=DEADLINE)
        proof = seen.download(page, "Save the proof file")
        seen.check(page, "issuer")

        index = json.loads(hk.cli("--json", "status").stdout)["size"]
        sz.wait_for_head(hk, index)
        wait_valid(sz, some_document("page"))
        page = seen.open(sz, f"scenario/{LOAN.name}")
        page.locator("input[type=file]").set_input_files([str(report), str(proof)])
        page.get_by_label("For what").select_option("trade-finance")
        page.get_by_role("button", name="Verify, and record the use").click()
        expect(page.locator(".problem")).to_contain_text("another purpose", timeout=DEADLINE)
        seen.check(page, "refused")
        page.get_by_label("For what").select_option("sme-loan")
        page.get_by_role("button", name="Verify, and record the use").click()
        proof = seen.download(page, "Save for the customer")
        seen.check(page, "receiver")

        page = seen.open(hk, "trace")
        page.locator("input[type=file]").set_input_files([str(report), str(proof)])
        page.get_by_role("button", name="Withdraw this consent").click(timeout=DEADLINE)
        page.get_by_role("button", name="Yes, withdraw").click()
        page.locator('[data-step="withdrawn"]').wait_for(timeout=DEADLINE)
        steps = page.locator("[data-step]").evaluate_all("all => all.map((e) => e.dataset.step)")
        assert sorted(steps) == ["attested", "consented", "used", "withdrawn", "witnessed"]
        seen.check(page, "trace")


def test_page_fetches_the_proof_of_what_was_not_signed_in_time(
    banks: Cluster, tmp_path: Path
) -> None:
    hk = banks["hk-1"]
    report = tmp_path / "late-page.pdf"
    report.write_bytes(some_document("late page"))
    tell(hk, "attest", str(report), "--kind", "credit-report", "--wait", "60s")
    recorded: list[int] = []

    def answer_early(route: Route) -> None:
        answer = route.fetch().json()
        recorded.append(answer["index"])
        if len(recorded) == 1:
            answer = {name: answer[name] for name in answer if not name.endswith("proof")}
        route.fulfill(status=202 if len(recorded) == 1 else 201, json=answer)

    with open_chromium() as chromium:
        seen = Seen(chromium, tmp_path)
        page = seen.open(hk, f"scenario/{LOAN.name}")
        page.route("**/v1/consents", answer_early)
        page.locator("input[type=file]").set_input_files(str(report))
        page.get_by_role("button", name="Record the consent").click(timeout=DEADLINE)
        page.get_by_role("button", name="Fetch the proof").click(timeout=DEADLINE)
        proof = seen.download(page, "Save the proof file")
    assert recorded == [recorded[0]] * 2
    assert [one.proof.index for one in read_shown(proof)] == recorded[:1]


def test_page_traces_no_document_by_a_hidden_attestation_without_its_salt(
    banks: Cluster, tmp_path: Path
) -> None:
    hk = banks["hk-1"]
    made = attest(hk, some_document("hidden"), kind="bank-statement", wait=60)
    bare, other = tmp_path / "other.pdf.tlog-proof", tmp_path / "other.pdf"
    hk.cli("proof", "hk-1", str(made["index"]), "--bare", "-o", str(bare))
    other.write_bytes(some_document("any other"))
    with open_chromium() as chromium:
        page = Seen(chromium, tmp_path).open(hk, "trace")
        page.locator("input[type=file]").set_input_files([str(other), str(bare)])
        expect(page.locator(".own-words")).to_contain_text("without its salt", timeout=DEADLINE)
        assert page.locator("[data-step]").count() == 0
    assert tell(hk, "trace", str(other), code=2)["steps"] == []


class Seen:
    """Pages, each looked at in light and dark, and in three languages."""

    def __init__(self, chromium: Browser, folder: Path) -> None:
        self.browser = chromium
        self.folder = folder

    def open(self, gateway: Gateway, view: str) -> Page:
        context = self.browser.new_context(locale="en-GB", bypass_csp=True)  # axe is run by eval
        context.set_default_timeout(DEADLINE)
        page = context.new_page()
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        return open_page(page, gateway.port, view)

    def download(self, page: Page, name: str) -> Path:
        button = page.get_by_role("button", name=name)
        button.wait_for(timeout=DEADLINE)
        with page.expect_download() as saving:
            button.click()
        path = self.folder / f"saved-{len(list(self.folder.iterdir()))}.tlog-proof"
        saving.value.save_as(path)
        return path

    def check(self, page: Page, name: str) -> None:
        """Nothing serious by axe-core, in either theme."""
        for theme in ("light", "dark"):
            page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            page.screenshot(path=self.folder / f"{name}-{theme}.png", full_page=True)
            if AXE.exists():
                assert find_violations(page) == []
