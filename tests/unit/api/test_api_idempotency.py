"""What an idempotency key is bound to: the same from release to release."""

import msgspec
import pytest

from chopmark.api.idempotency import bind
from chopmark.api.lines import Line
from chopmark.api.models import AttestationIn, DigestsIn, RevocationIn

SHA256 = "11" * 32
NAMED = DigestsIn(SHA256, "22" * 32, {"json-jcs": "33" * 32})
FULL = AttestationIn(NAMED, "kyc", "2027-01-01", 7, blinded=True, duplicates="again")

LINE = Line(SHA256, json_jcs="33" * 32, kind="kyc", blinded=True, key="k")


@pytest.mark.parametrize(
    ("content", "fingerprint"),
    [
        (AttestationIn(DigestsIn(SHA256)), "3b3a49885edb869f7a1561ec29319284"),
        (FULL, "30ea32532926f0d3a2c7f1d3a7f1460e"),
        (RevocationIn(3, 0), "6a243008c3cb4ac63d625198b77994ea"),
        (Line(SHA256), "6948ba974ff4c4f076489713f3407f27"),
        (
            Line(SHA256, json_jcs="33" * 32, kind="kyc", blinded=True, key="k"),
            "819f51e531f120086754e349514fd95c",
        ),
    ],
)
def test_fingerprint_is_that_of_earlier_releases(content: msgspec.Struct, fingerprint: str) -> None:
    assert bind("key", content).fingerprint.hex() == fingerprint


def test_field_that_a_later_release_adds_changes_nothing_for_those_who_leave_it_out() -> None:
    later = msgspec.defstruct("Line", [("note", str | None, None)], bases=(Line,))
    assert bind("k", later(SHA256, kind="kyc")) == bind("k", Line(SHA256, kind="kyc"))
    assert bind("k", later(SHA256, note="new")) != bind("k", Line(SHA256))


def test_how_long_to_wait_is_not_bound() -> None:
    asked = AttestationIn(DigestsIn(SHA256))
    waiting = AttestationIn(DigestsIn(SHA256), wait=0.5, until="signed")
    assert bind("k", waiting) == bind("k", asked)
    assert bind("k", AttestationIn(DigestsIn(SHA256), "kyc")) != bind("k", asked)
