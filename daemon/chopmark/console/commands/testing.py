"""`test hsm`, `clock`, `disk`, `ledger`, `all`: the checks of `chopmark doctor`, and `fsck`."""

import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Final

import chopmark
from chopmark.console import layout
from chopmark.console.command import Command, Role, Surroundings
from chopmark.console.diagnosing import Checked, Found, Reached, check_ledgers, diagnose
from chopmark.console.peering import check_peers
from chopmark.console.showing import Screen, ask
from chopmark.console.snapshot import GATEWAY_SECONDS
from chopmark.core.errors import ChopmarkError

FRESH: Final = 120
"""Seconds since the last good signature: the gateway makes one each minute."""
_EVERY: Final = 2.0
"""Seconds between two lines of progress: a capture gets no more than 30 a minute."""


Results = AsyncGenerator[Checked, None] | AsyncGenerator[Checked | Reached, None]


class Tally:
    """Shows what checks find, and counts it."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.counts: Counter[str] = Counter()
        self._said = time.monotonic()

    async def take(self, results: Results) -> None:
        """Show results as they come; whoever makes them ends with this."""
        async with aclosing(results):
            async for one in results:
                if isinstance(one, Reached):
                    await self._tell(one)
                elif one.name != "configuration" or one.findings:
                    await self.show(one)

    async def show(self, one: Checked) -> None:
        """One check in a line, and its findings below."""
        screen = self.screen
        name = screen.label(f"check {one.name}").removeprefix("check ")
        await screen.say([f"{layout.pad(screen.t(f'mark.{one.mark}'), 5)} {name}"])
        for found in one.findings:
            self.counts[found.mark] += 1
            await self._show(found)

    async def _show(self, found: Found) -> None:
        if found.mark == "not-looked-at":
            await self.screen.prose(f"{self.screen.t('show.not-seen')}: {found.message}", 7)
        else:
            await self.screen.say(self.screen.problem(found.code, found.message, found.remedy))

    async def _tell(self, one: Reached) -> None:
        now = time.monotonic()
        if one.total and now - self._said >= _EVERY:
            self._said = now
            part = f"{one.done / one.total:.0%}"
            text = self.screen.t("test.progress", done=one.done, total=one.total, part=part)
            await self.screen.say([f"      {text}"])

    async def sum_up(self) -> None:
        """The result in one line."""
        faults, warnings = self.counts["fault"], self.counts["warning"]
        word = "test.failed" if faults else "test.passed"
        unseen = self.counts["not-looked-at"]
        counts = self.screen.t("test.counts", faults=faults, warnings=warnings, unseen=unseen)
        result = self.screen.t("test.result", word=self.screen.t(word), counts=counts)
        await self.screen.say(["", result])


async def hangs(given: Surroundings) -> bool:
    """Whether a daemon is there that does not answer: it is not asked again then."""
    try:
        await given.gateway.get("/v1/status", seconds=GATEWAY_SECONDS)
    except ChopmarkError as error:
        return error.code == "gateway-unreachable"
    return False


async def _run(given: Surroundings, tally: Tally, *checks: str) -> None:
    offline = await hangs(given)
    await tally.take(diagnose(given.config, checks, offline=offline, admin=given.admin))


async def hsm(given: Surroundings, _: Mapping[str, str]) -> None:
    """The PIN's place, module, token and keys; and what the gateway has signed of late."""
    tally = Tally(Screen(given.desk))
    await _signing(given, tally)
    await _run(given, tally, "pin", "hsm")
    await tally.sum_up()


async def _signing(given: Surroundings, tally: Tally) -> None:
    try:
        state = await ask(given, "/v1/hsm")
    except ChopmarkError as error:
        found = Found(error.code, error.message, error.hint, "fault")
        await tally.show(Checked("signing", (found,)))
        return
    last = state.get("last_good_seconds")
    if state.get("state") != "ready" or last is None or last > FRESH:
        code = f"hsm-{state.get('state')}"
        message = f"HSM {state.get('state')}: {state.get('reason') or 'no signature of late'}"
        found = Found(code, message, str(state.get("hint") or ""), "fault")
        await tally.show(Checked("signing", (found,)))
    else:
        await tally.show(Checked("signing"))


async def clock(given: Surroundings, _: Mapping[str, str]) -> None:
    """Whether anybody keeps the clock."""
    await _simple(given, "clock")


async def disk(given: Surroundings, _: Mapping[str, str]) -> None:
    """Folders, and the disk below them."""
    await _simple(given, "folders", "disk")


async def _simple(given: Surroundings, *checks: str) -> None:
    tally = Tally(Screen(given.desk))
    await _run(given, tally, *checks)
    await tally.sum_up()


async def ledger(given: Surroundings, _: Mapping[str, str]) -> None:
    """All that is on the disk, entry by entry, with progress."""
    tally = Tally(Screen(given.desk))
    await _run(given, tally, "ledger")
    await tally.take(check_ledgers(given.config, given.admin))
    await tally.sum_up()


async def everything(given: Surroundings, _: Mapping[str, str]) -> None:
    """All checks, as a report that can be printed or pasted into a ticket."""
    screen = Screen(given.desk)
    await screen.say([screen.t("test.report"), ""])
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}"
    facts = [("gateway", await _name(given)), ("version", chopmark.__version__)]
    await screen.fields([*facts, ("time", now), ("technician", given.who)])
    await screen.say()
    tally = Tally(screen)
    await _signing(given, tally)
    await _run(given, tally)
    await tally.take(check_peers(given.gateway))
    await tally.take(check_ledgers(given.config, given.admin))
    await tally.sum_up()


async def _name(given: Surroundings) -> str:
    try:
        status = await given.gateway.get("/v1/status", seconds=GATEWAY_SECONDS)
    except ChopmarkError as error:
        return error.message
    return f"{status.get('id')}  {status.get('origin')}"


COMMANDS = (
    Command(("test", "hsm"), "help.test.hsm", Role.OBSERVE, hsm),
    Command(("test", "clock"), "help.test.clock", Role.OBSERVE, clock),
    Command(("test", "disk"), "help.test.disk", Role.OBSERVE, disk),
    Command(("test", "ledger"), "help.test.ledger", Role.OBSERVE, ledger),
    Command(("test", "all"), "help.test.all", Role.OBSERVE, everything),
)
