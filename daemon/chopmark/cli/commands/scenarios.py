"""`chopmark scenarios`: what documents may go from whom to whom, and for what, by the roster."""

from chopmark.cli.context import Given
from chopmark.cli.terminal import say, say_fields, say_json, styled
from chopmark.core.inert import clean


def scenarios(*, options: Given) -> int:
    """Show the roster's scenarios: kinds, issuers, receivers, purposes, consent."""
    with options.connect() as gateway:
        found = gateway.roster().get("scenarios") or []
    if options.json:
        say_json(found)
        return 0
    if not isinstance(found, list) or not found:
        say("The roster has no scenarios: every purpose is allowed, and needs a consent.")
        return 0
    for one in found:
        say(styled(one["name"], "bold"), "  ", clean(one.get("title") or ""))
        days = one.get("validity")
        bound = "" if days is None else f", for {days / 86_400:g} days at most"
        say_fields(
            [
                ("documents", ", ".join(one["kinds"])),
                ("from", ", ".join(one["issuers"])),
                ("to", ", ".join(one["receivers"])),
                ("for", ", ".join(one["purposes"])),
                ("consent", f"demanded{bound}" if one["consent"] else "not demanded"),
            ]
        )
    return 0
