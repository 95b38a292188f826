import json
from dataclasses import replace

import pytest

from chopmark.core.digest import Digests
from chopmark.core.entry import Attestation
from chopmark.core.judge import decide
from chopmark.core.report import describe
from chopmark.core.verdict import Anchored, Facts, Issuer, Match, Question, Revoked, Source

NOW = 1_795_352_400_000
ISSUER = Issuer("hk-1", "bank-hk.example/hk-1", "Bank of Hong Kong (example)", "HK")
BOTH = Attestation(NOW, bytes(32), "diploma", bytes(32), valid_until=NOW + 1000)
GIVEN = Digests(bytes(32), bytes(32))


def report(facts: Facts, digests: Digests | None = GIVEN) -> dict[str, object]:
    described = describe(decide([facts], Question(NOW), NOW), digests)
    assert json.loads(json.dumps(described)) == described
    return described["attestations"][0]


def test_report_of_a_valid_attestation_says_everything() -> None:
    facts = Facts(
        ISSUER,
        7,
        BOTH,
        Source.REPLICA,
        Match.ALL,
        quorum="reached",
        existed_by=NOW + 1,
        witnesses=(("bank-sz.example/sz-1/cosigner", NOW + 1),),
        as_of=NOW,
    )
    verdict = decide([facts], Question(NOW), NOW)
    assert describe(verdict, GIVEN) == {
        "verdict": "valid",
        "sentence": verdict.sentence,
        "exit_code": 0,
        "asked_at": "2026-11-22T13:00:00.000Z",
        "as_of": "2026-11-22T13:00:00.000Z",
        "attestations": [
            {
                "verdict": "valid",
                "sentence": verdict.judgements[0].sentence,
                "issuer": "Bank of Hong Kong (example)",
                "jurisdiction": "HK",
                "id": "hk-1",
                "origin": "bank-hk.example/hk-1",
                "index": 7,
                "kind": "diploma",
                "made_at": "2026-11-22T13:00:00.000Z",
                "existed_by": "2026-11-22T13:00:00.001Z",
                "valid_until": "2026-11-22T13:00:01.000Z",
                "superseded_by": None,
                "supersession": [],
                "supersession_cut": False,
                "revoked": None,
                "as_of": "2026-11-22T13:00:00.000Z",
                "witnesses": [
                    {
                        "name": "bank-sz.example/sz-1/cosigner",
                        "time": "2026-11-22T13:00:00.001Z",
                    }
                ],
                "quorum": "reached",
                "source": "replica",
                "problem": None,
                "warning": None,
                "successor": None,
                "digests_checked": ["sha256", "sm3"],
                "canonical": [],
                "same_content": None,
            }
        ],
        "pruned": [],
        "others": [],
    }


@pytest.mark.parametrize(("reason", "text"), [(5, "key compromise"), (6, None)])
def test_report_of_a_revocation_names_its_reason(reason: int, text: str | None) -> None:
    facts = Facts(ISSUER, 7, BOTH, Source.OWN, Match.ALL, revoked=Revoked(9, reason, NOW))
    assert report(facts)["revoked"] == {
        "index": 9,
        "reason": reason,
        "reason_text": text,
        "at": "2026-11-22T13:00:00.000Z",
    }


def test_report_of_an_unreadable_entry_has_nulls() -> None:
    found = report(Facts(ISSUER, 7, None, Source.PROOF, Match.ALL))
    assert (found["verdict"], found["kind"], found["made_at"]) == ("untrusted", None, None)
    assert found["digests_checked"] == []


@pytest.mark.parametrize(
    ("match", "digests", "checked"),
    [
        (Match.DIFFERS, GIVEN, ["sha256", "sm3"]),
        (Match.MISSING, Digests(bytes(32)), ["sha256"]),
        (Match.NO_DOCUMENT, None, []),
        (Match.BLINDED, GIVEN, []),
    ],
)
def test_report_names_the_digests_that_were_compared(
    match: Match, digests: Digests | None, checked: list[str]
) -> None:
    facts = Facts(ISSUER, 7, BOTH, Source.PROOF, match, referred=True)
    assert report(facts, digests)["digests_checked"] == checked


def test_report_tells_of_an_anchor_only_where_there_is_one() -> None:
    facts = Facts(ISSUER, 7, BOTH, Source.REPLICA, Match.ALL, as_of=NOW)
    assert "anchored" not in report(facts)
    told = report(replace(facts, anchored=Anchored(20_200, 9, 123, "0x12")))
    assert told["anchored"] == {"chain_id": 20_200, "block": 123, "size": 9, "transaction": "0x12"}
