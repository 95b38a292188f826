"""In a process of its own: the canonical digest of standard input, or why there is none.

Writes 64 hexadecimal digits, or the reason in words and exits with 65. `apart` calls it.
"""

import resource
import sys
from collections.abc import Callable
from typing import Final

from chopmark.client.canonical.errors import NotCanonicalError
from chopmark.client.canonical.json_jcs import digest_json
from chopmark.client.canonical.limits import FAILED, MAX_FILE, MEMORY, SECONDS
from chopmark.client.canonical.pdf_pages import digest_pdf
from chopmark.core.canonical import JSON_JCS, PDF_PAGES

_READERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    JSON_JCS: digest_json,
    PDF_PAGES: digest_pdf,
}


def _main(name: str) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    data = sys.stdin.buffer.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        sys.stdout.write(f"it is larger than {MAX_FILE} bytes")
        return FAILED
    try:
        sys.stdout.write(_READERS[name](data).hex())
    except NotCanonicalError as error:
        sys.stdout.write(str(error)[:200])
        return FAILED
    return 0


sys.exit(_main(sys.argv[1]))
