"""What a process that reads somebody's document may use."""

from typing import Final

MAX_FILE: Final = 256 * 1024 * 1024
"""Bytes of a document; a bank statement has less than one million."""
MEMORY: Final = 2 * 1024 * 1024 * 1024
"""Bytes of address space: the file some times over."""
SECONDS: Final = 60
"""Of processor time, and as much again of waiting for a processor."""
FAILED: Final = 65
"""Exit code (EX_DATAERR of sysexits.h) when the document has no such digest."""
