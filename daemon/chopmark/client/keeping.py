"""Keeping very many proofs: a file for each document, none of them ever written over another."""

import os
from collections import Counter
from itertools import islice
from pathlib import Path

from chopmark.client.files import PROOF_SUFFIX, check_creatable, read_proof, write_soon
from chopmark.client.manifest import Manifest
from chopmark.client.proofs import proof_mode
from chopmark.core.errors import ExistsError, MalformedError, MissingError
from chopmark.core.proof import Proof, parse_extra, parse_proof


class ProofFiles:
    """Where the proofs of a manifest's documents go.

    Args:
        manifest: the documents.
        folder: for all proofs, by the last part of each document's name; None for beside each
            document, whose name begins at the current folder.
    """

    def __init__(self, manifest: Manifest, folder: Path | None) -> None:
        self._manifest = manifest
        self._folder = folder

    def path(self, number: int) -> Path:
        """Where a document's proof goes."""
        document = Path(self._manifest.name(number))
        if self._folder is None:
            return document.with_name(document.name + PROOF_SUFFIX)
        return self._folder / (document.name + PROOF_SUFFIX)

    def check(self, *, may_exist: bool) -> None:
        """Find what can be known to go wrong, before anything is attested.

        Args:
            may_exist: whether proofs may be there already, from a run that broke off.

        Raises:
            MalformedError: `manifest-name` for a name that is no file's, and for documents whose
                proofs would have one name.
            ExistsError, MissingError, ForbiddenError, InternalError: as `check_creatable`.
        """
        if self._folder is not None and not self._folder.is_dir():
            raise MissingError("no-such-folder", f"no such folder: {self._folder}")
        for number in range(len(self._manifest)):
            self._check_name(number)
        self._check_twins()
        if may_exist:
            return
        for number in range(len(self._manifest)):
            check_creatable(self.path(number))

    def write(self, number: int, proof: Proof) -> bool:
        """Write a proof, durable after `sync_all`; false if one of this entry is there already.

        Raises:
            ExistsError: `file-exists` if anything else is there.
            ForbiddenError, MissingError, InternalError: as `write_new`.
        """
        path = self.path(number)
        try:
            write_soon(path, proof.encode(), proof_mode(proof))
        except ExistsError:
            if not _is_of_same_entry(path, proof):
                raise
            return False
        return True

    def _check_name(self, number: int) -> None:
        name = os.path.basename(self._manifest.name(number))  # noqa: PTH119 - Path drops the last /
        if name in ("", ".", ".."):
            message = f"{self._manifest.name(number)!r} in the manifest is no file's name"
            raise MalformedError("manifest-name", message)

    def _check_twins(self) -> None:
        count = len(self._manifest)
        if len({str(self.path(number)) for number in range(count)}) == count:
            return
        named = Counter(str(self.path(number)) for number in range(count))
        (path, _), *_ = islice(named.most_common(1), 1)
        message = f"two documents of the manifest would have the proof {path}"
        hint = "`--proofs beside` keeps documents of one name apart, if their folders differ"
        raise MalformedError("manifest-name", message, hint=hint)


def _is_of_same_entry(path: Path, proof: Proof) -> bool:
    """Whether a file is a proof of this entry, under whatever checkpoint of its log."""
    try:
        held = parse_proof(read_proof(path))
        same = held.checkpoint().origin == proof.checkpoint().origin
        return same and (held.index, _entry(held)) == (proof.index, _entry(proof))
    except MalformedError:
        return False


def _entry(proof: Proof) -> bytes:
    return parse_extra(proof.extra).entry
