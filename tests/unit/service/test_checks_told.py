"""No finding of `chopmark doctor` is told in its page alone: tests provoke each."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
PAGE = TESTS.parent / "docs" / "operations" / "doctor.md"
SECTIONS = ("module", "token", "mechanisms", "keys")
"""Of the HSM's own doctor: its codes are put together from these (test_checks.py)."""


def told() -> set[str]:
    """Codes of the page's table."""
    table = PAGE.read_text().partition("\n## Findings\n")[2]
    cells = [line.split("|")[2] for line in table.splitlines() if line.startswith("|")]
    return {code for cell in cells for code in re.findall(r"`([a-z-]+)`", cell)}


def test_each_finding_of_the_page_is_named_by_a_test_that_provokes_it() -> None:
    pages = TESTS.rglob("test_*.py")
    words = {word for page in pages for word in re.findall(r'"([a-z-]+)"', page.read_text())}
    codes = told()
    assert len(codes) > 60
    assert codes - words - {f"hsm-{section}" for section in SECTIONS} == set()
