"""A small bank statement in PDF, for a demo without a document of one's own."""

from typing import Final

_LINES: Final = (
    ("18", "Bank of Hong Kong (example)"),
    ("12", "Account statement, October 2026"),
    ("10", "Customer: CHAN Tai Man        Account: 012-345678-001"),
    ("10", ""),
    ("10", "02 Oct 2026   Salary                       HKD   52,300.00"),
    ("10", "11 Oct 2026   Rent                         HKD  -18,500.00"),
    ("10", "28 Oct 2026   Time deposit matured         HKD  200,000.00"),
    ("10", ""),
    ("10", "Closing balance, 31 Oct 2026               HKD  284,116.20"),
    ("8", "A made-up statement. No such account exists."),
)


def make_statement() -> bytes:
    """The bytes of a one-page PDF 1.4 file."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 420] /Contents 4 0 R"
            b" /Resources << /Font << /F1 5 0 R >> >> >>"
        ),
        _stream(_page()),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>",
    ]
    data = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    return data + head + table + trailer % (len(objects) + 1, len(data))


def _page() -> bytes:
    lines = "".join(
        f"/F1 {size} Tf ({_escape(text)}) Tj 0 -{int(size) + 12} Td\n" for size, text in _LINES
    )
    return f"BT 50 360 Td\n{lines}ET".encode("ascii")


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def _stream(content: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content)
