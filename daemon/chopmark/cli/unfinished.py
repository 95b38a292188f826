"""What is kept of a run while it lasts, beside its manifest, so that it can be gone on with."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from chopmark.client.files import read_bounded, replace_file
from chopmark.core.errors import ExistsError, MalformedError, MissingError

SUFFIX: Final = ".chopmark"
_LIMIT: Final = 4096
_MODE: Final = 0o600


@dataclass(slots=True)
class Unfinished:
    """A run that has begun.

    Attributes:
        request: id of its request, in hexadecimal.
        origin: of the log that it goes to.
        kind: of the documents.
        valid_until: ms since the Unix epoch, or None.
        manifest: fingerprint of the digests.
        recorded: how many of them are known to be recorded.
        blinded: whether they are to be blinded.
    """

    request: str
    origin: str
    kind: str
    valid_until: int | None
    manifest: str
    recorded: int = 0
    blinded: bool = False

    def save(self, path: Path) -> None:
        """Keep it, durable once this returns."""
        replace_file(path, json.dumps(asdict(self), indent=1).encode() + b"\n", _MODE)

    def check(self, wanted: "Unfinished") -> None:
        """Refuse to go on with another run than this.

        Raises:
            ExistsError: `another-run`.
        """
        names = {
            "manifest": "the manifest's digests have changed",
            "kind": "it was of another --kind",
            "valid_until": "it had another --valid-until",
            "blinded": f"it was {'' if self.blinded else 'not '}--blinded",
            "origin": f"it was at the gateway of {self.origin}",
        }
        for name, reason in names.items():
            if getattr(self, name) != getattr(wanted, name):
                message = f"the run that broke off cannot be gone on with: {reason}"
                hint = f"it was request {self.request}, {self.recorded} documents recorded"
                raise ExistsError("another-run", message, hint=hint)


def place_beside(manifest: Path) -> Path:
    """Where a manifest's unfinished run is kept."""
    return manifest.with_name(manifest.name + SUFFIX)


def load(path: Path) -> Unfinished | None:
    """The unfinished run that is kept there, if there is one.

    Raises:
        MalformedError: `malformed-run`.
    """
    try:
        data = read_bounded(path, _LIMIT)
    except MissingError:
        return None
    try:
        made = Unfinished(**json.loads(data))
        good = len(bytes.fromhex(made.request)) == 16 and made.recorded >= 0
    except (ValueError, TypeError) as error:
        raise _bad(path) from error
    if not good:
        raise _bad(path)
    return made


def _bad(path: Path) -> MalformedError:
    hint = "if no run of this manifest broke off, remove it"
    return MalformedError("malformed-run", f"{path} does not say what broke off", hint=hint)
