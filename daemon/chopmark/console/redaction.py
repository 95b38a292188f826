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
    r"(?:so[-_ ]?|user[-_ ]?|hsm[-_ ]?)?pin(?:[-_ ]?code)?|puk|pass(?:word|wd|phrase|code)?|pwd|"
    r"psk|"
    r"(?:[a-z0-9]{1,24}[-_]){0,4}(?:secret|token|seed|csrf|cookie|bearer|mnemonic|"
    r"(?:api|private|master|session|wrapping|encryption|shared)[-_ ]?key)"
)
_CODES: Final = (
    r"(?:[a-z0-9]{1,24}[-_]){0,4}(?:[th]?otp(?:[-_ ]?(?:code|secret|token|value))?|"
    r"one[-_ ]?time(?:[-_ ]?(?:code|password|passcode|pin|key|token))?|"
    r"(?:commissioning|unlock|unlocking|activation|recovery|verification|security|access|auth|"
    r"authori[sz]ation|login|pairing|setup|backup|sms|2fa|mfa)[-_ ]?(?:code|key)s?)"
)
"""What is typed once, or opens a box once; often in groups, and often after a blank alone."""
_GROUPS: Final = r"(?:[ -]+(?=[a-z]{0,7}\d)[a-z0-9]{1,8}(?![a-z0-9]))*"
_BASE32: Final = r"[a-z2-7]{4}(?:[- ]?[a-z2-7]{4}){3}(?![a-z0-9])"
_REMARK: Final = r"(?:（[^）\n]{0,20}）)?"
_CHINESE: Final = (
    "密码|密碼|口令|验证码|驗證碼|授权码|授權碼|一次性代码|一次性代碼|动态码|動態碼|开通码|開通碼|"
    "PIN ?码|PIN ?碼|私钥|私鑰"
)
"""Repetitions are bounded here and below, so that no text takes long."""
_VALUE: Final = (
    r"""(?:\\"(?:[^"\\\n]|\\[^"])*\\"|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s"']+|["'][^\s"']+)"""
)
_PLAIN: Final = r'"(?:credential|file|pad|socket)"'
"""What may stand behind `pin =` in a configuration."""
_QUOTE: Final = r"""\\?["']?"""
_PRIVATE_BLOCK: Final = re.compile(
    r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY[A-Z ]*)-----.*?(?:-----END \1-----|\Z)", re.DOTALL
)
_PATTERNS: Final = (
    # The form of a commissioning code, wherever it stands.
    (re.compile(r"\b[A-Z2-7]{4}(?:[- ][A-Z2-7]{4}){3}\b"), GONE),
    # otp=123456, "commissioning code 7QXK-2ZBN-R4FD-VM3A", OTP 123 456.
    (
        re.compile(
            rf"(?i)(?<![a-z0-9])({_CODES})({_QUOTE}\s*[=:]\s*)((?:{_BASE32}|{_VALUE}){_GROUPS})"
        ),
        _VALUE_GONE,
    ),
    (
        re.compile(
            rf"(?i)(?<![a-z0-9])({_CODES})(\s+(?:(?:is|was|now|of)\s+)?[\"'(]?)"
            rf"({_BASE32}|(?=[^\s\"')]*\d)[^\s\"',;)]{{3,}}{_GROUPS})"
        ),
        _VALUE_GONE,
    ),
    # "code 123456", as it is asked for: six to eight digits, which no error's number has.
    (
        re.compile(
            r"(?i)(?<![a-z0-9])(code)(\s*(?:\([^)\n]{0,40}\))?\s*(?:[=:]|is|was)?\s*[\"'(]?)"
            r"(\d{3}[ -]?\d{3,5})(?!\d)"
        ),
        _VALUE_GONE,
    ),
    (
        re.compile(
            rf"(?i)({_CHINESE})({_REMARK}\s*[=:：是为為]?\s*[\"'“「]?)"
            rf"((?:{_BASE32}|[^\s\"'”」，。；,;（]{{3,}}){_GROUPS})"
        ),
        _VALUE_GONE,
    ),
    # What people choose may have blanks: without quotes it ends with the line.
    (
        re.compile(r"(?i)\b(pass(?:word|wd|phrase|code))(\s*[=:]\s*)(?![\s\"'])[^\"\n]+"),
        _VALUE_GONE,
    ),
    # name = value, name: value, "name": "value", in JSON within a text too.
    (
        re.compile(rf"(?i)(?<![a-z0-9])({_NAMES})({_QUOTE}\s*[=:]\s*)(?!{_PLAIN})({_VALUE})"),
        _VALUE_GONE,
    ),
    # "the PIN 1234 was refused", "password is hunter2": only what has a digit in it.
    (
        re.compile(
            r"(?i)(?<![a-z0-9])(pin(?:[-_ ]?code)?|puk|password|passphrase|passcode|secret)"
            r"(\s+(?:(?:is|was|now|code)\s+)?[\"'(]?)((?=[^\s\"')]*\d)[^\s\"',;)]{3,})"
        ),
        _VALUE_GONE,
    ),
    (re.compile(r"(?i)\b(bearer|basic|digest)\s+[a-z0-9._~+/=-]{6,}"), rf"\1 {GONE}"),
    (re.compile(r"(?i)(authorization|cookie|set-cookie)(\s*[=:]\s*)[^\n]+"), _VALUE_GONE),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://)[^\s/@]{1,200}@"), rf"\1{GONE}@"),
    (re.compile(r"(?i)(-session|_session|sessionid)=[^\s;,\"]+"), rf"\1={GONE}"),
    (re.compile(r"(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]*"), GONE),
    (re.compile(r"(?i)\bAGE-SECRET-KEY-[0-9A-Z]+"), GONE),
    (re.compile(r"(?i)\botpauth://\S+"), GONE),
)
_SECRET_FIELD: Final = re.compile(rf"(?i)(?:{_NAMES}|{_CODES}|(?:{_CHINESE}){_REMARK})")
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
