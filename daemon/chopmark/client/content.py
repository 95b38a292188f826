"""Why a document is not the one that was attested: whether it says the same all the same."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from chopmark.client.canonical.apart import digest_file
from chopmark.client.verdicts import VerdictReport, wanted_canonical
from chopmark.core.digest import Digests
from chopmark.core.errors import MalformedError


def explain_mismatch(
    report: VerdictReport,
    file: Path,
    digests: Digests,
    judge: Callable[[Digests], VerdictReport],
) -> VerdictReport:
    """The verdict, once more with the canonical digests that can tell more, if there are such.

    Costs nothing unless the document is not the one attested and the entry names such digests.

    Args:
        report: the verdict by digests of the file's bytes.
        file: the document.
        digests: of the file's bytes.
        judge: gives the verdict about digests.

    Raises:
        ChopmarkError: what `judge` raises; `read-failed` and the like for the file.
    """
    names = wanted_canonical(report)
    found = [(name, digest) for name in names if (digest := _try(file, name)) is not None]
    return judge(replace(digests, canonical=tuple(found))) if found else report


def _try(file: Path, name: str) -> bytes | None:
    """The digest; None for a document that has none: it is a mismatch, and that was said."""
    try:
        return digest_file(file, name)
    except MalformedError:
        return None
