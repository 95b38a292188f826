# ruff: noqa: INP001 - a script that stands alone, not part of a package
"""Make an emulated HSM in a new folder: `python3 provision.py DIRECTORY LABEL`.

The folder gets softhsm2.conf (for SOFTHSM2_CONF), the tokens, and two random PINs in files that
only their owner reads: hsm-pin for the gateway, so-pin for whoever initialises tokens. Needs the
Debian packages softhsm2 and python3, nothing else.

softhsm2-util takes PINs as arguments, where every user of the machine sees them, or from a
terminal. So it gets a terminal.
"""

import os
import pty
import secrets
import shutil
import sys
from pathlib import Path

TEMPLATE = Path(__file__).with_name("softhsm2.conf")
MAX_LABEL = 32  # bytes (PKCS#11 v3.0 §5.5.7, C_InitToken)


def provision(directory: Path, label: str) -> None:
    """Make the folder and the token in it; on failure nothing of it stays."""
    directory.mkdir(mode=0o700)
    try:
        (directory / "tokens").mkdir(mode=0o700)
        conf = directory / "softhsm2.conf"
        _write_new(conf, TEMPLATE.read_text().replace("@TOKENS@", str(directory / "tokens")))
        pin, so_pin = secrets.token_hex(16), secrets.token_hex(16)
        _init_token(conf, label, so_pin, pin)
        _write_new(directory / "so-pin", so_pin)
        _write_new(directory / "hsm-pin", pin)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def _write_new(path: Path, text: str) -> None:
    # Made with its mode, so that it never was readable; no line feed, so that the PIN is the file.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _init_token(conf: Path, label: str, so_pin: str, pin: str) -> None:
    command = ["softhsm2-util", "--init-token", "--free", "--label", label]
    child, terminal = pty.fork()
    if child == 0:
        os.environ["SOFTHSM2_CONF"] = str(conf)
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    output = _answer(terminal, [so_pin, so_pin, pin, pin])
    _, status = os.waitpid(child, 0)
    if status != 0:
        tail = output.strip().splitlines()[-1:] or ["no output"]
        raise SystemExit(f"softhsm2-util failed: {tail[0]}")


def _answer(terminal: int, answers: list[str]) -> str:
    """Type one line at each prompt; the tool switches echo off before it prompts."""
    output, answered = "", 0
    while data := _read(terminal):
        output += data
        while answered < len(answers) and output.count("PIN: ") > answered:
            os.write(terminal, answers[answered].encode() + b"\n")
            answered += 1
    os.close(terminal)
    return output


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 4096).decode(errors="replace")
    except OSError:  # Linux says EIO once the other side is closed
        return ""


def main() -> None:
    """Check the arguments, then provision."""
    if len(sys.argv) != 3:
        raise SystemExit("usage: provision.py DIRECTORY LABEL")
    directory, label = Path(sys.argv[1]).absolute(), sys.argv[2]
    if not 0 < len(label.encode()) <= MAX_LABEL:
        raise SystemExit(f"a token label has 1 to {MAX_LABEL} bytes")
    os.umask(0o077)
    try:
        provision(directory, label)
    except FileExistsError:
        raise SystemExit(f"{directory} exists already, and nothing is overwritten") from None
    except OSError as error:
        raise SystemExit(f"cannot make {directory}: {error.strerror}") from None


if __name__ == "__main__":
    main()
