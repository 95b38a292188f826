"""How much room a token has, which python-pkcs11 reads and does not hand on (CK_TOKEN_INFO)."""

import ctypes
from dataclasses import dataclass
from typing import Final

_UNKNOWN: Final = ctypes.c_ulong(-1).value
"""CK_UNAVAILABLE_INFORMATION: the module does not tell (PKCS#11 v3.0 §3.1)."""
_GET_TOKEN_INFO: Final = 6
"""Place of C_GetTokenInfo among the functions of CK_FUNCTION_LIST, from 0."""
_CK_ULONG: Final = ctypes.c_ulong


class _Version(ctypes.Structure):
    _fields_ = (("major", ctypes.c_ubyte), ("minor", ctypes.c_ubyte))


class _TokenInfo(ctypes.Structure):
    _fields_ = (
        ("label", ctypes.c_ubyte * 32),
        ("manufacturer", ctypes.c_ubyte * 32),
        ("model", ctypes.c_ubyte * 16),
        ("serial", ctypes.c_ubyte * 16),
        ("flags", _CK_ULONG),
        ("max_sessions", _CK_ULONG),
        ("sessions", _CK_ULONG),
        ("max_rw_sessions", _CK_ULONG),
        ("rw_sessions", _CK_ULONG),
        ("max_pin", _CK_ULONG),
        ("min_pin", _CK_ULONG),
        ("total_public", _CK_ULONG),
        ("free_public", _CK_ULONG),
        ("total_private", _CK_ULONG),
        ("free_private", _CK_ULONG),
        ("hardware", _Version),
        ("firmware", _Version),
        ("time", ctypes.c_ubyte * 16),
    )


class _Functions(ctypes.Structure):
    _fields_ = (("version", _Version), ("functions", ctypes.c_void_p * 68))


@dataclass(frozen=True, slots=True)
class Room:
    """What is left in a token; None for what it does not tell.

    Attributes:
        sessions: open now, of all programs.
        max_sessions: that may be; 0 for as many as anybody wants.
        free_private: bytes for private objects.
        free_public: bytes for public ones.
        min_pin: characters of the shortest PIN.
    """

    sessions: int | None
    max_sessions: int | None
    free_private: int | None
    free_public: int | None
    min_pin: int | None


def read_room(path: str, slot: int) -> Room | None:
    """Ask a module that this process has started; on the thread that owns it.

    None where that is not possible: a module may give each caller functions of its own, and then
    those that we get here were not started.
    """
    try:
        get_list = ctypes.CDLL(path).C_GetFunctionList
    except (OSError, AttributeError):
        return None
    functions, info = ctypes.POINTER(_Functions)(), _TokenInfo()
    if get_list(ctypes.byref(functions)) != 0:
        return None
    call = ctypes.CFUNCTYPE(_CK_ULONG, _CK_ULONG, ctypes.c_void_p)
    if call(functions.contents.functions[_GET_TOKEN_INFO])(slot, ctypes.addressof(info)) != 0:
        return None
    return Room(
        _known(info.sessions),
        _known(info.max_sessions),
        _known(info.free_private),
        _known(info.free_public),
        _known(info.min_pin),
    )


def _known(value: int) -> int | None:
    return None if value == _UNKNOWN else value
