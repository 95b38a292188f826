"""The page: A4, one side, English beside Chinese, black on white (it will be photocopied)."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from fpdf import FPDF
from fpdf.drawing import PaintedPath
from fpdf.enums import PathPaintRule

from chopmark.client.slip.code import Code, encode_code
from chopmark.client.slip.faces import FAMILY, faces, printable
from chopmark.client.slip.facts import Facts
from chopmark.client.slip.lines import break_lines, shorten
from chopmark.client.slip.wording import ENGLISH, KINDS, LOCAL, WORDS, Language
from chopmark.core.slip import PREFIX
from chopmark.core.wording import format_time

ATTACHMENT: Final = "slip.txt"
_LEFT, _RIGHT, _TOP, _BOTTOM = 18.0, 192.0, 16.0, 283.0
_OTHER, _LABELS = 39.0, 73.0
"""Where the Chinese labels begin, and the values; in millimetres from the left, as all here."""
_HOW: Final = 78.0
"""Height that the steps take beside a code of the usual width."""
_SIZES: Final = (11.0, 10.5, 10.0, 9.5, 9.0, 8.5, 8.0, 7.5, 7.0, 6.5, 6.0)
"""Points of the facts: the first with which all have room."""
_MANY: Final = 99
"""Lines of one fact: as many as it takes."""
_GREY: Final = 90
_HOURS: Final = dict.fromkeys(("CN", "HK", "MO"), 8)
"""By region, how far its clocks are ahead of UTC: where there is one time, all year round."""


def make_page(facts: Facts, language: Language) -> bytes:
    """The PDF; always the same bytes for the same facts."""
    pdf = FPDF(format="A4")
    with faces(pdf, language):
        return bytes(_Page(pdf, facts, language).draw())


class _Page:
    def __init__(self, pdf: FPDF, facts: Facts, language: Language) -> None:
        self.facts = facts
        self.language = language
        self.words = WORDS[language]
        self.pdf = pdf
        pdf.set_auto_page_break(auto=False)
        pdf.set_margin(0)
        pdf.c_margin = 0
        pdf.add_page()
        pdf.set_title(f"{ENGLISH.title} · {facts.origin}#{facts.index}")
        pdf.set_lang("en")
        pdf.set_producer("chopmark")
        pdf.set_creation_date(self.time)

    @property
    def time(self) -> datetime:
        """The document's time is the attestation's: nobody can say when it was printed."""
        seconds = self.facts.existed_by or self.facts.entry.made_at // 1000
        return datetime.fromtimestamp(min(seconds, 253_402_300_799), UTC)

    def draw(self) -> bytearray:
        y = self._notice(self._head(_TOP)) + 5
        code = encode_code(self.facts.text)
        width = code.module * code.size
        corner = _BOTTOM - 11 - max(width, _HOW)
        self._facts(y, corner - 7)
        self._code(code, _LEFT, corner)
        self._how(_LEFT + width + 9, corner)
        self._foot(_BOTTOM - 3)
        self.pdf.embed_file(
            bytes=self.facts.text.encode(),
            basename=ATTACHMENT,
            desc=ENGLISH.title,
            creation_date=self.time,
            modification_date=self.time,
        )
        return self.pdf.output()

    def _head(self, y: float) -> float:
        self._line(_LEFT, y, ENGLISH.title, 20, bold=True)
        self._line(_RIGHT, y, self.words.title, 20, bold=True, right=True)
        self.pdf.set_line_width(0.6)
        self.pdf.line(_LEFT, y + 10.5, _RIGHT, y + 10.5)
        return y + 14

    def _notice(self, y: float) -> float:
        """What must be read first, in a frame that no copier loses."""
        middle, inner = (_LEFT + _RIGHT) / 2, (_RIGHT - _LEFT) / 2 - 9
        ends = []
        for x, words in ((_LEFT + 5, ENGLISH), (middle + 4, self.words)):
            at = self._block(x, y + 4, inner, words.notice, 11.5, bold=True)
            ends.append(self._block(x, at + 1.5, inner, words.reason, 8.5))
        height = max(ends) + 4 - y
        self.pdf.set_line_width(0.9)
        self.pdf.rect(_LEFT, y, _RIGHT - _LEFT, height)
        self.pdf.set_line_width(0.2)
        self.pdf.line(middle, y + 4, middle, y + height - 4)
        return y + height

    def _facts(self, top: float, bottom: float) -> None:
        rows = [(label, other, printable(self.pdf, value)) for label, other, value in self._rows()]
        size, values = self._fit([value for *_, value in rows], bottom - top)
        y, gap = top, _gap(size)
        self.pdf.set_line_width(0.1)
        for (label, other, _), lines in zip(rows, values, strict=True):
            if label and y > top:
                self.pdf.line(_LEFT, y - gap / 2, _RIGHT, y - gap / 2)
            self._line(_LEFT, y, label, size, bold=True)
            self._line(_LEFT + _OTHER, y, other, size)
            for number, line in enumerate(lines):
                self._line(_LEFT + _LABELS, y + number * _step(size), line, size)
            y += len(lines) * _step(size) + gap

    def _fit(self, values: Sequence[str], room: float) -> tuple[float, list[list[str]]]:
        """The size with which all facts have room, and their lines; else they are shortened."""
        width = _RIGHT - _LEFT - _LABELS
        for size, most in (*((size, _MANY) for size in _SIZES), (_SIZES[-1], 2), (_SIZES[-1], 1)):
            broken = [shorten(self._broken(value, width, size), most) for value in values]
            if sum(len(lines) * _step(size) + _gap(size) for lines in broken) <= room:
                break
        return size, broken

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        """English label, Chinese label, value in both languages."""
        facts, entry, zh = self.facts, self.facts.entry, self.words
        place = f" ({facts.name.jurisdiction})" if facts.name.jurisdiction else ""
        yield ENGLISH.institution, zh.institution, f"{facts.name.institution}{place}"
        yield ENGLISH.kind, zh.kind, self._kind(entry.kind)
        if facts.existed_by is None:
            yield ENGLISH.existed_by, zh.existed_by, f"{ENGLISH.claim}; {zh.claim}"
        else:
            yield from self._times(ENGLISH.existed_by, zh.existed_by, facts.existed_by * 1000)
        yield from self._times(ENGLISH.claimed, zh.claimed, entry.made_at)
        if entry.valid_until is not None:
            yield from self._times(ENGLISH.valid_until, zh.valid_until, entry.valid_until)
        for number, (where, names) in enumerate(facts.witnesses):
            labels = ("", "") if number else (ENGLISH.witnesses, zh.witnesses)
            yield *labels, f"{where}: {', '.join(names)}" if where else ", ".join(names)
        if not facts.witnesses:
            yield ENGLISH.witnesses, zh.witnesses, f"{ENGLISH.alone}; {zh.alone}"
        yield from self._digests()
        yield ENGLISH.entry, zh.entry, f"{facts.origin}#{facts.index}"
        if entry.supersedes is not None:
            yield ENGLISH.replaces, zh.replaces, f"{facts.origin}#{entry.supersedes}"

    def _kind(self, kind: str) -> str:
        """In words where there are such; its own name always, which is what was attested."""
        if kind not in KINDS["en"]:
            return kind
        return f"{KINDS['en'][kind]} / {KINDS[self.language][kind]} ({kind})"

    def _times(self, english: str, chinese: str, ms: int) -> Iterator[tuple[str, str, str]]:
        """In UTC, which is read on both sides of a border, and by the clocks of the issuer."""
        yield english, chinese, f"{_show_time(ms)} UTC"
        region = self.facts.name.jurisdiction.partition("-")[0]
        if region in _HOURS:
            shown = _show_time(ms + 3_600_000 * _HOURS[region])
            words = f"{LOCAL['en']}; {LOCAL[self.language]}"
            yield "", "", f"{shown} {region} (UTC+{_HOURS[region]}, {words})"

    def _digests(self) -> Iterator[tuple[str, str, str]]:
        """Short: nobody compares digests by eye, and whoever does has the file's own."""
        entry, zh = self.facts.entry, self.words
        if entry.blinded:
            yield ENGLISH.digests, zh.digests, f"{ENGLISH.hidden}; {zh.hidden}"
            return
        yield ENGLISH.digests, zh.digests, f"SHA-256  {_short(entry.sha256)}"
        if entry.sm3 is not None:
            yield "", "", f"SM3  {_short(entry.sm3)}"

    def _code(self, code: Code, x: float, y: float) -> None:
        """One path of rectangles: neighbours leave no hairlines between them, at any size."""
        step, path = code.module, PaintedPath()
        path.style.paint_rule = PathPaintRule.AUTO
        path.style.stroke_color = None
        path.style.fill_color = "#000000"
        for row, column, count in code.bars():
            path.rectangle(x + column * step, y + row * step, count * step, step)
        with self.pdf.drawing_context() as context:
            context.add_item(path, clone=False)  # a copy would take half of a page's time

    def _how(self, x: float, y: float) -> None:
        width = _RIGHT - x
        for words in (ENGLISH, self.words):
            y = self._block(x, y, width, words.how, 10, bold=True) + 1
            for number, step in enumerate(words.steps, 1):
                self._line(x, y, f"{number}.", 8.5)
                y = self._block(x + 5, y, width - 5, step, 8.5) + 1
            if self.facts.entry.blinded:
                y = self._block(x, y, width, words.private, 8.5, bold=True)
            y += 3

    def _foot(self, y: float) -> None:
        self.pdf.set_text_color(_GREY)
        self._line(_LEFT, y - 3, ENGLISH.foot, 7)
        self._line(_LEFT, y + 0.6, self.words.foot, 7)
        self._line(_RIGHT, y + 0.6, PREFIX[:-1], 7, right=True)
        self.pdf.set_text_color(0)

    def _block(
        self, x: float, y: float, width: float, text: str, size: float, *, bold: bool = False
    ) -> float:
        """A paragraph; gives where it ends."""
        for line in self._broken(text, width, size, bold=bold):
            self._line(x, y, line, size, bold=bold)
            y += _step(size)
        return y

    def _broken(self, text: str, width: float, size: float, *, bold: bool = False) -> list[str]:
        self.pdf.set_font(FAMILY, "B" if bold else "", size)
        return break_lines(text, width, self._width)

    def _width(self, text: str) -> float:
        return float(self.pdf.get_string_width(text))

    def _line(
        self, x: float, y: float, text: str, size: float, *, bold: bool = False, right: bool = False
    ) -> None:
        self.pdf.set_font(FAMILY, "B" if bold else "", size)
        self.pdf.set_xy(x - self._width(text) if right else x, y)
        self.pdf.cell(w=0, h=_step(size), text=text)


def _step(size: float) -> float:
    """From one line to the next, in millimetres, of a size in points."""
    return size * 0.3528 * 1.35


def _gap(size: float) -> float:
    """Between two facts, in millimetres."""
    return size * 0.236


def _short(digest: bytes) -> str:
    text = digest.hex()
    return f"{text[:8]} {text[8:16]} ... {text[-8:]}"


def _show_time(ms: int) -> str:
    """Day and whole second."""
    return format_time(ms)[:19].replace("T", " ")
