"""`chopmark roster export-acl`: the access list of a broker, from the roster."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from chopmark.cli.arguments import read_pairs
from chopmark.cli.commands.roster import open_unjudged
from chopmark.cli.context import Given, Options
from chopmark.cli.failures import attempt
from chopmark.cli.terminal import say, say_json
from chopmark.client.files import read_bounded, replace_file
from chopmark.core.errors import ChopmarkError, MissingError, UnreachableError, UsageError
from chopmark.core.inert import clean
from chopmark.core.note import MAX_NOTE

if TYPE_CHECKING:
    from chopmark.core.roster_follow import SignedRoster

Many = Annotated[list[str] | None, Parameter(negative="")]
Switch = Annotated[bool, Parameter(negative="", show_default=False)]


def export_acl(
    file: Path | None = None,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    offline: Switch = False,
    subject: Many = None,
    bridge: Many = None,
    options: Given,
) -> int:
    """Print the access list (acl_file) of a Mosquitto for the members of the roster.

    The same roster gives the same bytes; its version and fingerprint stand in the first lines.
    Where none is pinned the members are those of the [[peer]] blocks in the gateway's
    configuration, and the first lines say so. firmware-config/mosquitto/README.md says where it
    goes.

    Args:
        file: The note of a roster, offline; by default the one in force at the gateway.
        output: File to write, only once all went well; what was there is replaced.
        offline: Ask no gateway: go by the configuration on this machine, and the roster pinned in
            the state folder that it names, if there is one.
        subject: ID=SUBJECT: subject of a member's certificate that has more in it than CN=ID, as
            `openssl x509 -noout -subject -nameopt RFC2253` prints it.
        bridge: NAME=ID,ID: CN of a bridge's certificate, and the members that speak through it.
    """
    from chopmark.service.acl import make_acl, make_acl_without_roster

    if file is not None and offline:
        raise UsageError("usage", "a file is read offline by itself", hint="leave out --offline")
    signed = _read(file, options, offline=offline)
    rights = read_pairs(subject), {name: ids.split(",") for name, ids in read_pairs(bridge).items()}
    if signed is None:
        acl, known = make_acl_without_roster(options.load_config(), *rights), None
    else:
        acl, known = make_acl(signed, *rights), signed.roster.version
    if output is not None:
        replace_file(output, acl.encode())
    if options.json:
        fingerprint = None if signed is None else signed.fingerprint.hex
        say_json({"version": known, "fingerprint": fingerprint, "acl": acl})
    elif output is not None:
        source = "the [[peer]] blocks: no roster is pinned" if known is None else f"roster {known}"
        say(clean(output), f"  from {source}")
    else:
        sys.stdout.write(acl)
    return 0


def _read(file: Path | None, options: Options, *, offline: bool) -> "SignedRoster | None":
    """The roster to go by; None where the configuration on this machine says who the members are.

    Raises:
        MissingError: `no-roster`: the gateway that was asked has none, and is not this machine's.
    """
    if file is not None:
        return open_unjudged(read_bounded(file, MAX_NOTE))
    if offline:
        from chopmark.service.own_ledger import read_pinned

        return read_pinned(options.load_config())
    answer = attempt(partial(_ask, options))
    if isinstance(answer, ChopmarkError):
        if isinstance(answer, UnreachableError):
            answer.hint += "; or give --offline, to go by the configuration on this machine"
        raise answer
    origin, note = answer
    if note is not None:
        return open_unjudged(note.encode())
    here = attempt(options.load_config)
    if isinstance(here, ChopmarkError) or here.gateway.origin != origin:
        message = f"no roster is pinned at {origin}, and its configuration is not on this machine"
        hint = "name the note of a roster, or run this on that gateway's machine; see --config"
        raise MissingError("no-roster", message, hint=hint)
    return None


def _ask(options: Options) -> tuple[str, str | None]:
    """The gateway's origin, and the note of the roster that is pinned there."""
    with options.connect_own() as gateway:
        answer = gateway.roster()
        note = str(answer["note"]) if answer.get("pinned") else None
        return str(gateway.export()["origin"]), note
