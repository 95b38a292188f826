"""Writes daemon/chopmark/client/slip/fonts/*.ttf from Debian's package fonts-noto-cjk.

`python tests/make_fonts.py [FOLDER of NotoSansCJK-*.ttc]`. The regular weight has the characters
that names of institutions are made of (GB 2312; Big5 level 1 with what Hong Kong and Macao add for
their places); the bold one only what is printed on every slip.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTCollection, TTFont, newTable
from fontTools.ttLib.tables._g_l_y_f import Glyph

from chopmark.client.slip.wording import ENGLISH, WORDS, Language

SOURCE = Path("/usr/share/fonts/opentype/noto")
TARGET = Path(__file__).parent.parent / "daemon" / "chopmark" / "client" / "slip" / "fonts"
FACES: dict[Language, str] = {"zh-Hans": "Noto Sans CJK SC", "zh-Hant": "Noto Sans CJK HK"}
LATIN = "".join(map(chr, (*range(0x20, 0x7F), *range(0xA0, 0x180))))
SIGNS = "–—‘’“”…•·、。「」『』（），：；！？《》〈〉【】・％＃／〔〕"
MAX_ERROR = 1.0
"""By which curves may differ, in thousandths of the size."""
LIMITS = (
    *("maxZones", "maxTwilightPoints", "maxStorage", "maxFunctionDefs", "maxInstructionDefs"),
    *("maxStackElements", "maxSizeOfInstructions", "maxComponentElements", "maxComponentDepth"),
    *("maxPoints", "maxContours", "maxCompositePoints", "maxCompositeContours"),
)
PLACES = "埗邨鰂氹磡輋壆槺梘蠔脷㙟𨋢塱埞"


def gb2312() -> str:
    return _decode(range(0xB0, 0xF8), range(0xA1, 0xFF), "gb2312")


def big5_level_1() -> str:
    return _decode(range(0xA4, 0xC7), (*range(0x40, 0x7F), *range(0xA1, 0xFF)), "big5")


def _decode(rows: Iterable[int], cells: Sequence[int], encoding: str) -> str:
    pairs = (bytes((row, cell)) for row in rows for cell in cells)
    return "".join(pair.decode(encoding, "ignore") for pair in pairs)


def fixed(language: Language) -> str:
    """All that is printed on every slip of a language."""
    words = (*astuple(ENGLISH), *astuple(WORDS[language]))
    return "".join(one if isinstance(one, str) else "".join(one) for one in words)


def make(source: Path, language: Language, weight: str, characters: str) -> None:
    face = FACES[language]
    collection = TTCollection(source / f"NotoSansCJK-{weight}.ttc", recalcTimestamp=False)
    font = next(one for one in collection.fonts if one["name"].getDebugName(1) == face)
    options = Options()
    options.layout_features = []
    options.hinting = False
    options.notdef_outline = True
    options.drop_tables += ["BASE", "GDEF", "GPOS", "GSUB", "VORG", "vhea", "vmtx"]
    subsetter = Subsetter(options)
    subsetter.populate(text=characters)
    subsetter.subset(font)
    to_truetype(font)
    font.save(TARGET / f"{language}-{weight}.ttf")


def to_truetype(font: TTFont) -> None:
    """Quadratic curves in place of CFF's: what every reader of PDF files has always read."""
    glyphs, order = font.getGlyphSet(), font.getGlyphOrder()
    made = newTable("glyf")
    made.glyphOrder, made.glyphs = order, {name: quadratic(glyphs, name) for name in order}
    font["glyf"], font["loca"] = made, newTable("loca")
    del font["CFF "]
    font.sfntVersion = "\0\1\0\0"
    limits = font["maxp"]
    limits.tableVersion = 0x00010000
    for name in LIMITS:
        setattr(limits, name, 0)  # those of points and contours are counted when it is saved
    limits.maxZones = 1
    font["post"].formatType = 3.0


def quadratic(glyphs: Any, name: str) -> Glyph:
    pen = TTGlyphPen(None)
    glyphs[name].draw(Cu2QuPen(pen, MAX_ERROR, reverse_direction=True))
    return pen.glyph()


def main() -> None:
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCE
    names: dict[Language, str] = {"zh-Hans": gb2312(), "zh-Hant": big5_level_1() + PLACES}
    for language, characters in names.items():
        always = LATIN + SIGNS + fixed(language)
        make(source, language, "Regular", always + characters)
        make(source, language, "Bold", always)


if __name__ == "__main__":
    main()
