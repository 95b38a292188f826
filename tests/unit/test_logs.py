"""Log records as journal fields and as plain lines."""

import io
import logging
import os
import sys
from collections.abc import Iterator

import pytest

from chopmark.service.logs import JournalHandler, PlainFormatter, set_up_logging

Sent = list[tuple[str, dict[str, object]]]


def record(message: str, name: str = "chopmark.mesh", **extra: object) -> logging.LogRecord:
    values = {"name": name, "msg": message, "levelno": logging.WARNING, "levelname": "WARNING"}
    return logging.makeLogRecord({**values, "created": 1795352400.25, "msecs": 250.9, **extra})


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield root
    root.handlers = handlers
    root.setLevel(level)


def test_journal_handler_sends_extras_as_fields() -> None:
    sent: Sent = []
    handler = JournalHandler(lambda text, **fields: sent.append((text, fields)))
    handler.emit(record("gap", peer="sz-1", index=7))
    text, fields = sent[0]
    assert text == "gap"
    assert fields["PRIORITY"] == 4
    assert {name: value for name, value in fields.items() if name.startswith("CHOPMARK_")} == {
        "CHOPMARK_PEER": "sz-1",
        "CHOPMARK_INDEX": "7",
    }


def test_journal_handler_leaves_out_extras_of_other_libraries() -> None:
    sent: Sent = []
    handler = JournalHandler(lambda text, **fields: sent.append((text, fields)))
    handler.emit(record("up", name="uvicorn.error", color_message="\x1b[1mup"))
    assert not [name for name in sent[0][1] if name.startswith("CHOPMARK_")]


@pytest.mark.parametrize(
    ("level", "priority"), [(50, 2), (40, 3), (30, 4), (20, 6), (10, 7), (45, 3)]
)
def test_journal_handler_maps_levels(level: int, priority: int) -> None:
    sent: Sent = []
    handler = JournalHandler(lambda text, **fields: sent.append((text, fields)))
    handler.emit(record("x", levelno=level))
    assert sent[0][1]["PRIORITY"] == priority


def test_journal_handler_survives_a_failing_journal(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_text: str, **_fields: object) -> None:
        raise OSError("journal is full")

    JournalHandler(fail).emit(record("x"))
    assert "journal is full" in capsys.readouterr().err


def test_plain_line_has_time_level_and_extras() -> None:
    line = PlainFormatter().format(record("gap", peer="sz-1"))
    assert line == "2026-11-22T13:00:00.250Z WARNING chopmark.mesh: gap peer=sz-1"


def test_plain_line_stays_one_line() -> None:
    assert PlainFormatter().format(record("a\r\n2026 forged")).endswith(": a\\r\\n2026 forged")


def test_set_up_logging_writes_to_stderr_outside_systemd(
    root_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    err = io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    set_up_logging()
    logging.getLogger("chopmark.x").info("hello", extra={"code": "hsm-away"})
    logging.getLogger("chopmark.x").debug("not this")
    assert err.getvalue().endswith("Z INFO chopmark.x: hello code=hsm-away\n")
    assert len(root_logger.handlers) == 1


def test_set_up_logging_uses_the_journal_only_if_stderr_is_its_stream(
    root_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    set_up_logging()
    handler = root_logger.handlers[0]
    assert isinstance(handler, JournalHandler)
    assert handler.format(record("gap")) == "gap"
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    set_up_logging()
    assert not isinstance(root_logger.handlers[0], JournalHandler)
