"""Reading the text of a key ceremony: strict, line by line, and every hash made again."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, cast, get_args

from chopmark.core.ceremony import (
    HEADER,
    MAX_FACTS,
    MAX_OFFICERS,
    MAX_STEPS,
    MAX_VALUE,
    TIME,
    Approval,
    Ceremony,
    End,
    Kind,
    Outcome,
    PresentOfficer,
    Result,
    Step,
    seal,
)
from chopmark.core.checkpoint import check_origin
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.note import MAX_NOTE, Note, parse_note
from chopmark.core.officers import fingerprint
from chopmark.core.text import parse_base64, parse_decimal, parse_utf8

_WORD: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_RESERVED: Final = frozenset({"ended", "begun", "result", "hash", "words", "approval"})
_BLOCK: Final = "\n\n\N{EM DASH} "


@dataclass(frozen=True, slots=True)
class CeremonyFile:
    """What a file holds: the ceremony, and its note if it was signed."""

    ceremony: Ceremony
    note: Note | None = None

    def encode(self) -> bytes:
        """The file."""
        return self.ceremony.encode().encode() if self.note is None else self.note.encode()


def parse_file(data: bytes) -> CeremonyFile:
    """Read a protocol, signed or not; no signature is checked yet.

    Raises:
        MalformedError: `malformed-ceremony`, `malformed-note` and the codes of their parts.
        RefusedError: `broken-chain`.
    """
    if len(data) > MAX_NOTE:
        raise _malformed("it is too large")
    text = parse_utf8(data, "a ceremony")
    if _BLOCK not in text:
        return CeremonyFile(parse_ceremony(text))
    note = parse_note(data)
    return CeremonyFile(parse_ceremony(note.text), note)


def parse_ceremony(text: str) -> Ceremony:
    """Read the text of a ceremony; its rules are not checked yet (`check_ceremony`).

    Raises:
        MalformedError: `malformed-ceremony` and the codes of its parts.
        RefusedError: `broken-chain`: a hash is not that of what stands above it.
    """
    if len(text) > MAX_NOTE or not text.endswith("\n"):
        raise _malformed("it is too large, or does not end a line")
    head, *blocks = text[:-1].split("\n\n")
    made = _read_head(_Lines(head))
    above = made.encode()
    for number, block in enumerate(blocks, 1):
        lines = _Lines(block)
        if made.end is not None:
            raise _malformed("something follows its end")
        if lines.next_is("end"):
            made = replace(made, end=_read_end(lines, above))
        else:
            step = _read_step(lines, number, above, len(made.officers))
            made = made.with_step(step)
            above = step.add_to(above, number)
        lines.finish()
    if made.encode() != text:
        raise _malformed("it is not in its canonical form")
    return made


def check_line(text: str, what: str) -> str:
    """Give a text back that is good for a line of the protocol.

    Raises:
        MalformedError: `malformed-ceremony`.
    """
    if not (text.isprintable() and text == text.strip() and 0 < len(text) <= MAX_VALUE):
        raise _malformed(f"{what}: 1 to {MAX_VALUE} printable characters are due")
    return text


@dataclass(slots=True)
class _Lines:
    """The lines of a block, taken one after the other."""

    block: str
    rest: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.rest = self.block.split("\n")[::-1]

    def next_is(self, word: str) -> bool:
        return bool(self.rest) and self.rest[-1].startswith(f"{word} ")

    def take(self, word: str) -> str:
        if not self.next_is(word):
            raise _malformed(f"a line `{word}` is due")
        return check_line(self.rest.pop()[len(word) + 1 :], f"the line `{word}`")

    def finish(self) -> None:
        if self.rest:
            raise _malformed(f"not understood: {self.rest[-1][:80]!r}")


def _read_head(lines: _Lines) -> Ceremony:
    if not lines.rest or lines.rest.pop() != HEADER:
        raise _malformed(f"its first line is not {HEADER}")
    origin = lines.take("origin")
    check_origin(origin)
    kind = _choose(lines.take("kind"), Kind)
    notice = lines.take("notice") if lines.next_is("notice") else ""
    gateway, institution = lines.take("gateway"), lines.take("institution")
    place, software = lines.take("place"), lines.take("software")
    need = parse_decimal(lines.take("need"), "how many must approve")
    officers = tuple(_read_officers(lines))
    lines.finish()
    if not 0 < len(officers) <= MAX_OFFICERS or not 0 < need <= len(officers):
        raise _malformed(f"1 to {MAX_OFFICERS} officers are due, and no more needed than these")
    return Ceremony(
        origin=origin,
        kind=cast("Kind", kind),
        gateway=gateway,
        institution=institution,
        place=place,
        software=software,
        need=need,
        officers=officers,
        notice=notice,
    )


def _read_officers(lines: _Lines) -> Iterator[PresentOfficer]:
    while lines.next_is("officer"):
        name, institution = lines.take("officer"), lines.take("of")
        digest = lines.take("fingerprint")
        # This line is longer than others may be.
        word, _, body = (lines.rest.pop() if lines.rest else "").partition(" ")
        certificate = parse_base64(body, "an officer's certificate")
        if word != "certificate" or fingerprint(certificate) != digest:
            raise _malformed(f"the fingerprint of {name} is not that of the certificate below it")
        yield PresentOfficer(name, institution, certificate)


def _read_step(lines: _Lines, number: int, above: str, officers: int) -> Step:
    label = lines.take("step")
    count, _, name = label.partition(" ")
    if count != str(number) or not _WORD.fullmatch(name) or number > MAX_STEPS:
        raise _malformed(f"step {number} of {MAX_STEPS} at most is due: {label[:80]!r}")
    begun = _read_time(lines.take("begun"))
    facts = tuple(_read_facts(lines))
    ended = _read_time(lines.take("ended"))
    result, _, reason = lines.take("result").partition(" ")
    if (result == "done") != (not reason):
        raise _malformed("a step that is not done has a reason")
    step = Step(name, begun, ended, facts, cast("Result", _choose(result, Result)), reason)
    _read_seal(lines, above + step.encode(number), f"step {number}")
    return replace(step, approvals=tuple(_read_approvals(lines, officers)))


def _read_facts(lines: _Lines) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    while lines.rest and not lines.next_is("ended"):
        word = lines.rest[-1].partition(" ")[0]
        if not _WORD.fullmatch(word) or word in _RESERVED | seen or len(seen) >= MAX_FACTS:
            raise _malformed(f"not a fact of a step, or one too many: {word[:80]!r}")
        seen.add(word)
        yield word, lines.take(word)


def _read_approvals(lines: _Lines, officers: int) -> Iterator[Approval]:
    seen: set[int] = set()
    while lines.next_is("approval"):
        # RSA of 4096 bits is longer than a line may be otherwise.
        number, _, body = lines.rest.pop().removeprefix("approval ").partition(" ")
        officer = parse_decimal(number, "the number of an officer")
        if not 0 < officer <= officers or officer in seen:
            raise _malformed(f"no officer {officer}, or one who approved already")
        seen.add(officer)
        yield Approval(officer, parse_base64(body, "an approval"))


def _read_seal(lines: _Lines, above: str, where: str) -> None:
    digest, words = lines.take("hash"), lines.take("words")
    if seal(above) != f"{above}hash {digest}\nwords {words}\n":
        message = f"the hash of {where} is not that of what stands above it"
        hint = "the protocol was changed after it was written"
        raise RefusedError("broken-chain", message, hint=hint)


def _read_end(lines: _Lines, above: str) -> End:
    outcome, _, reason = lines.take("end").partition(" ")
    if (outcome == "completed") != (not reason):
        raise _malformed("a ceremony that is aborted has a reason")
    time = _read_time(lines.take("time"))
    end = End(cast("Outcome", _choose(outcome, Outcome)), time, reason)
    _read_seal(lines, above + end.encode(), "the end")
    return end


def _read_time(text: str) -> int:
    try:
        return int(datetime.strptime(text, TIME).replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise _malformed(f"not a time: {text[:40]!r}") from error


def _choose(text: str, choice: object) -> str:
    if text not in get_args(choice):
        raise _malformed(f"not one of {', '.join(get_args(choice))}: {text[:80]!r}")
    return text


def _malformed(message: str) -> MalformedError:
    return MalformedError("malformed-ceremony", f"a ceremony's protocol: {message}")
