"""Initialise a token by PKCS#11 alone: `python3 initialise.py MODULE LABEL FOLDER`.

Takes the last slot, which tpm2-pkcs11 keeps empty, and both PINs from FOLDER: `so-pin` and
`hsm-pin`. Tools like tpm2_ptool take PINs as arguments, where every user of the machine reads them.
"""

import ctypes
import sys
from pathlib import Path

_RW_SESSION = 0x6  # CKF_SERIAL_SESSION and CKF_RW_SESSION
_SO = 0  # CKU_SO
_SLOTS = ctypes.c_ulong * 64


def main() -> None:
    """C_InitToken, then C_InitPIN."""
    module, label, folder = sys.argv[1], sys.argv[2].encode().ljust(32), Path(sys.argv[3])
    so_pin, pin = (folder / "so-pin").read_bytes(), (folder / "hsm-pin").read_bytes()
    library = ctypes.CDLL(module)

    def call(name: str, *arguments: object) -> None:
        result = getattr(library, name)(*arguments)
        if result != 0:
            raise SystemExit(f"{name}: 0x{result:x}")

    slots, count = _SLOTS(), ctypes.c_ulong(64)
    call("C_Initialize", None)
    call("C_GetSlotList", 0, slots, ctypes.byref(count))
    slot = ctypes.c_ulong(slots[count.value - 1])
    call("C_InitToken", slot, so_pin, ctypes.c_ulong(len(so_pin)), label)
    session = ctypes.c_ulong()
    call("C_OpenSession", slot, ctypes.c_ulong(_RW_SESSION), None, None, ctypes.byref(session))
    call("C_Login", session, ctypes.c_ulong(_SO), so_pin, ctypes.c_ulong(len(so_pin)))
    call("C_InitPIN", session, pin, ctypes.c_ulong(len(pin)))
    call("C_Finalize", None)


if __name__ == "__main__":
    main()
