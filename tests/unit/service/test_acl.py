"""The access list of a Mosquitto is made from a roster, and from nothing else."""

from dataclasses import replace

import msgspec
import pytest

from chopmark.core.errors import UsageError
from chopmark.core.roster_follow import SignedRoster, open_roster
from chopmark.mesh.rights import readable, writable
from chopmark.service.acl import make_acl
from rosters import founding, signed

SIGNED = open_roster(signed(founding()))


def users(acl: str) -> dict[str, list[str]]:
    """Lines of each user."""
    found: dict[str, list[str]] = {}
    for line in acl.splitlines():
        if line.startswith("user "):
            found[line.removeprefix("user ")] = lines = []
        elif line and not line.startswith("#"):
            lines.append(line)
    return found


def with_state(member: str, state: str) -> SignedRoster:
    """The roster with a member in another state."""
    members = tuple(
        msgspec.structs.replace(one, state=state) if one.id == member else one
        for one in SIGNED.roster.member
    )
    return replace(SIGNED, roster=msgspec.structs.replace(SIGNED.roster, member=members))


def test_acl_names_version_and_fingerprint_and_is_the_same_each_time() -> None:
    acl = make_acl(SIGNED)
    assert acl == make_acl(SIGNED)
    head = acl.splitlines()[:4]
    assert head[1:] == [
        f"# Roster: version {SIGNED.roster.version}",
        f"# Fingerprint: {SIGNED.fingerprint.hex}",
        f"# In words: {SIGNED.fingerprint.words}",
    ]


def test_acl_gives_each_member_its_rights_by_cn_and_what_it_writes_by_subject() -> None:
    found = users(make_acl(SIGNED))
    assert list(found) == [
        name for one in SIGNED.roster.member for name in (one.id, f"CN={one.id}")
    ]
    writes = [f"topic write {one}" for one in writable("hk-1")]
    assert found["CN=hk-1"] == writes
    assert found["hk-1"] == writes + [f"topic read {one}" for one in readable("hk-1")]


def test_acl_takes_the_subject_of_another_ca() -> None:
    found = users(make_acl(SIGNED, {"hk-1": "CN=hk-1,O=Bank of Hong Kong"}))
    assert "CN=hk-1" not in found
    assert found["CN=hk-1,O=Bank of Hong Kong"] == users(make_acl(SIGNED))["CN=hk-1"]


def test_acl_leaves_out_who_has_left_and_keeps_who_is_suspended() -> None:
    assert "hk-1" not in users(make_acl(with_state("hk-1", "left")))
    suspended = make_acl(with_state("hk-1", "suspended"))
    assert users(suspended) == users(make_acl(SIGNED))
    assert "(suspended)" in suspended


def test_acl_gives_a_bridge_what_the_members_behind_it_may() -> None:
    found = users(make_acl(SIGNED, bridges={"BRIDGE-x": ["hk-1", "mo-1"]}))
    both = {*found["hk-1"], *found["mo-1"]}
    assert set(found["BRIDGE-x"]) == both
    assert len(found["BRIDGE-x"]) == len(both)


@pytest.mark.parametrize(
    ("subjects", "bridges"),
    [
        ({"xx-1": "CN=xx-1"}, {}),
        ({}, {"BRIDGE-x": ["xx-1"]}),
        ({"hk-1": "CN=hk-1\ntopic readwrite #"}, {}),
        ({"hk-1": " "}, {}),
        ({"hk-1": "sz-1"}, {}),
        ({"hk-1": "CN=sz-1"}, {}),
        ({"hk-1": "CN=sz-1", "sz-1": "CN=hk-1"}, {}),
        ({"hk-1": "hk-1"}, {}),
        ({"hk-1": "CN=x", "sz-1": "CN=x"}, {}),
        ({"hk-1": "CN=x"}, {"CN=x": ["mo-1"]}),
        ({"hk-1": "CN=hk-1,O=x"}, {"CN=hk-1": ["mo-1"]}),
        ({}, {"hk-1": ["mo-1"]}),
        ({}, {"CN=hk-1": ["mo-1"]}),
        ({}, {"x" * 257: ["mo-1"]}),
    ],
)
def test_acl_refuses_names_that_cannot_be(
    subjects: dict[str, str], bridges: dict[str, list[str]]
) -> None:
    with pytest.raises(UsageError):
        make_acl(SIGNED, subjects, bridges)


@pytest.mark.parametrize("name", ["sz-1", "CN=sz-1"])
def test_acl_gives_the_name_of_who_has_left_to_nobody(name: str) -> None:
    left = with_state("sz-1", "left")
    for subjects, bridges in (({"hk-1": name}, {}), ({}, {name: ["hk-1"]})):
        with pytest.raises(UsageError, match="user name"):
            make_acl(left, subjects, bridges)
