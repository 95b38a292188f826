import json
import re
from pathlib import Path
from typing import Any

import pytest

from chopmark.cli.verdicts import show_verdict
from chopmark.client.canonical.pdf_pages import digest_pdf
from chopmark.client.files import proof_path
from chopmark.core.canonical import PDF_PAGES
from chopmark.core.verdict import EXIT
from commandline import Run, write_documents
from pdfs import OTHER, SAME
from socketgateway import Problem, SocketGateway
from softlog import NOW, SoftLog

ORIGIN = "bank-hk.example/hk-1"


@pytest.fixture
def log() -> SoftLog:
    return SoftLog()


def prove(log: SoftLog, document: Path, *, cosigned: bool = False, witnessed: bool = False) -> None:
    """Write the proof beside the document, and the policy."""
    index = log.attest(document.read_bytes(), "bank-statement")
    log.attest(b"another one")
    proof_path(document).write_bytes(log.proof(index, cosigned=cosigned))
    Path("policy").write_bytes(log.policy(witnessed=witnessed))


def test_verify_by_gateway_is_valid(run: Run, gateway: SocketGateway, document: Path) -> None:
    gateway.log.attest(document.read_bytes())
    done = run("verify", document)
    assert done.code == 0
    assert done.out.startswith(" ✔ VALID   statement.pdf\n")
    assert "Bank of Hong Kong (example) (HK, hk-1)" in done.out
    assert f"{ORIGIN}#0" in done.out
    assert "the issuer's own claim" in done.out
    assert "SHA-256, SM3" in done.out


@pytest.mark.usefixtures("gateway")
def test_verify_by_gateway_unknown_is_2(run: Run, document: Path) -> None:
    done = run("verify", document)
    assert done.code == 2
    assert done.out.startswith(" ? UNKNOWN   statement.pdf\n")
    assert "as of" in done.out


def test_verify_by_gateway_revoked_is_1(run: Run, gateway: SocketGateway, document: Path) -> None:
    gateway.log.revoke(gateway.log.attest(document.read_bytes()), 4)
    done = run("verify", document)
    assert done.code == 1
    assert done.out.startswith(" ✘ REVOKED ")
    assert "by entry 1: fraud" in done.out
    assert "(all revocations up to then are known)" in done.out


def test_revocation_after_the_as_of_time_is_told_without_contradiction(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    """A replica may hold what came after the time up to which it is known to be complete."""
    gateway.log.revoke(gateway.log.attest(document.read_bytes()), 4, NOW + 5000)
    told = " ".join(run("verify", document).out.split())
    assert "2026-11-22T13:00:00.000Z (all revocations up to then are known; later news may" in told
    assert "revoked at 2026-11-22T13:00:05.000Z by entry 1: fraud" in told


def test_verify_by_gateway_shows_other_attestations(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    gateway.log.revoke(gateway.log.attest(document.read_bytes()))
    gateway.log.attest(document.read_bytes())
    done = run("verify", document)
    assert done.code == 0
    assert "also ✘ revoked" in done.out


def test_nothing_is_green_beside_a_verdict_that_is_not_good(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    other = {
        "origin": "o/1",
        "index": 3,
        "issuer": "Bank",
        "sentence": "It is.",
        "verdict": "valid",
    }
    report: Any = {
        "verdict": "untrusted",
        "sentence": "No.",
        "as_of": None,
        "attestations": [other],
    }
    show_verdict(report, "a.pdf")
    bad = capsys.readouterr().out
    show_verdict(report | {"verdict": "valid"}, "a.pdf")
    good = capsys.readouterr().out
    assert "by itself" in bad
    assert "✔" not in bad
    assert "also" in good
    assert "✔ valid" in good


@pytest.mark.parametrize(("reason", "look"), [(None, "– valid"), (4, "✘ revoked")])
def test_verify_tells_who_attests_an_unknown_document_all_the_same(
    run: Run, gateway: SocketGateway, document: Path, reason: int | None, look: str
) -> None:
    index = gateway.log.attest(document.read_bytes())
    if reason is not None:
        gateway.log.revoke(index, reason)
    done = run("verify", document, "--expect-issuer", "sz-1")
    assert done.code == 2
    assert f"not as expected {look}" in done.out
    assert f"Bank of Hong Kong (example) attested this document as document ({ORIGIN}#0)" in (
        " ".join(done.out.split())
    )
    assert ("fraud" in done.out) == (reason == 4)


def test_verify_by_reference_without_document_is_7(run: Run, gateway: SocketGateway) -> None:
    gateway.log.attest(b"a scanned slip")
    done = run("verify", "--reference", f"{ORIGIN}#0")
    assert done.code == 7
    assert done.out.startswith(" – ATTESTATION ONLY ")


def test_verify_sends_the_proof_beside_the_document(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    sent: list[object] = []
    answer = gateway._verify
    gateway._verify = lambda body: (sent.append(body.get("proof")), answer(body))[1]  # type: ignore[method-assign]
    proof_path(document).write_text("c2sp…")
    run("verify", document)
    run("verify", document, "--no-proof")
    assert sent == ["c2sp…", None]


def test_verify_several_exits_with_the_worst(run: Run, gateway: SocketGateway) -> None:
    valid, revoked, unknown = write_documents(3)
    gateway.log.attest(valid.read_bytes())
    gateway.log.revoke(gateway.log.attest(revoked.read_bytes()))
    assert run("verify", valid, unknown).code == 2
    done = run("verify", valid, unknown, revoked, "--json")
    assert done.code == 1
    assert [line["verdict"] for line in done.lines()] == ["valid", "unknown", "revoked"]
    assert [line["subject"] for line in done.lines()] == [str(valid), str(unknown), str(revoked)]


def test_verify_gateway_unreachable_is_69(run: Run, document: Path) -> None:
    done = run("verify", document)
    assert done.code == 69
    assert done.out == ""


def test_verify_offline_is_at_best_valid_as_of(run: Run, document: Path, log: SoftLog) -> None:
    prove(log, document)
    done = run("verify", document, "--policy", "policy")
    assert done.code == 5
    assert done.out.startswith(" ! VALID AS OF ")
    assert "Revocation could not be checked without a replica" in done.out
    assert "quorum none" in done.out


def test_verify_offline_with_quorum_tells_existed_by(
    run: Run, document: Path, log: SoftLog
) -> None:
    prove(log, document, cosigned=True, witnessed=True)
    (report,) = run("verify", document, "--policy", "policy", "--json").lines()
    assert report["verdict"] == "valid-as-of"
    (found,) = report["attestations"]
    assert found["existed_by"] == "2026-11-22T13:00:05.000Z"
    assert found["quorum"] == "reached"
    assert found["witnesses"][0]["name"] == log.witness


def test_verify_offline_without_quorum_is_6(run: Run, document: Path, log: SoftLog) -> None:
    prove(log, document, witnessed=True)
    assert run("verify", document, "--policy", "policy").code == 6


def test_verify_offline_proof_alone_is_7(run: Run, document: Path, log: SoftLog) -> None:
    prove(log, document)
    done = run("verify", "--proof", proof_path(document), "--policy", "policy")
    assert done.code == 7
    assert "was not checked" in done.out


def test_verify_offline_changed_document_is_3(run: Run, document: Path, log: SoftLog) -> None:
    prove(log, document)
    document.write_bytes(document.read_bytes() + b" ")
    done = run("verify", document, "--policy", "policy")
    assert done.code == 3
    assert done.out.startswith(" ✘ MISMATCH ")


def test_verify_offline_every_flipped_bit_of_the_signature_fails(
    run: Run, document: Path, log: SoftLog
) -> None:
    prove(log, document)
    proof = proof_path(document).read_text(encoding="utf-8")
    line = proof.splitlines()[-1]
    position = proof.rindex(line) + len(line) - 20
    other = "A" if proof[position] != "A" else "B"
    proof_path(document).write_text(proof[:position] + other + proof[position + 1 :])
    assert run("verify", document, "--policy", "policy").code == 4


def test_verify_offline_log_of_another_policy_is_4(run: Run, document: Path, log: SoftLog) -> None:
    prove(log, document)
    Path("policy").write_bytes(SoftLog(origin="bank-mo.example/mo-1").policy())
    done = run("verify", document, "--policy", "policy")
    assert done.code == 4
    assert "which the policy does not name" in done.out
    assert "quorum" not in done.out  # none was asked for, nor looked up


def test_verify_offline_expects_issuer_and_kind(run: Run, document: Path, log: SoftLog) -> None:
    prove(log, document)
    offline = ("verify", document, "--policy", "policy")
    assert run(*offline, "--expect-issuer", ORIGIN, "--expect-kind", "bank-statement").code == 5
    assert run(*offline, "--expect-kind", "diploma").code == 3
    done = run(*offline, "--expect-issuer", "Bank of Hong Kong (example)")
    assert done.code == 64
    assert ORIGIN in done.err


def test_verify_offline_without_proof_is_66(run: Run, document: Path, log: SoftLog) -> None:
    Path("policy").write_bytes(log.policy())
    assert run("verify", document, "--policy", "policy").code == 66


def test_verify_offline_malformed_proof_or_policy_is_65(
    run: Run, document: Path, log: SoftLog
) -> None:
    prove(log, document)
    Path("bad").write_text("quorum nobody\n")
    assert run("verify", document, "--policy", "bad").code == 65
    proof_path(document).write_bytes(b"\xff no proof")
    assert run("verify", document, "--policy", "policy").code == 65


def test_verify_offline_asks_no_gateway(
    run: Run, gateway: SocketGateway, document: Path, log: SoftLog
) -> None:
    prove(log, document)
    run("verify", document, "--policy", "policy")
    assert gateway.requests == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--proof", "p", "a", "b"],
        ["--proof", "p", "a", "--no-proof"],
        ["a", "--reference", "nowhere"],
        ["a", "--reference", f"{ORIGIN}#01"],
        ["a", "--reference", f"{ORIGIN}#1", "--policy", "x"],
        ["a", "--max-age", "-1"],
        ["a", "--max-age", "1w"],
        ["a", "--expect-kind", "Not A Kind"],
        ["a", "--nonsense"],
    ],
)
def test_verify_wrong_usage_is_64(run: Run, gateway: SocketGateway, arguments: list[str]) -> None:
    for name in "abp":
        Path(name).write_bytes(b"x")
    done = run("verify", *arguments)
    assert done.code == 64, done
    assert done.err.startswith("chopmark: ")
    assert gateway.requests == []


def test_verify_missing_file_is_66(run: Run) -> None:
    done = run("verify", "missing.pdf")
    assert done.code == 66
    assert done.err == "chopmark: no such file: missing.pdf\n"


def test_verify_shows_what_other_institutions_send_as_what_it_is(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    gateway.log.institution = "Evil\x1b[2J\u202eknaB\x9b31m [bold red]\n ✔ VALID"
    gateway.log.attest(document.read_bytes())
    done = run("verify", document)
    assert not set("\x1b\u202e\x9b") & set(done.out)
    assert "Evil\\x1b[2J\\u202eknaB\\x9b31m [bold red]\\n ✔ VALID" in done.out
    raw = run("verify", document, "--json").out
    assert not set("\x1b\u202e\x9b") & set(raw)
    assert json.loads(raw)["attestations"][0]["issuer"] == gateway.log.institution


@pytest.mark.usefixtures("gateway")
def test_verify_colours_only_where_wanted(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b[" not in run("verify", document).out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;30;43m ? UNKNOWN \x1b[0m" in run("verify", document).out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in run("verify", document).out


def test_every_verdict_has_a_look() -> None:
    from chopmark.cli.verdicts import LOOKS

    assert LOOKS.keys() == EXIT.keys()
    good = {word for word, (shape, _) in LOOKS.items() if shape == "✔"}
    assert good == {word for word, code in EXIT.items() if code == 0}


def test_verify_of_a_damaged_proof_names_the_file_and_leaves_the_others_alone(
    run: Run, log: SoftLog
) -> None:
    damaged, bare, good = write_documents(3)
    prove(log, damaged)
    prove(log, good)
    proof_path(damaged).write_bytes(b"\xff no proof")
    done = run("verify", damaged, bare, good, "--policy", "policy")
    assert done.code == 65
    assert done.out.startswith(f" ! VALID AS OF   {good}\n")
    assert f"chopmark: {damaged}: " in done.err
    assert f"chopmark: {bare}: offline" in done.err
    lines = run("verify", damaged, good, "--policy", "policy", "--json").lines()
    assert [line["subject"] for line in lines] == [str(good)]


def test_verify_with_a_gateway_that_refuses_a_proof_goes_on(
    run: Run, gateway: SocketGateway
) -> None:
    damaged, good = write_documents(2)
    gateway.log.attest(good.read_bytes())
    proof_path(damaged).write_text("no proof")
    answer = gateway._verify

    def refuse(body: dict[str, object]) -> object:
        if body.get("proof"):
            raise Problem(400, "malformed-proof", "not a proof", "")
        return answer(body)

    gateway._verify = refuse  # type: ignore[method-assign, assignment]
    done = run("verify", damaged, good)
    assert done.code == 65
    assert done.out.startswith(f" ✔ VALID   {good}\n")
    assert f"chopmark: {damaged}: not a proof" in done.err


def test_verify_names_the_policy_that_cannot_be_read(run: Run, document: Path) -> None:
    Path("bad").write_text("quorum nobody\n")
    done = run("verify", document, "--policy", "bad")
    assert done.code == 65
    assert done.err.startswith("chopmark: bad: policy")


@pytest.mark.parametrize(
    ("again", "says"), [("objects renumbered", "the same"), ("another amount", "differs")]
)
def test_verify_offline_says_whether_a_file_was_only_saved_again(
    run: Run, document: Path, log: SoftLog, again: str, says: str
) -> None:
    issued = SAME["as issued"]
    index = log.attest(issued, canonical=((PDF_PAGES, digest_pdf(issued)),))
    proof_path(document).write_bytes(log.proof(index))
    Path("policy").write_bytes(log.policy())
    document.write_bytes((SAME | OTHER)[again])
    done = run("verify", document, "--policy", "policy")
    assert done.code == 3
    assert re.search(rf"content +{says}", done.out)
    assert ("Ask the customer" in done.out) == (says == "the same")
