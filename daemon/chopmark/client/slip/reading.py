"""Finding a slip's text: in what a scanner has typed, a text file, or the PDF that we made.

The PDF carries its own text as an attachment that is not compressed, so no reader of PDF files is
let loose on what a stranger hands over. What is found is as good as a scanned code, and no better.
"""

import re
import sys
from pathlib import Path
from typing import Final

from chopmark.client.files import read_bounded
from chopmark.core.errors import MalformedError
from chopmark.core.proof import MAX_PROOF
from chopmark.core.slip import PREFIX, parse_slip

MAX_FILE: Final = 4 << 20
"""Bytes of the largest file that is looked through."""
_TEXT: Final = re.compile(rb"CHOPMARK[0-9]:[0-9A-Z $%*+./:-]+")
_PDF: Final = b"%PDF-"


def read_proof_or_slip(path: Path) -> bytes:
    """The bytes of a proof file, from that or from a slip; `-` is standard input.

    What is neither is given back as it is: the reader of proofs says what is wrong with it.

    Raises:
        MalformedError: `malformed-slip` and what `parse_slip` raises.
        MissingError: what `read_bounded` raises, as with other errors of it.
    """
    data = sys.stdin.buffer.read(MAX_FILE + 1) if str(path) == "-" else read_bounded(path, MAX_FILE)
    if data.startswith(_PDF):
        return parse_slip(_find_in_pdf(data)).encode()
    if data.startswith(PREFIX[:8].encode()):
        return parse_slip(_read_typed(data)).encode()
    return data[: MAX_PROOF + 1]


def _read_typed(data: bytes) -> str:
    """Scanners type a line end after the code; spaces belong to it."""
    return data.removesuffix(b"\n").removesuffix(b"\r").decode("ascii", "replace")


def _find_in_pdf(data: bytes) -> str:
    if len(data) > MAX_FILE:
        raise MalformedError("malformed-slip", f"a PDF of {len(data)} bytes is no slip")
    found = {match[0].decode() for match in _TEXT.finditer(data)}
    if len(found) != 1:
        message = "a PDF that is no slip of ours" if not found else "a PDF with several slips"
        hint = "scan its code, and give the text; or give the slip as it was made"
        raise MalformedError("malformed-slip", message, hint=hint)
    return found.pop()
