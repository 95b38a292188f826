"""Short files as QR codes of characters, for a telephone's camera before the screen."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chopmark.core.errors import ConfigurationError, RefusedError

if TYPE_CHECKING:
    import segno

BORDER: Final = 1
"""Light modules around the code. The standard asks for four; cameras do with one on a screen."""
_LIGHT: Final = 0
_HALVES: Final = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}
"""A light terminal character is a light module: the upper and the lower one in each."""
_LARGEST: Final = 40


@dataclass(frozen=True, slots=True)
class Code:
    """A QR code as lines.

    Attributes:
        lines: of equal width.
        version: 1 to 40.
    """

    lines: tuple[str, ...]
    version: int


def make_code(name: str, data: bytes, width: int, *, plain: bool) -> Code:
    """The code of a short text.

    Args:
        name: of the file, for errors.
        data: UTF-8 without control characters but line ends and tabs.
        width: columns of the terminal.
        plain: two ASCII characters for each module, in place of a half-block for two.

    Raises:
        RefusedError: `not-text`, `too-large-for-qr`.
        ConfigurationError: `no-segno`.
    """
    text = _read_text(name, data)
    version = _version_for(width, plain=plain)
    made = _make(text, version) if version else None
    if made is None:
        most = _capacity(version) if version else 0
        message = f"{name} has {len(data)} bytes; a code of {width} columns has room for {most}"
        hint = "send it by `zmodem` or `armour`, or make the window wider"
        raise RefusedError("too-large-for-qr", message, hint=hint)
    rows = [list(map(int, row)) for row in made.matrix_iter(border=BORDER)]
    return Code(tuple(_wide(rows) if plain else _halves(rows)), int(made.version))


def _read_text(name: str, data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if not all(one.isprintable() or one in "\r\n\t" for one in text) or not text:
        hint = "send it by `zmodem` or `armour`"
        raise RefusedError("not-text", f"{name} is not text: a camera would spoil it", hint=hint)
    return text


def _version_for(width: int, *, plain: bool) -> int:
    """The largest version whose code is no wider; 0 if there is none."""
    modules = width // 2 if plain else width
    return max(0, min(_LARGEST, (modules - 2 * BORDER - 17) // 4))


def _capacity(version: int) -> int:
    """Bytes that a code of this version holds at level L (ISO/IEC 18004, table 7)."""
    low, high = 1, 2953
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _make("~" * middle, version) else (low, middle - 1)
    return low


def _make(text: str, version: int) -> "segno.QRCode | None":
    """The smallest code of a text, or None if it is larger than this version."""
    try:
        import segno  # noqa: PLC0415 - only whoever wants a code needs it
    except ImportError as error:
        hint = "install chopmark[console], or send by `armour`"
        raise ConfigurationError("no-segno", "QR codes need segno", hint=hint) from error
    try:
        made = segno.make_qr(text, error="l", boost_error=False)
    except segno.DataOverflowError:
        return None
    return made if int(made.version) <= version else None


def _halves(rows: list[list[int]]) -> list[str]:
    if len(rows) % 2:
        rows = [*rows, [_LIGHT] * len(rows[0])]
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return ["".join(_HALVES[pair] for pair in zip(*two, strict=True)) for two in pairs]


def _wide(rows: list[list[int]]) -> list[str]:
    return ["".join("  " if dark else "##" for dark in row) for row in rows]
