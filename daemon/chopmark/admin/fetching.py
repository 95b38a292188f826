"""`python -m chopmark.admin.fetching`: gets a release from where the configuration says.

It is what `chopmark-fetch.service` runs when a technician asks for it: with the network, as a user
of its own, with no secret but the key of its client certificate. Rules:

1. The note comes first. Only if the second key has signed it, for this sort of box and for a newer
   release than what runs, the bundle is asked for.
2. The bundle goes into a file named after the note's digest, on the data partition, and never so
   far that the disk would be fuller than `[storage] alarm`; root's copy at the installation counts.
3. A connection that breaks is made again from where it broke, five times without a byte more;
   after that the part stays, and the next fetch goes on with it.
4. `release.note` and `release.raucb` are there once the digest is right, and not before. What is
   refused leaves nothing.

Root trusts none of this: `firmware install` copies both, and checks them again.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

import chopmark
from chopmark.admin.downloading import PAUSE, Download, Tell
from chopmark.admin.problems import describe_error
from chopmark.admin.release import (
    BUNDLE,
    MAX_NOTE,
    NOTE,
    Release,
    find_sort,
    parse_release,
    refuse_older,
)
from chopmark.admin.source import Source
from chopmark.client.files import replace_file
from chopmark.core.errors import ChopmarkError, InternalError, MissingError
from chopmark.service.config import find_config, load_config
from chopmark.service.config_model import Config
from chopmark.service.platform import not_here

PART: Final = ".part"


@dataclass(frozen=True, slots=True)
class Place:
    """Where things are on the box.

    Attributes:
        folder: into which it is fetched.
        key: the second key.
        system: RAUC's configuration, which has the sort of box.
        credential: private key of our certificate at the source.
        running: version that runs.
        pause: see `PAUSE`.
    """

    folder: Path
    key: Path = Path("/etc/rauc/note.vkey")
    system: Path = Path("/etc/rauc/system.conf")
    credential: Path | None = None
    running: str = chopmark.__version__
    pause: float = PAUSE


def fetch(config: Config, place: Place, tell: Tell) -> Release:
    """Get the release that the source has.

    Args:
        config: the gateway's.
        place: where things are.
        tell: hears how far it is: `version`, `have` and `size` in bytes, `rate` in bytes a second.

    Raises:
        MissingError: `no-firmware-source`, `no-update`.
        RefusedError: `firmware-refused`, `firmware-older`, `firmware-source-wrong`.
        TryAgainError: `firmware-no-room`.
        UnreachableError: `firmware-source-away`.
        ConfigurationError: `tls-files-wrong`.
    """
    settings = config.firmware
    if settings is None:
        hint = "[firmware] source in the configuration; or bring it on a USB stick"
        raise MissingError("no-firmware-source", "no firmware source is configured", hint=hint)
    if not place.key.exists():
        raise not_here("firmware")
    source = Source(settings, place.credential)
    sort = find_sort(place.system.read_text())
    note = source.read(f"{sort}.note", MAX_NOTE)
    release = parse_release(note, place.key.read_text(), sort)
    refuse_older(release.version, place.running)
    part = place.folder / (release.digest + PART)
    if not _is_there(place.folder, note):
        _forget(place.folder, part)
        Download(source, release, part, config.storage.alarm, tell, place.pause).run()
        part.replace(place.folder / BUNDLE)
        replace_file(place.folder / NOTE, note, 0o600)
    return release


def _is_there(folder: Path, note: bytes) -> bool:
    with suppress(OSError):
        return (folder / NOTE).read_bytes() == note and (folder / BUNDLE).exists()
    return False


def _forget(folder: Path, part: Path) -> None:
    """Remove what is of another release; the note first, so that no half counts."""
    (folder / NOTE).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path != part:
            path.unlink()


def _tell(told: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    sys.stdout.buffer.flush()


def main() -> int:
    """Fetch, as its unit has it; what comes of it is the last line."""
    folder = Path(os.environ["STATE_DIRECTORY"])
    lent = os.environ.get("CREDENTIALS_DIRECTORY")
    place = Place(folder, credential=None if lent is None else Path(lent) / "firmware-key")
    try:
        release = fetch(load_config(find_config(None)), place, _tell)
    except ChopmarkError as error:
        sys.stderr.write(f"{error}\n")
        _tell(describe_error(error))
        return 1
    except OSError as error:
        _tell(describe_error(InternalError("program-failed", f"the fetch has failed: {error}")))
        return 1
    _tell({"version": release.version, "size": (folder / BUNDLE).stat().st_size, "done": True})
    return 0


if __name__ == "__main__":
    sys.exit(main())
