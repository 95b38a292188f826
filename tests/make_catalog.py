"""Writes systemd/catalog/chopmark.catalog from the table of alarms and the page's words for them.

.venv/bin/python tests/make_catalog.py
"""

import json
import re
import textwrap
from pathlib import Path

from chopmark.service.alarms import MESSAGE_IDS

ROOT = Path(__file__).parents[1]
PATH = ROOT / "systemd/catalog/chopmark.catalog"
WORDS = ROOT / "daemon/chopmark/api/web/js/i18n"
LANGUAGES = {"": "en", "zh_CN": "zh-Hans", "zh_TW": "zh-Hant"}
"""By locale, as the catalogue names it, the file of words. Hong Kong's reads zh_TW, too."""
ABOUT = """# What the alarms of a gateway mean, and what to do: `journalctl -x` shows it below each.
# Written by tests/make_catalog.py from the words of the page; monitoring.md has more.
"""
NAMES = {
    "": ("See `chopmark status`, and monitoring.md.", "Alarm"),
    "zh_CN": ("详见 `chopmark status` 与 monitoring.md。", "警报"),
    "zh_TW": ("詳見 `chopmark status` 與 monitoring.md。", "警報"),
}


def read_words(name: str) -> dict[str, str]:
    """The words of alarms in one language."""
    text = (WORDS / f"{name}.js").read_text(encoding="utf-8")
    found = re.findall(r'^\s+"(alarm\.[a-z.-]+)":\s+("(?:[^"\\]|\\.)*")', text, re.MULTILINE)
    return {key: json.loads(value) for key, value in found}


def make_catalog() -> str:
    """The whole file."""
    words = {locale: read_words(name) for locale, name in LANGUAGES.items()}
    parts = [ABOUT]
    for code, number in MESSAGE_IDS.items():
        for locale, table in words.items():
            more, alarm = NAMES[locale]
            meaning, action = table[f"alarm.{code}"], table[f"alarm.{code}.do"]
            body = f"{action}{more}" if locale else textwrap.fill(f"{action} {more}", 92)
            head = f"-- {number} {locale}".rstrip()
            where = "file:///usr/share/doc/chopmark/operations/monitoring.md"
            lines = [head, f"Subject: {alarm} {code}: {meaning}", "Defined-By: chopmark"]
            parts.append("\n".join([*lines, f"Documentation: {where}", "", body, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(make_catalog(), encoding="utf-8")
