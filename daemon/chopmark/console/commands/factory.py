"""`factory reset`, `factory export` of what would be lost by it, and `factory erase` after it.

Two technicians, the serial number and a word typed stand before it; root looks for itself whether
anything that is not witnessed was not handed out, and refuses whoever asks.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from chopmark.client.problem import error_from_problem
from chopmark.console.command import Command, Role, Surroundings
from chopmark.console.commands.restart import agree
from chopmark.console.words import t
from chopmark.console.words.explain import explain
from chopmark.core.errors import ChopmarkError, RefusedError

WORD: Final = "RESET"
ERASE: Final = "ERASE"
BLIND: Final = "UNSEEN"
_WAIVERS: Final[Mapping[str, tuple[str, str]]] = {
    "audit-unpublished": ("audit", "impossible"),
    "hsm-away": ("keys", "left"),
    "no-such-token": ("keys", "left"),
    "no-hsm-module": ("keys", "left"),
    "pin-missing": ("keys", "left"),
    "keys-unknown": ("keys", "left"),
}
"""What may be done without, by the code that says that it cannot be done: which value says so."""


async def _reset(around: Surroundings, _: Mapping[str, str]) -> None:
    language = around.desk.language
    there = await around.admin.do("reset-look", who=around.who)
    if there.get("unreadable"):
        await _reset_blindly(around, there)
        return
    await around.desk.say(t(language, "factory.lost", **_numbers(there)))
    if there["waiting"] and not there["handed_out"]:
        message = f"{there['waiting']} entries are not witnessed, and were not exported"
        hint = "wait for the quorum (`show ledger`), or `factory export`"
        raise RefusedError("unwitnessed", message, hint=hint)
    await agree(around, "factory.ask", WORD)
    await around.desk.say(t(language, "factory.begun"))
    await _wipe(around, {"origin": there["origin"], "scope": "state"})
    await around.desk.say(t(language, "factory.done"))


async def _erase(around: Surroundings, _: Mapping[str, str]) -> None:
    """Of a box without a gateway: technicians, keys of the box, journal and all."""
    language = around.desk.language
    await around.desk.say(t(language, "factory.erasing"))
    await agree(around, "factory.ask", ERASE)
    await around.admin.do("wipe", who=around.who, scope="disk")
    await around.desk.say(t(language, "factory.erased"))


async def _reset_blindly(around: Surroundings, there: Mapping[str, Any]) -> None:
    """Of a box at which nobody can look what is lost: another word is to be typed, too."""
    language = around.desk.language
    await around.desk.say(explain(language, _unreadable(there)))
    await around.desk.say(t(language, "factory.unseen"))
    await agree(around, "factory.blind", BLIND)
    await agree(around, "factory.ask", WORD)
    await around.desk.say(t(language, "factory.blind-begun"))
    asked = {"scope": "state", "ledger": "unreadable", "audit": "impossible"}
    await _wipe(around, asked | ({"origin": there["origin"]} if there["origin"] else {}))
    await around.desk.say(t(language, "factory.done"))


def _unreadable(there: Mapping[str, Any]) -> ChopmarkError:
    problem = there["unreadable"]
    return error_from_problem(int(problem["status"]), problem, None)


async def _wipe(around: Surroundings, asked: dict[str, str]) -> None:
    """Ask root; for what cannot be done first, ask the technicians whether to do without it."""
    while True:
        try:
            await around.admin.do("wipe", who=around.who, **asked)
        except ChopmarkError as error:
            name, value = _WAIVERS.get(error.code, ("", ""))
            if not name or name in asked:
                raise
            await around.desk.say(error.message)
            await agree(around, f"factory.without.{name}", value.upper())
            asked[name] = value
        else:
            return


async def _export(around: Surroundings, _: Mapping[str, str]) -> None:
    """Lines of index and entry, and their SHA-256 at the end: a terminal's log keeps them."""
    language = around.desk.language
    there = await around.admin.do("reset-look", who=around.who)
    if there.get("unreadable"):
        raise _unreadable(there)
    if not there["waiting"]:
        await around.desk.say(t(language, "factory.nothing"))
        return
    await around.desk.say(t(language, "factory.export", **_numbers(there)))
    digest, at = sha256(), int(there["floor"])
    await around.desk.say(f"-----BEGIN CHOPMARK ENTRIES {there['origin']}-----")
    while at < there["last"]:
        page = await around.admin.do("reset-export", who=around.who, start=at)
        if page["next"] <= at:
            raise ChopmarkError("program-failed", "the ledger has no more entries")
        lines = [f"{index} {entry}" for index, entry in page["entries"]]
        digest.update("".join(f"{one}\n" for one in lines).encode())
        await around.desk.say("\n".join(lines))
        at = int(page["next"])
    await around.desk.say(f"-----END CHOPMARK ENTRIES {digest.hexdigest()}-----")


def _numbers(there: Mapping[str, Any]) -> dict[str, Any]:
    return {name: there[name] for name in ("origin", "entries", "waiting")}


COMMANDS: Final = (
    Command(("factory", "export"), "help.factory.export", Role.SERVICE, _export, changes=True),
    Command(
        ("factory", "reset"), "help.factory.reset", Role.DUAL, _reset, changes=True, serial=True
    ),
    Command(
        ("factory", "erase"), "help.factory.erase", Role.DUAL, _erase, changes=True, serial=True
    ),
)
