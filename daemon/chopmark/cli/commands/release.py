"""`chopmark evidence release` and `sign`: two officers let a forked log be followed again."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chopmark.cli.context import Given, Options
from chopmark.cli.terminal import say, say_fields, say_json
from chopmark.core.errors import MissingError, UsageError

if TYPE_CHECKING:
    from chopmark.core.checkpoint import Checkpoint
    from chopmark.core.evidence import Evidence

LEAST: Final = 8
"""Digits of a digest that name evidence."""


def release(
    digest: str | None = None,
    output: Path | None = None,
    /,
    *,
    keep: str | None = None,
    reason: str | None = None,
    apply: Path | None = None,
    options: Given,
) -> int:
    """Write the text that two officers sign to release a frozen replica; or apply it.

    Args:
        digest: Digest of the evidence, or its first 8 digits or more, as `show` prints it.
        output: Where to write the text.
        keep: The branch to keep: 1 or 2, in the order of `show`, or SIZE/ROOT.
        reason: Why, in one line.
        apply: The file with the signatures of two officers: the gateway follows the log again.
    """
    if apply is not None:
        if digest or output or keep or reason:
            raise UsageError("usage", "--apply goes with nothing else", hint="it names the file")
        return _apply(apply, options)
    if digest is None or output is None or keep is None or reason is None:
        hint = "`chopmark evidence release DIGEST FILE --keep 1 --reason TEXT`, or --apply FILE"
        raise UsageError("usage", "digest, file, --keep and --reason are due", hint=hint)
    return _write(digest, output, keep, reason, options)


def sign(
    file: Path,
    /,
    *,
    certificate: Path,
    key: Path | None = None,
    signature: Path | None = None,
    options: Given,
) -> int:
    """Put an officer's signature below a release; on any machine.

    A key in a token signs with other tools: the text is the first six lines of the file.

    Args:
        file: The release, as `chopmark evidence release` wrote it.
        certificate: The officer's certificate, PEM or DER, as the roster names it.
        key: The officer's private key, unencrypted PEM.
        signature: A signature over the text with SHA-256 that was made elsewhere.
    """
    from chopmark.client.officers import add_signature

    if (key is None) == (signature is None):
        raise UsageError("usage", "one of --key and --signature is due", hint="give one")
    signed = add_signature(file, certificate, key, signature)
    if options.json:
        say_json({"path": str(file), "signatures": len(signed.signatures)})
    else:
        say(f"{len(signed.signatures)} of 2 signatures in {file}")
    return 0


def _apply(path: Path, options: Options) -> int:
    from chopmark.client.files import read_bounded
    from chopmark.core.release import MAX_RELEASE

    with options.connect() as gateway:
        answer = gateway.release(read_bounded(path, MAX_RELEASE))
    if options.json:
        say_json(answer)
    else:
        _show(answer)
    return 0


def _show(answer: dict[str, Any]) -> None:
    kept = answer["kept"]
    say(f"{answer['origin']} is followed again")
    say_fields(
        [
            ("kept", f"{kept['size']} ({kept['root']})"),
            ("officers", answer["officers"]),
            ("reason", answer["reason"]),
        ]
    )
    if answer["fetched_again"]:
        say("the replica held the other branch: it was set aside and is fetched again")


def _write(digest: str, output: Path, keep: str, reason: str, options: Options) -> int:
    from chopmark.client.files import write_new
    from chopmark.core.evidence import parse_evidence
    from chopmark.core.release import Release, SignedRelease, check_reason

    check_reason(reason)
    with options.connect() as gateway:
        found = gateway.evidence()
    same = [one for one in found if str(one["digest"]).startswith(digest.lower())]
    if len(digest) < LEAST or len(same) != 1:
        hint = f"`chopmark evidence show` has the digests; {LEAST} digits are enough"
        raise MissingError("no-such-evidence", f"no evidence {digest[:64]} is here", hint=hint)
    evidence = parse_evidence(str(same[0]["evidence"]).encode())
    made = Release(evidence.digest, _choose(evidence, keep), int(time.time()), reason)
    write_new(output, SignedRelease(made).encode())
    if options.json:
        kept = made.kept
        say_json({"path": str(output), "origin": kept.origin, "size": kept.size})
    else:
        say(f"wrote {output}: two officers sign it (`chopmark evidence sign`)")
        say(f"kept is the branch of {made.kept.origin} with the head of size {made.kept.size}")
    return 0


def _choose(evidence: "Evidence", keep: str) -> "Checkpoint":
    from chopmark.core.text import encode_base64

    heads = [branch.head() for branch in evidence.branches]
    names = {str(number): head for number, head in enumerate(heads, 1)}
    names |= {f"{head.size}/{encode_base64(head.root)}": head for head in heads}
    if keep not in names:
        known = ", ".join(names)
        raise UsageError("usage", f"there is no branch {keep[:80]!r}", hint=f"one of {known}")
    return names[keep]
