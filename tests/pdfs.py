"""Small PDF files, written object by object, so that tests know every byte of them."""

import zlib
from collections.abc import Mapping

TEXT = b"BT /F1 12 Tf 72 700 Td\n(Balance: 1,000.00 HKD) Tj ET"
SECOND = b"BT /F1 12 Tf 72 700 Td (Page 2) Tj ET"


def pdf(objects: Mapping[int, bytes], root: int = 1, trailer: bytes = b"") -> bytes:
    """A file with these objects, in this order; `root` is the catalogue."""
    data, places = b"%PDF-1.7\n", {}
    for number, body in objects.items():
        places[number] = len(data)
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start, size = len(data), max(objects) + 1
    lines = [
        b"%010d 00000 n \n" % places[n] if n in places else b"0000000000 65535 f \n"
        for n in range(size)
    ]
    data += b"xref\n0 %d\n" % size + b"".join(lines)
    end = b"trailer\n<< /Size %d /Root %d 0 R %s >>\nstartxref\n%d\n%%%%EOF\n"
    return data + end % (size, root, trailer, start)


def stream(data: bytes, entries: bytes = b"") -> bytes:
    """A stream, stored as it is."""
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), entries, data)


def deflated(data: bytes) -> bytes:
    """A stream as most programs store it; its bytes depend on zlib's version."""
    return stream(zlib.compress(data), b"/Filter /FlateDecode")


def in_hex(data: bytes) -> bytes:
    """A stream in hexadecimal."""
    return stream(data.hex().encode() + b">", b"/Filter /ASCIIHexDecode")


def statement(**changes: bytes) -> dict[int, bytes]:
    """Objects of a statement with two pages; `o4=…` puts another object in place of number 4."""
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [3 0 R 5 0 R] /Count 2 /MediaBox [0 0 595 842]"
        b" /Resources << /Font << /F1 7 0 R >> >> >>",
        3: b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Annots [8 0 R] >>",
        4: stream(TEXT),
        5: b"<< /Type /Page /Parent 2 0 R /Contents 6 0 R >>",
        6: stream(SECOND),
        7: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        8: b"<< /Type /Annot /Subtype /Link /Rect [72 690 200 712] /P 3 0 R"
        b" /Dest [5 0 R /XYZ 0 842 0] >>",
    }
    return objects | {int(name[1:]): body for name, body in changes.items()}


def renumbered(objects: Mapping[int, bytes], shift: int) -> dict[int, bytes]:
    """The same objects under other numbers, the last one first."""
    moved = {}
    for number in reversed(objects):
        body = objects[number]
        for other in sorted(objects, reverse=True):
            body = body.replace(b"%d 0 R" % other, b"%d 0 ~R" % (other + shift))
        moved[number + shift] = body.replace(b"~R", b"R")
    return moved


SAME = {
    "as issued": pdf(statement()),
    "objects renumbered": pdf(renumbered(statement(), 10), 11),
    "content in hexadecimal": pdf(statement(o4=in_hex(TEXT))),
    "content in two streams": pdf(
        statement(
            o3=b"<< /Type /Page /Parent 2 0 R /Contents [4 0 R 9 0 R] /Annots [8 0 R] >>",
            o4=stream(TEXT[:22] + b" \n"),
            o9=stream(TEXT[23:]),
        )
    ),
    "metadata and dates added": pdf(
        statement(
            o9=b"<< /Producer (Another) /ModDate (D:20261201) >>",
            o5=b"<< /Type /Page /Parent 2 0 R /Contents 6 0 R /LastModified (D:20261201) >>",
        ),
        trailer=b"/Info 9 0 R /ID [<00> <01>]",
    ),
    "inherited values written out": pdf(
        statement(
            o3=b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Annots [8 0 R] /Rotate 0"
            b" /MediaBox [0.0 0.0 595.00 842] /CropBox [0 0 595 842]"
            b" /Resources << /Font << /F1 9 0 R >> >> >>",
            o9=b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        )
    ),
}
"""One statement, saved in several ways."""

OTHER = {
    "another amount": pdf(statement(o4=stream(TEXT.replace(b"1,000", b"9,000")))),
    "pages exchanged": pdf(
        statement(o2=statement()[2].replace(b"[3 0 R 5 0 R]", b"[5 0 R 3 0 R]"))
    ),
    "a page fewer": pdf(
        statement(o2=statement()[2].replace(b"[3 0 R 5 0 R] /Count 2", b"[3 0 R] /Count 1"))
    ),
    "another font": pdf(statement(o7=statement()[7].replace(b"Helvetica", b"Times-Roman"))),
    "a page cut off": pdf(
        statement(o5=b"<< /Type /Page /Parent 2 0 R /Contents 6 0 R /CropBox [0 0 595 400] >>")
    ),
    "a page turned": pdf(
        statement(o5=b"<< /Type /Page /Parent 2 0 R /Contents 6 0 R /Rotate 90 >>")
    ),
    "a link elsewhere": pdf(statement(o8=statement()[8].replace(b"5 0 R /XYZ", b"3 0 R /XYZ"))),
    "something stamped on it": pdf(
        statement(
            o5=b"<< /Type /Page /Parent 2 0 R /Contents 6 0 R /Annots [9 0 R] >>",
            o9=b"<< /Type /Annot /Subtype /Stamp /Rect [0 0 9 9] /AP << /N 10 0 R >> >>",
            o10=stream(b"0 0 9 9 re f", b"/Type /XObject /Subtype /Form /BBox [0 0 9 9]"),
        )
    ),
    "a form": pdf(
        statement(
            o1=b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [9 0 R] >> >>",
            o9=b"<< /FT /Tx /T (amount) /V (9,000) >>",
        )
    ),
    "a layer": pdf(
        statement(
            o1=b"<< /Type /Catalog /Pages 2 0 R /OCProperties << /OCGs [9 0 R]"
            b" /D << /OFF [9 0 R] >> >> >>",
            o9=b"<< /Type /OCG /Name (secret) >>",
        )
    ),
}
"""What does not show the same as the statement."""
