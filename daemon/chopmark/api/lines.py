"""Lines of a batch: from chunks of a body to drafts.

One line is one JSON object. A bad line is a fault with a code and a message, and stands alone:
the lines around it are not disturbed.
"""

from binascii import hexlify, unhexlify
from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from chopmark.api.models import Index
from chopmark.api.times import parse_time
from chopmark.api.twice import are_once, refuse_twice
from chopmark.core.canonical import JSON_JCS, MAX_NAMES, PDF_PAGES
from chopmark.core.catalogue import Terms
from chopmark.core.draft import Canonical, Draft, Drafts, sort_canonical
from chopmark.core.entry import KIND
from chopmark.core.errors import ChopmarkError, MalformedError

MALFORMED: Final = "malformed-line"

Asked = tuple[str, str | None, bool, bool, tuple[str, ...]]
"""Kind, `valid_until`, whether there is no SM3 digest, whether to blind it, and names of canonical
digests: lines that are equal in these are alike."""

_Digest = Annotated[str, Meta(min_length=64, max_length=64)]
"""The length; `_unhex` sees to the characters, faster than a pattern would."""


class Line(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """What a line may hold."""

    sha256: _Digest
    sm3: _Digest | None = None
    json_jcs: _Digest | None = msgspec.field(default=None, name=JSON_JCS)
    pdf_pages: _Digest | None = msgspec.field(default=None, name=PDF_PAGES)
    kind: str = "document"
    valid_until: str | None = None
    supersedes: Index | None = None
    blinded: bool = False
    key: str | None = None


class Fault(msgspec.Struct, frozen=True, gc=False):
    """Why a line was not recorded."""

    code: str
    message: str
    hint: str = ""


_DECODER: Final = msgspec.json.Decoder(Line)


def cut_lines(block: bytes, count: int) -> tuple[bytes, bytes]:
    """The first lines of a block of whole lines, at most so many, and the rest."""
    end = (block.index(b"\n") + 1) * count  # where it is if all are of one length
    if end >= len(block) and block.count(b"\n") <= count:
        return block, b""
    if block[end - 1 : end] == b"\n" and block.count(b"\n", 0, end) == count:
        return block[:end], block[end:]
    lines = block.split(b"\n", count)
    rest = lines[count] if len(lines) > count else b""
    return block[: len(block) - len(rest)], rest


class LineSplitter:
    """Cuts a body into whole lines; of a line that is too long it keeps just enough to tell."""

    def __init__(self, limit: int) -> None:
        self._keep = limit + 1
        self._tail = b""

    def feed(self, data: bytes) -> bytes:
        """The lines that this piece completes, each with its line feed."""
        head, newline, tail = data.rpartition(b"\n")
        if not newline:
            self._tail = (self._tail + data)[: self._keep]
            return b""
        whole = b"".join((self._tail, head, newline))
        self._tail = tail[: self._keep]
        return whole

    def finish(self) -> bytes:
        """The last line, if no line feed ended it."""
        tail, self._tail = self._tail, b""
        return tail + b"\n" if tail else b""


def decode_lines(block: bytes, limit: int) -> list[Line | Fault]:
    """Decode lines, each with its line feed: together when all is well, else one by one."""
    lines = block.split(b"\n")[:-1]
    # `decode_lines` takes any white space between objects. As no value in a line is an object,
    # these conditions leave only one way to read n objects: one from each line.
    regular = block[:1] == b"{" and block.count(b"\n{") == len(lines) - 1
    if regular and max(map(len, lines)) <= limit:
        try:
            decoded = _DECODER.decode_lines(block)
        except (msgspec.DecodeError, UnicodeDecodeError):
            decoded = []
        if len(decoded) == len(lines) and are_once(block, decoded):
            return [*decoded]
    return [_decode_line(line, limit) for line in lines]


def read_alike(block: bytes, limit: int, check: Callable[[Draft], Terms]) -> Drafts | None:
    """The drafts of good lines that differ in nothing but their SHA-256, as most do.

    The first line is decoded; the others must be the same bytes around 64 other digits. That
    takes a tenth of the time that decoding each of them would.

    Args:
        block: lines, each with its line feed.
        limit: bytes that a line may have.
        check: see `Gateway.check_draft`.

    Returns:
        The drafts; None if not all lines are so, or one is bad.
    """
    stride = block.index(b"\n") + 1
    line = _decode_line(block[: stride - 1], limit)
    if isinstance(line, Fault) or _has_its_own(line):
        return None
    digits = line.sha256.encode()
    before, found, after = block[:stride].partition(digits)
    if not found or digits in after or len(block) % stride:
        return None
    each = [block[i : i + len(digits)] for i in range(len(before), len(block), stride)]
    digests = _unhex_all(b"".join(each))
    if digests is None or before + (after + before).join(each) + after != block:
        return None
    try:
        first = make_draft(line, {}, check)
    except ChopmarkError:
        return None
    terms = first.kind, None, first.valid_until
    return Drafts(digests, *terms, blinded=first.blinded, default_end=first.default_end)


def make_draft(line: Line, checked: dict[Asked, Terms], check: Callable[[Draft], Terms]) -> Draft:
    """The draft that a line asks for.

    Args:
        line: a decoded line.
        checked: what is set, for all lines alike that have passed `check`.
        check: see `Gateway.check_draft`.

    Raises:
        ChopmarkError: what is wrong with the line.
    """
    sha256 = _unhex(line.sha256, "sha256")
    sm3 = None if line.sm3 is None else _unhex(line.sm3, "sm3")
    canonical = _read_canonical(line)
    names = tuple(name for name, _ in canonical)
    asked = (line.kind, line.valid_until, sm3 is None, line.blinded, names)
    if asked not in checked:
        if not KIND.fullmatch(line.kind):
            raise MalformedError(MALFORMED, f"`kind` is not a kind: {line.kind[:40]!r}")
        text = line.valid_until
        until = None if text is None else parse_time(text, "valid_until")
        draft = Draft(sha256, line.kind, sm3, until, None, line.blinded, canonical=canonical)
        checked[asked] = check(draft)
    end, blinded = checked[asked]
    by_default = end is not None and line.valid_until is None
    terms = line.kind, sm3, end, line.supersedes, blinded, by_default
    return Draft(sha256, *terms, canonical)


def _has_its_own(line: Line) -> bool:
    """Whether a line has what no other has, beside its SHA-256 digest."""
    own = line.sm3, line.supersedes, line.key, line.json_jcs, line.pdf_pages
    return any(one is not None for one in own)


def _read_canonical(line: Line) -> Canonical:
    if line.json_jcs is None and line.pdf_pages is None:
        return ()
    given = {JSON_JCS: line.json_jcs, PDF_PAGES: line.pdf_pages}
    found = {name: _unhex(text, name) for name, text in given.items() if text is not None}
    if len(found) > MAX_NAMES:
        raise MalformedError(
            MALFORMED, "a line has one canonical digest: an entry has no more room"
        )
    return sort_canonical(found)


def fault_of(error: ChopmarkError) -> Fault:
    """An error as an answer line tells it."""
    return Fault(error.code, error.message, error.hint)


def _decode_line(line: bytes, limit: int) -> Line | Fault:
    if len(line) > limit:
        return Fault(MALFORMED, f"the line is longer than {limit} bytes")
    if not line.strip():
        return Fault(MALFORMED, "the line is empty")
    try:
        decoded = _DECODER.decode(line)
        refuse_twice(line, MALFORMED)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Fault(MALFORMED, str(error))
    except MalformedError as error:
        return fault_of(error)
    return decoded


def _unhex(text: str, field: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if data.hex() != text:  # fromhex takes capitals and blanks
        message = f"`{field}` is not 64 lower-case hexadecimal digits"
        raise MalformedError(MALFORMED, message)
    return data


def _unhex_all(digits: bytes) -> bytes | None:
    """Digests from their digits, all joined; None if one is bad."""
    try:
        data = unhexlify(digits)
    except ValueError:
        return None
    return data if hexlify(data) == digits else None
