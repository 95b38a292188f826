"""`chopmark attest --manifest`: a million documents whose digests are known already."""

import secrets
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chopmark.cli.context import Options
from chopmark.cli.failures import attempt
from chopmark.cli.terminal import say, say_fields, say_json, styled
from chopmark.cli.unfinished import Unfinished, load, place_beside
from chopmark.client.files import explain_read_error, sync_all
from chopmark.client.keeping import ProofFiles
from chopmark.client.manifest import Manifest, join_sm3, read_manifest
from chopmark.client.proofs import state_of
from chopmark.core.compact import REQUEST_ID, Header
from chopmark.core.errors import (
    ChopmarkError,
    ExistsError,
    MalformedError,
    MissingError,
    TryAgainError,
    UsageError,
)
from chopmark.core.inert import clean

if TYPE_CHECKING:
    from chopmark.client.compact import CompactRequest
    from chopmark.client.gateway import GatewayClient
    from chopmark.core.prover import RunProver

BESIDE: Final = "beside"
STDIN: Final = Path("-")


@dataclass(frozen=True, slots=True)
class Bulk:
    """What the command line asks for.

    Attributes:
        manifest: the file, or `-`.
        kind: of the documents.
        valid_until: ms since the Unix epoch, or None.
        wait: seconds for the signature.
        proofs: a folder, `beside`, or None for no proofs.
        resume: whether to go on with a run that broke off.
        until: `signed`, or `witnessed`: until the quorum has countersigned.
        blinded: whether the digests are to be hidden from the other members.
        sm3: a file with the SM3 digests, or None.
    """

    manifest: Path
    kind: str
    valid_until: int | None
    wait: int
    proofs: str | None
    resume: bool
    until: str = "signed"
    blinded: bool = False
    sm3: Path | None = None


def attest_manifest(bulk: Bulk, options: Options) -> int:
    """Attest all documents of a manifest; gives the exit code."""
    if bulk.resume and bulk.manifest == STDIN:
        raise UsageError("usage", "--resume needs a manifest that is a file")
    manifest = _read(bulk.manifest)
    if bulk.sm3 is not None:
        manifest = join_sm3(manifest, _read(bulk.sm3))
    begun = None if bulk.manifest == STDIN else load(place_beside(bulk.manifest))
    if begun is not None and not bulk.resume:
        message = f"a run of {bulk.manifest} broke off: it is not begun anew"
        hint = "--resume goes on with it; its documents that are attested already stay attested"
        raise ExistsError("unfinished-run", message, hint=hint)
    if begun is None and bulk.resume:  # it may be finished: then all would be attested twice
        message = f"no run of {bulk.manifest} broke off: there is nothing to go on with"
        hint = "leave out --resume to attest all of it, unless a run has done so already"
        raise MissingError("no-unfinished-run", message, hint=hint)
    files = _make_files(bulk, manifest)
    if files is not None:
        files.check(may_exist=begun is not None)
    with options.connect() as gateway:
        run = _begin(bulk, manifest, gateway, begun)
        return _Work(bulk, options, manifest, files, run).do(gateway, resumed=begun is not None)


class _Work:
    """One run, from its first digest to the last proof."""

    def __init__(
        self,
        bulk: Bulk,
        options: Options,
        manifest: Manifest,
        files: ProofFiles | None,
        run: Unfinished,
    ) -> None:
        self._bulk = bulk
        self._options = options
        self._manifest = manifest
        self._files = files
        self._run = run
        self._state = "signed"
        self._kept = None if bulk.manifest == STDIN else place_beside(bulk.manifest)

    def do(self, gateway: "GatewayClient", *, resumed: bool) -> int:
        """Record, prove, keep the proofs, and tell."""
        self._save()
        result = attempt(partial(self._go, gateway, resumed=resumed))
        if isinstance(result, ChopmarkError):
            self._explain(result)
            raise result
        self._forget()
        return 0

    def _go(self, gateway: "GatewayClient", *, resumed: bool) -> None:
        started, before = time.monotonic(), self._run.recorded
        request = self._record(gateway)
        prover = request.prove(self._bulk.wait, self._bulk.until)
        if prover is None:
            message = f"all {request.total} documents are recorded, but not signed yet"
            raise TryAgainError("not-signed", message)
        self._state = state_of(prover.note, gateway.policy(), self._bulk.kind)
        if self._state == "provisional" and self._bulk.until == "witnessed":
            message = f"all {request.total} documents are signed, but not witnessed yet"
            raise TryAgainError("not-witnessed", message)
        seconds = time.monotonic() - started
        written = self._keep(prover)
        self._show(prover, seconds, len(prover) - before, written, resumed=resumed)

    def _explain(self, error: ChopmarkError) -> None:
        """Say how to go on; forget a run of which nothing was recorded, and nothing will be."""
        if self._run.recorded == 0 and isinstance(error, MalformedError):
            self._forget()
        elif self._kept is not None:
            go_on = "the same command with --resume goes on from here"
            error.hint = f"{error.hint}; {go_on}" if error.hint else go_on

    def _record(self, gateway: "GatewayClient") -> "CompactRequest":
        from chopmark.client.compact import CompactRequest

        run, total = self._run, len(self._manifest)
        with_sm3 = self._bulk.sm3 is not None
        request = bytes.fromhex(run.request)
        header = Header(request, run.kind, run.valid_until, with_sm3, blinded=run.blinded)
        with self._options.meter("attesting", total, unit="documents") as meter:
            made = CompactRequest(
                gateway,
                header,
                self._manifest.digests,
                recorded=run.recorded,
                tell=lambda recorded: meter.reach(recorded, total),
            )
            try:
                while made.record():
                    run.recorded = made.recorded
                    self._save()
            finally:
                run.recorded = made.recorded
                self._save()
        return made

    def _keep(self, prover: "RunProver") -> int:
        """Write the proofs; gives how many are new."""
        if self._files is None:
            return 0
        written = 0
        with self._options.meter("keeping proofs", len(prover), unit="proofs") as meter:
            for number, proof in enumerate(prover.proofs()):
                written += self._files.write(number, proof)
                if number % 1000 == 0:
                    meter.reach(number, len(prover))
        sync_all()
        return written

    def _save(self) -> None:
        if self._kept is not None:
            self._run.save(self._kept)

    def _forget(self) -> None:
        if self._kept is not None:
            self._kept.unlink(missing_ok=True)

    def _show(
        self, prover: "RunProver", seconds: float, count: int, written: int, *, resumed: bool
    ) -> None:
        runs = prover.runs
        first, last = runs[0].start, runs[-1].start + runs[-1].count - 1
        rate = count / max(seconds, 0.001)
        blinded = any(run.seed is not None for run in runs)
        if self._options.json:
            say_json(
                {
                    "manifest": str(self._bulk.manifest),
                    "request": self._run.request,
                    "origin": self._run.origin,
                    "count": len(prover),
                    "first_index": first,
                    "last_index": last,
                    "state": "witnessed" if self._state == "witnessed" else "signed",
                    "provisional": self._state == "provisional",
                    "blinded": blinded,
                    "resumed": resumed,
                    "seconds": round(seconds, 3),
                    "rate": round(rate),
                    "proofs": self._bulk.proofs,
                    "proofs_written": written,
                }
            )
            return
        done = "witnessed" if self._state == "witnessed" else "signed"
        say(styled(f"{len(prover):,} documents attested and {done}", "bold"))
        where = f"{written:,} written, {clean(self._bulk.proofs)}" if self._files else None
        span = f"{self._run.origin}#{first} to #{last}"
        if last - first + 1 > len(prover):
            span += ", with other entries between"
        fields = [
            ("entries", span),
            ("took", f"{seconds:.1f} s, {rate:,.0f} documents a second"),
            ("proofs", where),
        ]
        say_fields(fields)
        if blinded and self._files is None:
            say("  blinded: only their proofs show what was attested, and the gateway gives them")
            say("  for 24 hours: `chopmark proof ID INDEX`")
        if self._state == "provisional":
            say("  provisional: not enough institutions have countersigned yet;")
            say("  `chopmark proof ID INDEX` gives complete proofs later")


def _read(path: Path) -> Manifest:
    if path == STDIN:
        return read_manifest(sys.stdin.buffer)
    try:
        with path.open("rb") as file:
            return read_manifest(file)
    except OSError as error:
        raise explain_read_error(path, error) from error


def _make_files(bulk: Bulk, manifest: Manifest) -> ProofFiles | None:
    if bulk.proofs is None:
        return None
    return ProofFiles(manifest, None if bulk.proofs == BESIDE else Path(bulk.proofs))


def _begin(
    bulk: Bulk, manifest: Manifest, gateway: "GatewayClient", begun: Unfinished | None
) -> Unfinished:
    """The run to do: the one that broke off, or a new one."""
    wanted = Unfinished(
        secrets.token_hex(REQUEST_ID),
        str(gateway.export()["origin"]),
        bulk.kind,
        bulk.valid_until,
        manifest.fingerprint(),
        blinded=bulk.blinded,
    )
    if begun is None:
        return wanted
    begun.check(wanted)
    return begun
