"""Members: the gateways that this one knows, what they may issue, and the words that name them."""

import re
from dataclasses import dataclass
from typing import Final

from chopmark.core.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from chopmark.core.entry import KIND
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.keys import VerifierKey
from chopmark.core.note import parse_note

ANY_KIND: Final = "*"
"""In a list of kinds: entitled to every kind."""

NOTARY: Final = "notary"
"""The role of a member that attests nothing of its own."""
MAX_INSTITUTION: Final = 128
_ACCOUNT: Final = re.compile(r"0x[0-9a-f]{40}", re.ASCII)
_MEMBER_ID: Final = re.compile(r"[a-z0-9-]{1,20}", re.ASCII)
_JURISDICTION: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class PastKey:
    """A log key that signs no more, and the largest head that it vouches for."""

    key: VerifierKey
    size: int
    root: bytes

    def vouches_for(self, size: int, root: bytes) -> bool:
        """Whether a head that it signed counts."""
        return size < self.size or (size, root) == (self.size, self.root)


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
        state: `active`, `suspended` or `left`; of what is not active nothing new counts.
        more_log_keys: further keys that sign its checkpoints, while one takes over from another.
        more_cosigner_keys: the same of its cosigner.
        past_log_keys: keys that signed its checkpoints once.
        past_cosigner_keys: cosigner keys that have retired, and when (seconds since the epoch).
        stolen_cosigner_keys: cosigner keys of which nothing counts, not even what they once said.
        chain: its account on a chain, `0x…` in lower case, or None.
        successor: origin of the log in which its institution goes on, once this one has ended.
        role: `gateway`, or `notary`, which attests nothing of its own.
    """

    id: str
    origin: str
    log_key: VerifierKey
    cosigner_key: VerifierKey
    institution: str
    jurisdiction: str
    kinds: frozenset[str]
    state: str = "active"
    more_log_keys: tuple[VerifierKey, ...] = ()
    more_cosigner_keys: tuple[VerifierKey, ...] = ()
    past_log_keys: tuple[PastKey, ...] = ()
    past_cosigner_keys: tuple[tuple[VerifierKey, int], ...] = ()
    stolen_cosigner_keys: tuple[VerifierKey, ...] = ()
    successor: str | None = None
    chain: str | None = None
    role: str = "gateway"

    @property
    def is_notary(self) -> bool:
        """Whether it cosigns only."""
        return self.role == NOTARY

    @property
    def is_active(self) -> bool:
        """Whether what it signs from now on counts."""
        return self.state == "active"

    @property
    def log_keys(self) -> tuple[VerifierKey, ...]:
        """Every key that signs its checkpoints, or did; the one that signs now comes first."""
        past = (one.key for one in self.past_log_keys)
        return (self.log_key, *self.more_log_keys, *(key for key in past if key != self.log_key))

    @property
    def cosigner_keys(self) -> tuple[VerifierKey, ...]:
        """Every key that cosigns for it now."""
        return (self.cosigner_key, *self.more_cosigner_keys)

    def may_sign(self, key: VerifierKey, head: Checkpoint) -> bool:
        """Whether a head that this log key of its has signed counts.

        Of a member that is not active none does but by keys that the roster gives a last head for.
        """
        past = next((one for one in self.past_log_keys if one.key == key), None)
        return self.is_active if past is None else past.vouches_for(head.size, head.root)

    def may_issue(self, kind: str) -> bool:
        """Whether this member is entitled to attest documents of `kind`."""
        return kind in self.kinds or ANY_KIND in self.kinds

    @property
    def all_cosigner_keys(self) -> tuple[VerifierKey, ...]:
        """Those, and the ones that have retired."""
        return (*self.cosigner_keys, *(key for key, _ in self.past_cosigner_keys))

    @property
    def known_cosigner_keys(self) -> tuple[VerifierKey, ...]:
        """Those, and the stolen ones: files that were made for one of these are its files still."""
        return (*self.all_cosigner_keys, *self.stolen_cosigner_keys)

    def read_head(
        self, note: bytes, others: tuple[VerifierKey, ...] = ()
    ) -> tuple[SignedCheckpoint, list[VerifierKey]]:
        """Read a checkpoint note of its log, signed by any log key that it has or had.

        Args:
            note: the note.
            others: keys whose cosignatures are checked too, besides its own cosigner's.

        Returns:
            What was signed, and the log keys that have.

        Raises:
            ChopmarkError: what `open_checkpoint` raises.
        """
        lines = {(line.name, line.key_id) for line in parse_note(note).signatures}
        keys = self.log_keys
        signing = [key for key in keys if (key.name, key.key_id) in lines] or [keys[0]]
        more = (*signing[1:], *self.cosigner_keys, *others)
        return open_checkpoint(note, signing[0], more), signing

    def open_head(self, note: bytes, others: tuple[VerifierKey, ...] = ()) -> SignedCheckpoint:
        """Read a checkpoint note of its log, signed by a key that may sign that head.

        Raises:
            ChopmarkError: what `open_checkpoint` raises; RefusedError: `past-key` if only a key has
                signed that signs no more, and the head lies beyond what it vouches for;
                `member-suspended`.
        """
        signed, signing = self.read_head(note, others)
        if any(self.may_sign(key, signed.checkpoint) for key in signing):
            return signed
        if not self.is_active:
            raise RefusedError("member-suspended", f"{self.origin} is {self.state}")
        raise _past_key(self.origin, signed.checkpoint.size)

    def read_vouched(self, note: bytes) -> SignedCheckpoint:
        """The same, where it does not matter whether the member is active: for its own gateway.

        Raises:
            ChopmarkError: what `open_checkpoint` raises; RefusedError: `past-key`.
        """
        signed, signing = self.read_head(note)
        past = {one.key: one for one in self.past_log_keys}
        head = signed.checkpoint
        if any(key not in past or past[key].vouches_for(head.size, head.root) for key in signing):
            return signed
        raise _past_key(self.origin, head.size)

    def read_counted(self, note: bytes) -> SignedCheckpoint | None:
        """The same; None if only a key has signed that may not: such a head counts for nothing.

        Raises:
            ChopmarkError: what `open_checkpoint` raises.
        """
        try:
            return self.read_vouched(note)
        except RefusedError as error:
            if error.code != "past-key":
                raise
            return None

    def open_accused(self, note: bytes) -> SignedCheckpoint:
        """Read a head that evidence shows: a key that has ended is answerable for what it signed.

        But only up to its last size, whatever the root, be the member active or not: larger heads
        may be by whoever has found it since.

        Raises:
            ChopmarkError: what `open_checkpoint` raises; RefusedError: `past-key`.
        """
        signed, signing = self.read_head(note)
        last = {one.key: one.size for one in self.past_log_keys}
        size = signed.checkpoint.size
        if any(key not in last or size <= last[key] for key in signing):
            return signed
        raise _past_key(self.origin, size)

    def only_ended_signed(self, note: bytes) -> bool:
        """Whether of its log keys none but such as have ended are in a note, which was checked.

        Raises:
            MalformedError: what `parse_note` raises.
        """
        past = {one.key for one in self.past_log_keys}
        signing = {(key.name, key.key_id) for key in self.log_keys if key not in past}
        return signing.isdisjoint((line.name, line.key_id) for line in parse_note(note).signatures)


def _past_key(origin: str, size: int) -> RefusedError:
    message = f"a head of {origin} at {size} by a key that may not sign it any more"
    return RefusedError("past-key", message, hint="the roster says what an old key vouches for")


def is_cosigner_name(name: str, origin: str) -> bool:
    """Whether a cosigner key of this log may be named so: `/cosigner`, or `/cosigner-2` and on."""
    plain = f"{origin}/cosigner"
    number = name.removeprefix(f"{plain}-")
    numbered = number.isascii() and number.isdigit() and number[0] != "0" and number != "1"
    return name == plain or numbered


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


def is_account(text: str) -> bool:
    """Whether this is an account on a chain; a roster may hold other texts in its place."""
    return bool(_ACCOUNT.fullmatch(text))


def check_account(text: str) -> None:
    """Refuse what is no account on a chain: `0x` and 40 lower-case hexadecimal digits.

    Raises:
        MalformedError: `malformed-account`.
    """
    if not is_account(text):
        hint = "0x and 40 of 0-9 and a-f, as `chopmark anchor status` shows it"
        message = f"not an account on a chain: {text[:60]!r}"
        raise MalformedError("malformed-account", message, hint=hint)
