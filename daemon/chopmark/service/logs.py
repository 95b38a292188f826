"""Logging: into the journal with fields under systemd, else plain lines on standard error.

A record's `extra` becomes journal fields: `extra={"peer": "sz-1"}` is CHOPMARK_PEER=sz-1, so
that `journalctl CHOPMARK_PEER=sz-1` finds it. On standard error it follows the message.
"""

import logging
import os
import re
import sys
import time
from collections.abc import Callable
from typing import Final

from systemd.journal import send as send_to_journal

from chopmark.service.alarm_log import LOGGER
from chopmark.service.alarms import MESSAGE_IDS

OWN_LOGGER: Final = "chopmark"
PREFIX: Final = "CHOPMARK_"
IDENTIFIER: Final = "chopmarkd"
"""Of the daemon, as in its unit; the journal would otherwise show the interpreter's name."""
_FIELD: Final = re.compile(r"[a-z][a-z0-9_]{0,40}", re.ASCII)
_STANDARD: Final = frozenset(
    (*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "exc_text")
)
_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4))
"""syslog(3) levels; below a warning it is 6 (info), below info 7 (debug)."""


class JournalHandler(logging.Handler):
    """Sends records with our fields; systemd-python's own would send every attribute of them."""

    def __init__(
        self, send: Callable[..., None] = send_to_journal, identifier: str = IDENTIFIER
    ) -> None:
        super().__init__()
        self._identifier = identifier
        # The journal has level, logger and time in fields. Without a formatter of its own,
        # logging.basicConfig would give this handler one that puts them into the message too.
        self.setFormatter(logging.Formatter("%(message)s"))
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; like any handler, never raises."""
        try:
            self._send(
                self.format(record),
                SYSLOG_IDENTIFIER=self._identifier,
                PRIORITY=_priority(record.levelno),
                LOGGER=record.name,
                CODE_FILE=record.pathname,
                CODE_LINE=record.lineno,
                CODE_FUNC=record.funcName,
                **_catalogued(record),
                **{PREFIX + name.upper(): value for name, value in _fields(record).items()},
            )
        except Exception:  # noqa: BLE001  # a full journal must not stop the daemon
            self.handleError(record)


class PlainFormatter(logging.Formatter):
    """`2026-11-22T13:00:00.000Z INFO chopmark.mesh: message key=value`, one line a message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  # logging's name
        """RFC 3339 in UTC with milliseconds."""
        del datefmt
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{seconds}.{int(record.msecs):03d}Z"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """One line, whatever a peer has put into the message."""
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        return (super().formatMessage(record) + fields).replace("\r", "\\r").replace("\n", "\\n")


def set_up_logging(level: int = logging.INFO, identifier: str = IDENTIFIER) -> None:
    """Send all logging of this process to the journal or to standard error, in place of before."""
    journal = JournalHandler(identifier=identifier) if _stderr_is_journal() else None
    handler: logging.Handler = journal or _stderr_handler()
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _stderr_handler() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter())
    return handler


def _stderr_is_journal() -> bool:
    """JOURNAL_STREAM holds device and inode (systemd.exec(5)); a redirected stderr differs."""
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _priority(level: int) -> int:
    for limit, priority in _PRIORITIES:
        if level >= limit:
            return priority
    return 6 if level >= logging.INFO else 7


def _catalogued(record: logging.LogRecord) -> dict[str, str]:
    """The name under which the journal's catalogue explains an alarm."""
    number = MESSAGE_IDS.get(str(getattr(record, "alarm", "")))
    return {} if number is None or record.name != LOGGER else {"MESSAGE_ID": number}


def _fields(record: logging.LogRecord) -> dict[str, str]:
    """What our own code gave as `extra`; other libraries' extras are for themselves."""
    if record.name.partition(".")[0] != OWN_LOGGER:
        return {}
    return {
        name: str(value)
        for name, value in vars(record).items()
        if name not in _STANDARD and _FIELD.fullmatch(name)
    }
