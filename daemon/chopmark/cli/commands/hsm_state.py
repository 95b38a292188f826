"""`chopmark hsm`: how the HSM is, its PIN, maintenance, and what its errors mean."""

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from chopmark.cli.context import Given, Options
from chopmark.cli.terminal import say, say_fields, say_json, say_prose, styled
from chopmark.client.told.hsm import hsm_fields
from chopmark.core.errors import ConfigurationError, UsageError
from chopmark.core.inert import clean

if TYPE_CHECKING:
    from chopmark.hsm.faults import Fault

_COLOURS = {"ready": "green", "away": "yellow", "maintenance": "yellow"}


def status(*, options: Given) -> int:
    """Show how the HSM is, what it has signed, and which errors it gave."""
    with options.connect() as gateway:
        return _show(gateway.hsm(), options)


def unlock(*, options: Given) -> int:
    """Give the PIN to the daemon, which tries it once and keeps it in memory only.

    It is read from the terminal without showing it, or else as one line of standard input.
    """
    with options.connect() as gateway:
        state = gateway.hsm()
        if state["state"] in ("latched", "locked"):
            state = gateway.unlock_hsm(_read_pin(str(state.get("token") or "")))
        return _show(state, options)


def unlatch(
    *,
    offline: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    options: Given,
) -> int:
    """Let the PIN be tried again, once, after the token had refused it.

    Put the right PIN in place first: a token locks after a few wrong ones. Where systemd hands the
    PIN to the daemon, restart the daemon after this.

    Args:
        offline: The gateway does not run: its next start tries the PIN.
    """
    if offline:
        return _unlatch_stopped(options)
    with options.connect() as gateway:
        return _show(gateway.unlatch_hsm(), options)


def maintenance(mode: Literal["on", "off"], /, *, options: Given) -> int:
    """Take the HSM out of use, or into use again.

    While it is on, the daemon is logged out and calls nothing of the HSM: it may be updated, or
    used by the maker's tools. Nothing is issued; documents are still verified. It stays on when the
    daemon restarts.

    Args:
        mode: on or off.
    """
    with options.connect() as gateway:
        return _show(gateway.maintain_hsm(on=mode == "on"), options)


def errors(code: str | None = None, /, *, options: Given) -> int:
    """Explain the errors of HSMs: what each means, and what to do.

    Args:
        code: One of them, such as CKR_DEVICE_ERROR or 0x30; all, if none is given.
    """
    from chopmark.hsm.faults import faults

    found = [fault for fault in faults().values() if code is None or _is_meant(fault, code)]
    if not found:
        hint = "`chopmark hsm errors` shows all; numbers from 0x80000000 on are the maker's own"
        raise UsageError("no-such-error", f"PKCS#11 has no error {code}", hint=hint)
    if options.json:
        say_json([_to_json(fault) for fault in found])
        return 0
    for fault in found:
        say(styled(fault.name, "bold"), f"  {fault.code:#x}  {fault.sort}")
        say_prose(f"{fault.meaning}; {fault.action}")
    return 0


def _is_meant(fault: "Fault", code: str) -> bool:
    text = code.strip().upper()
    if re.fullmatch(r"0X[0-9A-F]{1,8}", text):
        return fault.code == int(text, 16)
    return fault.name == f"CKR_{text.removeprefix('CKR_')}"


def _to_json(fault: "Fault") -> dict[str, Any]:
    return {
        "name": fault.name,
        "code": fault.code,
        "sort": fault.sort,
        "rung": fault.rung.name.lower(),
        "meaning": fault.meaning,
        "action": fault.action,
    }


def _read_pin(token: str) -> str:
    from chopmark.cli.pin import ask_pin
    from chopmark.service.credentials import MAX_PIN
    from chopmark.service.runtime import forbid_core_files

    if sys.stdin.isatty():
        return ask_pin(token)
    forbid_core_files()
    pin = sys.stdin.readline(MAX_PIN + 2).removesuffix("\n")
    if not pin:
        hint = "use a terminal, or hand the PIN over as standard input"
        raise ConfigurationError("pin-missing", "no PIN was given", hint=hint)
    return pin


def _unlatch_stopped(options: Options) -> int:
    from chopmark.service.audit_local import noting
    from chopmark.service.locking import lock_state
    from chopmark.service.places import log_path
    from chopmark.service.token_book import open_book

    state = options.load_config().gateway.state
    with lock_state(state), noting(log_path(state), "hsm.unlatched"):
        book = open_book(state)
        reason = book.refused
        book.allow()
    if options.json:
        say_json({"was": reason})
    else:
        say(clean(f"it was: {reason}") if reason else "the PIN was not latched")
    return 0


def _show(state: dict[str, Any], options: Options) -> int:
    if options.json:
        say_json(state)
        return 0
    name = state["state"]
    say(styled("HSM", "bold"), "  ", styled(name, _COLOURS.get(name, "red")))
    say_fields(hsm_fields(state))
    return 0
