"""`chopmark hsm ceremony`: keys made before officers, and the protocol of it."""

import sys
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from chopmark.cli.commands.initialise import NewGateway, say_next
from chopmark.cli.context import Given, Options
from chopmark.cli.terminal import say, say_fields, say_json, say_prose, styled
from chopmark.core.errors import UsageError

if TYPE_CHECKING:
    from chopmark.core.ceremony import Ceremony
    from chopmark.core.keys import VerifierKey
    from chopmark.service.ceremony_hold import Plan

PRUDENT: Final = 2
"""Officers who must approve, or one alone could have made the keys of their own accord."""


def initialise(
    *,
    new: Annotated[NewGateway, Parameter(name="*")],
    protocol: Path | None = None,
    resume: Path | None = None,
    officers: Annotated[tuple[Path, ...], Parameter(negative="", consume_multiple=True)] = (),
    need: int = 2,
    place: str | None = None,
    script: Path | None = None,
    rehearse: Annotated[bool, Parameter(negative="")] = False,
    options: Given,
) -> int:
    """Set a gateway up as `chopmark init` does, before officers, with a protocol.

    Ten steps: who is present, the token, what it offers, the go-ahead, the keys, their public
    halves read aloud, a self-test, the backup, a restore drill, the close. Each is written to
    PROTOCOL.unfinished as soon as it is done. Go-ahead, reading and close are approved by the
    officers, each by a signature with their own certificate. The protocol is signed by the new log
    key; ledger and configuration are made last.

    `!abort` at any question ends the ceremony, and the protocol says so. Ctrl-C breaks it off:
    the same options with --resume in place of --protocol go on.

    Args:
        protocol: Where the protocol is to be.
        resume: The unfinished protocol of a ceremony that broke off, to go on with.
        officers: Certificates of the officers who may approve, PEM or DER.
        need: So many of them must approve.
        place: Where the ceremony is held; asked for if it is not given.
        script: Prepared answers, without PINs (TOML); what is missing is asked for.
        rehearse: Use a throw-away SoftHSM token; only the protocol stays, and says so.
    """
    from chopmark.service.ceremony_hold import Plan

    if rehearse and resume:
        raise UsageError("usage", "a rehearsal cannot go on", hint="its token is gone: begin anew")
    plan = Plan(
        path=options.config_path().absolute(),
        config=new.config(),
        cosigner=new.cosigner_key,
        officers=officers,
        need=need,
        place=place,
        protocol=_choose(protocol, resume, officers),
        resumed=resume is not None,
    )
    return _hold(plan, script, options, rehearse=rehearse)


def rotate(
    role: Literal["log", "cosigner"],
    /,
    *,
    protocol: Path | None = None,
    resume: Path | None = None,
    officers: Annotated[tuple[Path, ...], Parameter(negative="", consume_multiple=True)] = (),
    need: int = 2,
    place: str | None = None,
    script: Path | None = None,
    options: Given,
) -> int:
    """Make a key to follow one in use, as `chopmark hsm generate` does, before officers.

    The gateway runs meanwhile, on this machine. The steps are those of `ceremony init`. The new key
    signs nothing for the log until the roster names it and it is activated. The protocol is signed
    by the new log key; where it is a cosigner key, by the log key in use.

    Args:
        role: The key to be followed: log or cosigner.
        protocol: Where the protocol is to be.
        resume: The unfinished protocol of a ceremony that broke off, to go on with.
        officers: Certificates of the officers who may approve, PEM or DER.
        need: So many of them must approve.
        place: Where the ceremony is held; asked for if it is not given.
        script: Prepared answers, without PINs (TOML); what is missing is asked for.
    """
    from chopmark.service.ceremony_hold import Plan

    with options.connect() as gateway:
        plan = Plan(
            path=options.config_path().absolute(),
            config=options.load_config(),
            officers=officers,
            need=need,
            place=place,
            protocol=_choose(protocol, resume, officers),
            gateway=gateway,
            role=role,
            resumed=resume is not None,
        )
        return _hold(plan, script, options)


def _choose(protocol: Path | None, resume: Path | None, officers: tuple[Path, ...]) -> Path:
    if protocol is not None and resume is not None:
        raise UsageError("usage", "--protocol and --resume exclude each other", hint="give one")
    if not officers:
        raise UsageError("usage", "--officers names no certificate", hint="give two at least")
    chosen = protocol or resume
    if chosen is None:
        raise UsageError("usage", "one of --protocol and --resume is due", hint="give one")
    return chosen.absolute()


def _hold(plan: "Plan", script: Path | None, options: Options, *, rehearse: bool = False) -> int:
    from chopmark.cli.ceremony_desk import TerminalDesk, read_script
    from chopmark.service.ceremony_hold import hold
    from chopmark.service.ceremony_rehearsal import rehearsal

    desk = TerminalDesk(read_script(script) if script else {})
    with ExitStack() as stack:
        if options.json:  # one value on standard output, and the ceremony beside it
            stack.enter_context(redirect_stdout(sys.stderr))
        stack.callback(_tell_unfinished, plan.unfinished, thrown_away=rehearse)
        if rehearse:
            plan = stack.enter_context(rehearsal(plan, desk))
        held = hold(plan, desk)
    keys = {"log_vkey": held.log_key, "cosigner_vkey": held.cosigner_key}
    if options.json:
        say_json({"protocol": str(held.path), "sha256": held.digest, **keys})
        return 0
    say()
    say(styled("the ceremony is completed", "green"))
    say_fields([("protocol", held.path), ("sha256", held.digest)])
    say_fields([("log key", held.log_key), ("cosigner key", held.cosigner_key)])
    if plan.gateway is not None:
        say()
        say(f"next: `chopmark roster propose NEW --add-key {plan.config.gateway.id}=VKEY`")
    elif not rehearse:
        say_next(plan.path, plan.config.gateway.state)
    return 0


def _tell_unfinished(path: Path, *, thrown_away: bool) -> None:
    """Whatever happened: what was done is there."""
    if not path.exists():
        return
    if thrown_away:
        path.unlink()
        return
    say()
    say_prose(f"The ceremony broke off. What was done is in {path}: --resume goes on with it.")


def check(
    file: Path,
    /,
    *,
    officers: Annotated[tuple[Path, ...], Parameter(negative="", consume_multiple=True)] = (),
    key: str | None = None,
    options: Given,
) -> int:
    """Check the protocol of a key ceremony, offline, on any machine.

    Every hash of the chain, every approval, the self-test's signatures and the signature of the new
    log key are checked. Without --officers it says whose certificates it goes by: compare them.

    Args:
        file: The protocol.
        officers: Certificates of officers whom you know; the protocol may name no others.
        key: Verifier key (vkey) that the log is known to have.
    """
    from chopmark.client.files import read_bounded
    from chopmark.client.officers import read_certificate
    from chopmark.core.ceremony_rules import check_file, check_trusted
    from chopmark.core.ceremony_text import parse_file
    from chopmark.core.errors import RefusedError
    from chopmark.core.note import MAX_NOTE

    found = parse_file(read_bounded(file, MAX_NOTE))
    keys = check_file(found)
    if officers:
        check_trusted(found.ceremony, [read_certificate(one) for one in officers])
    if key is not None and key not in [one.encode() for one in keys]:
        raise RefusedError("other-keys", "the ceremony made other keys than the one given")
    if options.json:
        say_json(_summarise(found.ceremony, keys))
    else:
        _show(found.ceremony, keys, trusted=bool(officers))
    return 0


def _summarise(ceremony: "Ceremony", keys: "tuple[VerifierKey, ...]") -> dict[str, object]:
    from chopmark.core.officers import fingerprint

    end = ceremony.end
    return {
        "origin": ceremony.origin,
        "kind": ceremony.kind,
        "notice": ceremony.notice or None,
        "outcome": None if end is None else end.outcome,
        "reason": (end.reason or None) if end else None,
        "keys": [one.encode() for one in keys],
        "need": ceremony.need,
        "warning": _warn_of(ceremony),
        "officers": [
            {
                "name": one.name,
                "institution": one.institution,
                "certificate": fingerprint(one.certificate),
            }
            for one in ceremony.officers
        ],
        "steps": [
            {
                "name": one.name,
                "result": one.result,
                "approved_by": [ceremony.officers[a.officer - 1].name for a in one.approvals],
            }
            for one in ceremony.steps
        ],
    }


def _warn_of(ceremony: "Ceremony") -> str | None:
    """What keeps no rule, and is worth knowing all the same."""
    if ceremony.need >= PRUDENT:
        return None
    return "WARNING: one officer alone could approve every step of this ceremony"


def _show(ceremony: "Ceremony", keys: "tuple[VerifierKey, ...]", *, trusted: bool) -> None:
    from chopmark.core.ceremony import encode_time
    from chopmark.core.fingerprint import Fingerprint, encode_public
    from chopmark.core.officers import fingerprint

    end = ceremony.end
    if end is not None and end.outcome == "aborted":
        say(styled(" ABORTED ", "yellow-block"), "  ", styled(ceremony.origin, "bold"))
        say_prose(end.reason)
    else:
        say(styled(" ✔ GOOD ", "green-block"), "  ", styled(ceremony.origin, "bold"))
    if ceremony.notice:
        say(styled(ceremony.notice, "yellow"))
    say_fields(
        [
            ("place", ceremony.place),
            ("ended", encode_time(end.time) if end else None),
            ("needed", f"{ceremony.need} of {len(ceremony.officers)} officers"),
        ]
    )
    warning = _warn_of(ceremony)
    if warning is not None:
        say("  ", styled(warning, "yellow"))
    for one in keys:
        said = Fingerprint(encode_public(one))
        say_fields([("key", one.encode()), ("fingerprint", said.hex), ("in words", said.words)])
    for number, person in enumerate(ceremony.officers, 1):
        approved = [
            step.name
            for step in ceremony.steps
            if any(one.officer == number for one in step.approvals)
        ]
        say_fields(
            [
                ("officer", f"{person.name}, {person.institution}"),
                ("certificate", fingerprint(person.certificate)),
                ("approved", ", ".join(approved) or "nothing"),
            ]
        )
    if not trusted:
        say_prose("the officers' certificates are those in the protocol: compare them (--officers)")
