"""The life of a document on paper: a trace as a timeline, English with Chinese names of steps.

It is for reading. The proofs are in the report that it was made from, and the page says so.
"""

from datetime import datetime
from typing import Final

from fpdf import FPDF

from chopmark.client.slip.faces import FAMILY, faces, printable
from chopmark.client.slip.lines import break_lines
from chopmark.client.slip.wording import Language
from chopmark.client.told.steps import describe_step
from chopmark.core.timeline import tell_time
from chopmark.core.trace import Report, StepOut

TITLE: Final = "Trace of a document"
TITLES: Final[dict[Language, str]] = {"zh-Hant": "文件的經歷", "zh-Hans": "文件的经历"}
STEPS: Final[dict[Language, dict[str, str]]] = {
    "zh-Hant": {
        "attested": "存證",
        "witnessed": "副署",
        "superseded": "被取代",
        "revoked": "撤銷",
        "consented": "同意使用",
        "withdrawn": "撤回同意",
        "used": "使用",
    },
    "zh-Hans": {
        "attested": "存证",
        "witnessed": "副署",
        "superseded": "被取代",
        "revoked": "撤销",
        "consented": "同意使用",
        "withdrawn": "撤回同意",
        "used": "使用",
    },
}
FOOT: Final = (
    "This page proves nothing by itself. The report that it was made from holds a proof of each "
    "step: `chopmark trace --check REPORT --policy FILE` checks it without any gateway. Consents "
    "and uses are shown of which its reader held what opens them; there may be others."
)
FEET: Final[dict[Language, str]] = {
    "zh-Hant": "本頁本身不能作為證明。製成本頁的報告載有每一步的證明，可離線驗證。",
    "zh-Hans": "本页本身不能作为证明。制成本页的报告载有每一步的证明，可离线验证。",
}
_LEFT, _RIGHT, _TOP, _BOTTOM = 18.0, 192.0, 16.0, 276.0
_TEXT: Final = 66.0
"""Where what happened begins, in millimetres from the left, as all here."""
_OTHER: Final = 26.0
"""From a step's name to the Chinese one."""


def make_timeline(report: Report, language: Language | None = None) -> bytes:
    """The PDF; always the same bytes for the same report.

    Args:
        report: whose proofs were checked.
        language: beside the English; that of the first issuer's place, if None.
    """
    places = [one.jurisdiction for one in report.parties.values()]
    chosen: Language = language or ("zh-Hans" if places[:1] == ["CN"] else "zh-Hant")
    pdf = FPDF(format="A4")
    with faces(pdf, chosen):
        return bytes(_Timeline(pdf, report, chosen).draw())


class _Timeline:
    def __init__(self, pdf: FPDF, report: Report, language: Language) -> None:
        self.pdf = pdf
        self.report = report
        self.language = language
        self.y = _TOP
        pdf.set_auto_page_break(auto=False)
        pdf.set_margin(0)
        pdf.c_margin = 0
        pdf.set_title(TITLE)
        pdf.set_lang("en")
        pdf.set_producer("chopmark")
        pdf.set_creation_date(datetime.fromisoformat(report.asked_at))

    def draw(self) -> bytearray:
        self.pdf.add_page()
        self._head()
        for step in self.report.steps:
            self._step(step)
        for warning in self.report.warnings:
            self._block(_LEFT, f"! {warning}", 9)
        if not self.report.steps:
            self._block(_LEFT, "Nothing is known of it.", 10)
        self.y += 4
        self._block(_LEFT, FOOT, 8)
        self._block(_LEFT, FEET[self.language], 8)
        return self.pdf.output()

    def _head(self) -> None:
        self._line(_LEFT, TITLE, 18, bold=True)
        self._line(_RIGHT, TITLES[self.language], 18, right=True)  # bold has a slip's words only
        self.y += 10
        self.pdf.set_line_width(0.5)
        self.pdf.line(_LEFT, self.y, _RIGHT, self.y)
        self.y += 4
        for name, digest in (self.report.digests or {}).items():
            self._block(_LEFT, f"{name.upper()}  {digest}", 8)
        as_of = self.report.as_of or "a time that is not known"
        self._block(_LEFT, f"asked at {self.report.asked_at}, as of {as_of}", 8)
        self.y += 4

    def _step(self, step: StepOut) -> None:
        lines = describe_step(self.report, step)
        self._room(12)
        self._line(_LEFT, tell_time(step, self.report.steps)[:19].replace("T", " ") + " UTC", 9)
        self._line(_TEXT, step.step, 10, bold=True)
        self._line(_TEXT + _OTHER, STEPS[self.language][step.step], 10)
        self.y += _height(10)
        for line in lines:
            self._block(_TEXT, line, 9)
        self.y += 3

    def _block(self, x: float, text: str, size: float) -> None:
        self.pdf.set_font(FAMILY, "", size)
        for line in break_lines(printable(self.pdf, text), _RIGHT - x, self._width):
            self._room(_height(size))
            self._line(x, line, size)
            self.y += _height(size)

    def _room(self, height: float) -> None:
        """Begin another page where this one has no room."""
        if self.y + height > _BOTTOM:
            self.pdf.add_page()
            self.y = _TOP

    def _line(
        self, x: float, text: str, size: float, *, bold: bool = False, right: bool = False
    ) -> None:
        self.pdf.set_font(FAMILY, "B" if bold else "", size)
        self.pdf.set_xy(x - self._width(text) if right else x, self.y)
        self.pdf.cell(w=0, h=_height(size), text=text)

    def _width(self, text: str) -> float:
        return float(self.pdf.get_string_width(text))


def _height(size: float) -> float:
    """From one line to the next, in millimetres, of a size in points."""
    return size * 0.3528 * 1.35
