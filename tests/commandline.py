"""Running `chopmark` in this process, for tests."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def lines(self) -> list[Any]:
        """Standard output as lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ended]


def write_documents(count: int) -> list[Path]:
    """Different documents in the current folder."""
    files = [Path(f"document-{number}.pdf") for number in range(count)]
    for number, file in enumerate(files):
        file.write_bytes(b"document %d" % number)
    return files
