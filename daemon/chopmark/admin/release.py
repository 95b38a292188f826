"""A release's note: a signed note of the second key, over this text and no other.

    chopmark/firmware/v1
    chopmark-x86-64 0.2.0
    sha256 <64 hexadecimal digits of the bundle's SHA-256>
    ledger 6

Line 2 has the sort of box and the version, `ledger` the newest format of ledgers that it knows.
"""

import re
from dataclasses import dataclass
from typing import Final

from chopmark.core.errors import ChopmarkError, RefusedError
from chopmark.core.keys import parse_vkey
from chopmark.core.note import parse_note, verify_note

NOTE, BUNDLE = "release.note", "release.raucb"
"""One that was fetched whole, in the folder of `chopmark-fetch.service`."""
MAX_NOTE: Final = 4096
MAX_BUNDLE: Final = 512 << 20
"""Bytes: both partitions of a slot have less (firmware-config/image.toml)."""
_TEXT: Final = re.compile(
    r"chopmark/firmware/v1\n(chopmark-[a-z0-9-]+) ([0-9A-Za-z.+~-]{1,64})\n"
    r"sha256 ([0-9a-f]{64})\nledger ([1-9][0-9]{0,3})\n"
)
_SORT: Final = re.compile(r"^compatible=(chopmark-[a-z0-9-]+)$", re.MULTILINE)
_NUMBERS: Final = re.compile(r"\d+(\.\d+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Release:
    """What a good note says.

    Attributes:
        sort: of box that it is for.
        version: its own.
        digest: SHA-256 of the bundle, in hexadecimal.
        ledger: the newest format of ledgers that it knows.
    """

    sort: str
    version: str
    digest: str
    ledger: int


def parse_release(data: bytes, key: str, sort: str) -> Release:
    """What the note says, once it is the second key's and for this sort of box.

    Args:
        data: the note.
        key: the second key, as a verifier key.
        sort: of this box.

    Raises:
        RefusedError: `firmware-refused`.
    """
    try:
        signed = parse_note(data[: MAX_NOTE + 1])
        verify_note(signed, [parse_vkey(key.strip())])
    except ChopmarkError as error:
        hint = "is it head office's, and whole?"
        raise refuse(f"the note's signature is not right: {error.message}", hint) from error
    told = _TEXT.fullmatch(signed.text)
    if told is None or len(data) > MAX_NOTE:
        raise refuse("the note is not about firmware, or of a newer kind")
    if told[1] != sort:
        raise refuse(f"the release is for {told[1]}, and this box is {sort}")
    return Release(told[1], told[2], told[3], int(told[4]))


def find_sort(system: str) -> str:
    """The sort of box, by the text of RAUC's system.conf; empty if it has none."""
    found = _SORT.search(system)
    return found[1] if found else ""


def refuse_older(version: str, running: str) -> None:
    """What comes by itself goes forward only: an old release is as well signed as a new one.

    Raises:
        RefusedError: `firmware-older`, of one that is older than what runs, or the same.
    """
    if version == running or _numbers(version) < _numbers(running):
        message = f"release {version} is not newer than {running}, which runs"
        hint = "an older one comes by USB stick, or `firmware switch slot`"
        raise RefusedError("firmware-older", message, hint=hint)


def refuse(why: str, hint: str = "") -> ChopmarkError:
    """Say why; nothing was changed."""
    return RefusedError("firmware-refused", f"{why}; nothing was changed", hint=hint)


def _numbers(version: str) -> list[int]:
    """1.2.0 is 1.2; what follows the numbers does not count."""
    found = _NUMBERS.match(version)
    numbers = [int(one) for one in found[0].split(".")] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers
