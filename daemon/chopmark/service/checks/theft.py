"""What somebody has who carries the box away.

Codes: `unlock-auto`, `pin-plain`, `pin-host-key`.
"""

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chopmark.service.checks.finding import Finding, Scene

FOLDER: Final = Path("/etc/chopmark/credentials")
"""Where the units of `systemd/` have the PIN."""
_WITHOUT_TPM: Final = frozenset(
    (
        bytes.fromhex("5a1c6a86df9d4096b1d5a65e0862f19a"),  # the host's key alone
        bytes.fromhex("058469daf6f54324800549da0f8ea2fb"),  # no key at all
    )
)
"""With what a credential of systemd begins that no TPM keeps (src/shared/creds-util.h)."""
_ID: Final = 16
"""Bytes of that."""


def check_theft(scene: Scene) -> Iterator[Finding]:
    """Look at what lies on the disk, and at what the box does by itself."""
    if scene.config.hsm.is_unattended:
        finding = "after a loss of power it signs with nobody there, also where it was carried to"
        remedy = 'set [hsm] unlock = "attended", unless the box must start unattended'
        yield Finding("unlock-auto", finding, remedy, "warning")
    if scene.config.hsm.pin != "credential":
        return
    sealed = FOLDER / "hsm-pin.cred"
    try:
        plain = (FOLDER / "hsm-pin").exists()
        kept = sealed.read_bytes() if sealed.exists() else None
    except PermissionError:
        yield scene.barred(f"how the PIN is kept in {FOLDER}")
        return
    advice = "encrypt it with --with-key=host+tpm2 (systemd/README.md), or have it typed"
    if plain:
        finding = f"the PIN lies in {FOLDER} as it is: who takes the box or its disk has it"
        yield Finding("pin-plain", finding, advice, "warning")
    if kept is not None and _begins(kept) in _WITHOUT_TPM:
        finding = f"{sealed} is encrypted under a key on the same disk: who takes that has both"
        yield Finding("pin-host-key", finding, advice, "warning")


def _begins(credential: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(credential.split())[:64])[:_ID]
    except binascii.Error:
        return b""
