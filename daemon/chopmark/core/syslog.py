"""Audit records as syslog messages (RFC 5424), each framed for a stream of TLS (RFC 5425).

What a record says stands in structured data, which a SIEM reads without guessing; the text behind
it is for people. A message follows from the record alone, so one that is sent again is the same.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from chopmark.core.audit import Record
from chopmark.core.wording import format_time

EXAMPLE: Final = 32473
"""The private enterprise number that RFC 5612 keeps for documentation."""
MAX_MESSAGE: Final = 8192
"""Bytes that a receiver should take at least (RFC 5425 §4.3.1)."""
AUDIT: Final = 13
"""The facility "log audit" (RFC 5424 §6.2.1)."""
_WARNING: Final = 4
_NOTICE: Final = 5
_APP: Final = "chopmark"
_MAX_HOST: Final = 255
_MAX_NAME: Final = 32
"""Characters of a MSGID, and of the name of a parameter."""
_NOT_PRINTABLE: Final = re.compile(r"[^!-~]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ESCAPED: Final = re.compile(r'(["\\\]])')


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends.

    Attributes:
        host: the machine's name.
        id: the gateway's member id.
        origin: of its log.
        enterprise: private enterprise number under which our structured data is named.
    """

    host: str
    id: str
    origin: str
    enterprise: int = EXAMPLE


def encode_message(sender: Sender, number: int, chain: bytes, record: Record) -> bytes:
    """The message of a record, without its frame; at most `MAX_MESSAGE` bytes.

    Of one that would be larger `about` is left out, and `cut` says so.

    Args:
        sender: who sends.
        number: of the record, counted from the first one of all.
        chain: the chain's value after it, which no two records share.
        record: what it says.
    """
    severity = _NOTICE if record.outcome == "done" else _WARNING
    host = _NOT_PRINTABLE.sub("-", sender.host)[:_MAX_HOST] or "-"
    head = f"<{AUDIT * 8 + severity}>1 {format_time(record.time)} {host} {_APP} -"
    head += f" {_name(record.action)} "
    said = {
        "id": sender.id,
        "origin": sender.origin,
        "number": number,
        "chain": chain.hex(),
        "actor": record.actor,
        "action": record.action,
        "outcome": record.outcome,
    }
    fixed = _element(f"record@{sender.enterprise}", said.items())
    text = f" {record.action} by {_clean(record.actor)}: {record.outcome}".encode(
        "ascii", "replace"
    )
    about = _about(sender.enterprise, record.about)
    whole = f"{head}{fixed}{about}".encode() + text
    if len(whole) <= MAX_MESSAGE:
        return whole
    return f'{head}{fixed}[about@{sender.enterprise} cut="true"]'.encode() + text


def frame_message(message: bytes) -> bytes:
    """A message as it goes into a stream: its length in decimal, a space, the message."""
    return b"%d %s" % (len(message), message)


def _about(enterprise: int, about: Mapping[str, str | int]) -> str:
    return _element(f"about@{enterprise}", sorted(about.items())) if about else ""


def _element(name: str, values: Iterable[tuple[str, object]]) -> str:
    given = "".join(f' {_name(key)}="{_value(value)}"' for key, value in values)
    return f"[{name}{given}]"


def _name(text: str) -> str:
    """A name of at most 32 characters; those of records have none that would need an escape."""
    return text[:_MAX_NAME]


def _value(value: object) -> str:
    return _ESCAPED.sub(r"\\\1", _clean(str(value)))


def _clean(text: str) -> str:
    """Text without control characters, which may do things to the terminal of who reads it."""
    return _CONTROL.sub("\ufffd", text)
