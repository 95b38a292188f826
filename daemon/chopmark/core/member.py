"""Members: the gateways that this one knows, what they may issue, and the words that name them."""

import re
from dataclasses import dataclass
from typing import Final

from chopmark.core.entry import KIND
from chopmark.core.errors import MalformedError
from chopmark.core.keys import VerifierKey

ANY_KIND: Final = "*"
"""In a list of kinds: entitled to every kind."""

MAX_INSTITUTION: Final = 128
_MEMBER_ID: Final = re.compile(r"[a-z0-9-]{1,20}", re.ASCII)
_JURISDICTION: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Member:
    """One gateway of the mesh.

    Attributes:
        id: short name, 1 to 20 of `[a-z0-9-]`.
        origin: name of its log.
        log_key: signs its checkpoints; named as the origin.
        cosigner_key: cosigns heads; named as the origin followed by `/cosigner`.
        institution: the bank that owns it, for people.
        jurisdiction: ISO 3166 code of the place, such as `HK`.
        kinds: kinds of document that it may attest; `*` stands for all.
    """

    id: str
    origin: str
    log_key: VerifierKey
    cosigner_key: VerifierKey
    institution: str
    jurisdiction: str
    kinds: frozenset[str]

    def may_issue(self, kind: str) -> bool:
        """Whether this member is entitled to attest documents of `kind`."""
        return kind in self.kinds or ANY_KIND in self.kinds


def check_member_id(text: str) -> None:
    """Refuse what is no member id: 1 to 20 of `[a-z0-9-]`.

    Raises:
        MalformedError: `malformed-member-id`.
    """
    if not _MEMBER_ID.fullmatch(text):
        hint = "1 to 20 of a-z, 0-9 and -, such as hk-1"
        raise MalformedError("malformed-member-id", f"not a member id: {text[:40]!r}", hint=hint)


def check_kind(text: str) -> None:
    """Refuse what is no kind of document: 1 to 32 of `[a-z0-9.-]`.

    Raises:
        MalformedError: `malformed-kind`.
    """
    if not KIND.fullmatch(text):
        hint = "1 to 32 of a-z, 0-9, . and -, such as bank-statement"
        raise MalformedError("malformed-kind", f"not a kind: {text[:40]!r}", hint=hint)


def check_kinds(kinds: tuple[str, ...]) -> None:
    """Refuse a list of kinds that is empty, repeats one, or has `*` beside others.

    Raises:
        MalformedError: `malformed-kind`.
    """
    if kinds == (ANY_KIND,):
        return
    if not kinds or len(set(kinds)) < len(kinds):
        message = "a list of kinds is empty or names one twice"
        raise MalformedError("malformed-kind", message, hint='["*"] stands for all kinds')
    for kind in kinds:
        check_kind(kind)


def check_institution(text: str) -> None:
    """Refuse names of institutions that are empty, too long or not printable on one line.

    Raises:
        MalformedError: `malformed-institution`.
    """
    if not text.strip() or len(text) > MAX_INSTITUTION or not text.isprintable():
        hint = f"1 to {MAX_INSTITUTION} printable characters"
        message = f"not a name of an institution: {text[:40]!r}"
        raise MalformedError("malformed-institution", message, hint=hint)


def check_jurisdiction(text: str) -> None:
    """Refuse what is no ISO 3166 code of a country or one of its parts.

    Raises:
        MalformedError: `malformed-jurisdiction`.
    """
    if not _JURISDICTION.fullmatch(text):
        message = f"not a jurisdiction: {text[:40]!r}"
        hint = "an ISO 3166 code such as HK or CN-GD"
        raise MalformedError("malformed-jurisdiction", message, hint=hint)
