"""The fonts of a slip: subsets of Noto Sans CJK that come with the package."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from typing import Final, get_args

from fpdf import FPDF
from fpdf.fonts import TTFFont

from chopmark.client.slip.wording import Language

FAMILY: Final = "slip"
_OTHER: Final = "slip-other"
_LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)


@contextmanager
def faces(pdf: FPDF, language: Language) -> Iterator[None]:
    """Give a document the fonts of a language; what they lack is taken from the other's.

    Their files are read until the document is written, which must be in this context.
    """
    try:
        _add_all(pdf, language)
        yield
    finally:
        for font in _fonts(pdf):
            font.close()


def _add_all(pdf: FPDF, language: Language) -> None:
    folder = files("chopmark.client.slip") / "fonts"
    other = next(one for one in _LANGUAGES if one != language)
    for family, face, style, weight in (
        (FAMILY, language, "", "Regular"),
        (FAMILY, language, "B", "Bold"),
        (_OTHER, other, "", "Regular"),
    ):
        with as_file(folder / f"{face}-{weight}.ttf") as path:
            pdf.add_font(family, style, path)
    pdf.set_fallback_fonts([_OTHER], exact_match=False)


def printable(pdf: FPDF, text: str) -> str:
    """Text in which each character that no font here has is shown by its number, as `〔U+20BB7〕`.

    Names come from rosters: control characters and the like are shown so as well.
    """
    fonts = [font for font in _fonts(pdf) if not font.emphasis]
    return "".join(
        one if any(ord(one) in font.cmap for font in fonts) else f"〔U+{ord(one):04X}〕"
        for one in text
    )


def _fonts(pdf: FPDF) -> list[TTFFont]:
    return [font for font in pdf.fonts.values() if isinstance(font, TTFFont)]
