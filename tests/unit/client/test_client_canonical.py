from contextlib import suppress
from pathlib import Path

import pytest

from chopmark.client.canonical import apart
from chopmark.client.canonical.apart import digest_file, find_name
from chopmark.client.canonical.errors import NotCanonicalError
from chopmark.client.canonical.json_jcs import digest_json
from chopmark.client.canonical.pdf_pages import digest_pdf
from chopmark.core.canonical import JSON_JCS, PDF_PAGES
from chopmark.core.errors import MalformedError, MissingError
from pdfs import OTHER, SAME, TEXT, deflated, pdf, statement, stream

ISSUED = digest_pdf(SAME["as issued"])


@pytest.mark.parametrize("name", SAME)
def test_pdf_that_was_saved_another_way_says_the_same(name: str) -> None:
    assert digest_pdf(SAME[name]) == ISSUED


def test_pdf_that_was_compressed_says_the_same() -> None:
    assert digest_pdf(pdf(statement(o4=deflated(TEXT)))) == ISSUED


@pytest.mark.parametrize("name", OTHER)
def test_pdf_that_shows_anything_else_differs(name: str) -> None:
    digests = {digest_pdf(data) for data in OTHER.values()}
    assert digest_pdf(OTHER[name]) != ISSUED
    assert len(digests) == len(OTHER)


@pytest.mark.parametrize("at", range(0, len(TEXT), 5))
def test_pdf_with_one_byte_of_its_content_changed_differs(at: int) -> None:
    changed = bytearray(TEXT)
    changed[at] ^= 1
    assert digest_pdf(pdf(statement(o4=stream(bytes(changed))))) != ISSUED


def test_pdf_with_objects_that_lead_back_to_each_other_has_a_digest() -> None:
    state = b"<< /Type /ExtGState /Mine 10 0 R >>"
    shown = b"/Resources << /ExtGState << /G 9 0 R >> >>"
    page = b"<< /Type /Page /Parent 2 0 R /Contents 6 0 R %s >>" % shown
    ring = statement(o5=page, o9=state, o10=b"<< /Back 9 0 R /Name /One >>")
    other = ring | {10: b"<< /Back 9 0 R /Name /Two >>"}
    assert digest_pdf(pdf(ring)) == digest_pdf(pdf(ring))
    assert digest_pdf(pdf(ring)) != digest_pdf(pdf(other))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not a PDF"),
        (b"%PDF-1.7\n", "not a PDF"),
        (b"a document", "not a PDF"),
        (pdf(statement(o4=stream(TEXT, b"/F (elsewhere)"))), "another file"),
        (pdf(statement(o4=stream(TEXT, b"/Filter /DCTDecode"))), "an image"),
        (pdf(statement(o2=b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>")), "not a PDF"),
    ],
)
def test_what_cannot_be_read_has_no_pdf_digest(data: bytes, why: str) -> None:
    with pytest.raises(NotCanonicalError, match=why):
        digest_pdf(data)


@pytest.mark.parametrize("end", range(9, len(SAME["as issued"]), 97))
def test_pdf_that_is_cut_off_has_none_or_another_digest(end: int) -> None:
    found = None
    with suppress(NotCanonicalError):
        found = digest_pdf(SAME["as issued"][:end])
    assert found != ISSUED


@pytest.mark.parametrize(
    "data",
    [
        b'{"name":"\xe6\xad\xa6","sum":[1,0.1,100]}',
        b' { "sum" : [ 1.0, 1e-1, 1E2 ], "name" : "\\u6b66" } \n',
    ],
)
def test_json_that_was_written_another_way_says_the_same(data: bytes) -> None:
    canonical = '{"name":"武","sum":[1,0.1,100]}'.encode()
    assert digest_json(data) == digest_json(canonical)


@pytest.mark.parametrize(
    "data",
    [
        b'{"name":"\xe6\xad\xa6","sum":[1,0.1,101]}',
        b'{"name":"\xe6\xad\xa6","sum":[0.1,1,100]}',
        b'{"name":"\xe6\xad\xa6 ","sum":[1,0.1,100]}',
        b'{"name":"\xe6\xad\xa6","sum":[1,0.1,"100"]}',
    ],
)
def test_json_that_says_anything_else_differs(data: bytes) -> None:
    assert digest_json(data) != digest_json('{"name":"武","sum":[1,0.1,100]}'.encode())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "Expecting value"),
        (b'{"a":1,"a":2}', "occurs twice"),
        (b"[12345678901234567891]", "double"),
        (b"[0.1000000000000000000001]", "double"),
        (b"[1e400]", "double"),
        (b"[" + b"9" * 5000 + b"]", "double"),
        (b"[NaN]", "no JSON"),
        (b'["\\ud800"]', "UTF-8"),
        (b'["\xff"]', "utf-8"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"[" * 300 + b"]" * 300, "levels"),
        (b"[" * 100_000, "recursion"),
    ],
)
def test_json_without_a_canonical_form_has_no_digest(data: bytes, why: str) -> None:
    with pytest.raises(NotCanonicalError, match=why):
        digest_json(data)


def test_digest_apart_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "statement.pdf"
    path.write_bytes(SAME["as issued"])
    assert find_name(path) == PDF_PAGES
    assert digest_file(path, PDF_PAGES) == ISSUED


def test_digest_apart_says_why_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(b'{"a":1,"a":2}')
    assert find_name(path) == JSON_JCS
    with pytest.raises(MalformedError, match="a name occurs twice") as caught:
        digest_file(path, JSON_JCS)
    assert caught.value.code == "no-canonical-digest"


def test_document_that_fills_the_memory_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pdf"
    path.write_bytes(pdf(statement(o4=deflated(bytes(100_000_000)))))
    with pytest.raises(MalformedError, match="Limit reached") as caught:
        digest_file(path, PDF_PAGES)
    assert caught.value.code == "no-canonical-digest"


def test_objects_nested_without_end_are_given_up() -> None:
    nested = b"[" * 50_000 + b"]" * 50_000
    page = b"<< /Type /Page /Parent 2 0 R /Contents 6 0 R /Deep %s >>" % nested
    with pytest.raises(NotCanonicalError, match="that can be read"):
        digest_pdf(pdf(statement(o5=page)))


def test_neither_pdf_nor_json_has_a_name(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n")
    assert find_name(path) is None
    with pytest.raises(MissingError):
        find_name(tmp_path / "missing")
    with pytest.raises(MissingError):
        digest_file(tmp_path / "missing", apart.PDF_PAGES)
