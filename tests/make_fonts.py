"""Writes daemon/chopmark/client/slip/fonts/*.otf from Debian's package fonts-noto-cjk.

`python tests/make_fonts.py [FOLDER of NotoSansCJK-*.ttc]`. The regular weight has the characters
that names of institutions are made of (GB 2312; Big5 level 1 with what Hong Kong and Macao add for
their places); the bold one only what is printed on every slip.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTCollection

from chopmark.client.slip.wording import ENGLISH, WORDS, Language

SOURCE = Path("/usr/share/fonts/opentype/noto")
TARGET = Path(__file__).parent.parent / "daemon" / "chopmark" / "client" / "slip" / "fonts"
FACES: dict[Language, str] = {"zh-Hans": "Noto Sans CJK SC", "zh-Hant": "Noto Sans CJK HK"}
LATIN = "".join(map(chr, (*range(0x20, 0x7F), *range(0xA0, 0x180))))
SIGNS = "–—‘’“”…•·、。「」『』（），：；！？《》〈〉【】・％＃／〔〕"
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
    font.save(TARGET / f"{language}-{weight}.otf")


def main() -> None:
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCE
    names: dict[Language, str] = {"zh-Hans": gb2312(), "zh-Hant": big5_level_1() + PLACES}
    for language, characters in names.items():
        always = LATIN + SIGNS + fixed(language)
        make(source, language, "Regular", always + characters)
        make(source, language, "Bold", always)


if __name__ == "__main__":
    main()
