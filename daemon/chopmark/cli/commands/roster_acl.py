"""`chopmark roster export-acl`: the access list of a broker, from the roster."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from chopmark.cli.arguments import read_pairs
from chopmark.cli.commands.roster import open_unjudged
from chopmark.cli.context import Given, Options
from chopmark.cli.terminal import say_json
from chopmark.client.files import read_bounded
from chopmark.core.errors import MissingError
from chopmark.core.note import MAX_NOTE

if TYPE_CHECKING:
    from chopmark.core.roster_follow import SignedRoster

Many = Annotated[list[str] | None, Parameter(negative="")]


def export_acl(
    file: Path | None = None, /, *, subject: Many = None, bridge: Many = None, options: Given
) -> int:
    """Print the access list (acl_file) of a Mosquitto for the members of the roster.

    The same roster gives the same bytes; its version and fingerprint stand in the first lines.
    firmware-config/mosquitto/README.md says where it goes.

    Args:
        file: The note of a roster, offline; by default the one in force at the gateway.
        subject: ID=SUBJECT: subject of a member's certificate that has more in it than CN=ID, as
            `openssl x509 -noout -subject -nameopt RFC2253` prints it.
        bridge: NAME=ID,ID: CN of a bridge's certificate, and the members that speak through it.
    """
    from chopmark.service.acl import make_acl

    signed = _read(file, options)
    bridges = {name: ids.split(",") for name, ids in read_pairs(bridge).items()}
    acl = make_acl(signed, read_pairs(subject), bridges)
    if options.json:
        roster = {"version": signed.roster.version, "fingerprint": signed.fingerprint.hex}
        say_json({**roster, "acl": acl})
    else:
        sys.stdout.write(acl)
    return 0


def _read(file: Path | None, options: Options) -> "SignedRoster":
    if file is not None:
        return open_unjudged(read_bounded(file, MAX_NOTE))
    with options.connect() as gateway:
        answer = gateway.roster()
    if not answer.get("pinned"):
        hint = "name the note of a roster, or pin one: `chopmark roster pin`"
        raise MissingError("no-roster", "no roster is pinned at this gateway", hint=hint)
    return open_unjudged(str(answer["note"]).encode())
