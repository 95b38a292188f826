"""Requests that may be sent again: their keys, and what they stand for already.

A key comes in the header `Idempotency-Key` of a request about one entry, or in a line of a batch.
It is bound to what is asked for: all fields but how long to wait, and for what.
"""

from collections.abc import Iterable
from contextvars import ContextVar
from functools import cache
from typing import Any, Final

import msgspec

from chopmark.api.identity import client_identity
from chopmark.api.ports import Gateway
from chopmark.core.draft import Asking, Earlier, Recorded
from chopmark.core.errors import ChopmarkError, MalformedError
from chopmark.core.idempotency import Key, make_key, read_header

HEADER: Final = b"idempotency-key"
KEY: Final[ContextVar[bytes | None]] = ContextVar("idempotency-key", default=None)
"""The header of the request that the current task serves, if there is one."""
_BESIDE: Final = frozenset({"wait", "until", "key"})
"""Fields that say nothing of what is asked for."""


def find_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The header; of two of them what is no key."""
    values = [value for name, value in headers if name == HEADER]
    return b", ".join(values) if values else None


def ask(asked: msgspec.Struct, *, again: bool) -> Asking:
    """How one entry is asked for.

    Raises:
        MalformedError: `malformed-key`.
    """
    header = KEY.get()
    if header is None:
        return Asking(client_identity(), again)
    return Asking(client_identity(), again, {0: bind(read_header(header), asked)})


def bind(text: str, content: msgspec.Struct) -> Key:
    """A key of the client's, for what it asks for.

    Raises:
        MalformedError: `malformed-key`.
    """
    kind = type(content).__name__.encode()
    return make_key(client_identity(), text, kind + msgspec.json.encode(_said(content)))


def _said(content: msgspec.Struct) -> dict[str, Any]:
    """The fields that differ from their defaults, in their order, but for those of `_BESIDE`.

    A field that a later release adds changes nothing for those who do not give it: what was sent
    before an upgrade may be sent again after it.
    """
    said: dict[str, Any] = {}
    for name, encoded, default in _fields(type(content)):
        value = getattr(content, name)
        if value != default:
            said[encoded] = _said(value) if isinstance(value, msgspec.Struct) else value
    return said


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, str, Any], ...]:
    """Of each field that counts its name, its name on the wire, and its default."""
    return tuple(
        (field.name, field.encode_name, field.default)
        for field in msgspec.structs.fields(kind)
        if field.name not in _BESIDE
    )


async def find_earlier(gateway: Gateway, asking: Asking) -> Earlier | None:
    """What a request about one entry stands for already, by its key.

    Looked for before all else: it may not be allowed any more, or the HSM may be away.

    Raises:
        RefusedError: `key-reused`.
    """
    return await gateway.earlier(asking.keys[0]) if asking.keys else None


def the_entry(recorded: Recorded) -> Earlier:
    """The one entry of a run.

    Raises:
        RefusedError: `key-reused`.
    """
    known = recorded.known.get(0)
    if isinstance(known, ChopmarkError):
        raise known
    return known or Earlier(recorded.start, recorded.made_at, duplicate=False)


def refuse_key(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuse a key for a whole batch: it would promise what it does not keep.

    Raises:
        MalformedError: `malformed-key`.
    """
    if find_key(headers) is not None:
        hint = "a line of a batch has its own in `key`; a compact request has an id"
        raise MalformedError("malformed-key", "Idempotency-Key is for one entry", hint=hint)
