"""Vectors of evidence, of a fork."""

from dataclasses import replace

import trees
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.evidence import Branch, Evidence, Subject, differing_heads, make_evidence
from softkeys import log_key, sign_head
from vectorparts import LOG, ORIGIN, Vectors


def evidence() -> Vectors:
    one, other = (history(at) for at in (None, 2))
    sizes = make_evidence(Subject.SIZE, 5, grown(one, 5, 7), grown(other, 5, 5))
    entries = make_evidence(Subject.ENTRY, 2, placed(one, 2, 7), placed(other, 2, 4))
    text = sizes.encode().decode()
    stranger = log_key(ORIGIN, 9)
    thief = differing_heads(headed(one, 7), sign_head(Checkpoint(ORIGIN, 7, bytes(32)), stranger))
    honest = make_evidence(Subject.SIZE, 5, grown(one, 5, 7), grown(one, 5, 6))
    good = {
        "two heads of one size": differing_heads(headed(one, 7), headed(other, 7)),
        "a smaller head": sizes,
        "two larger heads": make_evidence(Subject.SIZE, 3, grown(one, 3, 7), grown(other, 3, 6)),
        "another entry": entries,
    }
    first = sizes.branches[0]
    bad = {
        "both heads say the same": (honest, "no-fork"),
        "a head signed by another key": (thief, "no-known-signature"),
        "value changed": (at_first(sizes, replace(first, value=bytes(32))), "bad-consistency"),
        "hash too many": (at_first(sizes, replace(first, hashes=(bytes(32),))), "bad-consistency"),
        "about another size": (replace(sizes, number=4), "bad-consistency"),
        "about another entry": (replace(entries, number=1), "bad-inclusion"),
        "larger head first": (replace(sizes, branches=sizes.branches[::-1]), "malformed-evidence"),
        "unknown subject": (text.replace("size 5\n\n", "root 5\n\n"), "malformed-evidence"),
        "another version": (text.replace("/v1", "/v2", 1), "malformed-evidence"),
        "one branch": (text[: text.rindex("\nbranch ")], "malformed-evidence"),
        "carriage returns": (text.replace("\n", "\r\n"), "malformed-evidence"),
    }
    return {
        "log": LOG.vkey.encode(),
        "good": [convicting(name, made) for name, made in good.items()],
        "bad": [{"name": n, "evidence": written(made), "code": c} for n, (made, c) in bad.items()],
    }


def history(at: int | None) -> list[bytes]:
    """Leaves of a log that says something else at an entry."""
    return [trees.leaf(b"another" if n == at else b"entry %d" % n) for n in range(7)]


def headed(leaves: list[bytes], size: int) -> bytes:
    return sign_head(Checkpoint(ORIGIN, size, trees.root(leaves[:size])), LOG)


def grown(leaves: list[bytes], size: int, head: int) -> Branch:
    proven = tuple(trees.proof(size, leaves[:head]))
    return Branch(trees.root(leaves[:size]), proven, headed(leaves, head))


def placed(leaves: list[bytes], index: int, head: int) -> Branch:
    return Branch(leaves[index], tuple(trees.path(index, leaves[:head])), headed(leaves, head))


def at_first(made: Evidence, branch: Branch) -> Evidence:
    return replace(made, branches=(branch, made.branches[1]))


def written(made: Evidence | str) -> str:
    return made if isinstance(made, str) else made.encode().decode()


def convicting(name: str, made: Evidence) -> Vectors:
    sizes = [branch.head().size for branch in made.branches]
    told = {"subject": str(made.subject), "number": made.number, "sizes": sizes}
    return {"name": name, "evidence": written(made), **told}
