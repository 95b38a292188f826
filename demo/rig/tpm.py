"""A TPM 2.0 in software, with its resource manager, and tokens of tpm2-pkcs11 in it.

Debian's swtpm, tpm2-abrmd on a D-Bus of its own, and libtpm2-pkcs11-1. A process that has loaded
the module keeps its connection to the first bus that it saw (GLib has one for each process), so
one process uses one `Tpm`; each test has a store, and so a token, of its own.
"""

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from rig.patience import PATIENCE
from rig.process import Process
from rig.token import Token
from rig.unixsocket import is_listening

_INITIALISE: Final = Path(__file__).with_name("initialise.py")
_TCTI: Final = "tabrmd:bus_type=session"
_BUS: Final = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


def find_tpm_module() -> str:
    """Path of tpm2-pkcs11.

    Raises:
        RuntimeError: it is not installed.
    """
    for path in Path("/usr/lib").glob("*/libtpm2_pkcs11.so.1"):
        return str(path)
    raise RuntimeError("tpm2-pkcs11 is not installed (apt install libtpm2-pkcs11-1)")


class Tpm:
    """A running TPM under `folder`, whose path must be short: unix sockets are made in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._state = folder / "state"
        self._state.mkdir(parents=True)
        self._bus_conf = folder / "bus.conf"
        self._bus_conf.write_text(_BUS.format(path=folder / "bus"))
        self.environment = {
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder / 'bus'}",
            "TPM2_PKCS11_TCTI": _TCTI,
            "TPM2TOOLS_TCTI": _TCTI,
        }
        self._parts: list[Process] = []
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        socket = self.folder / "tpm"
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self._state}"]
        command += ["--ctrl", f"type=unixio,path={socket}.ctrl"]
        command += ["--server", f"type=unixio,path={socket}"]
        command += ["--flags", "not-need-init,startup-clear"]
        self._run(command).wait_until(lambda: is_listening(socket))
        self._start_bus()
        self.start_manager()

    def _start_bus(self) -> None:
        command = ["dbus-daemon", f"--config-file={self._bus_conf}", "--nofork", "--nopidfile"]
        self._bus = self._run(command)
        self._bus.wait_until(lambda: is_listening(self.folder / "bus"))

    def restart_bus(self) -> None:
        """Kill D-Bus and the resource manager, and start both anew.

        A process that has the module loaded has lost the TPM for good.
        """
        self._manager.kill()
        self._bus.kill()
        (self.folder / "bus").unlink(missing_ok=True)
        self._start_bus()
        self.start_manager()

    def start_manager(self) -> None:
        """Start the resource manager, and wait until it answers."""
        # Else a TPM is full after some kills: what the one before loaded stays in it.
        command = ["/usr/sbin/tpm2-abrmd", "--session", "--allow-root", "--flush-all"]
        self._manager = self._run([*command, f"--tcti=swtpm:path={self.folder / 'tpm'}"])
        self._manager.wait_until(lambda: self._ask("tpm2_getcap", "properties-variable") != "")

    def kill_manager(self) -> None:
        """SIGKILL for the resource manager: the TPM is away for all who use it."""
        self._manager.kill()

    def count_failures(self) -> int:
        """Wrong PINs that count towards the lockout (TPM2_PT_LOCKOUT_COUNTER)."""
        answer = self._ask("tpm2_getcap", "properties-variable")
        lines = dict(line.split(": ", 1) for line in answer.splitlines() if ": " in line)
        return int(lines["TPM2_PT_LOCKOUT_COUNTER"], 16)

    def clear_lockout(self) -> None:
        """What an administrator does after a lockout."""
        self._ask("tpm2_dictionarylockout", "--clear-lockout")

    def make_token(self, store: Path, label: str) -> Token:
        """Make a token with random PINs in a new folder, in another process.

        The PINs are in the folder's files `hsm-pin` and `so-pin`; no command line has them.
        """
        store.mkdir(mode=0o700)
        for name in ("hsm-pin", "so-pin"):
            with os.fdopen(os.open(store / name, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(secrets.token_hex(16))
        token = self._at(store, label)
        subprocess.run(
            [sys.executable, str(_INITIALISE), token.module, label, str(store)],
            env={**os.environ, **token.environment},
            capture_output=True,
            check=True,
            timeout=PATIENCE,
        )
        return token

    def copy_token(self, token: Token, store: Path) -> Token:
        """A token with the same PIN and keys in another folder: quicker than a new one."""
        shutil.copytree(token.credentials, store)
        return self._at(store, token.label)

    def stop(self) -> None:
        """End everything."""
        for part in reversed(self._parts):
            part.kill()

    def _at(self, store: Path, label: str) -> Token:
        environment = {**self.environment, "TPM2_PKCS11_STORE": str(store)}
        return Token(find_tpm_module(), label, store, environment)

    def _run(self, command: list[str]) -> Process:
        log = self.folder / f"{Path(command[0]).name}.log"
        part = Process(command, log, self.environment)
        self._parts.append(part)
        return part

    def _ask(self, *command: str) -> str:
        environment = {**os.environ, **self.environment, "TSS2_LOG": "all+NONE"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        return done.stdout if done.returncode == 0 else ""
