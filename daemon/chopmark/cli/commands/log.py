"""`chopmark log`: what stands in a ledger."""

from typing import Any

from chopmark.cli.arguments import name_reason
from chopmark.cli.context import Given
from chopmark.cli.terminal import say, say_json, say_table, styled
from chopmark.core.errors import UsageError

_PAGE = 1000


def show(
    *,
    member: str | None = None,
    after: int | None = None,
    limit: int = 20,
    options: Given,
) -> int:
    """Show entries of this gateway's ledger or of a replica; the newest ones by default.

    Args:
        member: Member id of the peer whose replica to show.
        after: Show the entries with a greater index than this.
        limit: Show at most so many entries.
    """
    if limit < 1:
        raise UsageError("usage", f"--limit is {limit}", hint="1 or more")
    with options.connect() as gateway:
        whose = member or str(gateway.export()["id"])
        start = after
        if start is None:
            start = max(gateway.entries(whose, -1, 1)["size"] - limit, 0) - 1
        entries: list[dict[str, Any]] = []
        while len(entries) < limit:
            page = gateway.entries(whose, start, min(limit - len(entries), _PAGE))["entries"]
            if not page:
                break
            entries += page
            start = page[-1]["index"]
    return _show(entries, options)


def _show(entries: list[dict[str, Any]], options: Given) -> int:
    if options.json:
        say_json(entries)
    elif entries:
        headings = ("index", "made at", "type", "kind", "SHA-256")
        say_table(headings, [describe_row(entry) for entry in entries], whole=headings[:4])
    else:
        say(styled("no entries", "dim"))
    return 0


def describe_row(entry: dict[str, Any]) -> list[object]:
    """An entry in words: index, time, type, kind, and what else there is."""
    digests = entry.get("digests") or {}
    digest = str(digests.get("sha256", ""))
    return [
        entry["index"],
        entry.get("made_at"),
        entry.get("type"),
        entry.get("kind"),
        ", ".join([f"{digest[:16]}…"] * bool(digest) + _details(entry)),
    ]


def _details(entry: dict[str, Any]) -> list[str]:
    parts = []
    if entry.get("revokes") is not None:
        parts.append(f"revokes {entry['revokes']}: {name_reason(entry.get('reason'))}")
    if entry.get("supersedes") is not None:
        parts.append(f"replaces {entry['supersedes']}")
    if entry.get("valid_until"):
        parts.append(f"valid until {entry['valid_until']}")
    if entry.get("blinded"):
        parts.append("blinded")
    return parts
