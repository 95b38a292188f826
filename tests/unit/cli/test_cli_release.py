"""`chopmark evidence release` and `sign`: what two officers do, without a daemon."""

from pathlib import Path

import pytest

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.evidence import differing_heads
from chopmark.core.officers import check_officers
from chopmark.core.release import parse_release
from commandline import Run
from officers import CHAN, LEE, OFFICERS
from softkeys import log_key, sign_head

ORIGIN = "bank-sz.example/sz-1"
HEADS = [Checkpoint(ORIGIN, 7, root * 32) for root in (b"a", b"b")]
EVIDENCE = differing_heads(*(sign_head(head, log_key(ORIGIN)) for head in HEADS))
DIGEST = EVIDENCE.digest.hex()


@pytest.fixture(autouse=True)
def _evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [{"digest": DIGEST, "evidence": EVIDENCE.encode().decode()}]
    monkeypatch.setattr("chopmark.client.gateway.GatewayClient.evidence", lambda _: found)


def write(run: Run, keep: str, *more: str) -> int:
    return run(
        "evidence", "release", DIGEST[:8], "r", "--keep", keep, "--reason", "why", *more
    ).code


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("number", [1, 2])
def test_text_names_the_branch_that_show_lists_so(run: Run, number: int) -> None:
    assert write(run, str(number)) == 0
    release = parse_release(Path("r").read_bytes()).release
    assert release.kept == EVIDENCE.branches[number - 1].head()
    assert (release.evidence, release.reason) == (EVIDENCE.digest, "why")
    assert write(run, str(number)) == 73, "nothing is overwritten"


@pytest.mark.usefixtures("gateway")
def test_branch_or_evidence_that_is_not_there_is_refused(run: Run) -> None:
    assert write(run, "3") == 64
    assert write(run, "7/x") == 64
    assert write(run, "1", "--apply", "r") == 64
    done = run("evidence", "release", "0" * 8, "r", "--keep", "1", "--reason", "why")
    assert done.code == 66
    done = run("evidence", "release", DIGEST[:7], "r", "--keep", "1", "--reason", "why")
    assert done.code == 66
    assert run("evidence", "release", DIGEST).code == 64
    assert not Path("r").exists()


@pytest.mark.usefixtures("gateway")
def test_two_officers_sign_with_their_keys(run: Run) -> None:
    write(run, "1")
    for person in (CHAN, LEE):
        Path("crt").write_bytes(person.certificate)
        Path("key").write_bytes(person.pem)
        assert run("evidence", "sign", "r", "--certificate", "crt", "--key", "key").code == 0
    again = run("evidence", "sign", "r", "--certificate", "crt").code
    assert again == 64, "a key or a signature is due"
    assert check_officers(parse_release(Path("r").read_bytes()), OFFICERS) == OFFICERS


@pytest.mark.usefixtures("gateway")
def test_key_of_another_certificate_and_junk_are_refused(run: Run) -> None:
    write(run, "1")
    before = Path("r").read_bytes()
    Path("crt").write_bytes(CHAN.certificate)
    Path("key").write_bytes(LEE.pem)
    Path("junk").write_bytes(b"junk")
    sign = ("evidence", "sign", "r", "--certificate")
    assert run(*sign, "crt", "--key", "key").code == 65
    assert run(*sign, "junk", "--key", "key").code == 65
    assert run(*sign, "crt", "--key", "junk").code == 65
    assert run(*sign, "crt", "--signature", "junk").code == 65
    assert run(*sign, "crt", "--key", "none").code == 66
    assert Path("r").read_bytes() == before
