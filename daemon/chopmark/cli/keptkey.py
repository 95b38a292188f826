"""An idempotency key that outlives a run which got no proof.

Salt and body of a consent or use are with whoever recorded it, and for a day with the gateway, for
whoever sends the same request with its key. So the key lies beside the document until the proof
does: the same command again fetches what was recorded, and records nothing new.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from chopmark.client.files import PRIVATE_MODE, read_bounded, write_new
from chopmark.client.plans import make_key
from chopmark.core.errors import InternalError, UnreachableError

NOT_YET: Final = (
    "it is recorded, and not signed yet: the same command again, within a day, fetches its proof"
)
SUFFIX: Final = ".chopmark"
_LIMIT: Final = 256


class KeptKey:
    """The key of one request.

    Args:
        document: beside which it lies; the name ends in the request's own hash.
        name: what is recorded, such as `use`.
        body: the request.
    """

    def __init__(self, document: Path, name: str, body: Mapping[str, object]) -> None:
        said = json.dumps(body, sort_keys=True).encode()
        short = hashlib.sha256(said).hexdigest()[:8]
        self.path = document.with_name(f"{document.name}.{name}-{short}{SUFFIX}")

    def send(self, call: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
        """Call with the key; it stays until `drop`, unless the gateway says that nothing is kept.

        Raises:
            ChopmarkError: what `call` and writing raise.
        """
        if self.path.exists():
            key = read_bounded(self.path, _LIMIT).decode("ascii", "replace").strip()
        else:
            key = make_key()
            write_new(self.path, f"{key}\n".encode(), PRIVATE_MODE)
        try:
            return call(key)
        except (UnreachableError, InternalError):
            raise  # nobody knows whether it is recorded
        except Exception:
            self.drop()
            raise

    def drop(self) -> None:
        """The proof is on the disk, or there is none."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
