"""Release of a frozen replica (docs/formats/release.md): which branch of a fork is kept, and why.

A text of six lines, which officers sign, and their signatures with their certificates below it.
Here it is read and written; `officers` has who must have signed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from chopmark.core.checkpoint import Checkpoint, check_origin
from chopmark.core.errors import MalformedError
from chopmark.core.text import encode_base64, parse_base64, parse_decimal, parse_hash, parse_utf8

HEADER: Final = "chopmark/release/v1"
MAX_RELEASE: Final = 32 * 1024
"""Bytes: eight certificates with RSA keys, and room to spare."""
MAX_SIGNATURES: Final = 8
MAX_REASON: Final = 200
LINES: Final = 6
"""Lines of the text that is signed: `head -6` of the file."""
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_WORDS: Final = ("origin", "evidence", "keep", "time", "reason")
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Release:
    """What the officers sign.

    Attributes:
        evidence: SHA-256 of the evidence's text.
        kept: the head of the branch that is kept; its origin is the log.
        time: seconds since the Unix epoch.
        reason: for people; 1 to 200 printable characters.
    """

    evidence: bytes
    kept: Checkpoint
    time: int
    reason: str

    def encode(self) -> str:
        """The text that is signed."""
        kept = self.kept
        time = datetime.fromtimestamp(self.time, UTC).strftime(_TIME)
        return (
            f"{HEADER}\norigin {kept.origin}\nevidence {self.evidence.hex()}\n"
            f"keep {kept.size} {encode_base64(kept.root)}\ntime {time}\nreason {self.reason}\n"
        )


@dataclass(frozen=True, slots=True)
class OfficerSignature:
    """One signature: the signer's X.509 certificate (DER), and the signature's bytes."""

    certificate: bytes
    signature: bytes

    def encode(self) -> str:
        """Its two lines."""
        parts = encode_base64(self.certificate), encode_base64(self.signature)
        return "officer {}\nsignature {}\n".format(*parts)


@dataclass(frozen=True, slots=True)
class SignedRelease:
    """A release and its signatures, which nobody has checked yet."""

    release: Release
    signatures: tuple[OfficerSignature, ...] = ()

    def encode(self) -> bytes:
        """The file."""
        lines = "".join(one.encode() for one in self.signatures)
        return (self.release.encode() + (f"\n{lines}" if lines else "")).encode()

    def with_signature(self, one: OfficerSignature) -> "SignedRelease":
        """The same with one more signature."""
        return replace(self, signatures=(*self.signatures, one))


def parse_release(data: bytes) -> SignedRelease:
    """Read a release; nobody has checked its signatures yet.

    Raises:
        MalformedError: `malformed-release` and the codes of its parts.
    """
    if len(data) > MAX_RELEASE:
        raise _malformed("a release is too large")
    text, _, below = parse_utf8(data, "a release").partition("\n\n")
    signed = SignedRelease(_parse_text(text.removesuffix("\n")), tuple(_parse_signatures(below)))
    if signed.encode() != data:
        raise _malformed("a release is not in its canonical form")
    return signed


def check_reason(reason: str) -> None:
    """Refuse what does not fit on one line.

    Raises:
        MalformedError: `malformed-release`.
    """
    good = reason.isprintable() and reason == reason.strip() and 0 < len(reason) <= MAX_REASON
    if not good:
        raise _malformed(f"the reason of a release: 1 to {MAX_REASON} printable characters")


def _parse_text(text: str) -> Release:
    lines = text.split("\n")
    words = [line.partition(" ") for line in lines[1:]]
    if lines[0] != HEADER or tuple(word[0] for word in words) != _WORDS:
        raise _malformed(f"not a release: {LINES} lines are due, the first one {HEADER}")
    origin, evidence, keep, time, reason = (word[2] for word in words)
    check_origin(origin)
    check_reason(reason)
    if len(evidence) != 64 or not _HEX.issuperset(evidence):
        raise _malformed("a release names the evidence by 64 of 0-9a-f")
    size, _, root = keep.partition(" ")
    head = Checkpoint(origin, parse_decimal(size, "the size kept"), parse_hash(root, "the root"))
    return Release(bytes.fromhex(evidence), head, _parse_time(time), reason)


def _parse_time(text: str) -> int:
    try:
        return int(datetime.strptime(text, _TIME).replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise _malformed("the time of a release is none") from error


def _parse_signatures(text: str) -> Iterator[OfficerSignature]:
    lines = text.removesuffix("\n").split("\n") if text else []
    if len(lines) > 2 * MAX_SIGNATURES or len(lines) % 2:
        raise _malformed(f"below a release: at most {MAX_SIGNATURES} signatures, two lines each")
    for first, second in zip(lines[::2], lines[1::2], strict=True):
        words = first.partition(" "), second.partition(" ")
        if (words[0][0], words[1][0]) != ("officer", "signature"):
            raise _malformed("a line `officer` and a line `signature` are due")
        certificate = parse_base64(words[0][2], "a certificate")
        yield OfficerSignature(certificate, parse_base64(words[1][2], "a signature"))


def _malformed(message: str) -> MalformedError:
    return MalformedError("malformed-release", message)
