"""A stand-in for a gateway of another version of the mesh's protocol.

`otherversion.py NEWEST OLDEST`, then the arguments of `chopmarkd`. It is the real daemon, which
says that it speaks these versions. It writes its unsigned messages as such a one may: with keys
that nobody knows yet if one of the versions is ours, and otherwise with nothing in its place but
what no version changes.
"""

import sys
from typing import Any

from chopmark.core import cbor
from chopmark.mesh import versions
from chopmark.mesh.versions import Versions

FIXED = (0, 1, 3)
"""Keys of a status that no version changes."""


def main() -> None:
    """Run as `chopmarkd` with the rest of the arguments."""
    spoken = Versions(int(sys.argv.pop(1)), int(sys.argv.pop(1)))
    understood = versions.OURS.meets(spoken)
    versions.OURS = spoken  # type: ignore[misc]
    from chopmark.mesh import messages

    messages.encode_cbor = _add_keys if understood else _write_otherwise
    from chopmark.service.main import run

    run()


def _add_keys(value: Any) -> bytes:
    key: Any = 9 if all(isinstance(one, int) for one in value) else "news"
    return cbor.encode_cbor({**value, key: ["of", {"the": "next"}, b"version"]})


def _write_otherwise(value: Any) -> bytes:
    if set(value) == {0, 1, 2, 3}:  # a status
        return cbor.encode_cbor({key: value[key] for key in FIXED} | {2: ["sizes", "otherwise"]})
    return cbor.encode_cbor({7: ["otherwise"]})


if __name__ == "__main__":
    main()
