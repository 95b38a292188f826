"""`chopmark roster propose`: kinds, notaries, scenarios and accounts, without a gateway."""

import json
from pathlib import Path

import pytest

from chopmark.core.roster import NotaryGroup, Roster
from chopmark.core.roster_text import encode_roster, read_draft
from chopmark.service.config_text import render_peer
from commandline import Run
from rosters import GZ, HK, SME_LOAN, THREE, founding, opened, rich, signed

ACCOUNT = "0x" + "ab" * 20
LOAN = """
[[scenario]]
name = "loan"
kinds = ["bank-statement"]
issuers = ["HK"]
receivers = ["bank-sz"]
purposes = ["sme-loan", "mortgage"]
validity = 3600
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "roster-1"
    path.write_bytes(signed(rich(), (*THREE, GZ)))
    return path


def propose(run: Run, base: Path, *options: str) -> Roster:
    output = base.with_name("roster-2")
    output.unlink(missing_ok=True)
    done = run("roster", "propose", str(output), "--base", str(base), *options)
    assert done.code == 0, done.err
    made = read_draft(output.read_text())
    assert encode_roster(made) == output.read_text()
    assert (made.version, made.previous) == (2, opened(rich(), (*THREE, GZ)).digest.hex())
    return made


def refuse(run: Run, base: Path, *options: str) -> tuple[int, str, str]:
    output = base.with_name("refused")
    done = run("roster", "propose", str(output), "--base", str(base), *options, "--json")
    assert not output.exists()
    told = json.loads(done.err)
    return done.code, told["code"], told["detail"]


def test_scenario_of_a_file_is_added_and_the_others_stay(
    run: Run, base: Path, tmp_path: Path
) -> None:
    path = tmp_path / "loan.toml"
    path.write_text(LOAN)
    made = propose(run, base, "--catalogue", str(path))
    assert [one.name for one in made.scenario] == ["sme-loan-sz-hk", "job", "loan"]
    assert made.scenario[:2] == rich().scenario
    assert (made.scenario[2].purposes, made.scenario[2].validity) == (
        ("sme-loan", "mortgage"),
        3600,
    )
    assert made.kind == rich().kind


def test_what_has_a_name_that_is_there_takes_its_place(
    run: Run, base: Path, tmp_path: Path
) -> None:
    path = tmp_path / "more.toml"
    path.write_text(
        LOAN.replace('"loan"', '"sme-loan-sz-hk"')
        + '[[kind]]\nname = "bank-statement"\nmax_age = 60\n[[kind]]\nname = "deed"\n'
        + '[kind.notary]\ninstitutions = ["bank-mo", "bank-sz"]\nthreshold = 1\n'
    )
    made = propose(run, base, "--catalogue", str(path))
    assert [one.name for one in made.scenario] == ["sme-loan-sz-hk", "job"]
    assert made.scenario[0] != SME_LOAN
    names = [(one.name, one.max_age) for one in made.kind]
    assert names == [
        ("bank-statement", 60),
        ("kyc-report", None),
        ("diploma", None),
        ("deed", None),
    ]
    group = NotaryGroup(institutions=("bank-mo", "bank-sz"), threshold=1)
    assert made.kind[3].notary == group


def test_kinds_and_scenarios_are_dropped_by_their_names(run: Run, base: Path) -> None:
    made = propose(run, base, "--drop-scenario", "job", "--drop-kind", "diploma")
    assert [one.name for one in made.scenario] == ["sme-loan-sz-hk"]
    assert [one.name for one in made.kind] == ["bank-statement", "kyc-report"]
    assert refuse(run, base, "--drop-scenario", "nothing")[:2] == (66, "no-such-scenario")
    assert refuse(run, base, "--drop-kind", "nothing")[:2] == (66, "no-such-kind")
    code, word, message = refuse(run, base, "--drop-kind", "diploma")
    assert (code, word) == (65, "bad-roster")
    assert "scenario 'job'" in message, "one that needs the kind is left"


def test_notaries_of_a_kind_are_set_and_taken_away(run: Run, base: Path) -> None:
    made = propose(run, base, "--notaries", "bank-statement=1=bank-sz,bank-mo")
    group = NotaryGroup(institutions=("bank-sz", "bank-mo"), threshold=1)
    assert made.kind[0].notary == group
    assert propose(run, base, "--notaries", "diploma=0").kind[2].notary is None
    assert refuse(run, base, "--notaries", "deed=1=bank-sz")[:2] == (66, "no-such-kind")
    assert refuse(run, base, "--notaries", "diploma=3=bank-sz,bank-mo")[:2] == (65, "bad-roster")
    assert refuse(run, base, "--notaries", "diploma=1")[0] == 64


def test_member_becomes_a_notary_and_issues_again(run: Run, base: Path, tmp_path: Path) -> None:
    made = propose(run, base, "--notary", "mo-1")
    found = made.find("mo-1")
    assert found is not None
    assert (found.role, found.kinds) == ("notary", ())
    next_base = tmp_path / "roster-2n"
    next_base.write_bytes(signed(made, (*THREE, GZ)))
    output = tmp_path / "roster-3"
    changes = ("--kinds", "mo-1=bank-statement,diploma", "--kinds", "hk-1=*")
    done = run("roster", "propose", str(output), "--base", str(next_base), *changes)
    assert done.code == 0, done.err
    again = read_draft(output.read_text()).find("mo-1")
    assert again is not None
    assert (again.role, again.kinds) == ("gateway", ("bank-statement", "diploma"))
    assert refuse(run, base, "--notary", "xx-9")[:2] == (66, "no-such-member")


def test_account_on_a_chain_is_named_and_taken_away(run: Run, base: Path) -> None:
    found = propose(run, base, "--chain", f"hk-1={ACCOUNT}").find("hk-1")
    assert found is not None
    assert found.chain == ACCOUNT
    found = propose(run, base, "--chain", "hk-1=none").find("hk-1")
    assert found is not None
    assert found.chain is None
    assert refuse(run, base, "--chain", "hk-1=0xAB")[:2] == (65, "malformed-account")


def test_who_joins_brings_its_account(run: Run, tmp_path: Path) -> None:
    listed = founding((HK,)).members()[0]
    block = tmp_path / "hk-1.toml"
    block.write_text(render_peer(listed) + f'chain = "{ACCOUNT}"\n')
    output = tmp_path / "roster-1"
    done = run("roster", "propose", str(output), "--first", "--join", str(block))
    assert done.code == 0, done.err
    assert [one.chain for one in read_draft(output.read_text()).member] == [ACCOUNT]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad-catalogue"),
        (LOAN + LOAN, "bad-catalogue"),
        ('[[scenario]]\nname = "x"\n', "config-type"),
        (LOAN + "validty = 1\n", "config-unknown-key"),
        ("[[member]]\n", "config-unknown-key"),
        ("no toml", "config-syntax"),
        (LOAN.replace('"HK"', '"XX"'), "bad-roster"),
        (LOAN.replace('"bank-statement"', '"deed"'), "bad-roster"),
    ],
)
def test_file_that_says_something_else_is_refused(
    run: Run, base: Path, tmp_path: Path, text: str, code: str
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    assert refuse(run, base, "--catalogue", str(path))[1] == code


def test_draft_takes_no_changes_beside_it(run: Run, base: Path, tmp_path: Path) -> None:
    path = tmp_path / "draft"
    path.write_text(encode_roster(rich()))
    code, word, _ = refuse(run, base, "--draft", str(path), "--notary", "mo-1")
    assert (code, word) == (64, "usage")
