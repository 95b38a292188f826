"""Vectors of canonical digests: docs/formats/vectors/canonical.json."""

from base64 import b64encode
from typing import Any

from chopmark.client.canonical.errors import NotCanonicalError
from chopmark.client.canonical.json_jcs import digest_json
from chopmark.client.canonical.pdf_pages import digest_pdf
from pdfs import OTHER, SAME

_TEXTS = {
    "members in any order": '{"b":1,"a":[true,null]}',
    "the same": ' { "a" : [ true, null ],\n"b" : 1.0 }',
    "numbers as doubles": "[0.10, 1e2, -0.0, 1E21, 4.50]",
    "characters by their code": '["\\u6b66\\u0041\\/"]',
    "the same characters": '["武A/"]',
}
_REFUSED = {
    "a name twice": '{"a":1,"a":1}',
    "more digits than a double has": "[12345678901234567891]",
    "no number": "[NaN]",
    "half a character": '["\\ud800"]',
    "a byte order mark": "\ufeff[]",
}


def canonical() -> dict[str, Any]:
    """Documents and their digests; `null` where a document has none."""
    texts = [
        {"comment": comment, "document": text, "digest": digest_json(text.encode()).hex()}
        for comment, text in _TEXTS.items()
    ]
    refused = [
        {"comment": comment, "document": text, "digest": _refuse(text)}
        for comment, text in _REFUSED.items()
    ]
    files = [
        {
            "comment": comment,
            "document_base64": b64encode(data).decode(),
            "digest": digest_pdf(data).hex(),
        }
        for comment, data in (SAME | OTHER).items()
    ]
    return {"json-jcs/1": texts + refused, "pdf-pages/1": files}


def _refuse(text: str) -> None:
    try:
        digest_json(text.encode())
    except NotCanonicalError:
        return
    raise AssertionError(f"{text} has a digest")
