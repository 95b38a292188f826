"""The vectors of docs/formats/roster.md."""

from typing import Any

from msgspec.structs import replace

from chopmark.core.note import Note
from chopmark.core.roster import Fingerprint, ListedKey, Roster, Witness, WitnessGroup
from chopmark.core.roster_text import encode_roster
from chopmark.core.text import encode_base64
from rosters import (
    HK,
    SME_LOAN,
    SZ,
    Keys,
    following,
    founding,
    rich,
    signed,
    with_member,
    with_notary,
)
from softkeys import log_key


def roster() -> dict[str, Any]:
    first = founding()
    second = following(first, member=with_member(first, "mo-1", state="suspended"))
    good = {
        "everything": (everything(), None),
        "founding": (first, None),
        "second version": (second, first),
        "four members": (rich(), None),
        "successor": (succeeded(second), first),
        "notary": (with_notary(rich(), "hk-1"), None),
    }
    text = encode_roster(second)
    bad = {
        "comment": (resigned(text + "# x\n"), "malformed-roster"),
        "unknown key": (
            resigned(text.replace("threshold", "x = 1\nthreshold")),
            "malformed-roster",
        ),
        "number in quotes": (resigned(text.replace("= 2\n", '= "2"\n', 1)), "malformed-roster"),
        "other text before": (
            resigned(text.replace(second.previous or "", "0" * 64)),
            "bad-roster",
        ),
        "successor that is no member": (
            resigned(encode_roster(succeeded(second)).replace('"mo-2"\nkinds', '"mo-3"\nkinds')),
            "bad-roster",
        ),
        "threshold of 4": (resigned(text.replace("threshold = 2", "threshold = 4")), "bad-roster"),
        "notary that may issue": (
            resigned(
                encode_roster(with_notary(second, "mo-1")).replace("kinds = []", 'kinds = ["*"]')
            ),
            "bad-roster",
        ),
        "member without kinds": (
            resigned(text.replace('kinds = ["*"]', "kinds = []", 1)),
            "bad-roster",
        ),
        "another role": (
            resigned(text.replace('kinds = ["*"]', 'role = "guest"\nkinds = []', 1)),
            "malformed-roster",
        ),
        **bad_scenarios(),
        "signed by one institution": (signed(second, (SZ,)).decode(), "roster-unsigned"),
        "signed by nobody that is known": (
            Note(text, (HK.emergency.sign(text),)).encode().decode(),
            "no-known-signature",
        ),
        "changed": (signed(second).decode().replace("Bank of", "Bonk of", 1), "bad-signature"),
    }
    return {
        "before": signed(first).decode(),
        "good": [
            {
                "name": name,
                "note": signed(made, (SZ, HK)).decode(),
                "before": before and signed(before).decode(),
                "hex": Fingerprint(encode_roster(made)).hex,
                "words": Fingerprint(encode_roster(made)).words,
            }
            for name, (made, before) in good.items()
        ],
        "bad": [{"name": name, "note": note, "code": code} for name, (note, code) in bad.items()],
        "suspension": HK.suspend().decode(),
    }


def bad_scenarios() -> dict[str, tuple[str, str]]:
    """Version 2 with a scenario that breaks a rule."""
    wrong: dict[str, dict[str, object]] = {
        "scenario with a name of capitals": {"name": "SME"},
        "scenario without a kind": {"kinds": ()},
        "scenario of a kind that there is not": {"kinds": ("deed",)},
        "scenario of an issuer that there is not": {"issuers": ("bank-gz",)},
        "scenario of a place without a bank": {"receivers": ("SG",)},
        "scenario with a purpose twice": {"purposes": ("loan", "loan")},
        "scenario with a purpose of two words": {"purposes": ("sme loan",)},
        "scenario with a title of two lines": {"title": "a\nb"},
        "scenario of 0 seconds": {"validity": 0},
    }
    one = replace(SME_LOAN, kinds=("bank-statement",))
    made = {name: (replace(one, **some),) for name, some in wrong.items()}
    made["scenario twice"] = (one, one)
    return {
        name: (resigned(encode_roster(following(founding(), scenario=some))), "bad-roster")
        for name, some in made.items()
    }


def everything() -> Roster:
    """Two members, and something in every place."""
    made = replace(rich(), member=founding((SZ, HK)).member, institution=rich().institution[:2])
    key = ListedKey(
        vkey=log_key(HK.origin, 9).vkey.encode(),
        state="retired",
        last_size=70312,
        last_root=encode_base64(bytes(range(32))),
    )
    kept = made.member[1].log_key
    members = with_member(made, "hk-1", log_key=(key, *kept), tls="cd" * 32, chain="0xab12")
    groups = (WitnessGroup(jurisdictions=("CN", "HK"), threshold="majority"),)
    return replace(made, member=members, witness=Witness(group=groups))


def succeeded(roster: Roster) -> Roster:
    """mo-1 has ended, and goes on as mo-2."""
    key = roster.member[2].log_key[0]
    root = encode_base64(bytes(range(32)))
    ended = replace(key, state="retired", last_size=70312, last_root=root)
    members = with_member(roster, "mo-1", state="left", successor="mo-2", log_key=(ended,))
    return replace(roster, member=(*members, Keys("mo-2", "MO", 5).listed()))


def resigned(text: str) -> str:
    return Note(text, tuple(one.log.sign(text) for one in (SZ, HK))).encode().decode()
