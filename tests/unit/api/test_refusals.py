import logging
from collections.abc import Callable, Iterator

import pytest

from chopmark.api.refusals import (
    SERVER_LOG,
    UVICORN_LOG,
    OncePerMinute,
    Refusals,
    quieten,
)

GARBAGE = "Invalid HTTP request received."
LOG = logging.getLogger(SERVER_LOG)


class Later:
    """A loop's `call_later`, whose minutes a test lets pass."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def __call__(self, _seconds: float, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def pass_minute(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture
def refusals(later: Later) -> Iterator[Refusals]:
    made = Refusals()
    quiet = OncePerMinute(made, later)
    LOG.addFilter(quiet)
    yield made
    LOG.removeFilter(quiet)


def test_flood_is_one_line_a_minute_with_a_count(
    refusals: Refusals, later: Later, caplog: pytest.LogCaptureFixture
) -> None:
    for minute in range(3):
        for _ in range(1000):
            LOG.warning(GARBAGE)
        later.pass_minute()
        assert len(caplog.records) == minute + 2
    assert caplog.messages[:2] == [GARBAGE, f"999 more in the last minute: {GARBAGE}"]
    assert caplog.messages[2] == f"1000 more in the last minute: {GARBAGE}"
    assert refusals.counts["malformed"] == 3000


def test_after_a_quiet_minute_the_next_line_is_written_at_once(
    refusals: Refusals, later: Later, caplog: pytest.LogCaptureFixture
) -> None:
    LOG.warning(GARBAGE)
    later.pass_minute()
    assert later.calls == []
    LOG.warning(GARBAGE)
    assert caplog.messages == [GARBAGE, GARBAGE]
    assert refusals.counts["malformed"] == 2


def test_kinds_do_not_hide_each_other(refusals: Refusals, caplog: pytest.LogCaptureFixture) -> None:
    broken_off = "ASGI callable returned without completing response."
    for message in (GARBAGE, broken_off, "Unsupported upgrade request."):
        LOG.warning(message)
        LOG.warning(message)
    assert len(caplog.records) == 3
    assert refusals.counts["broken-off"] == 2
    assert refusals.counts["other"] == 2


def test_kind_may_be_named_apart_from_the_text(
    refusals: Refusals, later: Later, caplog: pytest.LogCaptureFixture
) -> None:
    for port in range(3):
        LOG.warning("no TLS with %s", f"::1:{port}", extra={"_kind": "no TLS"})
        LOG.warning("refused ::1:%d", port, extra={"_kind": "refused"})
    later.pass_minute()
    summaries = [f"2 more in the last minute: {kind}" for kind in ("no TLS", "refused")]
    assert caplog.messages == ["no TLS with ::1:0", "refused ::1:0", *summaries]
    assert refusals.counts["other"] == 6


def test_kinds_are_bounded(
    refusals: Refusals, later: Later, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1000):
        LOG.warning("refused %d", number, extra={"_kind": f"refused {number}"})
    assert len(caplog.records) == 65
    later.pass_minute()
    assert caplog.messages[65:] == ["935 more in the last minute: others"]
    assert refusals.counts["other"] == 1000


def test_tracebacks_and_information_always_pass(
    refusals: Refusals, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(3):
        LOG.info("started")
        LOG.error("a fault of ours", exc_info=ValueError("x"))
    assert len(caplog.records) == 6
    assert not any(refusals.counts.values())


def test_without_a_loop_every_line_passes(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals()
    with quieten(refusals):
        LOG.warning(GARBAGE)
        LOG.warning(GARBAGE)
    LOG.warning(GARBAGE)
    assert len(caplog.records) == 3
    assert refusals.counts["malformed"] == 2


def test_what_uvicorn_says_has_our_name_and_nothing_of_its_process(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    theirs = logging.getLogger(UVICORN_LOG)
    with quieten(Refusals()):
        theirs.info("Started server process [%d]", 1)
        theirs.warning(GARBAGE)
    assert [(one.name, one.message) for one in caplog.records] == [("chopmark.api", GARBAGE)]
