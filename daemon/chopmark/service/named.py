"""Entries of our own log that a caller names: to revoke one, to take its place, to have its salt.

1. Nobody touches an attestation of a kind that it may not attest itself.
2. A document takes the place of one of its own kind, or of the same document under a wrong kind:
   whoever holds that one hears that it does not count any more.
3. Whether a blinded one is of the same document, its salt shows. Only to whom the salt may be given
   is that told, or its answer would tell whether a guess was right; and only while it is kept.
"""

from chopmark.api.identity import CALLER, Caller
from chopmark.api.roles import check_kind, check_salt
from chopmark.core.blinding import blind
from chopmark.core.draft import Draft, Earlier
from chopmark.core.entry import GRAVE_REASONS, REASONS, SHA256, Attestation, parse_entry
from chopmark.core.errors import ExistsError, ForbiddenError, MissingError, RefusedError
from chopmark.ledger.clients import client_name_at
from chopmark.ledger.log import Log
from chopmark.ledger.reader import Reader
from chopmark.ledger.store import LogState
from chopmark.ledger.summary import is_attestation, is_blinded, is_revocable


async def check_revocable(log: Log, index: int) -> None:
    """Refuse to revoke what cannot be revoked, or not by this caller.

    Raises:
        RefusedError: `no-such-attestation`.
        ForbiddenError: `kind-not-granted`.
    """
    entry = await _read(log, index)
    if not is_revocable(entry):
        raise _no_attestation(index)
    _check_kind(entry)


async def revoked_before(log: Log, index: int, reason: int) -> Earlier | None:
    """The revocation that says this already; None if another one makes a difference.

    Raises:
        ExistsError: `already-revoked`: it would not count (docs/verdicts.md).
    """
    revoked, _ = await log.read(lambda reader, state: reader.references(index, state.size))
    if revoked is None or (reason in GRAVE_REASONS and revoked[1] not in GRAVE_REASONS):
        return None
    if revoked[1] == reason:
        return Earlier(revoked[0], revoked[2])
    message = f"entry {index} is revoked already, by entry {revoked[0]} ({REASONS[revoked[1]]})"
    hint = "that is what counts: only error, fraud or key compromise outweigh a milder reason"
    raise ExistsError("already-revoked", message, hint=hint)


async def check_replaceable(log: Log, index: int, draft: Draft) -> None:
    """Refuse to let a document take the place of what it may not.

    Args:
        log: our own.
        index: of the entry whose place it is to take.
        draft: with its bare digests.

    Raises:
        RefusedError: `no-such-attestation`, `kind-differs`.
        ForbiddenError: `kind-not-granted`.
        TryAgainError: `hsm-away`: the salt of the old one cannot be had now.
    """
    entry = await _read(log, index)
    if not is_attestation(entry):
        raise _no_attestation(index)
    _check_kind(entry)
    old = parse_entry(entry)
    if not isinstance(old, Attestation) or draft.kind == old.kind:
        return
    if not await _is_same(log, index, old, draft.sha256):
        raise _kind_differs(index, old, draft.kind)


def check_salt_of(caller: Caller, reader: Reader, index: int) -> None:
    """Refuse the salt of a blinded entry to whoever may not have it; see `api.roles.check_salt`.

    Raises:
        ForbiddenError: `salt-not-yours`.
    """
    if is_blinded(reader.entry(index)):
        check_salt(caller, index, reader.kind(index), reader.look(client_name_at, index))


async def _read(log: Log, index: int) -> bytes:
    if not 0 <= index < log.state.size:
        raise _no_attestation(index)
    entry: bytes = await log.read(lambda reader, _: reader.entry(index))
    return entry


async def _is_same(log: Log, index: int, old: Attestation, sha256: bytes) -> bool:
    """Whether an attestation is of this document, as far as the caller may know."""
    if not old.blinded:
        return sha256 == old.sha256
    caller = CALLER.get()

    def read(reader: Reader, _: LogState) -> bytes:
        check_salt_of(caller, reader, index)
        return reader.salt(index)

    try:
        salt: bytes = await log.read(read)
    except (ForbiddenError, MissingError):
        return False
    return blind(salt, log.origin, SHA256, sha256) == old.sha256


def _check_kind(entry: bytes) -> None:
    parsed = parse_entry(entry)
    if isinstance(parsed, Attestation):
        check_kind(parsed.kind)


def _kind_differs(index: int, old: Attestation, kind: str) -> RefusedError:
    message = f"entry {index} is of the kind {old.kind}: no {kind} takes its place"
    hint = f"give another index, or attest it as {old.kind}; entry {index} can be revoked"
    if old.blinded:
        hint += "; that a blinded one is of the same document shows its client for 24 hours"
    return RefusedError("kind-differs", message, hint=hint)


def _no_attestation(index: int) -> RefusedError:
    hint = "only entries of this gateway's own log can be named"
    return RefusedError("no-such-attestation", f"entry {index} is no attestation", hint=hint)
