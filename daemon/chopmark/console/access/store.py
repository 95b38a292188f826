"""What the console keeps to let people in: four small files in a folder of its own (mode 0700).

| file | what |
| --- | --- |
| `box.key` | the private key of the box, PKCS#8; made once |
| `commissioning` | SHA-256 of the commissioning code; counts only while there is no enrolment |
| `enrolment` | the enrolment in force, as it was taken: to put it in place is what takes it |
| `tries.json` | wrong tries, codes that were used, and the latest time that is certain |

Each is written whole or not at all, and is durable before anybody goes on.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from chopmark.client.files import (
    PRIVATE_MODE,
    check_creatable,
    make_folder,
    read_bounded,
    replace_file,
    sync_folder,
    write_new,
)
from chopmark.console.access.waits import Count
from chopmark.core.boxkey import BoxKey, box_key_of, check_box_name
from chopmark.core.enrolment import MAX_ENROLMENT
from chopmark.core.errors import ConfigurationError, MissingError

FOLDER_MODE: Final = 0o700
MOST_USED: Final = 256
"""Secrets whose last code is remembered: two for each technician of two files."""
_MAX_KEY: Final = 4096
_MAX_TRIES: Final = 128 * 1024
_DIGEST: Final = 64


class Tries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was tried.

    Attributes:
        counts: wrong tries, by place; see `waits`.
        used: number of the last code that was taken, by name of its secret; see `codes`.
        certain: seconds since the Unix epoch; a code by the clock was taken then.
    """

    counts: dict[str, Count] = {}
    used: dict[str, int] = {}
    certain: int = 0

    def with_used(self, name: str, number: int) -> dict[str, int]:
        """`used` with one more; the oldest ones go beyond `MOST_USED`."""
        found = {one: last for one, last in self.used.items() if one != name} | {name: number}
        return dict(list(found.items())[-MOST_USED:])


_DECODER: Final = msgspec.json.Decoder(Tries)
"""Made here, as msgspec learns a type without a lock: a read that Ctrl-C left behind on its thread
and the next one, both the first, would end the process by a segmentation fault."""


@dataclass(frozen=True, slots=True)
class Store:
    """The folder. All its calls block."""

    folder: Path

    def make(self, name: str, code: str) -> BoxKey:
        """Make the key of a box of this name, and let its first enrolment in by a code.

        Raises:
            MalformedError: `malformed-box-key`.
            ExistsError: `file-exists`: it was made before.
        """
        check_box_name(name)
        make_folder(self.folder, FOLDER_MODE)
        check_creatable(self._path("box.key"))
        private = X25519PrivateKey.generate()
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        # The key comes last: with it the box is made.
        replace_file(self._path("commissioning"), _digest(code).encode(), PRIVATE_MODE)
        write_new(self._path("box.key"), name.encode() + b"\n" + pem, PRIVATE_MODE)
        return box_key_of(name, private)

    def read_key(self) -> tuple[str, X25519PrivateKey]:
        """Name of the box, and its key.

        Raises:
            ConfigurationError: `console-not-made`, `console-damaged`.
        """
        try:
            data = read_bounded(self._path("box.key"), _MAX_KEY)
        except MissingError:
            hint = "root makes it: `chopmark-console init-access` on the box"
            message = "this box has no key yet: nobody can sign in"
            raise ConfigurationError("console-not-made", message, hint=hint) from None
        name, _, pem = data.partition(b"\n")
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, X25519PrivateKey):
            raise _damaged("box.key")
        return name.decode("ascii", "replace"), key

    def read_box(self) -> BoxKey:
        """The public key of the box; raises as `read_key`."""
        return box_key_of(*self.read_key())

    def read_commissioning(self) -> str:
        """SHA-256 of the code in hexadecimal; nothing if there is none."""
        return self._read("commissioning", _DIGEST).decode("ascii", "replace")

    def read_enrolment(self) -> bytes:
        """The enrolment in force; nothing before the first."""
        return self._read("enrolment", MAX_ENROLMENT)

    def write_enrolment(self, data: bytes) -> None:
        """Put another one in force; the commissioning code, if there was one, counts no more."""
        replace_file(self._path("enrolment"), data, PRIVATE_MODE)
        self._path("commissioning").unlink(missing_ok=True)
        sync_folder(self.folder)

    def read_tries(self) -> Tries:
        """What was tried.

        Raises:
            ConfigurationError: `console-damaged`.
        """
        data = self._read("tries.json", _MAX_TRIES)
        try:
            return _DECODER.decode(data) if data else Tries()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _damaged("tries.json") from None

    def write_tries(self, tries: Tries) -> None:
        """Keep what was tried; raises as `replace_file` if the disk takes nothing."""
        replace_file(self._path("tries.json"), msgspec.json.encode(tries), PRIVATE_MODE)

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _read(self, name: str, limit: int) -> bytes:
        try:
            return read_bounded(self._path(name), limit)
        except MissingError:
            return b""


def is_code(digest: str, code: str) -> bool:
    """Whether a commissioning code is the one; it has 80 bits, so that a plain hash will do."""
    return bool(digest) and hmac.compare_digest(digest, _digest(code))


def _digest(code: str) -> str:
    plain = "".join(code.upper().split()).replace("-", "")
    return sha256(b"chopmark/commissioning/v1\n" + plain.encode("utf-8", "replace")).hexdigest()


def _damaged(name: str) -> ConfigurationError:
    hint = "root removes the folder and makes it anew; head office then makes a new enrolment"
    return ConfigurationError(
        "console-damaged", f"{name} of the console's folder is damaged", hint=hint
    )
