"""What documents say, by canonical digests (docs/formats/canonical.md)."""

from collections.abc import Sequence
from pathlib import Path

from chopmark.client.canonical.apart import digest_file, find_name
from chopmark.core.draft import Canonical, sort_canonical


def name_contents(
    files: Sequence[Path], demanded: Sequence[str], *, all_there_are: bool
) -> list[Canonical]:
    """The canonical digests that each file's attestation names.

    Args:
        files: the documents.
        demanded: digests that their kind demands, algorithms among them.
        all_there_are: name one also where none is demanded, of a document that has one.

    Raises:
        MalformedError: `no-canonical-digest`: one that is demanded cannot be made.
    """
    names = [name for name in demanded if name not in ("sha256", "sm3")]
    if not names and not all_there_are:
        return [()] * len(files)
    found: list[Canonical] = []
    for file in files:
        own = find_name(file) if all_there_are else None
        chosen = dict.fromkeys([*names, *([own] if own else [])])
        found.append(sort_canonical({name: digest_file(file, name) for name in chosen}))
    return found
