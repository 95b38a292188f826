"""The head mark as a private data object in the token (docs/formats/head-mark.md).

A mark is never changed in place: the new object is there before the old ones go, so a loss of power
at any moment leaves one at least, and of several the one with the highest counter counts. All of it
runs on the HSM's thread.
"""

import logging
from dataclasses import dataclass
from typing import Final

from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import PKCS11Error
from pkcs11.types import Object, Session

from chopmark.core.errors import ConfigurationError, MalformedError, RefusedError
from chopmark.core.mark import HeadMark, parse_mark
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.errors import TokenFaultError, describe
from chopmark.hsm.keys import find_objects

_log: Final = logging.getLogger("chopmark.hsm")
_APPLICATION: Final = "chopmark"


def mark_label(config: HsmConfig) -> str:
    """CKA_LABEL of the mark: a token may hold the keys of several logs, each with its mark.

    It stays the same when another log key takes over.
    """
    return f"{config.first_label or config.log_label}-head-mark"


@dataclass(frozen=True, slots=True)
class _Found:
    mark: HeadMark | None
    object: Object


def read_mark(session: Session, config: HsmConfig, origin: str) -> HeadMark | None:
    """The mark of a log, or None.

    Raises:
        RefusedError: `bad-mark`: there is something in its place that is none of this log.
        PKCS11Error: the token does not answer.
    """
    return _newest(_find(session, config), origin)


def write_mark(session: Session, config: HsmConfig, mark: HeadMark, after: HeadMark | None) -> None:
    """Put a mark in the place of the one before it; harmless if it is there already.

    Args:
        session: one that may write.
        config: names the mark.
        mark: the new one.
        after: what must be there now.

    Raises:
        RefusedError: `mark-moved`: another one is there; `bad-mark`.
        ConfigurationError: `mark-refused`: this token takes no such object.
        TokenFaultError: it does not read back.
        PKCS11Error: the token does not answer.
    """
    found = _find(session, config)
    newest = _newest(found, mark.head.origin)
    if newest == mark:
        _destroy([one for one in found if one.mark != mark])
        return
    if newest != after:
        message = "the head mark in the token was written by another gateway"
        raise RefusedError("mark-moved", message)
    _create(session, config, mark)
    if read_mark(session, config, mark.head.origin) != mark:
        raise TokenFaultError("the head mark does not read back as it was written")
    _destroy(found)


def destroy_marks(session: Session, config: HsmConfig, origin: str) -> None:
    """Destroy the marks of a log, once nothing is signed for it any more.

    Raises:
        PKCS11Error: the token does not answer.
    """
    objects = find_objects(session, ObjectClass.DATA, mark_label(config))
    found = [(one, _read(one)) for one in objects]
    for one, mark in found:
        if mark is not None and mark.head.origin == origin:
            one.destroy()


def _find(session: Session, config: HsmConfig) -> list[_Found]:
    objects = find_objects(session, ObjectClass.DATA, mark_label(config))
    # SoftHSM gives no error when its files are gone: there is then nothing of anything.
    if not objects and not _has_key(session, config):
        raise TokenFaultError("the token's objects are gone")
    return [_Found(_read(one), one) for one in objects]


def _read(item: Object) -> HeadMark | None:
    try:
        return parse_mark(item[Attribute.VALUE])
    except MalformedError:
        return None


def _newest(found: list[_Found], origin: str) -> HeadMark | None:
    if not found:
        return None
    ours = [one.mark for one in found if one.mark and one.mark.head.origin == origin]
    if not ours:
        message = f"the head mark in the token is none of {origin}, or of newer software"
        raise RefusedError("bad-mark", message)
    return max(ours, key=lambda mark: mark.counter)


def _has_key(session: Session, config: HsmConfig) -> bool:
    return bool(find_objects(session, ObjectClass.PRIVATE_KEY, config.log_label))


def _create(session: Session, config: HsmConfig, mark: HeadMark) -> None:
    template = {
        Attribute.CLASS: ObjectClass.DATA,
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.MODIFIABLE: False,
        Attribute.LABEL: mark_label(config),
        Attribute.APPLICATION: _APPLICATION,
        Attribute.VALUE: mark.encode(),
    }
    try:
        session.create_object(template)
    except PKCS11Error as error:
        # Makers have many names for it; a token that answers otherwise just takes no such object.
        if not _has_key(session, config):
            raise
        message = f"the token keeps no head mark ({describe(error)})"
        raise ConfigurationError("mark-refused", message) from error


def _destroy(old: list[_Found]) -> None:
    for one in old:
        try:
            one.object.destroy()
        except PKCS11Error as error:  # it does not count any more, and goes with the next mark
            _log.warning("an old head mark stays in the token: %s", describe(error))
