"""Canonical digests that are known here, by name and version (docs/formats/canonical.md)."""

import re
from typing import Final

NAME: Final = re.compile(r"(?=.{3,16}\Z)[a-z0-9]+(?:-[a-z0-9]+)*/[1-9][0-9]*", re.ASCII)
"""What a name looks like: one that is not known here may be of newer software."""
MAX_NAMES: Final = 1
"""Canonical digests that a kind may demand: an entry has room for one."""

JSON_JCS: Final = "json-jcs/1"
"""SHA-256 of a JSON document in the canonical form of RFC 8785."""
PDF_PAGES: Final = "pdf-pages/1"
"""SHA-256 of what the pages of a PDF show."""
KNOWN: Final = (JSON_JCS, PDF_PAGES)
