"""An emulated HSM of its own for each gateway under test."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MODULE: Final = "/usr/lib/softhsm/libsofthsm2.so"
_PROVISION: Final = Path(__file__).resolve().parents[2] / "softhsm" / "provision.py"


@dataclass(frozen=True, slots=True)
class Token:
    """A SoftHSM token.

    Attributes:
        conf: what SOFTHSM2_CONF must name in the process that uses the token.
        credentials: folder with the file `hsm-pin`, for CREDENTIALS_DIRECTORY.
        tokens: folder with the token's files.
        module: path of the PKCS#11 module.
        label: the token's label.
    """

    conf: Path
    credentials: Path
    tokens: Path
    module: str
    label: str

    def read_pin(self) -> str:
        """The user PIN."""
        return (self.credentials / "hsm-pin").read_text()


def provision_token(directory: Path, label: str) -> Token:
    """Make a token in a new folder, in another process: this one's PKCS#11 state stays as it is.

    Raises:
        RuntimeError: provisioning failed, with what it said.
    """
    command = [sys.executable, str(_PROVISION), str(directory), label]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    directory = directory.absolute()
    conf = directory / "softhsm2.conf"
    return Token(conf, directory, directory / "tokens", MODULE, label)
