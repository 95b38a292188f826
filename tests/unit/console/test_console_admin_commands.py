"""`configure`, `restart`, `reboot`, `recover`, `factory`: what root is asked for, and when not."""

from collections import deque
from hashlib import sha256
from string import Formatter
from typing import Any

import msgspec
import pytest

from chopmark.admin.table import parse_request
from chopmark.console.command import Command, Role
from chopmark.console.commands import (
    configure,
    configure_network,
    factory,
    firmware,
    load_commands,
    recover,
    restart,
)
from chopmark.console.grammar import parse
from chopmark.console.words import admin as words
from chopmark.console.words import find_text
from chopmark.console.words.numbers import number
from chopmark.core.errors import ChopmarkError, RefusedError, TryAgainError, UnreachableError
from consoledesk import MemoryAdmin, MemoryDesk, surroundings

COMMANDS = tuple(
    one
    for part in (configure, configure_network, firmware, restart, recover, factory)
    for one in part.COMMANDS
)
IDLE = {"differences": "", "seconds_left": None}
LOOK = {
    "origin": "bank-hk.example/hk-1",
    "there": True,
    "running": True,
    "entries": 7,
    "floor": 4,
    "last": 7,
    "waiting": 0,
    "handed_out": False,
}


def find(text: str) -> Command:
    return next(one for one in COMMANDS if " ".join(one.path) == text)


async def run(
    text: str, admin: MemoryAdmin, *answers: str, given: dict[str, str] | None = None
) -> MemoryDesk:
    desk = MemoryDesk(answers=deque(answers))
    await find(text).run(surroundings(desk, admin=admin, who="chan+lee"), given or {})
    assert not desk.answers, "not everything was asked"
    return desk


def verbs(admin: MemoryAdmin) -> list[str]:
    return [verb for verb, _ in admin.done]


def test_every_text_is_there_in_each_language_with_the_same_values() -> None:
    english = words.EN
    for other in (words.ZH_HANS, words.ZH_HANT):
        assert list(other) == list(english)
        for key, text in other.items():
            assert _names(text) == _names(english[key]), key


def _names(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_every_help_of_commands_and_arguments_is_in_the_table() -> None:
    keys = {key for one in COMMANDS for key in (one.help, *(arg.help for arg in one.arguments))}
    assert {key for key in keys if find_text("en", key) is None} == set()


def test_what_changes_needs_service_and_what_destroys_needs_two_and_the_serial_number() -> None:
    for one in COMMANDS:
        assert one.role >= Role.SERVICE or not one.changes
    for name in ("factory reset", "factory erase"):
        assert (find(name).role, find(name).serial) == (Role.DUAL, True)


async def test_configure_broker_shows_what_would_change_and_applies_nothing() -> None:
    state = {"differences": "+port = 8883", "seconds_left": None}
    admin = MemoryAdmin({"config-change": lambda **_: state})
    given = {"HOST": "b.example", "PORT": "8883", "SECURITY": "tls", "NAME": "broker"}
    desk = await run("configure broker add", admin, given=given)
    asked = {"host": "b.example", "port": 8883, "tls": True, "name": "broker"}
    assert admin.done == [("config-change", {"who": "chan+lee", "add_broker": asked})]
    assert "+port = 8883" in desk.said
    assert "configure commit" in desk.text


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", "8883 ", "1_0"])
async def test_configure_broker_refuses_a_port_that_is_none(port: str) -> None:
    admin = MemoryAdmin()
    given = {"HOST": "b", "PORT": port, "SECURITY": "plain"}
    with pytest.raises(ChopmarkError):
        await run("configure broker add", admin, given=given)
    assert admin.done == []


async def test_configure_commit_says_how_long_and_how_to_keep_it() -> None:
    admin = MemoryAdmin({"config-commit": lambda **_: {"seconds": 300}})
    desk = await run("configure commit", admin)
    assert admin.done == [("config-commit", {"who": "chan+lee", "seconds": 300})]
    assert "300 s" in desk.text
    assert "configure confirm" in desk.text


@pytest.mark.parametrize("seconds", ["29", "3601", "soon"])
async def test_configure_commit_refuses_a_time_out_of_range(seconds: str) -> None:
    with pytest.raises(ChopmarkError):
        await run("configure commit", MemoryAdmin(), given={"SECONDS": seconds})


async def test_show_differences_tells_of_a_change_that_waits() -> None:
    state = {"differences": "", "seconds_left": 42}
    desk = await run("show differences", MemoryAdmin({"config-state": lambda **_: state}))
    assert "42 s" in desk.text
    none = await run("show differences", MemoryAdmin({"config-state": lambda **_: IDLE}))
    assert "No candidate" in none.text


SLOTS = {
    "running": "A",
    "next": "B",
    "slots": {
        "A": {"version": "0.1.0", "ledger": 6, "good": True, "tries": 0},
        "B": {"version": "0.2.0", "ledger": 6, "good": True, "tries": 1},
    },
}


async def test_show_firmware_tells_which_slot_runs_and_which_is_next() -> None:
    desk = await run("show firmware", MemoryAdmin({"firmware-look": lambda **_: SLOTS}))
    first, second = (line for line in desk.text.splitlines() if line.lstrip()[:1] in ("A", "B"))
    assert "runs" in first
    assert "0.2.0" in second
    assert "next" in second


def updater(report: dict[str, Any] | None) -> MemoryAdmin:
    """Root, who has written an update as soon as he is asked."""
    ended = {"state": "ended", "report": report}
    return MemoryAdmin({"firmware-install": lambda **_: {}, "firmware-state": lambda **_: ended})


async def test_update_is_installed_once_yes_is_typed() -> None:
    admin = updater({"version": "0.2.0", "slot": "B"})
    desk = await run("firmware install", admin, "yes")
    assert verbs(admin) == ["firmware-install", "firmware-state"]
    assert "Release 0.2.0 is in slot B" in desk.text
    admin = updater(None)
    with pytest.raises(RefusedError):
        await run("firmware install", admin, "y")
    assert verbs(admin) == []


@pytest.mark.parametrize(
    ("report", "code"),
    [
        ({"code": "firmware-refused", "detail": "RAUC: no", "status": 409}, "E-1910"),
        ({"code": "no-stick", "detail": "there is no USB stick", "status": 404}, "E-1912"),
        (None, "E-1905"),
    ],
)
async def test_update_that_was_refused_is_told_with_its_number(
    report: dict[str, Any] | None, code: str
) -> None:
    with pytest.raises(ChopmarkError) as caught:
        await run("firmware install", updater(report), "yes")
    assert number(caught.value.code) == code


def fetcher(*states: dict[str, Any]) -> MemoryAdmin:
    """Root, whose fetching has come so far at each look."""
    left = deque([{"state": "none", "report": None}, *states])
    return MemoryAdmin(
        {
            "fetch-start": lambda **_: {},
            "fetch-stop": lambda **_: {},
            "fetch-state": lambda **_: left.popleft(),
        }
    )


ON_ITS_WAY = {"version": "0.2.0", "have": 64_000_000, "size": 190_000_000, "rate": 2_100_000}
FETCHED = {"version": "0.2.0", "size": 190_000_000, "done": True}


async def test_fetch_tells_how_far_and_how_fast_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware, "LOOK", 0.0)
    monkeypatch.setattr(firmware, "TELL", 1)
    running = {"state": "running", "report": ON_ITS_WAY}
    waiting = {"state": "running", "report": None}
    admin = fetcher(waiting, running, {"state": "ended", "report": FETCHED})
    desk = await run("firmware fetch", admin)
    assert verbs(admin) == ["fetch-state", "fetch-start", *["fetch-state"] * 3]
    assert "release 0.2.0: 33 %, 64.0 of 190.0 MB, 2100 kB/s, 1 min left" in desk.text
    assert "Release 0.2.0, 190.0 MB, is here" in desk.text
    assert "firmware install" in desk.text


async def test_fetch_that_goes_on_is_looked_at_and_not_begun_twice() -> None:
    admin = MemoryAdmin({"fetch-state": lambda **_: next(states)})
    states = iter([{"state": "running"}, {"state": "ended", "report": FETCHED}])
    await run("firmware fetch", admin)
    assert verbs(admin) == ["fetch-state", "fetch-state"]


async def test_fetch_that_was_ended_says_that_it_can_go_on() -> None:
    desk = await run("firmware fetch", fetcher({"state": "ended", "report": ON_ITS_WAY}))
    assert "goes on where it was" in desk.text
    admin = fetcher()
    await run("firmware cancel", admin)
    assert verbs(admin) == ["fetch-stop"]


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("firmware-refused", "E-1910"),
        ("no-firmware-source", "E-1914"),
        ("firmware-source-away", "E-1915"),
        ("firmware-source-wrong", "E-1916"),
        ("firmware-older", "E-1917"),
        ("firmware-no-room", "E-1918"),
    ],
)
async def test_fetch_that_was_refused_is_told_with_its_number(code: str, shown: str) -> None:
    report = {"code": code, "detail": "no", "status": 422}
    with pytest.raises(ChopmarkError) as caught:
        await run("firmware fetch", fetcher({"state": "ended", "report": report}))
    assert number(caught.value.code) == shown
    for language in ("zh-Hans", "zh-Hant"):
        assert find_text(language, f"error.{code}")


async def test_show_firmware_tells_of_a_release_that_waits() -> None:
    there = {**SLOTS, "fetched": "0.3.0"}
    desk = await run("show firmware", MemoryAdmin({"firmware-look": lambda **_: there}))
    assert "Release 0.3.0 is here" in desk.text


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("conf net dhcp", {"method": "dhcp"}),
        (
            "conf net static 192.0.2.10/24 192.0.2.1",
            {"method": "static", "address": "192.0.2.10/24", "gateway": "192.0.2.1"},
        ),
        (
            "conf net static fd00::2/64 fd00::1",
            {"method": "static", "address": "fd00::2/64", "gateway": "fd00::1"},
        ),
        ("conf net vlan 120", {"vlan": 120}),
        ("conf net vlan none", {"vlan": 0}),
        ("conf net dns 192.0.2.53 fd00::53", {"dns": ["192.0.2.53", "fd00::53"]}),
        ("conf net ntp time.example 192.0.2.1", {"ntp": ["time.example", "192.0.2.1"]}),
        ("conf net proxy proxy.example 3128", {"proxy": ["proxy.example", 3128]}),
        ("conf net confirm", {}),
        ("conf net rollback", {}),
        ("firmware switch slot b", {"slot": "b"}),
    ],
)
async def test_what_needs_the_image_is_asked_of_root_which_says_so_with_its_number(
    line: str, asked: dict[str, Any]
) -> None:
    match, admin = parse(line, load_commands()), MemoryAdmin()
    assert match is not None
    with pytest.raises(ChopmarkError) as caught:
        await run(" ".join(match.command.path), admin, given=dict(match.arguments))
    assert number(caught.value.code) == "E-1900"
    ((verb, values),) = admin.done
    assert values.items() >= asked.items()
    parse_request(msgspec.json.encode({"verb": verb, **values}))


@pytest.mark.parametrize(
    "line",
    [
        "conf net static 192.0.2.10 192.0.2.1",
        "conf net static 192.0.2.10/24 198.51.100.1",
        "conf net static 192.0.2.10/33 192.0.2.1",
        "conf net vlan 0",
        "conf net vlan 4095",
        "conf net dns time.example",
        "conf net ntp --x",
        "conf net proxy proxy.example 65536",
    ],
)
async def test_network_that_cannot_be_is_refused_before_root_is_asked(line: str) -> None:
    match, admin = parse(line, load_commands()), MemoryAdmin()
    assert match is not None
    with pytest.raises(ChopmarkError):
        await run(" ".join(match.command.path), admin, given=dict(match.arguments))
    assert admin.done == []


async def test_broker_that_publishes_at_another_port_is_told_so_to_root() -> None:
    admin = MemoryAdmin({"config-change": lambda **_: IDLE})
    given = {"HOST": "b.example", "PORT": "8883/8884", "SECURITY": "tls"}
    await run("configure broker add", admin, given=given)
    ((_, values),) = admin.done
    asked = {"host": "b.example", "port": 8883, "publish_port": 8884, "tls": True}
    assert values["add_broker"] == asked


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("conf firm source https://u.example/", {"url": "https://u.example/"}),
        (
            "conf firm source https://u.example/ p.example:3128",
            {"url": "https://u.example/", "proxy": ["p.example", 3128]},
        ),
        (
            "conf firm source https://u.example/ [::1]:3128",
            {"url": "https://u.example/", "proxy": ["::1", 3128]},
        ),
        ("conf firm none", "none"),
    ],
)
async def test_source_of_releases_is_told_to_root(line: str, asked: object) -> None:
    match, admin = parse(line, load_commands()), MemoryAdmin({"config-change": lambda **_: IDLE})
    assert match is not None
    await run(" ".join(match.command.path), admin, given=dict(match.arguments))
    ((verb, values),) = admin.done
    assert values["firmware"] == asked
    parse_request(msgspec.json.encode({"verb": verb, **values}))


@pytest.mark.parametrize("action", ["restart", "start", "stop"])
async def test_unit_is_named_and_its_end_told(action: str) -> None:
    admin = MemoryAdmin({f"unit-{action}": lambda **_: {}})
    desk = await run(action, admin, given={"UNIT": "gateway"})
    assert admin.done == [(f"unit-{action}", {"who": "chan+lee", "unit": "gateway"})]
    assert len(desk.said) == 2


async def test_reboot_needs_a_yes() -> None:
    admin = MemoryAdmin({"reboot": lambda **_: {}})
    with pytest.raises(RefusedError) as caught:
        await run("reboot", admin, "y")
    assert (caught.value.code, admin.done) == ("reset-declined", [])
    await run("reboot", admin, "yes")
    assert verbs(admin) == ["reboot"]


def recovery(report: dict[str, Any] | None, looks: int = 2) -> MemoryAdmin:
    left = [looks]

    def state(**_: Any) -> dict[str, Any]:
        left[0] -= 1
        return {"state": "running"} if left[0] > 0 else {"state": "ended", "report": report}

    return MemoryAdmin({"recover-start": lambda **_: {}, "recover-state": state})


async def test_recover_waits_for_the_end_and_shows_the_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recover, "LOOK", 0.0)
    report = {"result": "goes-on", "origin": "o/1", "head": {"size": 9}, "answered": ["sz-1"]}
    desk = await run("recover", recovery(report), "yes")
    assert "entries: 9" in desk.said
    assert "have answered: sz-1" in desk.said
    assert "start gateway" in desk.text


@pytest.mark.parametrize(
    ("report", "kind", "code"),
    [
        ({"result": "waiting", "silent": ["Bank"]}, TryAgainError, "recovery-waiting"),
        ({"result": "retired"}, RefusedError, "origin-retired"),
        ({"code": "no-reply", "status": 502, "detail": "x"}, UnreachableError, "no-reply"),
        (None, ChopmarkError, "program-failed"),
    ],
)
async def test_recovery_that_did_not_end_well_is_an_error(
    report: dict[str, Any] | None, kind: type[ChopmarkError], code: str
) -> None:
    with pytest.raises(kind) as caught:
        await run("recover", recovery(report, looks=1), "yes")
    assert caught.value.code == code


async def test_factory_reset_refuses_while_something_was_not_exported() -> None:
    admin = MemoryAdmin({"reset-look": lambda **_: {**LOOK, "waiting": 3}})
    with pytest.raises(RefusedError) as caught:
        await run("factory reset", admin)
    assert caught.value.code == "unwitnessed"
    assert "factory export" in caught.value.hint
    assert verbs(admin) == ["reset-look"]


async def test_factory_reset_says_what_is_lost_and_needs_the_word() -> None:
    admin = MemoryAdmin({"reset-look": lambda **_: LOOK, "wipe": lambda **_: {}})
    with pytest.raises(RefusedError):
        await run("factory reset", admin, "reset")
    assert "wipe" not in verbs(admin)
    desk = await run("factory reset", admin, "RESET")
    assert "bank-hk.example/hk-1 with 7 entries" in desk.text
    asked = {"who": "chan+lee", "origin": LOOK["origin"], "scope": "state"}
    assert admin.done[-1] == ("wipe", asked)


async def test_factory_erase_needs_the_word_and_asks_for_the_disk() -> None:
    admin = MemoryAdmin({"wipe": lambda **_: {"erased": True}})
    with pytest.raises(RefusedError):
        await run("factory erase", admin, "RESET")
    assert verbs(admin) == []
    desk = await run("factory erase", admin, "ERASE")
    assert "must stage it" in desk.text
    assert admin.done == [("wipe", {"who": "chan+lee", "scope": "disk"})]


async def test_factory_reset_does_without_audit_or_keys_only_if_that_is_typed() -> None:
    def wipe(**asked: Any) -> dict[str, Any]:
        if "audit" not in asked:
            raise TryAgainError("audit-unpublished", "not yet")
        if "keys" not in asked:
            raise TryAgainError("hsm-away", "no HSM")
        return {}

    admin = MemoryAdmin({"reset-look": lambda **_: LOOK, "wipe": wipe})
    with pytest.raises(RefusedError):
        await run("factory reset", admin, "RESET", "no")
    with pytest.raises(RefusedError):
        await run("factory reset", admin, "RESET", "IMPOSSIBLE", "")
    await run("factory reset", admin, "RESET", "IMPOSSIBLE", "LEFT")
    assert admin.done[-1][1]["keys"] == "left"


async def test_factory_reset_of_what_cannot_be_looked_at_takes_another_word() -> None:
    problem = {"code": "damaged-ledger", "status": 500, "detail": "log.db is damaged", "hint": ""}
    admin = MemoryAdmin(
        {
            "reset-look": lambda **_: {"unreadable": problem, "origin": "o/1"},
            "wipe": lambda **_: {"keys": [], "kept": []},
        }
    )
    for answers in (("RESET",), ("unseen",), ("UNSEEN", "no")):
        with pytest.raises(RefusedError):
            await run("factory reset", admin, *answers)
    assert set(verbs(admin)) == {"reset-look"}
    desk = await run("factory reset", admin, "UNSEEN", "RESET")
    assert "log.db is damaged" in desk.text
    assert "nobody can look at" in desk.text
    asked = {"scope": "state", "ledger": "unreadable", "audit": "impossible", "origin": "o/1"}
    assert admin.done[-1] == ("wipe", {"who": "chan+lee", **asked})
    with pytest.raises(ChopmarkError, match="damaged"):
        await run("factory export", admin)


async def test_factory_reset_asks_for_one_thing_once() -> None:
    def wipe(**_: Any) -> dict[str, Any]:
        raise TryAgainError("hsm-away", "no HSM")

    admin = MemoryAdmin({"reset-look": lambda **_: LOOK, "wipe": wipe})
    with pytest.raises(TryAgainError):
        await run("factory reset", admin, "RESET", "LEFT")


async def test_factory_export_prints_every_entry_and_its_digest() -> None:
    pages = {4: ([[4, "AAAA"], [5, "BBBB"]], 6), 6: ([[6, "CCCC"]], 7)}
    admin = MemoryAdmin(
        {
            "reset-look": lambda **_: {**LOOK, "waiting": 3},
            "reset-export": lambda start, **_: {
                "entries": pages[start][0],
                "next": pages[start][1],
                "size": 7,
            },
        }
    )
    desk = await run("factory export", admin)
    body = ["4 AAAA", "5 BBBB", "6 CCCC"]
    assert desk.said[2:5] == body
    digest = sha256("".join(f"{one}\n" for one in body).encode()).hexdigest()
    assert desk.said[5] == f"-----END CHOPMARK ENTRIES {digest}-----"
