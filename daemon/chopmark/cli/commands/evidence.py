"""`chopmark evidence`: proof that a log's key has signed two histories."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chopmark.cli.context import Given, Options
from chopmark.cli.terminal import say, say_fields, say_json, say_prose, styled
from chopmark.core.errors import MalformedError, MissingError, UsageError

if TYPE_CHECKING:
    from chopmark.core.checkpoint import SignedCheckpoint
    from chopmark.core.evidence import Evidence, Fork

    OpenHead = Callable[[bytes], SignedCheckpoint]

CONVICTS: Final = 10
"""Exit code where evidence is good: there is a finding."""


def show(*, save: Path | None = None, options: Given) -> int:
    """Show the evidence of forks that the gateway holds; the exit code is 10 if there is any.

    Args:
        save: Write each piece into a file in this folder, for others to check.
    """
    with options.connect() as gateway:
        found = gateway.evidence()
    written = [_save(save, one) for one in found] if save else []
    if options.json:
        say_json(found)
    elif not found:
        say(styled("no log is known to be forked", "green"))
    for one in () if options.json else found:
        _show(one)
    for path in () if options.json else written:
        say("written to ", str(path))
    return CONVICTS if found else 0


def check(
    file: Path, /, *, key: str | None = None, policy: Path | None = None, options: Given
) -> int:
    """Check evidence offline; the exit code is 10 if it convicts, and 65 if it does not.

    Without --key and --policy the keys come from this gateway's roster or configuration.

    Args:
        file: The evidence.
        key: Verifier key (vkey) of the log that is accused, from where you trust it.
        policy: Policy file that names the log's key.
    """
    from chopmark.core.evidence import parse_evidence

    evidence = parse_evidence(_read(file))
    fork = _convict(evidence, _find_openers(evidence.origin, key, policy, options))
    if options.json:
        heads = [one.checkpoint for one in (fork.first, fork.second)]
        sizes = [{"size": head.size, "root": head.root.hex()} for head in heads]
        say_json({"origin": fork.origin, "convicts": True, "heads": sizes})
    else:
        say(styled(" ✘ FORKED ", "red-block"), "  ", styled(fork.origin, "bold"))
        say_prose(_explain(fork))
    return CONVICTS


def _convict(evidence: "Evidence", openers: "list[OpenHead]") -> "Fork":
    """Check under each key: a log that changed its key may be named with several."""
    from chopmark.core.evidence import check_heads

    for open_head in openers[:-1]:
        try:
            return check_heads(evidence, open_head)
        except MalformedError:
            continue
    return check_heads(evidence, openers[-1])


def _find_openers(
    origin: str, key: str | None, policy: Path | None, options: Options
) -> "list[OpenHead]":
    """What reads a head of the log: by a key that was given, or as the roster here says."""
    from chopmark.core.checkpoint import open_checkpoint
    from chopmark.core.keys import parse_vkey
    from chopmark.core.policy import parse_policy
    from chopmark.service.membership import read_peers

    if key is not None and policy is not None:
        raise UsageError("usage", "--key and --policy both name the key", hint="give one")
    if key is not None:
        return [partial(open_checkpoint, log_key=parse_vkey(key))]
    found: list[OpenHead]
    if policy is not None:
        logs = [log for log in parse_policy(_read(policy)).logs if log.name == origin]
        found = [partial(open_checkpoint, log_key=log) for log in logs]
    else:
        peers = read_peers(options.load_config())
        found = [peer.open_accused for peer in peers if peer.origin == origin]
    if not found:
        hint = "give its key: --key VKEY"
        raise MissingError("unknown-log", f"the key of {origin} is not known here", hint=hint)
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MissingError("no-such-file", f"{path} cannot be read: {error.strerror}") from error


def _explain(fork: "Fork") -> str:
    sizes = f"{fork.first.checkpoint.size} and {fork.second.checkpoint.size}"
    number = fork.evidence.number
    about = f"the first {number} entries" if fork.evidence.subject == "size" else f"entry {number}"
    return (
        f"The key of {fork.origin} has signed heads of {sizes} entries, which say different things "
        f"about {about}: they cannot both be heads of one ledger. Who relies on this ledger must "
        "be told; its owner cheated, restored an old disk, or has lost the key."
    )


def _show(one: Mapping[str, Any]) -> None:
    say(styled(" ✘ FORKED ", "red-block"), "  ", styled(str(one["origin"]), "bold"))
    heads = ", ".join(f"{head['size']} ({head['root']})" for head in one["heads"])
    about = "entries up to size" if one["subject"] == "size" else "entry"
    fields = [
        ("issuer", f"{one['institution']} ({one['id']})"),
        ("found at", one["found_at"]),
        ("heads", heads),
        ("differ in", f"{about} {one['number']}"),
        ("digest", one["digest"]),
    ]
    released = one.get("released")
    if released:
        kept = released["kept"]
        fields.append(("released by", released["officers"]))
        fields.append(("kept", f"{kept['size']} ({kept['root']}): {released['reason']}"))
    say_fields(fields)


def _save(folder: Path, one: Mapping[str, Any]) -> Path:
    path = folder / f"{one['id']}-{str(one['digest'])[:12]}.evidence"
    path.write_text(str(one["evidence"]), "utf-8")
    return path
