"""`chopmark slip`, and slips given to `chopmark verify`."""

import io
import json
import sys
from pathlib import Path

import pytest

from chopmark.client.files import proof_path
from chopmark.core.policy import parse_policy
from chopmark.core.proof import parse_proof
from chopmark.core.slip import parse_slip
from chopmark.core.slip_making import make_slip
from commandline import Run
from socketgateway import SocketGateway
from softlog import SoftLog

ORIGIN = "bank-hk.example/hk-1"
SLIP = Path("statement.pdf.slip.pdf")


@pytest.fixture
def log(document: Path) -> SoftLog:
    """A log with the document; its complete proof lies beside, and the policy in the folder."""
    made = SoftLog()
    made.attest(b"before")
    index = made.attest(document.read_bytes(), "bank-statement")
    made.attest(b"after")
    proof_path(document).write_bytes(made.proof(index, cosigned=True))
    Path("policy").write_bytes(made.policy(witnessed=True))
    return made


def text_of(log: SoftLog) -> str:
    return make_slip(
        parse_proof(log.proof(1, cosigned=True)), parse_policy(Path("policy").read_bytes())
    )


def test_slip_is_made_offline_beside_the_document(run: Run, log: SoftLog, document: Path) -> None:
    done = run("slip", document, "--policy", "policy")
    assert (done.code, done.out) == (0, f"{ORIGIN}#1  {SLIP}\n")
    assert SLIP.read_bytes().startswith(b"%PDF-")
    assert text_of(log).encode() in SLIP.read_bytes()


def test_slip_is_made_by_the_gateway_with_names_of_institutions(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    gateway.log.attest(document.read_bytes())
    proof_path(document).write_bytes(gateway.log.proof(0))
    done = run("slip", document, "-o", "out.pdf", "--language", "zh-Hans", "--json")
    (answer,) = done.lines()
    assert (done.code, answer["origin"], answer["index"]) == (0, ORIGIN, 0)
    assert answer["slip_file"] == "out.pdf"
    assert parse_slip(answer["slip"]).checkpoint().origin == ORIGIN
    from pypdf import PdfReader

    page = PdfReader("out.pdf").pages[0].extract_text()
    assert "Bank of Hong Kong (example) (HK)" in page
    assert "验证单" in page


@pytest.mark.usefixtures("log")
def test_slip_overwrites_nothing(run: Run, document: Path) -> None:
    SLIP.write_text("mine")
    done = run("slip", document, "--policy", "policy")
    assert (done.code, SLIP.read_text()) == (73, "mine")


def test_slip_without_a_proof_is_66(run: Run, document: Path) -> None:
    done = run("slip", document, "--policy", "policy")
    assert done.code == 66
    assert "no proof of statement.pdf" in done.err
    assert not SLIP.exists()


def test_slip_of_a_provisional_proof_is_not_made(run: Run, log: SoftLog, document: Path) -> None:
    proof_path(document).write_bytes(log.proof(1))
    done = run("slip", document, "--policy", "policy")
    assert done.code == 6
    assert done.out.startswith(" ! UNWITNESSED ")
    assert "no slip was made" in done.err
    assert not SLIP.exists()


@pytest.mark.usefixtures("log")
def test_slip_of_another_document_is_not_made(run: Run, document: Path) -> None:
    document.write_bytes(b"another")
    done = run("slip", document, "--policy", "policy", "--json")
    assert (done.code, done.lines()[0]["verdict"]) == (3, "mismatch")
    assert not SLIP.exists()


def test_slip_of_a_revoked_document_is_not_made(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    index = gateway.log.attest(document.read_bytes())
    proof_path(document).write_bytes(gateway.log.proof(index))
    gateway.log.revoke(index, 4)
    assert run("slip", document).code == 1
    assert not SLIP.exists()


def test_slip_of_what_may_be_revoked_by_now_is_not_made(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    index = gateway.log.attest(document.read_bytes())
    proof_path(document).write_bytes(gateway.log.proof(index))
    gateway.late = 86_400_001
    assert run("slip", document).code == 5
    assert not SLIP.exists()


def test_slip_without_its_packages_says_what_to_install(
    run: Run, log: SoftLog, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fpdf", None)
    for name in [name for name in sys.modules if name.startswith("chopmark.client.slip.")]:
        if name.rpartition(".")[2] in ("page", "faces"):
            monkeypatch.delitem(sys.modules, name)
    done = run("slip", document, "--policy", "policy")
    assert done.code == 78
    assert "chopmark[slip]" in done.err
    assert log.entries


@pytest.fixture
def slip(run: Run, log: SoftLog, document: Path) -> str:
    """A slip of the document lies beside it; its text."""
    assert run("slip", document, "--policy", "policy").code == 0
    proof_path(document).unlink()
    Path("slip.txt").write_text(text_of(log) + "\n")
    return text_of(log)


@pytest.mark.parametrize("given", [SLIP, Path("slip.txt"), Path("-")])
def test_verify_by_a_slip_is_as_by_its_proof(
    run: Run, slip: str, document: Path, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{slip}\r\n".encode())))
    done = run("verify", document, "--proof", given, "--policy", "policy", "--json")
    assert (done.code, done.lines()[0]["verdict"]) == (5, "valid-as-of")


@pytest.mark.usefixtures("slip")
def test_verify_a_slip_without_its_document_is_never_valid(run: Run) -> None:
    done = run("verify", "--proof", SLIP, "--policy", "policy")
    assert done.code == 7
    assert done.out.startswith(" – ATTESTATION ONLY   statement.pdf.slip.pdf\n")
    assert "not checked, and neither was any paper" in done.out
    assert "the file is needed" in done.out
    assert "bank-statement" in done.out


@pytest.mark.usefixtures("slip")
def test_verify_another_document_by_a_slip_is_a_mismatch(run: Run) -> None:
    Path("false.pdf").write_bytes(b"%PDF-1.7 balance: 9,000,000.00\n")
    assert run("verify", "false.pdf", "--proof", SLIP, "--policy", "policy").code == 3


def test_genuine_code_on_a_false_statement_shows_the_entrys_facts_alone(
    run: Run, slip: str
) -> None:
    """Somebody prints a page of his own around a genuine code, and hands in the page's file."""
    Path("false.pdf").write_bytes(
        b"%PDF-1.7\nBank of Macao, deposit certificate, 9,000,000.00, verified and valid\n"
        + slip.encode()
        + b"\nendstream"
    )
    alone = run("verify", "--proof", "false.pdf", "--policy", "policy", "--json")
    (told,) = alone.lines()
    assert (alone.code, told["verdict"]) == (7, "attestation-only")
    (found,) = told["attestations"]
    assert (found["kind"], found["origin"], found["index"]) == ("bank-statement", ORIGIN, 1)
    for claim in ("Macao", "certificate", "9,000"):
        assert claim not in json.dumps(told)
    with_it = run("verify", "false.pdf", "--proof", "false.pdf", "--policy", "policy")
    assert with_it.code == 3


def test_verify_a_slip_with_a_character_changed_is_refused(run: Run, slip: str) -> None:
    at = len(slip) // 2
    other = "A" if slip[at] != "A" else "B"
    Path("slip.txt").write_text(slip[:at] + other + slip[at + 1 :])
    done = run("verify", "--proof", "slip.txt", "--policy", "policy")
    assert done.code == 65
