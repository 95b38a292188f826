"""Takes secrets out of what is handed to others: of lines, of JSON, and of the configuration.

Nothing that is collected should hold any. But people paste, and modules write into logs what they
like: so whatever looks like a secret goes, and so does each secret of this box that can be read
here, wherever it stands. Better too much than too little: what is gone can be asked for.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from chopmark.core.errors import ConfigurationError
from chopmark.service.config import MAX_CONFIG, parse_config
from chopmark.service.config_text import render_config

GONE: Final = "[REDACTED]"
_VALUE_GONE: Final = rf"\1\2{GONE}"
_NAMES: Final = (
    r"(?:so[-_ ]?|user[-_ ]?|hsm[-_ ]?)?pin|puk|pass(?:word|wd|phrase|code)?|pwd|"
    r"(?:[a-z0-9]{1,24}[-_]){0,4}(?:secret|token|api[-_]?key|private[-_]?key|seed|csrf|cookie|bearer)"
)
"""Repetitions are bounded here and below, so that no text takes long."""
_VALUE: Final = r"""(?:\\"(?:[^"\\\n]|\\[^"])*\\"|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s"']+)"""
_PLAIN: Final = r'"(?:credential|file|pad|socket)"'
"""What may stand behind `pin =` in a configuration."""
_QUOTE: Final = r"""\\?["']?"""
_PRIVATE_BLOCK: Final = re.compile(
    r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY[A-Z ]*)-----.*?(?:-----END \1-----|\Z)", re.DOTALL
)
_PATTERNS: Final = (
    # What people choose may have blanks: without quotes it ends with the line.
    (
        re.compile(r"(?i)\b(pass(?:word|wd|phrase|code))(\s*[=:]\s*)(?![\s\"'])[^\"\n]+"),
        rf"\1\2{GONE}",
    ),
    # name = value, name: value, "name": "value", in JSON within a text too.
    (
        re.compile(rf"(?i)(?<![a-z0-9])({_NAMES})({_QUOTE}\s*[=:]\s*)(?!{_PLAIN})({_VALUE})"),
        rf"\1\2{GONE}",
    ),
    # "the PIN 1234 was refused", "password is hunter2": only what has a digit in it.
    (
        re.compile(
            r"(?i)(?<![a-z0-9])(pin|puk|password|passphrase|passcode|secret)"
            r"(\s+(?:(?:is|was|now|code)\s+)?[\"'(]?)((?=[^\s\"')]*\d)[^\s\"',;)]{3,})"
        ),
        rf"\1\2{GONE}",
    ),
    (re.compile(r"(?i)\b(bearer|basic|digest)\s+[a-z0-9._~+/=-]{6,}"), rf"\1 {GONE}"),
    (re.compile(r"(?i)(authorization|cookie|set-cookie)(\s*[=:]\s*)[^\n]+"), rf"\1\2{GONE}"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://)[^\s/@]{1,200}@"), rf"\1{GONE}@"),
    (re.compile(r"(?i)(-session|_session|sessionid)=[^\s;,\"]+"), rf"\1={GONE}"),
    (re.compile(r"(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]*"), GONE),
    (re.compile(r"(?i)\bAGE-SECRET-KEY-[0-9A-Z]+"), GONE),
    (re.compile(r"(?i)\botpauth://\S+"), GONE),
)
_SECRET_FIELD: Final = re.compile(rf"(?i)(?:{_NAMES})")
_PLAIN_FIELDS: Final = frozenset({"token"})
"""In answers of the API: the label of the HSM's token."""
_MIN: Final = 4
"""Characters of a secret that is looked for: a shorter one would be found everywhere."""
_MAX_SECRET: Final = 64 * 1024
_FILES: Final = 64


class Redactor:
    """Takes secrets out, and counts them.

    Args:
        secrets: those that are known here, such as the PIN; wherever they stand they go.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {one.strip() for one in secrets}
        self._known = sorted((one for one in known if len(one) >= _MIN), key=len, reverse=True)
        self.count = 0

    def text(self, text: str) -> str:
        """A text of any number of lines without its secrets."""
        text = self._sub(_PRIVATE_BLOCK, GONE, text)
        for secret in self._known:
            found = re.compile(rf"(?<![0-9A-Za-z]){re.escape(secret)}(?![0-9A-Za-z])")
            text = self._sub(found, GONE, text)
        for pattern, instead in _PATTERNS:
            text = self._sub(pattern, instead, text)
        return text

    def json(self, value: Any) -> Any:
        """A value of JSON whose strings have none, and whose secret fields have no value."""
        if isinstance(value, dict):
            return {self.text(str(key)): self._field(str(key), one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(one) for one in value]
        return self.text(value) if isinstance(value, str) else value

    def config(self, data: bytes) -> str:
        """A configuration: made anew from what it means, without comments; or its bare outline.

        What does not parse may have anything anywhere: of it only sections and names of keys stay.
        """
        try:
            return self.text(render_config(parse_config(data)))
        except ConfigurationError as error:
            lines = data[:MAX_CONFIG].decode("utf-8", "replace").splitlines()
            outline = [kept for kept in map(_outline, lines) if kept]
            return "\n".join([f"# it does not hold: {self.text(error.message)}", *outline, ""])

    def _field(self, key: str, value: Any) -> Any:
        plain = key in _PLAIN_FIELDS or isinstance(value, bool | None)
        if not plain and _SECRET_FIELD.fullmatch(key):
            self.count += 1
            return GONE
        return self.json(value)

    def _sub(self, pattern: re.Pattern[str], instead: str, text: str) -> str:
        text, count = pattern.subn(instead, text)
        self.count += count
        return text


def read_secrets(folders: Iterable[Path], files: Iterable[Path] = ()) -> list[str]:
    """The secrets in these folders and files, as far as this process may read them: lines each."""
    paths = [*files, *(path for folder in folders for path in _list(folder))]
    return [line for path in paths for line in _lines(path)]


def _outline(line: str) -> str:
    """`[section]` or `name = …`; nothing else of a line."""
    found = re.match(r"\s*(\[{1,2}[A-Za-z0-9_.-]{1,64}\]{1,2})\s*(?:#.*)?$", line)
    if found:
        return found[1]
    found = re.match(r"\s*([A-Za-z0-9_-]{1,40})\s*=", line)
    return f"{found[1]} = …" if found else ""


def _list(folder: Path) -> list[Path]:
    return _try(lambda: sorted(path for path in folder.iterdir() if path.is_file())[:_FILES])


def _lines(path: Path) -> list[str]:
    def read() -> list[str]:
        with path.open("rb") as file:
            return file.read(_MAX_SECRET).decode("utf-8", "replace").splitlines()

    return _try(read)


def _try(read: Callable[[], list[Any]]) -> list[Any]:
    try:
        return read()
    except OSError:
        return []
