"""`chopmark roster export-acl`: the access list of a broker, from the roster."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from chopmark.cli.commands.roster import open_unjudged, read_before
from chopmark.cli.context import Given
from chopmark.cli.terminal import say_json
from chopmark.client.files import read_bounded
from chopmark.core.errors import UsageError
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

    if file is None:
        signed: SignedRoster = read_before(None, options)
    else:
        signed = open_unjudged(read_bounded(file, MAX_NOTE))
    bridges = {name: ids.split(",") for name, ids in map(_pair, bridge or [])}
    acl = make_acl(signed, dict(map(_pair, subject or [])), bridges)
    if options.json:
        roster = {"version": signed.roster.version, "fingerprint": signed.fingerprint.hex}
        say_json({**roster, "acl": acl})
    else:
        sys.stdout.write(acl)
    return 0


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not value:
        raise UsageError("usage", f"not NAME=VALUE: {text[:80]!r}")
    return name, value
