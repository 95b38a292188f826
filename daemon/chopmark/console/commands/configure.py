"""`configure …`: a candidate, shown by `show differences`, applied for a time by `commit`.

Root keeps the candidate, so that it is there after a log-out or a power loss. What is applied is
taken back by itself unless `configure confirm` follows in time.
"""

from collections.abc import Mapping
from typing import Any, Final

from chopmark.client.problem import error_from_problem
from chopmark.console.command import Argument, Command, Role, Surroundings
from chopmark.console.transfer import receive_file
from chopmark.console.words import t
from chopmark.console.words.explain import explain
from chopmark.core.errors import UsageError
from chopmark.core.text import parse_decimal

SECONDS: Final = 300
"""Until an applied change is taken back, if nobody says otherwise."""
RANGE: Final = range(30, 3601)
MAX_PEM: Final = 6000
"""Bytes of certificates that root takes."""
_PORTS: Final = range(1, 65_536)


async def _institution(around: Surroundings, given: Mapping[str, str]) -> None:
    await _change(around, institution=given["NAME"])


async def _jurisdiction(around: Surroundings, given: Mapping[str, str]) -> None:
    await _change(around, jurisdiction=given["PLACE"].upper())


async def _add_broker(around: Surroundings, given: Mapping[str, str]) -> None:
    port, mark, publish = given["PORT"].partition("/")
    broker: dict[str, Any] = {
        "host": given["HOST"],
        "port": _number(port, "PORT", _PORTS),
        "tls": given["SECURITY"] == "tls",
    }
    if mark:
        broker["publish_port"] = _number(publish, "PORT", _PORTS)
    if given.get("NAME"):
        broker["name"] = given["NAME"]
    await _change(around, add_broker=broker)


async def _remove_broker(around: Surroundings, given: Mapping[str, str]) -> None:
    await _change(around, remove_broker=[given["HOST"], _number(given["PORT"], "PORT", _PORTS)])


async def _source(around: Surroundings, given: Mapping[str, str]) -> None:
    source: dict[str, Any] = {"url": given["URL"]}
    if given.get("PROXY"):
        host, _, port = given["PROXY"].rpartition(":")
        source["proxy"] = [host.strip("[]"), _number(port, "PROXY", _PORTS)]
    await _change(around, firmware=source)


async def _no_source(around: Surroundings, _: Mapping[str, str]) -> None:
    await _change(around, firmware="none")


async def _source_ca(around: Surroundings, _: Mapping[str, str]) -> None:
    pem = await receive_file(around.desk, "ca.pem", limit=MAX_PEM)
    await around.admin.do("firmware-ca", who=around.who, ca=pem.decode("ascii", "replace"))
    await _say(around, "configure.firmware-ca")


async def _change(around: Surroundings, **values: Any) -> None:
    state = await around.admin.do("config-change", who=around.who, **values)
    await _show(around, state)
    await _say(around, "configure.next")


async def _differences(around: Surroundings, _: Mapping[str, str]) -> None:
    await _show(around, await around.admin.do("config-state", who=around.who))


async def _commit(around: Surroundings, given: Mapping[str, str]) -> None:
    seconds = _number(given.get("SECONDS") or str(SECONDS), "SECONDS", RANGE)
    await _say(around, "configure.applying")
    await around.admin.do("config-commit", who=around.who, seconds=seconds)
    await _say(around, "configure.applied", seconds=seconds)


async def _confirm(around: Surroundings, _: Mapping[str, str]) -> None:
    await around.admin.do("config-confirm", who=around.who)
    await _say(around, "configure.confirmed")


async def _rollback(around: Surroundings, _: Mapping[str, str]) -> None:
    await around.admin.do("config-rollback", who=around.who)
    await _say(around, "configure.taken-back")


async def _discard(around: Surroundings, _: Mapping[str, str]) -> None:
    await around.admin.do("config-discard", who=around.who)
    await _say(around, "configure.discarded")


async def _show(around: Surroundings, state: Mapping[str, Any]) -> None:
    left, stuck = state["seconds_left"], state.get("stuck")
    if stuck is not None:
        error = error_from_problem(int(stuck["status"]), stuck, None)
        await around.desk.say(explain(around.desk.language, error))
    elif left is not None:
        await _say(around, "configure.pending", seconds=left)
    if state["differences"]:
        await around.desk.say(state["differences"])
    elif left is None and stuck is None:
        await _say(around, "configure.none")


def _number(text: str, what: str, valid: range) -> int:
    number = parse_decimal(text, what)
    if number not in valid:
        hint = f"type {valid.start} to {valid.stop - 1}"
        raise UsageError("console-value", f"{what} cannot be {number}", hint=hint)
    return number


async def _say(around: Surroundings, key: str, **values: object) -> None:
    await around.desk.say(_t(around, key, **values))


def _t(around: Surroundings, key: str, **values: object) -> str:
    return t(around.desk.language, key, **values)


def _changing(words: str, run: Any, *arguments: Argument) -> Command:
    path = ("configure", *words.split())
    key = f"help.configure.{'-'.join(words.split())}"
    return Command(path, key, Role.SERVICE, run, arguments, changes=True)


_HOST: Final = Argument("HOST", "help.configure.host")
_PORT: Final = Argument("PORT", "help.configure.port")
COMMANDS: Final = (
    Command(("show", "differences"), "help.show.differences", Role.OBSERVE, _differences),
    _changing("institution", _institution, Argument("NAME", "help.configure.name")),
    _changing("jurisdiction", _jurisdiction, Argument("PLACE", "help.configure.place")),
    _changing(
        "broker add",
        _add_broker,
        _HOST,
        Argument("PORT", "help.configure.ports"),
        Argument("SECURITY", "help.configure.security", ("tls", "plain")),
        Argument("NAME", "help.configure.tls-name", optional=True),
    ),
    _changing("broker remove", _remove_broker, _HOST, _PORT),
    _changing("firmware ca", _source_ca),
    _changing(
        "firmware source",
        _source,
        Argument("URL", "help.configure.url"),
        Argument("PROXY", "help.configure.source-proxy", optional=True),
    ),
    _changing("firmware none", _no_source),
    _changing("commit", _commit, Argument("SECONDS", "help.configure.seconds", optional=True)),
    _changing("confirm", _confirm),
    _changing("rollback", _rollback),
    _changing("discard", _discard),
)
