"""An HSM of its own for each gateway under test: what its programs must know of it."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rig.patience import PATIENCE

MODULE: Final = "/usr/lib/softhsm/libsofthsm2.so"
_PROVISION: Final = Path(__file__).resolve().parents[2] / "softhsm" / "provision.py"


@dataclass(frozen=True, slots=True)
class Token:
    """A token behind a PKCS#11 module.

    Attributes:
        module: path of the PKCS#11 module.
        label: the token's label.
        credentials: folder with the file `hsm-pin`, for CREDENTIALS_DIRECTORY.
        environment: what the module needs in the environment of the process that loads it.
    """

    module: str
    label: str
    credentials: Path
    environment: Mapping[str, str]

    def read_pin(self) -> str:
        """The user PIN."""
        return (self.credentials / "hsm-pin").read_text()


@dataclass(frozen=True, slots=True)
class SoftToken(Token):
    """A SoftHSM token.

    Attributes:
        conf: what SOFTHSM2_CONF must name in the process that uses the token.
        tokens: folder with the token's files.
    """

    conf: Path
    tokens: Path


def provision_token(directory: Path, label: str) -> SoftToken:
    """Make a token in a new folder, in another process: this one's PKCS#11 state stays as it is.

    Raises:
        RuntimeError: provisioning failed, with what it said.
    """
    command = [sys.executable, str(_PROVISION), str(directory), label]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    directory = directory.absolute()
    conf = directory / "softhsm2.conf"
    environment = {"SOFTHSM2_CONF": str(conf)}
    return SoftToken(MODULE, label, directory, environment, conf, directory / "tokens")
