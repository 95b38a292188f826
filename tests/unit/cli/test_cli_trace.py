"""`chopmark trace --check`, the timeline on paper, and files that carry consents."""

import io
import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from chopmark.cli.records import carried, read_shown
from chopmark.client.files import PRIVATE_MODE, PUBLIC_MODE, proof_path
from chopmark.client.proofs import keep_records, proof_mode
from chopmark.client.slip.timeline import make_timeline
from chopmark.client.told.steps import describe_step
from chopmark.core.consent import add_records, show
from chopmark.core.entry import Revocation, encode_entry
from chopmark.core.proof import parse_extra
from chopmark.core.trace import Party, Report, Step, Teller
from commandline import Run
from consentvectors import POLICY, RECEIVER, document, prove, shown_consent, shown_use
from socketgateway import SocketGateway
from vectorparts import DIGESTS, MADE_AT, ORIGIN, TIME

ABOUT = (ORIGIN, 3)
STEPS = (
    Step("attested", ABOUT, document()),
    Step("witnessed", ABOUT, document(), TIME),
    Step("consented", ABOUT, shown_consent()),
    Step("used", ABOUT, shown_use()),
    Step("withdrawn", ABOUT, prove(encode_entry(Revocation(MADE_AT + 9000, 5, 3)), 6)),
)


def make_report(**changes: object) -> Report:
    policies = {ORIGIN: POLICY, RECEIVER.name: POLICY}
    made = Report(
        asked_at="2026-11-22T13:00:00.000Z",
        as_of="2026-11-22T12:59:50.000Z",
        digests={"sha256": DIGESTS.sha256.hex()},
        parties={ORIGIN: Party("hk-1", "Bank of Hong Kong (example)", "HK")},
        policies={origin: policy.encode() for origin, policy in policies.items()},
        steps=Teller(policies, DIGESTS).tell_all(STEPS),
    )
    return msgspec.structs.replace(made, **changes)


@pytest.fixture
def report() -> Path:
    path = Path("trace.json")
    path.write_bytes(msgspec.json.encode(make_report()))
    Path("policy").write_text(POLICY.encode())
    return path


def test_report_is_checked_by_policies_alone(run: Run, report: Path) -> None:
    done = run("trace", "--check", report, "--policy", "policy")
    assert done.code == 0
    assert "all 5 steps follow from their proofs" in done.out
    assert f"{ORIGIN} attested it" in done.out
    assert "Bank of Hong Kong" not in done.out  # the report's own word, which proves nothing
    assert "no gateway" not in done.err


def test_report_that_was_changed_is_65(run: Run, report: Path) -> None:
    report.write_text(report.read_text().replace('"sme-loan"', '"mortgage"', 1))
    done = run("trace", "--check", report, "--policy", "policy", "--json")
    assert done.code == 65
    assert json.loads(done.err)["code"] == "bad-step"


def test_report_shows_no_time_that_is_its_own_word(run: Run, report: Path) -> None:
    made = make_report()
    steps = [
        msgspec.structs.replace(one, seen_by="2020-01-01T00:00:00.000Z")
        if one.step == "witnessed"
        else one
        for one in made.steps
    ]
    report.write_bytes(msgspec.json.encode(msgspec.structs.replace(made, steps=steps)))
    done = run("trace", "--check", report, "--policy", "policy")
    assert done.code == 0
    assert "2020" not in done.out
    assert "do not prove that nothing else happened" in done.out


def test_report_of_nothing_proves_nothing(run: Run, report: Path) -> None:
    report.write_bytes(msgspec.json.encode(make_report(steps=[])))
    done = run("trace", "--check", report, "--policy", "policy")
    assert done.code == 2
    assert "✔" not in done.out
    done = run("trace", "--check", report, "--policy", "policy", "--json")
    assert (done.code, json.loads(done.out)["good"]) == (2, False)


def test_report_without_digests_is_compared_by_its_proofs(
    run: Run, report: Path, document: Path
) -> None:
    report.write_bytes(msgspec.json.encode(make_report(digests=None)))
    done = run("trace", "--check", report, "--policy", "policy")
    assert (done.code, "no document was compared" in done.err) == (0, True)
    done = run("trace", "--check", report, document, "--policy", "policy", "--json")
    assert (done.code, json.loads(done.err)["code"]) == (65, "bad-step")


@pytest.mark.parametrize("more", [["-o", "out"], ["--pdf", "out"], ["--with", "policy"]])
def test_check_writes_nothing(run: Run, report: Path, more: list[str]) -> None:
    assert run("trace", "--check", report, "--policy", "policy", *more).code == 64
    assert not Path("out").exists()


def test_time_that_the_gateway_remembers_stands_beside_the_proof_s() -> None:
    made = make_report()
    witnessed = next(one for one in made.steps if one.step == "witnessed")
    for seen_by, said in (
        (None, False),
        (witnessed.time, False),
        ("2026-11-21T00:00:00.000Z", True),
    ):
        lines = describe_step(made, msgspec.structs.replace(witnessed, seen_by=seen_by))
        assert any("the proof shows 2026-" in line for line in lines) == said


def test_use_without_a_consent_is_called_so() -> None:
    made = make_report()
    used = next(one for one in made.steps if one.step == "used")
    assert "under the consent in entry 5" in describe_step(made, used)[0]
    alone = msgspec.structs.replace(used, consent=None)
    assert "without a consent" in describe_step(made, alone)[0]


def test_report_is_not_checked_by_its_own_policies(run: Run, report: Path) -> None:
    done = run("trace", "--check", report)
    assert done.code == 64
    assert "policies that you trust" in done.err


def test_report_of_another_document_is_65(run: Run, report: Path, document: Path) -> None:
    done = run("trace", "--check", report, document, "--policy", "policy")
    assert done.code == 65
    assert "not of this document" in done.err


def test_trace_of_nothing_is_64(run: Run) -> None:
    assert run("trace").code == 64


def test_trace_overwrites_nothing(run: Run, document: Path) -> None:
    Path("out").write_text("mine")
    assert run("trace", document, "-o", "out").code == 73
    assert run("trace", document, "--pdf", "out").code == 73


@pytest.mark.parametrize("language", ["zh-Hant", "zh-Hans"])
def test_timeline_on_paper_names_every_step(language: str) -> None:
    from pypdf import PdfReader

    data = make_timeline(make_report(), language)  # type: ignore[arg-type]
    assert make_timeline(make_report(), language) == data  # type: ignore[arg-type]
    page = PdfReader(io.BytesIO(data)).pages[0].extract_text()
    for step in STEPS:
        assert step.name in page
    assert "Bank of Hong Kong (example) (HK)" in page
    assert ("經歷" if language == "zh-Hant" else "经历") in page
    assert "proves nothing by itself" in page


def test_long_timeline_goes_on_on_another_page() -> None:
    from pypdf import PdfReader

    report = make_report()
    long = msgspec.structs.replace(report, steps=report.steps * 12)
    assert len(PdfReader(io.BytesIO(make_timeline(long))).pages) > 1


def test_timeline_of_nothing_says_so() -> None:
    from pypdf import PdfReader

    made = make_timeline(make_report(steps=[], digests=None, as_of=None, warnings=["odd \u202e"]))
    page = PdfReader(io.BytesIO(made)).pages[0].extract_text()
    assert "Nothing is known of it." in page


def test_newer_proof_keeps_the_consents_of_the_older_and_is_private() -> None:
    old = add_records(document(), [show(shown_consent())])
    new = keep_records(old.encode(), replace(document(), note=document().note))
    assert parse_extra(new.extra).bodies == parse_extra(old.extra).bodies
    assert (proof_mode(new), proof_mode(document())) == (PRIVATE_MODE, PUBLIC_MODE)
    assert keep_records(document().encode(), document()) == document()


def test_consents_are_found_in_both_sorts_of_files(tmp_path: Path) -> None:
    own, file = tmp_path / "own.tlog-proof", tmp_path / "a.pdf"
    assert carried(file) == ()
    own.write_bytes(shown_consent().encode())
    proof_path(file).write_bytes(add_records(document(), [show(shown_use())]).encode())
    assert read_shown(own) == (show(shown_consent()),)
    assert carried(file) == (show(shown_use()),)


def test_withdrawal_of_a_consent_that_is_not_shown_is_66(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    assert gateway.address
    done = run("withdraw", document)
    assert done.code == 66
    assert "no such consent" in done.err


def test_withdrawal_at_another_gateway_is_77(run: Run, gateway: SocketGateway) -> None:
    assert gateway.address
    assert run("withdraw", "bank-mo.example/mo-1#4").code == 77


def test_withdrawal_of_a_document_is_refused_and_revokes_nothing(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    assert run("attest", document).code == 0
    done = run("withdraw", f"{gateway.log.origin}#0", "--json")
    assert (done.code, json.loads(done.err)["code"]) == (66, "no-such-consent")
    assert not any("revocations" in one for one in gateway.requests)
