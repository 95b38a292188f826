"""`chopmark account`: people who sign in at the gateway's page."""

from typing import Annotated, Any

from cyclopts import Parameter

from chopmark.cli.context import Given, Options
from chopmark.cli.newsecret import ask_new
from chopmark.cli.terminal import say, say_json, say_table, styled
from chopmark.core.errors import MissingError, UsageError
from chopmark.core.inert import clean

"""Bytes of a line with a password: more than any has."""


def list_accounts(*, options: Given) -> int:
    """List the accounts, what each may do, and which must wait after wrong passwords."""
    with options.connect() as gateway:
        return _show(gateway.accounts(), options)


def add(
    name: str,
    /,
    *,
    role: Annotated[list[str], Parameter(negative="")],
    kind: Annotated[list[str] | None, Parameter(negative="", show_default=False)] = None,
    options: Given,
) -> int:
    """Make an account; its password is asked for, twice.

    It is read from the terminal without showing it, or else as one line of standard input: never
    an argument, which every user of the machine can read.

    Args:
        name: 1 to 32 of a-z, 0-9, dot, underscore and hyphen.
        role: What the person may do: issuer, verifier, auditor or operator. Give it again for more.
        kind: Kind of document that an issuer may have attested; all, if none is given.
    """
    with options.connect() as gateway:
        if any(one.get("name") == name for one in gateway.accounts()):
            hint = "`chopmark account password` gives it another password"
            raise UsageError("account-exists", f"there is an account {name} already", hint=hint)
        made = gateway.add_account(name, ask_new("password", name), role, kind or ["*"])
        return _show(made, options, name)


def password(name: str, /, *, options: Given) -> int:
    """Give an account another password, and end its sessions.

    Args:
        name: Of the account.
    """
    with options.connect() as gateway:
        if all(one.get("name") != name for one in gateway.accounts()):
            hint = "`chopmark account list` shows those that there are"
            raise MissingError("no-such-account", f"there is no account {name!r}", hint=hint)
        return _show(gateway.set_password(name, ask_new("password", name)), options, name)


def unlock(name: str, /, *, options: Given) -> int:
    """Let an account, or an address, be tried again at once after wrong passwords.

    Args:
        name: Of the account; or an address, as the alarm in `chopmark status` names it.
    """
    with options.connect() as gateway:
        found = gateway.unlock_account(name)
    if options.json:
        say_json(found)
    else:
        say(clean(f"{name} may try again" if found["was_locked"] else f"{name} was not locked"))
    return 0


def remove(name: str, /, *, options: Given) -> int:
    """Take an account away, and end its sessions.

    Args:
        name: Of the account.
    """
    with options.connect() as gateway:
        left = gateway.remove_account(name)
    if options.json:
        say_json(left)
    else:
        say(clean(f"there is no account {name} any more"))
    return 0


def sessions(*, options: Given) -> int:
    """List who is signed in, from where, and for how long."""
    with options.connect() as gateway:
        found = gateway.sessions()
    if options.json:
        say_json(found)
        return 0
    if not found:
        say("nobody is signed in")
        return 0
    times = ("age_seconds", "idle_seconds")
    rows = [
        (one["client"], one["name"], one["address"], *(_minutes(one[key]) for key in times))
        for one in found
    ]
    say_table(("client", "name", "from", "signed in for", "idle for"), rows)
    return 0


def sign_out(client: str, /, *, options: Given) -> int:
    """End all sessions of somebody who is signed in.

    Args:
        client: As `chopmark account sessions` shows it, such as "user anna"; or an account's name.
    """
    named = client if " " in client else f"user {client}"
    with options.connect() as gateway:
        found = gateway.end_sessions(named)
    if options.json:
        say_json(found)
    else:
        say(clean(f"{named}: {found['ended']} sessions have ended"))
    return 0


def _show(found: list[dict[str, Any]], options: Options, name: str = "") -> int:
    """Accounts; for people only the one of this name, if there is one."""
    if options.json:
        say_json(found)
        return 0
    shown = [one for one in found if not name or one["name"] == name]
    if not shown:
        say(styled("there are no accounts", "dim"))
        return 0
    head = ("name", "roles", "kinds", "password of", "sessions", "")
    rows = [
        (
            *(one["name"], ", ".join(one["roles"]), ", ".join(one["kinds"])),
            *(one["changed"], one["sessions"], _locked(one["locked_seconds"])),
        )
        for one in shown
    ]
    say_table(head, rows)
    return 0


def _locked(seconds: int) -> str:
    return f"locked for {seconds} s" if seconds else ""


def _minutes(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"
