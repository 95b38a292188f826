"""Destroying all that a gateway has in its token, when the gateway itself is given up."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from pkcs11.constants import ObjectClass
from pkcs11.types import Session

from chopmark.core.errors import MissingError
from chopmark.core.keys import VerifierKey
from chopmark.hsm.beside import in_session
from chopmark.hsm.ceremony import destroy_key
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.keys import find_objects
from chopmark.hsm.mark import destroy_marks
from chopmark.hsm.pin import Source
from chopmark.hsm.quirks import Profile
from chopmark.hsm.salt_keys import destroy_salt_keys

_FOR_EVER = 2**63


@dataclass(frozen=True, slots=True)
class Destroyed:
    """What became of a gateway's objects in its token.

    Attributes:
        keys: labels of the keys that are there no more.
        kept: labels under which another key than ours lies; it stays.
    """

    keys: tuple[str, ...]
    kept: tuple[str, ...]


def destroy_all(
    config: HsmConfig, origin: str, pin: Source, keys: Sequence[tuple[str, VerifierKey]]
) -> Destroyed:
    """Destroy keys, salt keys and head mark of a log, for good; calling it again is harmless.

    Blocks until done; the daemon must be stopped, and the module not in use in this process.

    Args:
        config: which module and token.
        origin: of the log.
        pin: gives the PIN; called once.
        keys: label and public half of each key. What lies in the token besides is not touched.

    Raises:
        ConfigurationError, TryAgainError: as `in_session`.
        RefusedError: `ambiguous-key`: several keys have a label.
    """

    def destroy(session: Session, _profile: Profile) -> Destroyed:
        # Marks first: without its log key a token says nothing of them any more.
        destroy_marks(session, config, origin)
        destroy_salt_keys(session, config, origin, _FOR_EVER)
        there = [label for label in dict(keys) if _is_there(session, label)]
        for label, key in keys:
            with suppress(MissingError):  # another key of ours, or of somebody else, has the label
                destroy_key(session, label, key)
        kept = tuple(label for label in there if _is_there(session, label))
        return Destroyed(tuple(one for one in there if one not in kept), kept)

    unable = ("the token cannot do what destroying takes", "")
    return in_session(config, pin, destroy, unable)


def _is_there(session: Session, label: str) -> bool:
    halves = (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY)
    return any(find_objects(session, half, label) for half in halves)
