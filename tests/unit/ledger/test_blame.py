import pytest

from chopmark.core.errors import MalformedError
from chopmark.ledger.blame import PAUSE, Blame

BAD = MalformedError("bad-package", "it is bad")


def test_flood_is_counted_and_makes_a_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    blame = Blame(lambda: now)
    for _ in range(1000):
        blame.note("sz-1", "bank-sz.example/sz-1", BAD)
    assert blame.counts == {("sz-1", "bad-package"): 1000}
    assert caplog.messages == ["dropped a message about bank-sz.example/sz-1 from sz-1: it is bad"]
    now = PAUSE
    blame.note("sz-1", "bank-sz.example/sz-1", BAD)
    assert len(caplog.messages) == 2
    assert caplog.messages[1].endswith("(999 more since the last line)")


def test_members_do_not_hide_each_other(caplog: pytest.LogCaptureFixture) -> None:
    blame = Blame(lambda: 0.0)
    for name in ("sz-1", "mo-1", "sz-1"):
        blame.note(name, "bank-sz.example/sz-1", BAD)
    assert len(caplog.messages) == 2
