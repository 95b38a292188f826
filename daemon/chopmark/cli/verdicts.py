"""Verdicts for people: the word, its shape and colour, the sentence, and the evidence."""

from collections.abc import Iterator
from typing import Final

from chopmark.cli.arguments import name_reason
from chopmark.cli.terminal import say, say_fields, say_prose, styled
from chopmark.client.verdicts import AttestationReport, VerdictReport
from chopmark.core.verdict import Word

_GOOD: Final = ("✔", "green")
_BAD: Final = ("✘", "red")
_DOUBT: Final = ("!", "yellow")
_OPEN: Final = ("?", "yellow")
_NEUTRAL: Final = ("–", "grey")
LOOKS: Final = {
    Word.VALID: _GOOD,
    Word.REVOKED: _BAD,
    Word.EXPIRED: _BAD,
    Word.SUPERSEDED: _BAD,
    Word.UNKNOWN: _OPEN,
    Word.MISMATCH: _BAD,
    Word.UNTRUSTED: _BAD,
    Word.VALID_AS_OF: _DOUBT,
    Word.UNWITNESSED: _DOUBT,
    Word.ATTESTATION_ONLY: _NEUTRAL,
    Word.AMBIGUOUS: _OPEN,
}
"""Shape and colour of each word: nobody has to tell colours apart."""
_SAME: Final = {True: "the same, in a file that was saved again", False: "differs too"}
_ALGORITHMS: Final = {"sha256": "SHA-256", "sm3": "SM3"}


def show_verdict(report: VerdictReport, subject: str) -> None:
    """Print a verdict.

    Args:
        report: the verdict.
        subject: what was verified: a file, or a proof.
    """
    shape, colour = LOOKS[Word(report["verdict"])]
    word = report["verdict"].upper().replace("-", " ")
    say(styled(f" {shape} {word} ", f"{colour}-block"), "  ", styled(subject, "bold"))
    say_prose(report["sentence"])
    found = report["attestations"]
    told = next((a for a in found if a["sentence"] == report["sentence"]), None)
    if told is not None:
        say_fields(_evidence(told))
    elif report["as_of"]:
        say_fields([("as of", report["as_of"])])
    good = LOOKS[Word(report["verdict"])] == _GOOD
    for other in found:
        if other is not told:
            look = LOOKS[Word(other["verdict"])]
            if look == _GOOD and not good:  # green stands for the whole verdict alone
                _show_other(other, "by itself", _NEUTRAL)
            else:
                _show_other(other, "also", look)
    for other in report.get("others", []):
        look = LOOKS[Word(other["verdict"])]
        _show_other(other, "not as expected", _NEUTRAL if look == _GOOD else look)


def _show_other(other: AttestationReport, how: str, look: tuple[str, str]) -> None:
    shape, colour = look
    place = f"{other['origin']}#{other['index']}"
    say("  ", styled(how, "dim"), " ", styled(f"{shape} {other['verdict']}", colour))
    say_prose(f"{place}, {other['issuer']}: {other['sentence']}", indent=4)


def _evidence(found: AttestationReport) -> Iterator[tuple[str, object]]:
    yield "issuer", _issuer(found)
    yield "kind", found["kind"]
    yield "made at", _with(found["made_at"], "the issuer's own claim")
    yield "existed by", _with(found["existed_by"], "countersigned by the quorum")
    yield "as of", _as_of(found)
    yield "entry", f"{found['origin']}#{found['index']}"
    yield "valid until", found["valid_until"]
    yield "revoked", _revoked(found)
    yield from _chain(found)
    yield from _witnesses(found)
    refused = found["problem"] is not None and found["made_at"] is None  # nothing was looked up
    if (anchored := found.get("anchored")) is not None:
        where = f"block {anchored['block']} of chain {anchored['chain_id']}"
        yield "anchored in", f"{where}, by a head of size {anchored['size']}"
    yield "quorum", None if refused else found["quorum"]
    yield "digests", ", ".join(_ALGORITHMS.get(d, d) for d in found["digests_checked"]) or None
    same = found["same_content"]
    yield "content", None if same is None else _SAME[same]
    yield "found in", found["source"]
    yield "problem", found["problem"]
    yield "warning", found["warning"]


def _as_of(found: AttestationReport) -> str | None:
    """The time up to which nothing is missing; some of what came after it may be here as well."""
    as_of, revoked = found["as_of"], found["revoked"]
    later = [link["made_at"] for link in found.get("supersession", [])]
    later += [] if revoked is None else [revoked["at"]]
    seen = as_of is not None and any(time is not None and time > as_of for time in later)
    since = "; later news may be, as below" if seen else ""
    return _with(as_of, f"all revocations up to then are known{since}")


def _witnesses(found: AttestationReport) -> Iterator[tuple[str, object]]:
    """Who countersigned; of an entry that is held here, the newest head over it."""
    by = found["existed_by"]
    for witness in found["witnesses"]:
        later = " (later than the quorum, or a newer head)" if by and witness["time"] > by else ""
        yield "witness", f"{witness['name']} at {witness['time']}{later}"


def _chain(found: AttestationReport) -> Iterator[tuple[str, object]]:
    """What has replaced it, what has replaced that, and so on."""
    links, replaced = found.get("supersession", []), found["superseded_by"]
    if not links:  # of an older gateway
        yield "replaced by", None if replaced is None else f"{found['origin']}#{replaced}"
    for number, link in enumerate(links):
        at = f" at {link['made_at']}" if link["made_at"] else ""
        place = f"{found['origin']}#{link['index']}{at}: {link['standing']}"
        yield "then by" if number else "replaced by", place
    if found.get("supersession_cut"):
        yield "then by", "others, which are not shown"


def _issuer(found: AttestationReport) -> str:
    if found["issuer"] == found["origin"]:
        return found["origin"]
    return f"{found['issuer']} ({found['jurisdiction']}, {found['id']})"


def _revoked(found: AttestationReport) -> str | None:
    revoked = found["revoked"]
    if revoked is None:
        return None
    return f"at {revoked['at']} by entry {revoked['index']}: {name_reason(revoked['reason'])}"


def _with(value: str | None, remark: str) -> str | None:
    return None if value is None else f"{value} ({remark})"
