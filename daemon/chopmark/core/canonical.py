"""Canonical digests that are known here, by name and version (docs/formats/canonical.md)."""

from typing import Final

JSON_JCS: Final = "json-jcs/1"
"""SHA-256 of a JSON document in the canonical form of RFC 8785."""
PDF_PAGES: Final = "pdf-pages/1"
"""SHA-256 of what the pages of a PDF show."""
KNOWN: Final = (JSON_JCS, PDF_PAGES)
