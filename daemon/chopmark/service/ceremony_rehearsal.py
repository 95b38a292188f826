"""Rehearsing a key ceremony: a SoftHSM token and folders that are thrown away afterwards."""

import os
import pty
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from chopmark.core.errors import MissingError
from chopmark.service.ceremony_desk import Desk
from chopmark.service.ceremony_hold import Plan
from chopmark.service.config_model import Config

NOTICE: Final = "REHEARSAL on a throw-away emulated token: these keys are gone and serve nobody"
_TOOL: Final = "softhsm2-util"
_MODULES: Final = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
)
_CONF: Final = "SOFTHSM2_CONF"


@contextmanager
def rehearsal(plan: Plan, desk: Desk) -> Iterator[Plan]:
    """The same ceremony on a throw-away token; nothing but the protocol stays.

    Raises:
        MissingError: `no-softhsm`.
    """
    module = next((one for one in _MODULES if Path(one).is_file()), None)
    if module is None or shutil.which(_TOOL) is None:
        hint = "on Debian: apt-get install softhsm2"
        raise MissingError("no-softhsm", "a rehearsal needs SoftHSM", hint=hint)
    before = os.environ.get(_CONF)
    with tempfile.TemporaryDirectory(prefix="chopmark-rehearsal-") as folder:
        place = Path(folder)
        label, pin = f"rehearsal-{plan.config.gateway.id}"[:32], _draw_pin()
        conf = place / "softhsm2.conf"
        (place / "tokens").mkdir()
        conf.write_text(f"directories.tokendir = {place}/tokens\nobjectstore.backend = file\n")
        # SoftHSM reads it at each C_Initialize.
        os.environ[_CONF] = str(conf)
        try:
            _make_token(label, pin)
            desk.say(NOTICE, "yellow")
            if desk.has_people:
                desk.say(f"PIN of the throw-away token, to be typed when it is asked for: {pin}")
            yield replace(
                plan,
                path=place / "gateway.toml",
                config=_move(plan.config, place, module, label),
                notice=NOTICE,
                drill=pin,
            )
        finally:
            os.environ.pop(_CONF)
            if before is not None:
                os.environ[_CONF] = before


def _move(config: Config, place: Path, module: str, label: str) -> Config:
    gateway = msgspec.structs.replace(config.gateway, state=place / "state")
    hsm = msgspec.structs.replace(
        config.hsm, module=Path(module), token_label=label, token_serial=None
    )
    return msgspec.structs.replace(config, gateway=gateway, hsm=hsm)


def _draw_pin() -> str:
    return f"{secrets.randbelow(10**8):08}"


def _make_token(label: str, pin: str) -> None:
    """softhsm2-util takes PINs as arguments, which everybody sees, or from a terminal."""
    ours, theirs = pty.openpty()
    command = [_TOOL, "--init-token", "--free", "--label", label]
    with subprocess.Popen(  # noqa: S603 - a fixed program, and a label that was checked
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        _answer(ours, [_draw_pin()] * 2 + [pin] * 2)
    if process.returncode != 0:
        raise MissingError("no-softhsm", "softhsm2-util makes no token", hint=f"run {_TOOL}")


def _answer(terminal: int, answers: list[str]) -> None:
    """Type one line at each prompt; the tool switches echo off before it prompts."""
    output, answered = "", 0
    while data := _read(terminal):
        output += data
        while answered < len(answers) and output.count("PIN: ") > answered:
            os.write(terminal, answers[answered].encode() + b"\n")
            answered += 1
    os.close(terminal)


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 4096).decode(errors="replace")
    except OSError:  # Linux says EIO once the other side is closed
        return ""
