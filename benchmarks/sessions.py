"""How many sessions a module has open, from itself: python-pkcs11 does not tell."""

import ctypes
from typing import Final

from chopmark.hsm import HsmSigner

HANDLES: Final = 10_000
"""Handles that are tried at a module that does not count: SoftHSM numbers them from 1."""
_UNKNOWN: Final = ctypes.c_ulong(-1).value
"""CK_UNAVAILABLE_INFORMATION."""


class _TokenInfo(ctypes.Structure):
    """CK_TOKEN_INFO (PKCS#11 v2.40, §3.2)."""

    _fields_ = (
        ("names", ctypes.c_char * 96),
        ("flags", ctypes.c_ulong),
        ("max_sessions", ctypes.c_ulong),
        ("sessions", ctypes.c_ulong),
        ("max_rw_sessions", ctypes.c_ulong),
        ("rw_sessions", ctypes.c_ulong),
        ("rest", ctypes.c_ulong * 6),
        ("versions", ctypes.c_ubyte * 4),
        ("time", ctypes.c_char * 16),
    )


async def count_sessions(signer: HsmSigner) -> int | None:
    """Sessions open in this process (C_GetTokenInfo), or None if the module does not tell."""
    return await signer._thread.call(_count, signer)  # noqa: SLF001 - only that thread may call


def _count(signer: HsmSigner) -> int | None:
    token = signer._device._token  # noqa: SLF001
    if token is None or "p11-kit" in signer.module:  # it gives each caller functions of its own
        return None
    library = ctypes.CDLL(signer.module)
    slot, info = token.session.token.slot.slot_id, _TokenInfo()
    if library.C_GetTokenInfo(ctypes.c_ulong(slot), ctypes.byref(info)) != 0:
        return None
    if info.sessions != _UNKNOWN:
        return info.sessions
    return sum(_is_session(library, handle) for handle in range(1, HANDLES))


def _is_session(library: ctypes.CDLL, handle: int) -> bool:
    info = (ctypes.c_ulong * 4)()  # CK_SESSION_INFO
    return library.C_GetSessionInfo(ctypes.c_ulong(handle), info) == 0
