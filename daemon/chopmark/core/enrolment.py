"""Enrolment (docs/formats/enrolment.md): who may sign in at the console of one box.

A signed note by head office's console key. Names and roles are in the open; what a technician
signs in with is sealed to the box, with all that stands above it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from chopmark.core.boxkey import BoxKey, parse_box_key, unseal
from chopmark.core.cbor import decode_cbor, encode_cbor
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.keys import ED25519, VerifierKey, parse_vkey
from chopmark.core.note import Note, parse_note, verify_note
from chopmark.core.text import MAX_INT, encode_base64, parse_base64, parse_decimal

HEADER: Final = "chopmark/enrolment/v1"
MAX_ENROLMENT: Final = 48 * 1024
"""Bytes: 64 technicians take 20 KiB."""
MOST: Final = 64
LONGEST: Final = 400 * 86_400
"""Seconds from `issued` to `expires`, as for a roster."""
KEY_NAME: Final = "/console"
"""What the name of a console key ends with: no log has it."""
SECRET: Final = 20
"""Bytes of a secret of one-time codes (RFC 4226 §4, R6)."""
_RESERVED: Final = frozenset({"enrol", "commissioning", "unknown", "gateway"})
_ID: Final = re.compile(r"[a-z][a-z0-9.-]{0,15}", re.ASCII)
_HASH: Final = re.compile(
    r"\$argon2id\$v=19\$m=32768,t=4,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}", re.ASCII
)
"""One cost for all: a file must not make the box work for minutes, nor tell ids by the time."""
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_WORDS: Final = ("box", "version", "issued", "expires", "authority")
_PIECE: Final = 64
"""Characters of base64 on one line, so that it can be pasted into any terminal."""

Duty = Literal["observe", "service"]
DUTIES: Final[tuple[Duty, ...]] = ("observe", "service")


@dataclass(frozen=True, slots=True)
class Person:
    """A technician: id, and what that one may."""

    id: str
    duty: Duty


@dataclass(frozen=True, slots=True)
class Secret:
    """What a technician signs in with.

    Attributes:
        hash: of the PIN, by Argon2id.
        totp: 20 bytes for codes by the clock (RFC 6238).
        hotp: 20 bytes for codes by a counter (RFC 4226).
        counter: the lowest that is taken.
    """

    hash: str = field(repr=False)
    totp: bytes = field(repr=False)
    hotp: bytes = field(repr=False)
    counter: int = 0


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands above the sealed part.

    Attributes:
        box: for which it is.
        version: above that of every file before it for this box.
        issued: seconds since the Unix epoch.
        expires: the same; from then on nobody signs in by this file.
        authority: the key that signs the next file; mostly the one that signs this one.
        people: by id.
    """

    box: BoxKey
    version: int
    issued: int
    expires: int
    authority: VerifierKey
    people: tuple[Person, ...]

    def encode(self) -> str:
        """The lines."""
        lines = "".join(f"technician {one.id} {one.duty}\n" for one in self.people)
        return (
            f"{HEADER}\nbox {self.box.encode()}\nversion {self.version}\n"
            f"issued {_write_time(self.issued)}\nexpires {_write_time(self.expires)}\n"
            f"authority {self.authority.encode()}\n{lines}"
        )


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Who may sign in, and the sealed part."""

    heading: Heading
    sealed: bytes

    def encode(self) -> str:
        """The note's text."""
        text = encode_base64(self.sealed)
        pieces = (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))
        return self.heading.encode() + "".join(f"sealed {piece}\n" for piece in pieces)

    def find(self, name: str) -> Person | None:
        """The technician of this id."""
        return next((one for one in self.heading.people if one.id == name), None)

    def unseal(self, private: X25519PrivateKey) -> dict[str, Secret]:
        """What each technician signs in with, by id.

        Raises:
            RefusedError: `not-for-this-box`.
            MalformedError: `malformed-enrolment`, `malformed-cbor`.
        """
        return _parse_secrets(unseal(self.sealed, private, self.heading.encode().encode()), self)


def make_enrolment(heading: Heading, secrets: Sequence[Secret]) -> Enrolment:
    """Seal the secrets of the heading's people, in their order.

    Raises:
        MalformedError: `malformed-enrolment`.
    """
    _check_heading(heading)
    rows = [[one.hash, one.totp, one.hotp, one.counter] for one in secrets]
    about = heading.encode().encode()
    made = Enrolment(heading, heading.box.seal(encode_cbor(rows), about))
    _check_rows(rows, len(heading.people))
    return made


def parse_enrolment(data: bytes) -> tuple[Enrolment, Note]:
    """Read a file; nobody has checked its signature yet.

    Raises:
        MalformedError: `malformed-enrolment`, `malformed-note` and the codes of its parts.
    """
    if len(data) > MAX_ENROLMENT:
        raise _malformed("an enrolment is too large")
    note = parse_note(data)
    made = _parse_text(note.text)
    _check_heading(made.heading)
    if made.encode() != note.text:
        raise _malformed("an enrolment is not in its canonical form")
    return made, note


def open_enrolment(data: bytes, authority: VerifierKey | None) -> Enrolment:
    """Read a file that this key has signed; without one, the key that the file itself names.

    Raises:
        MalformedError: `malformed-enrolment`, `malformed-note` and the codes of its parts.
        RefusedError: `bad-signature`, `no-known-signature`.
    """
    made, note = parse_enrolment(data)
    verify_note(note, (authority or made.heading.authority,))
    return made


def check_id(name: str) -> None:
    """Refuse what is no id of a technician.

    Raises:
        MalformedError: `malformed-enrolment`.
    """
    if not _ID.fullmatch(name) or name in _RESERVED:
        raise _malformed("a technician's id is 1 to 16 of a-z, 0-9, . and -, a letter first")


def check_authority(key: VerifierKey) -> None:
    """Refuse what is no console key.

    Raises:
        MalformedError: `malformed-enrolment`.
    """
    if key.type != ED25519 or not key.name.endswith(KEY_NAME):
        raise _malformed(f"a console key is of Ed25519, and its name ends with {KEY_NAME}")


def check_fresh(made: Enrolment, now: int) -> None:
    """Refuse a file that has expired, at a time in seconds since the Unix epoch.

    Raises:
        RefusedError: `enrolment-expired`.
    """
    if now >= made.heading.expires:
        when = _write_time(made.heading.expires)
        message = f"the enrolment expired at {when}: nobody signs in by it"
        hint = "ask head office for a new file, and type `enrol` in place of an id"
        raise RefusedError("enrolment-expired", message, hint=hint)


def _parse_text(text: str) -> Enrolment:
    lines = text.removesuffix("\n").split("\n")
    words = [line.partition(" ")[::2] for line in lines]
    above, rest = words[1 : 1 + len(_WORDS)], words[1 + len(_WORDS) :]
    if lines[0] != HEADER or tuple(word for word, _ in above) != _WORDS:
        raise _malformed(f"not an enrolment: {', '.join(_WORDS)} are due below {HEADER}")
    if any(word not in ("technician", "sealed") for word, _ in rest):
        raise _malformed("only `technician` and `sealed` stand below `authority`")
    box, version, issued, expires, authority = (value for _, value in above)
    heading = Heading(
        parse_box_key(box),
        parse_decimal(version, "the version of an enrolment"),
        _parse_time(issued),
        _parse_time(expires),
        parse_vkey(authority),
        tuple(_parse_person(value) for word, value in rest if word == "technician"),
    )
    sealed = "".join(value for word, value in rest if word == "sealed")
    return Enrolment(heading, parse_base64(sealed, "the sealed part"))


def _parse_person(text: str) -> Person:
    name, _, word = text.partition(" ")
    duty = next((one for one in DUTIES if one == word), None)
    if duty is None:
        raise _malformed(f"a technician's role is {' or '.join(DUTIES)}")
    return Person(name, duty)


def _check_heading(heading: Heading) -> None:
    check_authority(heading.authority)
    ids = [one.id for one in heading.people]
    for name in ids:
        check_id(name)
    if ids != sorted(set(ids)) or len(ids) > MOST:
        raise _malformed(f"at most {MOST} technicians, by id, each once")
    if all(one.duty != "service" for one in heading.people):
        raise _malformed("nobody of the role `service` is in it: nobody could mend anything")
    if heading.version < 1 or not 0 < heading.expires - heading.issued <= LONGEST:
        raise _malformed("a version from 1 on, and at most 400 days from issued to expires")


def _parse_secrets(data: bytes, made: Enrolment) -> dict[str, Secret]:
    rows = decode_cbor(data)
    people = made.heading.people
    _check_rows(rows, len(people))
    assert isinstance(rows, list), "it was checked"  # noqa: S101
    return {one.id: Secret(*row) for one, row in zip(people, rows, strict=True)}


def _check_rows(rows: object, count: int) -> None:
    if not isinstance(rows, list) or len(rows) != count or not all(map(_is_row, rows)):
        raise _malformed("the sealed part does not go with the technicians above it")


def _is_row(row: object) -> bool:
    if not isinstance(row, list) or len(row) != 4:
        return False
    hashed, totp, hotp, counter = row
    secrets = all(isinstance(one, bytes) and len(one) == SECRET for one in (totp, hotp))
    good = isinstance(hashed, str) and _HASH.fullmatch(hashed) is not None
    number = isinstance(counter, int) and not isinstance(counter, bool)
    return good and secrets and number and 0 <= counter <= MAX_INT


def _parse_time(text: str) -> int:
    try:
        return int(datetime.strptime(text, _TIME).replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise _malformed("a time of an enrolment is none") from error


def _write_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(_TIME)


def _malformed(message: str) -> MalformedError:
    return MalformedError("malformed-enrolment", message)
