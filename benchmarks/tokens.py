"""Tokens with both keys in them, of other modules than the gateways have."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from load import LoadFailedError
from rig.token import MODULE, SoftToken, Token, provision_token
from rig.tpm import Tpm

__all__ = ["LABEL", "MODULE", "ORIGIN", "environment", "make_keys", "soft", "tpm"]

ORIGIN: Final = "bank-sz.example/sz-1"
LABEL: Final = "bench"
_PROGRAMS: Final = ("swtpm", "/usr/sbin/tpm2-abrmd", "dbus-daemon", "tpm2_getcap")


@contextmanager
def tpm(folder: Path) -> Iterator[Token]:
    """A token of tpm2-pkcs11 on a TPM in software, as long as the block runs.

    Raises:
        LoadFailedError: what it needs is not installed.
    """
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        raise LoadFailedError(f"no TPM here: there is no {', '.join(missing)}")
    machine = Tpm(folder)
    try:
        token = machine.make_token(folder / "store", LABEL)
        make_keys(token)
        yield token
    finally:
        machine.stop()


def soft(folder: Path) -> SoftToken:
    """A token of SoftHSM."""
    token = provision_token(folder, LABEL)
    make_keys(token)
    return token


def environment(token: Token) -> dict[str, str]:
    """Of a process that uses a token."""
    credentials = {"CREDENTIALS_DIRECTORY": str(token.credentials), "TSS2_LOG": "all+NONE"}
    return {**os.environ, **token.environment, **credentials}


def make_keys(token: Token) -> None:
    """Make the log key and the cosigner key, both of P-256, in a process of its own."""
    program = str(Path(__file__).with_name("hsmcost.py"))
    subprocess.run(
        [sys.executable, program, "keys", token.module, token.label, ORIGIN, "-", "0"],
        env=environment(token),
        stdout=subprocess.DEVNULL,
        check=True,
    )
