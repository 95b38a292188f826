"""`chopmark attest --manifest`: all or nothing known before, gone on with after, kept once."""

import io
import json
import sys
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from chopmark.client import compact
from chopmark.core.policy import parse_policy
from chopmark.core.proof import parse_proof, verify_proof
from commandline import Run
from socketgateway import Problem, SocketGateway

MANIFEST = Path("sums")
STATE = Path("sums.chopmark")


def write_manifest(count: int = 10, path: Path = MANIFEST) -> list[str]:
    names = [f"statement-{number}.pdf" for number in range(count)]
    lines = [f"{sha256(name.encode()).hexdigest()}  {name}\n" for name in names]
    path.write_text("".join(lines))
    return names


def check_proofs(gateway: SocketGateway, folder: Path, names: list[str]) -> None:
    policy = parse_policy(gateway.log.policy())
    for name in names:
        proof = parse_proof((folder / f"{name}.tlog-proof").read_bytes())
        index = verify_proof(proof, policy).index
        assert sha256(name.encode()).digest() in gateway.log.entries[index]
    assert len(list(folder.glob("*.tlog-proof"))) == len(names)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for a gateway that does not come back."""
    names = compact.CompactRequest.__init__.__kwdefaults__
    monkeypatch.setitem(names, "pause", lambda _: None)
    monkeypatch.setitem(names, "patience", 4.0)


def test_manifest_is_attested_and_proven(run: Run, gateway: SocketGateway) -> None:
    names = write_manifest()
    done = run("attest", "--manifest", MANIFEST, "--kind", "bank-statement")
    assert done.code == 0, done.err
    assert done.out.startswith("10 documents attested and signed\n")
    assert "bank-hk.example/hk-1#0 to #11, with other entries between" in done.out
    assert "documents a second" in done.out
    check_proofs(gateway, Path(), names)
    assert not STATE.exists()


def test_manifest_keeps_proofs_in_one_folder(run: Run, gateway: SocketGateway) -> None:
    names = write_manifest(4)
    Path("out").mkdir()
    done = run("attest", "--manifest", MANIFEST, "--proofs", "out", "--json")
    (line,) = done.lines()
    assert (line["count"], line["first_index"], line["last_index"]) == (4, 0, 3)
    assert (line["state"], line["proofs"], line["proofs_written"]) == ("signed", "out", 4)
    assert line["origin"] == gateway.log.origin
    assert line["resumed"] is False
    check_proofs(gateway, Path("out"), names)


def test_manifest_without_proofs(run: Run, gateway: SocketGateway) -> None:
    write_manifest()
    done = run("attest", "--manifest", MANIFEST, "--no-proofs", "--valid-until", "2027-12-31")
    assert done.code == 0
    assert "proofs" not in done.out
    assert sorted(path.name for path in Path().iterdir()) == ["sums"]
    assert gateway.bodies[0] == (0, 10)


def test_manifest_from_standard_input(
    run: Run, gateway: SocketGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = write_manifest(3)
    stdin = SimpleNamespace(buffer=io.BytesIO(MANIFEST.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert run("attest", "--manifest", "-").code == 0
    check_proofs(gateway, Path(), names)
    assert run("attest", "--manifest", "-", "--resume").code == 64


def test_manifest_with_a_bad_line_sends_nothing(run: Run, gateway: SocketGateway) -> None:
    write_manifest()
    MANIFEST.write_text(MANIFEST.read_text() + "nonsense\n")
    done = run("attest", "--manifest", MANIFEST)
    assert done.code == 65
    assert "line 11" in done.err
    assert gateway.requests == []


def test_manifest_with_a_proof_that_exists_sends_nothing(run: Run, gateway: SocketGateway) -> None:
    names = write_manifest()
    taken = Path(f"{names[7]}.tlog-proof")
    taken.write_text("mine")
    assert run("attest", "--manifest", MANIFEST).code == 73
    assert gateway.requests == []
    assert taken.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--manifest", "none"], 66),
        (["--manifest", "."], 66),
        (["--manifest", "sums", "--proofs", "none"], 66),
        (["--manifest", "sums", "a.pdf"], 64),
        (["--manifest", "sums", "--supersedes", "1"], 64),
        (["--manifest", "sums", "--proofs", "x", "--no-proofs"], 64),
        (["--proofs", "x", "sums"], 64),
        (["--no-proofs", "sums"], 64),
        (["--resume", "sums"], 64),
        (["--sm3", "x", "sums"], 64),
        (["--manifest", "sums", "--sm3", "none"], 66),
        (["--manifest", "sums", "--blinded", "--no-proofs"], 64),
        ([], 64),
    ],
)
def test_manifest_wrong_usage(
    run: Run, gateway: SocketGateway, arguments: list[str], code: int
) -> None:
    write_manifest()
    assert run("attest", *arguments).code == code
    assert gateway.requests == []


def test_manifest_of_a_refused_kind_leaves_nothing_behind(run: Run, gateway: SocketGateway) -> None:
    write_manifest()
    done = run("attest", "--manifest", MANIFEST, "--kind", "credit-report")
    assert done.code == 65
    assert "hint: ask" in done.err
    assert not STATE.exists()
    assert gateway.log.entries == []


@pytest.mark.usefixtures("_impatient")
def test_manifest_that_broke_off_is_gone_on_with(
    run: Run, gateway: SocketGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = write_manifest(30)
    defaults = compact.CompactRequest.record.__defaults__
    assert defaults == (compact.PART,)
    monkeypatch.setattr(compact.CompactRequest.record, "__defaults__", (12,))
    gateway.faults = ["", "cut", *["refuse"] * 1000]
    done = run("attest", "--manifest", MANIFEST)
    assert done.code == 75
    assert "20 of 30 are recorded" in done.err
    assert "--resume" in done.err
    kept = json.loads(STATE.read_text())
    assert kept["recorded"] == 20
    assert STATE.stat().st_mode & 0o777 == 0o600
    gateway.faults = []

    again = run("attest", "--manifest", MANIFEST)
    assert again.code == 73
    assert "--resume" in again.err

    done = run("attest", "--manifest", MANIFEST, "--resume", "--json")
    assert done.code == 0, done.err
    (line,) = done.lines()
    assert (line["count"], line["resumed"], line["request"]) == (30, True, kept["request"])
    check_proofs(gateway, Path(), names)
    assert not STATE.exists()


def test_manifest_not_signed_in_time_is_proven_later(run: Run, gateway: SocketGateway) -> None:
    names = write_manifest()
    gateway.signing = False
    done = run("attest", "--manifest", MANIFEST)
    assert done.code == 75
    assert "recorded, but not signed yet" in done.err
    assert json.loads(STATE.read_text())["recorded"] == 10
    gateway.signing = True
    assert run("attest", "--manifest", MANIFEST, "--resume").code == 0
    check_proofs(gateway, Path(), names)


def test_manifest_whose_proofs_broke_off_keeps_the_rest(run: Run, gateway: SocketGateway) -> None:
    names = write_manifest()
    gateway.signing = False
    run("attest", "--manifest", MANIFEST)
    gateway.signing = True
    taken = Path(f"{names[7]}.tlog-proof")
    taken.write_text("mine")
    done = run("attest", "--manifest", MANIFEST, "--resume")
    assert done.code == 73
    assert STATE.exists()
    assert len(list(Path().glob("*.tlog-proof"))) == 8
    taken.unlink()
    done = run("attest", "--manifest", MANIFEST, "--resume", "--json")
    assert done.lines()[0]["proofs_written"] == 3
    check_proofs(gateway, Path(), names)


@pytest.mark.parametrize("finished", [False, True])
def test_manifest_resume_where_nothing_broke_off_attests_nothing(
    run: Run, gateway: SocketGateway, *, finished: bool
) -> None:
    write_manifest(5)
    if finished:
        assert run("attest", "--manifest", MANIFEST, "--no-proofs").code == 0
    before = list(gateway.log.entries)
    done = run("attest", "--manifest", MANIFEST, "--no-proofs", "--resume")
    assert done.code == 66
    assert "leave out --resume" in done.err
    assert gateway.log.entries == before


@pytest.mark.parametrize(
    ("arguments", "count"), [(["--kind", "x"], 10), (["--valid-until", "2030-01-01"], 10), ([], 11)]
)
def test_manifest_of_another_run_is_not_gone_on_with(
    run: Run, gateway: SocketGateway, arguments: list[str], count: int
) -> None:
    write_manifest()
    gateway.signing = False
    run("attest", "--manifest", MANIFEST, "--no-proofs")
    sent = list(gateway.bodies)
    write_manifest(count)
    done = run("attest", "--manifest", MANIFEST, "--no-proofs", "--resume", *arguments)
    assert done.code == 73
    assert gateway.bodies == sent


@pytest.mark.parametrize(
    "text", ["", "[]", '{"request": "00"}', '{"request": 1}', "\udcff", "x" * 9000]
)
def test_manifest_with_a_spoilt_state_is_65(run: Run, gateway: SocketGateway, text: str) -> None:
    write_manifest()
    STATE.write_text(text, errors="surrogateescape")
    done = run("attest", "--manifest", MANIFEST, "--resume")
    assert done.code == 65
    assert "sums.chopmark" in done.err
    assert gateway.requests == []


def test_manifest_without_gateway_is_69_and_leaves_nothing(run: Run) -> None:
    write_manifest()
    assert run("attest", "--manifest", MANIFEST).code == 69
    assert not STATE.exists()


@pytest.mark.usefixtures("_impatient")
def test_manifest_whose_gateway_stays_away_keeps_its_request(
    run: Run, gateway: SocketGateway
) -> None:
    write_manifest()
    gateway.faults = ["lose", *["refuse"] * 1000]
    assert run("attest", "--manifest", MANIFEST).code == 75
    assert json.loads(STATE.read_text())["recorded"] == 0
    gateway.faults = []
    assert run("attest", "--manifest", MANIFEST, "--resume").code == 0
    assert sum(b"document" in entry for entry in gateway.log.entries) == 10


def test_manifest_error_of_another_sort_says_so(run: Run, gateway: SocketGateway) -> None:
    write_manifest()
    gateway.problem = Problem(500, "internal-error", "our fault")
    assert run("attest", "--manifest", MANIFEST).code == 70
