"""The page of a slip: what is on it, that it is always the same, and that its code can be read."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import astuple, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from fpdf import FPDF
from fpdf.fonts import TTFFont
from PIL import Image
from pypdf import PdfReader

import slips
from chopmark.client.slip.code import LEAST_WIDTH, encode_code
from chopmark.client.slip.faces import FAMILY, faces, printable
from chopmark.client.slip.facts import Name
from chopmark.client.slip.lines import break_lines, shorten
from chopmark.client.slip.page import ATTACHMENT, make_page
from chopmark.client.slip.reading import MAX_FILE, read_proof_or_slip
from chopmark.client.slip.wording import ENGLISH, KINDS, LOCAL, WORDS, Language
from chopmark.core.entry import encode_entry
from chopmark.core.errors import MalformedError
from chopmark.core.policy import Policy
from chopmark.core.slip import parse_slip
from chopmark.core.slip_making import make_slip
from slipvectors import ENTRY, ORIGIN, proven
from softkeys import cosigner

TEXT = slips.slip_of()
PAGE = make_page(slips.facts_of(TEXT), "zh-Hant")
LANGUAGES: list[Language] = ["zh-Hant", "zh-Hans"]


def text_of(page: bytes) -> str:
    (only,) = PdfReader(BytesIO(page)).pages
    return only.extract_text()


def test_page_has_the_facts_of_the_entry_in_two_languages() -> None:
    text = text_of(PAGE)
    for words in (ENGLISH, WORDS["zh-Hant"]):
        assert words.title in text
        assert words.existed_by in text
    digest = slips.DIGESTS.sha256.hex()
    for fact in (
        *("Bank of Hong Kong (example) (HK)", f"{ORIGIN}#333333"),
        "Bank statement / 銀行月結單 (bank-statement)",
        "2026-11-22 13:00:02 UTC\n2026-11-22 21:00:02 HK (UTC+8, local time; 當地時間)",
        "2026-11-22 13:00:00 UTC\n2026-11-22 21:00:00 HK (UTC+8, local time; 當地時間)",
        *("CN: 深圳示範銀行股份有限公司", "MO: Banco de Macau (exemplo), S.A."),
        f"{digest[:8]} {digest[8:16]} ... {digest[-8:]}",
    ):
        assert fact in text
    for word in ("valid", "verified", "genuine", "authentic"):
        assert word not in text.lower().replace("not a verification", "")


def test_kind_that_has_no_words_is_shown_by_its_name() -> None:
    facts = slips.facts_of(TEXT)
    odd = replace(facts, entry=replace(facts.entry, kind="letter-of-credit"))
    assert "文件种类 letter-of-credit\n" in text_of(make_page(odd, "zh-Hans"))


@pytest.mark.parametrize(
    ("jurisdiction", "local"),
    [
        ("CN", ["2026-11-22 21:00:00 CN (UTC+8, local time; 當地時間)"]),
        ("CN-44", ["2026-11-22 21:00:00 CN (UTC+8, local time; 當地時間)"]),
        ("MO", ["2026-11-22 21:00:00 MO (UTC+8, local time; 當地時間)"]),
        ("US", []),
        ("", []),
    ],
)
def test_local_time_is_shown_where_the_issuers_place_has_one(
    jurisdiction: str, local: list[str]
) -> None:
    names = {ORIGIN: Name("Bank", jurisdiction)}
    lines = text_of(make_page(slips.facts_of(TEXT, names=names), "zh-Hant")).split("\n")
    assert [line for line in lines if "21:00:00" in line] == local
    assert sum("13:00:00 UTC" in line for line in lines) == 1


def test_local_time_of_an_evening_is_of_the_next_day() -> None:
    facts = slips.facts_of(TEXT)
    late = replace(facts, entry=replace(facts.entry, made_at=facts.entry.made_at + 18_000_000))
    assert "22 18:00:00 UTC\n2026-11-23 02:00:00 HK" in text_of(make_page(late, "zh-Hant"))


def test_page_says_what_it_is_not() -> None:
    text = "".join(text_of(PAGE).split())
    assert "".join(ENGLISH.notice.split()) in text
    assert WORDS["zh-Hant"].notice in text
    assert "Thispageisnotaverification" in text


def test_page_of_a_blinded_attestation_hides_digests_and_warns() -> None:
    page = make_page(slips.facts_of(slips.slip_of(blinded=True)), "zh-Hans")
    text = text_of(page)
    assert ENGLISH.hidden in text
    assert WORDS["zh-Hans"].private in "".join(text.split())
    assert slips.DIGESTS.sha256.hex()[:8] not in text


def test_page_without_a_quorum_names_no_time_but_the_issuers() -> None:
    text = text_of(make_page(slips.facts_of(slips.slip_of(witnesses=0), 0), "zh-Hant"))
    assert ENGLISH.claim in text
    assert ENGLISH.alone in text
    assert "13:00:02" not in text


def test_page_is_the_same_in_another_process() -> None:
    code = (
        "import hashlib, slips; from chopmark.client.slip.page import make_page;"
        "page = make_page(slips.facts_of(slips.slip_of()), 'zh-Hant');"
        "print(hashlib.sha256(page).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(slips.__file__).parent,
        env={"PYTHONHASHSEED": "7", "TZ": "Asia/Hong_Kong", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == hashlib.sha256(PAGE).hexdigest()


def test_page_of_the_largest_quorum_with_long_names_is_one_page() -> None:
    text = slips.slip_of(witnesses=14, entries=2**27)
    names = {f"bank-{n}.example/gw-1": Name(f"銀行 {n} " * 30, f"P{n}") for n in range(14)}
    names[ORIGIN] = Name("Bank " * 50, "HK")
    page = text_of(make_page(slips.facts_of(text, 14, names), "zh-Hant"))
    assert f"{ORIGIN}#44739242" in page
    assert page.count("…") == 15


@pytest.mark.parametrize("language", LANGUAGES)
def test_fonts_have_all_that_is_printed_on_every_slip(language: Language) -> None:
    words = "".join(str(one) for one in (*astuple(ENGLISH), *astuple(WORDS[language])))
    some = "".join((*KINDS[language].values(), LOCAL[language]))
    names = "澳門氹仔㙟深水埗鄞州亳州深圳农村商业银行股份有限公司 Crédit Agrícola São João"
    pdf = FPDF()
    with faces(pdf, language):
        for style in ("", "B"):
            font = pdf.fonts[FAMILY + style]
            assert isinstance(font, TTFFont)
            assert {ord(one) for one in words} <= font.cmap.keys()
        assert printable(pdf, names + some) == names + some


def test_character_that_no_font_has_is_shown_by_its_number() -> None:
    names = {**slips.NAMES, ORIGIN: Name("銀行𪚥\u202e\u200b\x07", "HK")}
    text = text_of(make_page(slips.facts_of(TEXT, names=names), "zh-Hant"))
    assert "銀行〔U+2A6A5〕〔U+202E〕〔U+200B〕〔U+0007〕" in text


def test_witness_that_signs_by_its_second_key_has_its_name() -> None:
    key = cosigner("bank-0.example/gw-1/cosigner-2", 21)
    policy = Policy((slips.LOG.vkey,), {key.name: key.vkey}, quorum=key.name)
    proof = proven(encode_entry(ENTRY), {key: 1795305602}, log=slips.LOG)
    facts = slips.gather_facts(make_slip(proof, policy), policy, slips.NAMES)
    assert facts.witnesses == (("CN", ("深圳示範銀行股份有限公司",)),)


def test_witness_without_a_name_stands_under_its_group() -> None:
    policy = slips.policy_of(2)
    first, second = policy.witnesses
    nested = replace(
        policy,
        groups={
            "CN": (1, (first,)),
            "MO-a": (1, (second,)),
            "MO": (1, ("MO-a",)),
            "q": (2, ("CN", "MO")),
        },
        quorum="q",
    )
    facts = slips.gather_facts(TEXT, nested, {})
    assert facts.witnesses == (("CN", ("bank-0.example/gw-1",)), ("MO", ("bank-1.example/gw-1",)))
    assert facts.name == Name(ORIGIN, "")


@pytest.mark.parametrize(
    ("text", "version", "level"),
    [
        (slips.slip_of(blinded=True), 28, "M"),
        (slips.slip_of(entries=10**8), 26, "L"),
        (slips.slip_of(witnesses=14, entries=2**27, blinded=True), 38, "L"),
        (slips.slip_of(witnesses=0, entries=1), 11, "M"),
    ],
    ids=["a million", "a hundred million", "14 witnesses", "one entry"],
)
def test_code_is_as_large_as_the_page_of_the_format_says(
    text: str, version: int, level: str
) -> None:
    code = encode_code(text)
    assert (code.version, code.level) == (version, level)
    assert code.module * code.size >= LEAST_WIDTH
    assert code.module >= 0.5
    assert code.module * code.size < 90


def test_bars_are_the_dark_modules() -> None:
    code = encode_code(TEXT)
    drawn = {(row, column + n) for row, column, count in code.bars() for n in range(count)}
    dark = {(y, x) for y, row in enumerate(code.rows) for x, one in enumerate(row) if one}
    assert drawn == dark


def noisy(image: Image.Image) -> Image.Image:
    """As cheap printers and scanners have it: grey, and speckled."""
    pixels = np.asarray(image).astype(np.float32)
    noise = np.random.default_rng(7).normal(0, 18, pixels.shape)
    return Image.fromarray((pixels * 0.75 + 25 + noise).clip(0, 255).astype("uint8"))


def turned(image: Image.Image) -> Image.Image:
    return image.rotate(2, resample=Image.Resampling.BILINEAR, fillcolor=255)


def lying(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.ROTATE_90)


def pictures(pdf: Path, dpi: int, *hows: Callable[[Image.Image], Image.Image]) -> list[Path]:
    page = slips.render(pdf, dpi)
    paths = [pdf.with_name(f"{dpi}-{number}.png") for number in range(len(hows))]
    for path, how in zip(paths, hows, strict=True):
        how(page).save(path, compress_level=0)
    return paths


def test_printed_code_is_read_by_the_page_and_by_zbar(tmp_path: Path) -> None:
    pdf = tmp_path / "slip.pdf"
    pdf.write_bytes(PAGE)
    taken = pictures(pdf, 150, Image.Image.copy, turned, lying, noisy)
    taken += pictures(pdf, 300, Image.Image.copy, lambda image: noisy(turned(image)))
    assert slips.scan_by_page(taken) == [TEXT] * len(taken)
    assert slips.scan_by_zbar(taken[0]) == TEXT
    assert slips.scan_by_zbar(taken[1]) == TEXT


def test_largest_printed_code_is_read_by_the_page_and_by_zbar(tmp_path: Path) -> None:
    text = slips.slip_of(witnesses=14, entries=2**27)
    pdf = tmp_path / "slip.pdf"
    pdf.write_bytes(make_page(slips.facts_of(text, 14), "zh-Hans"))
    taken = pictures(pdf, 150, Image.Image.copy, turned)
    assert slips.scan_by_page(taken) == [text] * 2
    assert slips.scan_by_zbar(taken[0]) == text


def test_picture_without_a_code_reads_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "blank.png"
    Image.new("L", (300, 300), 255).save(path)
    assert slips.scan_by_page([path]) == [""]


PROOF = parse_slip(TEXT).encode()


@pytest.mark.parametrize(
    "data",
    [PAGE, TEXT.encode(), f"{TEXT}\r\n".encode(), f"{TEXT}\n".encode(), PROOF],
    ids=["the PDF", "the text", "typed by a scanner", "a text file", "the proof itself"],
)
def test_proof_is_read_from(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "slip"
    path.write_bytes(data)
    assert read_proof_or_slip(path) == PROOF


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"%PDF-1.7 a statement", "no slip of ours"),
        (PAGE + slips.slip_of(entries=1).encode(), "several slips"),
        (b"%PDF-" + bytes(MAX_FILE), "is no slip"),
        (TEXT.encode()[:-9], "CBOR|base45"),
        (f"{TEXT} ".encode(), "base45"),
        (f"{TEXT}\n\n".encode(), "base45"),
        (TEXT.encode() + b"\xff", "base45"),
        (TEXT.replace("1", "2", 1).encode(), "version"),
    ],
    ids=["PDF", "two", "huge", "cut", "space", "two line ends", "not ASCII", "version"],
)
def test_no_proof_is_read_from(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "slip"
    path.write_bytes(data)
    with pytest.raises(MalformedError, match=message):
        read_proof_or_slip(path)


def test_attachment_is_the_text() -> None:
    assert PdfReader(BytesIO(PAGE)).attachments == {ATTACHMENT: [TEXT.encode()]}


def test_lines_break_between_words_and_chinese_characters() -> None:
    assert break_lines("one two three", 7, len) == ["one two", "three"]
    assert break_lines("請核對檔案。再說", 6, len) == ["請核對檔案。", "再說"]
    assert break_lines("請核對檔案。再說", 5, len) == ["請核對檔", "案。再說"]
    assert break_lines("abcdefgh 一二", 4, len) == ["abcd", "efgh", "一二"]
    assert break_lines("", 4, len) == [""]


def test_shortened_lines_end_in_an_ellipsis() -> None:
    assert shorten(["ab", "cd", "ef"], 2) == ["ab", "c…"]
    assert shorten(["ab", "cd"], 2) == ["ab", "cd"]


def test_slip_of_its_own_proof_is_the_same_slip() -> None:
    assert make_slip(parse_slip(TEXT), slips.policy_of(2)) == TEXT
