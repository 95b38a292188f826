"""What is sealed into the offline verifier, and when there is none."""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

import chopmark
from chopmark.client.gateway import GatewayClient
from chopmark.client.offline_page import build_page, read_seal
from chopmark.core.errors import ChopmarkError
from chopmark.core.roster import Fingerprint
from chopmark.core.roster_text import encode_roster
from rosters import ISSUED, founding, signed

NOW = ISSUED + timedelta(days=1)


def shown(version: int = 1) -> dict[str, Any]:
    text = encode_roster(founding())
    return {
        "pinned": True,
        "fingerprint": f"{Fingerprint(text).hex}{version}",
        "suspended": ["mo-1"],
        "note": signed(founding()).decode(),
    }


@dataclass
class Answers:
    """Stand-in for the client: the answers of a gateway that is asked for its roster twice."""

    rosters: list[dict[str, Any]] = field(default_factory=lambda: [shown(), shown()])

    def roster(self) -> dict[str, Any]:
        return self.rosters.pop(0)

    def replicas(self) -> list[dict[str, Any]]:
        stop = {"reason": "r", "below": 7, "found_at": None}
        return [{"origin": "a", "frozen": None}, {"origin": "b", "frozen": stop}]

    def status(self) -> dict[str, Any]:
        return {"origin": "o", "alarms": [{"code": code} for code in ("fork", "own-fork")]}

    def policy(self, member: str) -> bytes:
        return f"# {member} </script>\nquorum none\n".encode()

    def export(self) -> dict[str, Any]:
        return {
            "id": "sz-1",
            "origin": "o",
            "institution": "<b>",
            "jurisdiction": "CN",
            "kinds": [],
        }


def ask(answers: Answers, now: datetime = NOW) -> Any:
    return read_seal(cast("GatewayClient", answers), now)


def test_seal_has_roster_policies_and_whose_it_is() -> None:
    sealed = ask(Answers())
    assert sealed.fingerprint.words == Fingerprint(encode_roster(founding())).words
    values = sealed.values
    assert (values["version"], values["made_at"]) == (
        chopmark.__version__,
        "2026-11-23T13:00:00.000Z",
    )
    assert set(values["policies"]) == {one.origin for one in founding().member}
    assert values["suspended"] == ["mo-1"]
    assert values["gateway"]["id"] == "sz-1"


def test_seal_names_logs_that_are_not_followed_any_more_and_its_own_if_it_was_forked() -> None:
    assert ask(Answers()).values["forked"] == {
        "b": {"below": 7, "found_at": None},
        "o": {"below": 0, "found_at": None},
    }


def test_page_has_the_seal_and_nothing_in_it_ends_the_script_early() -> None:
    sealed = ask(Answers())
    page = build_page(sealed).decode()
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL)
    assert [attributes for attributes, _ in scripts] == [
        ' type="text/plain" id="licences"',
        ' type="application/json" id="seal"',
        "",
    ]
    assert json.loads(scripts[1][1]) == sealed.values
    assert "MIT License" in scripts[0][1]
    assert "{{" not in page.partition("<script>")[0]


@pytest.mark.parametrize(
    ("rosters", "now", "code"),
    [
        ([{"pinned": False}], NOW, "no-roster"),
        ([shown(), shown(2)], NOW, "roster-changed"),
        ([shown(), shown()], datetime(2027, 11, 22, 13, tzinfo=UTC), "roster-expired"),
    ],
)
def test_no_page_without_a_roster_that_holds(
    rosters: list[dict[str, Any]], now: datetime, code: str
) -> None:
    with pytest.raises(ChopmarkError) as caught:
        ask(Answers(rosters), now)
    assert caught.value.code == code
