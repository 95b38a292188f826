"""The examples on a page of the docs, run as a reader would run them, in their order."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rig.patience import PATIENCE

_BLOCK: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SIZE: Final = re.compile(r'("(?:size|witnessed)":(?:\\ )?)[0-9]+')
_TIME: Final = re.compile(r"[0-9]{4}\\-[0-9]{2}\\-[0-9]{2}T[0-9:]{8}\\\.[0-9]{3}Z")


@dataclass(frozen=True)
class Example:
    """What a reader types, and what the page says that it answers; an empty answer says nothing."""

    line: int
    language: str
    command: str
    answer: str


def read_examples(page: Path) -> Iterator[Example]:
    """All examples of a page: after `$`, or a whole block where there is none; JSON is none."""
    text = page.read_text()
    for block in _BLOCK.finditer(text):
        language, body = block.groups()
        if language == "json":  # to look at
            continue
        line = text.count("\n", 0, block.start()) + 2
        if language == "python" or not re.search(r"^\$ ", body, re.MULTILINE):
            yield Example(line, language or "sh", body, "")
            continue
        for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            typed = re.match(r"(?:[^\n]*(?:\\|\||\{|;|do)\n)*[^\n]*\n", part)
            assert typed, part
            yield Example(line, "sh", typed[0], part[typed.end() :])


class Reader:
    """Somebody who types the examples, in a folder of his own.

    Args:
        folder: where it is.
        places: what stands on the page, and what it is here.
        before: shell commands that were typed already.
    """

    def __init__(self, folder: Path, places: Mapping[str, str], before: str = "") -> None:
        self._folder = folder
        self._places = places
        self._before = before
        self._names: dict[str, Any] = {}

    def run(self, example: Example) -> None:
        """Type an example, and compare."""
        command = example.command
        for here, there in self._places.items():
            command = command.replace(here, there)
        if example.language == "python":
            exec(compile(command, f"line {example.line}", "exec"), self._names)  # noqa: S102
            return
        done = subprocess.run(
            ["bash", "-c", f"set -euo pipefail\n{self._before}\n{command}"],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"line {example.line}: {command}{done.stderr}"
        told = f"line {example.line}: {command}\n{done.stdout}\n- on the page -\n{example.answer}"
        assert not example.answer or is_told(done.stdout, example.answer), told


def is_told(answer: str, page: str) -> bool:
    """Whether an answer is the one on the page, but for times, white space and what `…` leaves out.

    So for sizes of logs: how many entries there are depends on who else has attested before.
    Lines that are not on the page may follow where its last one is `…`.
    """
    pattern = re.escape(" ".join(page.split()))
    pattern = _TIME.sub(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z", pattern)
    pattern = _SIZE.sub(r"\1[0-9]+", pattern)
    pattern = pattern.replace("…", ".*?").replace(r"\ ", r"\s*")
    squeezed = re.sub(r"\s+", " ", answer).strip()
    return re.fullmatch(pattern, squeezed, re.DOTALL) is not None
