"""`chopmark export-verifier`: one file of HTML that verifies with no gateway."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from chopmark.cli.context import Given
from chopmark.cli.terminal import say, say_fields, say_json, say_prose
from chopmark.client.files import check_creatable, write_new
from chopmark.core.wording import format_time

DEFAULT: Final = Path("chopmark-verifier.html")


def export_verifier(
    *, output: Annotated[Path, Parameter(alias="-o")] = DEFAULT, options: Given
) -> int:
    """Write a page that verifies documents by their proofs with no gateway at all.

    It is one file of HTML with this gateway's roster and policies inside. It opens from a disk, in
    any browser, and sends nothing anywhere. It gives valid-as-of at best, since revocations are
    known at gateways only, and checks nothing any more once the roster has expired.

    Args:
        output: Where to write it.
    """
    from chopmark.client.offline_page import build_page, read_seal

    check_creatable(output)
    with options.connect() as gateway:
        sealed = read_seal(gateway, datetime.now(UTC))
    write_new(output, build_page(sealed))
    roster, fingerprint = sealed.roster, sealed.fingerprint
    expires = format_time(int(roster.expires.timestamp() * 1000))
    if options.json:
        values = {"path": str(output), "version": roster.version, "expires": expires}
        say_json(values | {"fingerprint": fingerprint.hex, "words": fingerprint.words})
        return 0
    say(f"wrote {output}")
    say_fields(
        [
            ("roster", f"version {roster.version}"),
            ("fingerprint", fingerprint.words),
            ("works until", expires),
        ]
    )
    say_prose(
        "Hand it to clerks yourself: whoever makes such a file can make it say anything.", indent=0
    )
    return 0
