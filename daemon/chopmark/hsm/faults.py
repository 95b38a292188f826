"""What each PKCS#11 error means to us: `faults.toml` beside this file, the one table.

Status, log, command line and console take their words from it (`chopmark hsm errors`), and the
ladder of `device` its first rung.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, Literal

from pkcs11 import exceptions
from pkcs11.exceptions import PKCS11Error

Sort = Literal["transient", "permanent", "fatal", "pin"]

_PREFIX: Final = "CKR_"
_VENDOR: Final = 0x8000_0000
"""CKR_VENDOR_DEFINED: codes from here on are the makers' own."""
_HEX: Final = re.compile(r"0x([0-9a-f]+)", re.ASCII | re.IGNORECASE)


class Rung(IntEnum):
    """How to heal, from the cheapest way to the dearest."""

    SESSION = 1
    """A new session, and the keys found again in it."""
    LOGIN = 2
    """A new login too."""
    MODULE = 3
    """C_Finalize and C_Initialize before that."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One error.

    Attributes:
        name: as the standard has it, such as `CKR_DEVICE_ERROR`.
        code: its number.
        sort: `transient` comes back by itself; `permanent` needs somebody to act, and trying goes
            on; `fatal` can be healed by a new process only; after `pin` no other try is made.
        rung: where healing begins.
        meaning: one clause for a person.
        action: what an operator does.
    """

    name: str
    code: int
    sort: Sort
    rung: Rung
    meaning: str
    action: str

    @property
    def sentence(self) -> str:
        """Name and meaning."""
        return f"{self.name}, {self.meaning}"


_UNKNOWN: Final = Fault(
    *("CKR_UNKNOWN", -1, "transient", Rung.MODULE, "an error that the standard does not name"),
    "note the time and ask the maker of the HSM",
)


@cache
def faults() -> Mapping[str, Fault]:
    """All that are known, by name, in the order of their codes."""
    made = [_read(name, row) for name, row in _table().items()]
    return MappingProxyType({fault.name: fault for fault in sorted(made, key=lambda f: f.code)})


def fault_of(error: Exception) -> Fault | None:
    """What an error means; None if it is none of PKCS#11's."""
    if not isinstance(error, PKCS11Error):
        return None
    name = _by_class().get(type(error))
    return faults()[name] if name else _by_code(str(error))


def error_of(code: int) -> PKCS11Error:
    """The exception for a return value other than CKR_OK, as python-pkcs11 would raise it."""
    name = next((one.name for one in faults().values() if one.code == code), "")
    error = next((error for error, known in _by_class().items() if known == name), None)
    return error() if error is not None else PKCS11Error(f"Unmapped error code {code:#x}")


def _by_code(message: str) -> Fault:
    """By the number in the message of an error that the library has no class for."""
    found = _HEX.search(message)
    if found is None:
        return _UNKNOWN
    code = int(found[1], 16)
    known = next((one for one in faults().values() if one.code == code), None)
    if known is None and code >= _VENDOR:
        known = faults()["CKR_VENDOR_DEFINED"]
        return Fault(
            *(f"{known.name}+{code - _VENDOR:#x}", code, known.sort, known.rung),
            *(known.meaning, known.action),
        )
    return known or _UNKNOWN


@cache
def _table() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("chopmark.hsm").joinpath("faults.toml").read_text("utf-8"))


@cache
def _by_class() -> dict[type[PKCS11Error], str]:
    rows = _table().items()
    return {
        getattr(exceptions, row["class"]): _PREFIX + name for name, row in rows if "class" in row
    }


def _read(name: str, row: Mapping[str, Any]) -> Fault:
    rung = Rung[row["rung"].upper()]
    return Fault(_PREFIX + name, row["code"], row["sort"], rung, row["meaning"], row["action"])
