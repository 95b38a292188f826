from pathlib import Path

import pytest

from chopmark.client.canonical.pdf_pages import digest_pdf
from chopmark.client.files import proof_path
from chopmark.core.canonical import PDF_PAGES
from chopmark.core.entry import Attestation, parse_entry
from chopmark.core.proof import parse_proof
from commandline import Run, write_documents
from pdfs import SAME
from socketgateway import Problem, SocketGateway


@pytest.mark.usefixtures("gateway")
def test_attest_writes_proof_and_prints_reference(run: Run, document: Path) -> None:
    done = run("attest", document, "--kind", "bank-statement")
    assert done.code == 0
    assert done.out == "bank-hk.example/hk-1#0  statement.pdf\n"
    assert parse_proof(proof_path(document).read_bytes()).index == 0
    assert sorted(path.name for path in Path().iterdir()) == [
        "statement.pdf",
        "statement.pdf.tlog-proof",
    ]


def test_attest_many_keeps_each_proof(run: Run, gateway: SocketGateway) -> None:
    files = write_documents(5)
    done = run("attest", *files, "--json")
    assert done.code == 0
    assert [line["index"] for line in done.lines()] == [0, 1, 2, 3, 4]
    assert gateway.batches == [5]
    for index, file in enumerate(files):
        assert parse_proof(proof_path(file).read_bytes()).index == index


def test_attest_refuses_before_anything_if_a_proof_exists(run: Run, gateway: SocketGateway) -> None:
    files = write_documents(3)
    proof_path(files[2]).write_text("mine")
    done = run("attest", *files)
    assert done.code == 73
    assert "hint: " in done.err
    assert gateway.requests == []
    assert proof_path(files[2]).read_text() == "mine"


def test_attest_refuses_before_anything_if_a_file_is_missing(
    run: Run, gateway: SocketGateway
) -> None:
    done = run("attest", *write_documents(2), "missing.pdf")
    assert done.code == 66
    assert gateway.requests == []


def test_attest_refuses_a_folder(run: Run, gateway: SocketGateway) -> None:
    Path("folder").mkdir()
    assert run("attest", "folder").code == 66
    assert gateway.requests == []


def test_attest_refuses_a_name_without_room_for_the_proof(run: Run, gateway: SocketGateway) -> None:
    path = Path("x" * 250)
    path.write_bytes(b"")
    assert run("attest", path).code == 70
    assert gateway.requests == []


def test_attest_unsigned_says_recorded(run: Run, gateway: SocketGateway, document: Path) -> None:
    gateway.signing = False
    done = run("attest", document)
    assert done.code == 6
    assert "recorded, not signed yet" in done.out
    assert not proof_path(document).exists()
    (line,) = run("attest", document, "--json").lines()
    assert line["state"] == "recorded"
    assert line["proof_file"] is None


def test_attest_says_that_a_proof_is_provisional(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    gateway.provisional = True
    done = run("attest", document)
    assert done.code == 6
    assert "provisional: not enough institutions" in done.out
    assert proof_path(document).exists()

    done = run("proof", document)
    assert done.code == 6
    assert "provisional" in done.out

    gateway.provisional = False
    assert run("proof", document).code == 0


def test_attest_until_signed_is_content_with_a_provisional_proof(
    run: Run, gateway: SocketGateway
) -> None:
    gateway.provisional = True
    one, *two = write_documents(3)
    done = run("attest", one, "--until", "signed", "--json")
    assert done.code == 0
    assert done.lines()[0]["provisional"] is True
    assert run("attest", *two, "--until", "signed").code == 0
    for document in two:
        proof_path(document).unlink()
    assert run("attest", *two).code == 6


@pytest.mark.usefixtures("gateway")
def test_attest_one_refusal_leaves_the_gateways_words(run: Run, document: Path) -> None:
    done = run("attest", document, "--kind", "credit-report")
    assert done.code == 65
    assert done.err == "chopmark: this gateway may not attest that\nhint: ask\n"
    assert not proof_path(document).exists()


@pytest.mark.usefixtures("gateway")
def test_attest_many_refusals_are_told_per_file(run: Run) -> None:
    done = run("attest", *write_documents(2), "--kind", "credit-report")
    assert done.code == 65
    assert done.err.count("this gateway may not attest that") == 2
    assert "document-1.pdf: " in done.err


def test_attest_away_hsm_is_try_again(run: Run, gateway: SocketGateway, document: Path) -> None:
    gateway.problem = Problem(503, "hsm-away", "the HSM is away", "wait")
    assert run("attest", document).code == 75


def test_attest_on_a_full_disk_is_try_again_with_what_to_do(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    gateway.problem = Problem(507, "storage-full", "the disk is 97.1% full", "free space there")
    done = run("attest", document)
    assert (done.code, done.out) == (75, "")
    assert done.err == "chopmark: the disk is 97.1% full\nhint: free space there\n"


def test_attest_keeps_no_proof_of_another_document(
    run: Run, gateway: SocketGateway, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.log.attest(b"another document")
    foreign = gateway.log.proof(0)
    monkeypatch.setattr(gateway.log, "proof", lambda _: foreign)
    done = run("attest", document)
    assert done.code == 69
    assert "attested all the same" in done.err
    assert done.out.startswith("bank-hk.example/hk-1#1")
    assert not proof_path(document).exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--kind", "Bank Statement"],
        ["--valid-until", "tomorrow"],
        ["--valid-until", "2027-01-01T00:00:00"],
        ["--wait", "soon"],
        ["--supersedes", "first"],
        ["document-0.pdf"],
        ["document-1.pdf", "--supersedes", "0"],
    ],
)
def test_attest_wrong_usage_is_64(run: Run, gateway: SocketGateway, arguments: list[str]) -> None:
    write_documents(2)
    done = run("attest", "document-0.pdf", *arguments)
    assert done.code == 64
    assert gateway.requests == []


def test_attest_without_gateway_is_69(run: Run, document: Path) -> None:
    done = run("attest", document)
    assert done.code == 69
    assert "none.sock" in done.err
    assert "hint: " in done.err


def named_in(gateway: SocketGateway) -> list[tuple[tuple[str, bytes], ...]]:
    entries = map(parse_entry, gateway.log.entries)
    return [one.canonical for one in entries if isinstance(one, Attestation)]


def test_attest_names_the_canonical_digest_that_the_catalogue_demands(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    document.write_bytes(SAME["as issued"])
    gateway.kinds = [{"name": "bank-statement", "digests": ["sha256", "sm3", PDF_PAGES]}]
    assert run("attest", document, "--kind", "bank-statement").code == 0
    assert named_in(gateway) == [((PDF_PAGES, digest_pdf(SAME["as issued"])),)]


def test_attest_refuses_a_document_without_the_digest_that_is_demanded(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    gateway.kinds = [{"name": "bank-statement", "digests": ["sha256", "json-jcs/1"]}]
    done = run("attest", document, "--kind", "bank-statement")
    assert done.code == 65
    assert "has no json-jcs/1 digest" in done.err
    assert gateway.log.entries == []


def test_attest_names_canonical_digests_where_asked_for(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    report, text = Path("report.json"), Path("text.txt")
    document.write_bytes(SAME["as issued"])
    report.write_text('{"a": 1}')
    text.write_text("plain")
    assert run("attest", document, report, text, "--canonical").code == 0
    assert [[name for name, _ in one] for one in named_in(gateway)] == [
        [PDF_PAGES],
        ["json-jcs/1"],
        [],
    ]


def test_attest_without_canonical_names_none(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    document.write_bytes(SAME["as issued"])
    assert run("attest", document).code == 0
    assert named_in(gateway) == [()]
