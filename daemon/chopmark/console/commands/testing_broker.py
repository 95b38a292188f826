"""`test broker`: step by step from its name to the answers of peers.

Where the daemon runs it has the connection, and says itself how far it gets: a second one would cut
it off. Where it is down, `chopmark doctor` goes all the way in its place.
"""

from collections.abc import Mapping
from contextlib import aclosing
from typing import Final

from chopmark.console import layout
from chopmark.console.command import Command, Role, Surroundings
from chopmark.console.commands.testing import Tally, hangs
from chopmark.console.diagnosing import Checked, Found, diagnose
from chopmark.console.peering import check_peers
from chopmark.console.showing import Screen

STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "DNS": ("name-",),
    "TCP": ("broker-unreachable",),
    "TLS": ("tls-", "broker-plain", "broker-silent"),
    "login": ("broker-refused", "broker-same-id", "broker-away", "broker-fault"),
    "ACL": ("acl-",),
}
"""By name the codes of what goes wrong there, or how they begin."""
_CHECKS: Final = ("names", "brokers", "running")


async def broker(given: Surroundings, _: Mapping[str, str]) -> None:
    """Each step; those behind one that fails were not reached."""
    tally = Tally(Screen(given.desk))
    found: list[Found] = []
    results = diagnose(given.config, _CHECKS, offline=await hangs(given), admin=given.admin)
    async with aclosing(results) as checks:
        async for one in checks:
            if one.name == "configuration" and one.findings:
                await tally.show(one)
            found += one.findings
    await _climb(tally, [one for one in found if step_of(one)])
    await tally.take(check_peers(given.gateway))
    await tally.sum_up()


def step_of(found: Found) -> str | None:
    """The step at which something goes wrong; None for what is no matter of brokers."""
    if found.mark == "not-looked-at":
        return "login"
    return next((step for step, codes in STEPS.items() if found.code.startswith(codes)), None)


async def _climb(tally: Tally, found: list[Found]) -> None:
    """Steps in order; an exact fault further down explains why the daemon is away."""
    exact = [one for one in found if one.code not in ("broker-away", "broker-fault")]
    failed = False
    for step in STEPS:
        here = [one for one in exact or found if step_of(one) == step]
        if failed and not here:
            await tally.screen.say([f"{layout.pad(tally.screen.t('mark.none'), 5)} {step}"])
            continue
        await tally.show(Checked(step, tuple(here)))
        failed = failed or any(one.mark != "warning" for one in here)


COMMANDS = (Command(("test", "broker"), "help.test.broker", Role.OBSERVE, broker),)
