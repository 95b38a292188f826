"""Parts of signing in: cookies, lock-out, sessions, accounts, passwords, addresses."""

import asyncio
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chopmark.api.identity import ANY_KIND, CALLER, Caller
from chopmark.api.roles import admit
from chopmark.api.signin import lockout, sessions
from chopmark.api.signin.accounts import MAX_FILE, SHARED, Account, Accounts
from chopmark.api.signin.cookies import SESSION, drop_cookie, make_cookie, read_cookie
from chopmark.api.signin.lockout import FORGET, FREE, LONGEST, Lockouts
from chopmark.api.signin.operators import AccountBody
from chopmark.api.signin.own import CredentialsBody, PasswordBody
from chopmark.api.signin.passwords import COST, QUEUE, Cost, Hasher, check_password
from chopmark.api.signin.sessions import PER_PERSON, Sessions, is_token, make_token
from chopmark.api.signin.visits import (
    Strangers,
    Visit,
    Visitors,
    address_group,
    plain_address,
)
from chopmark.core.errors import (
    ChopmarkError,
    ConfigurationError,
    ExistsError,
    RefusedError,
    TryAgainError,
)
from chopmark.service.accounts import AccountFile

NOW = "2026-11-22T13:00:00.000Z"
ANNA = [("name", "anna")]


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def fails(lockouts: Lockouts, keys: list[tuple[str, str]], times: int) -> None:
    for _ in range(times):
        lockouts.begin(keys)


def wait_of(lockouts: Lockouts, keys: list[tuple[str, str]]) -> int:
    with pytest.raises(TryAgainError) as caught:
        lockouts.begin(keys)
    assert caught.value.code == "locked-out"
    return caught.value.retry_after or 0


def visit(open_to: list[str], roles: set[str], address: str, path: str) -> str:
    """How a request of somebody who has signed in ends."""
    held = Sessions(60, 600)
    caller = Caller("user anna", frozenset(roles), ANY_KIND, machine=False, door="page")  # type: ignore[arg-type]
    token = held.begin(caller, "anna", "password", address)[0]
    cookie = f"__Host-chopmark-session={token}".encode()
    scope: Any = {"client": (address, 1), "headers": [(b"cookie", cookie)], "path": path}
    set_to = CALLER.set(Visitors(held, open_to, 1000).meet(scope).caller)
    try:
        admit(path)
    except ChopmarkError as error:
        return error.code
    finally:
        CALLER.reset(set_to)
    return "done"


@pytest.mark.parametrize(
    ("roles", "address", "path", "outcome"),
    [
        ({"operator"}, "10.9.8.7", "/v1/verifications", "done"),
        ({"operator"}, "10.9.9.7", "/v1/verifications", "role-missing"),
        ({"operator"}, "10.9.8.7", "/v1/entries", "role-missing"),
        ({"operator"}, "10.9.8.7", "/v1/attestations", "role-missing"),
        ({"operator"}, "10.9.8.7", "/v1/hsm", "done"),
        ({"verifier"}, "10.9.9.7", "/v1/verifications", "done"),
    ],
)
def test_nobody_may_do_less_for_having_signed_in(
    roles: set[str], address: str, path: str, outcome: str
) -> None:
    assert visit(["10.9.8.0/24"], roles, address, path) == outcome


def test_what_is_open_to_the_network_has_the_networks_rate() -> None:
    made = Visitors(Sessions(60, 600), ["10.9.8.0/24"], 7)
    caller = Caller("user anna", frozenset(), ANY_KIND, machine=False, door="page")
    opened = made._with_open(caller, "10.9.8.7").open_bucket
    assert opened is not None
    assert opened.rate == 7


def test_cookie_is_read_from_among_others() -> None:
    headers = [(b"host", b"x"), (b"cookie", b"a=1; __Host-chopmark-session=abc ; b=2")]
    assert read_cookie(headers, SESSION) == "abc"
    assert read_cookie(headers, "b") == "2"
    assert read_cookie(headers, "chopmark-session") is None
    twice = [*headers, (b"cookie", b"__Host-chopmark-session=abd")]
    assert read_cookie(twice, SESSION) is None


@pytest.mark.parametrize("before", [b"\xa0", b"\x85", b"\x1f", b"\x0c", b"\xe2\x80\x80"])
def test_cookie_is_named_host_to_the_browser_too_or_is_not_looked_at(before: bytes) -> None:
    """Another server of the domain may set one whose name only begins with a kind of blank."""
    planted = (b"cookie", before + b"__Host-chopmark-session=thief")
    assert read_cookie([planted], SESSION) is None
    own = (b"cookie", b"__Host-chopmark-session=own")
    assert read_cookie([(b"cookie", planted[1] + b"; " + own[1])], SESSION) == "own"
    assert read_cookie([planted, own], SESSION) == "own"


def test_cookie_that_comes_with_foreign_clicks_is_short_lived_and_marked() -> None:
    assert make_cookie("x", "1", seconds=5, lax=True)[1].endswith(b"SameSite=Lax; Max-Age=5")
    assert b"Max-Age=0" in drop_cookie("x")[1]


def test_waits_double_up_to_the_longest() -> None:
    clock = Clock()
    lockouts = Lockouts(clock)
    fails(lockouts, ANNA, FREE["name"])
    waits = []
    for _ in range(8):
        waits.append(wait_of(lockouts, ANNA))
        clock.now += waits[-1]
        lockouts.begin(ANNA)
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]


def test_tries_during_a_wait_make_it_no_longer() -> None:
    clock = Clock()
    lockouts = Lockouts(clock)
    fails(lockouts, ANNA, FREE["name"])
    assert {wait_of(lockouts, ANNA) for _ in range(100)} == {30}


def test_who_waits_an_hour_begins_anew() -> None:
    clock = Clock()
    lockouts = Lockouts(clock)
    fails(lockouts, ANNA, FREE["name"])
    clock.now += FORGET + 1
    fails(lockouts, ANNA, FREE["name"])
    assert wait_of(lockouts, ANNA) == 30


def test_success_forgets_a_name_but_not_what_an_address_has_failed() -> None:
    lockouts = Lockouts(Clock())
    keys = [*ANNA, ("address", "10.1.2.3")]
    for number in range(FREE["address"] - 1):
        lockouts.begin([("name", f"other-{number}"), keys[1]])
        lockouts.begin(keys)
        lockouts.take_back(keys, forgive=True)
    lockouts.begin([("name", "one more"), keys[1]])
    assert wait_of(lockouts, keys) == 30
    lockouts.begin(ANNA)


def test_own_success_forgives_an_address_nothing() -> None:
    clock = Clock()
    lockouts, where = Lockouts(clock), ("address", "10.1.2.3")
    for number in range(FREE["address"]):
        lockouts.begin([("name", f"victim-{number}"), where])
    clock.now += wait_of(lockouts, [where])
    own = [("name", "mallory"), where]
    lockouts.begin(own)
    lockouts.take_back(own, forgive=True)
    lockouts.begin([("name", "one victim more"), where])
    assert wait_of(lockouts, [where]) == 60


@pytest.mark.parametrize("forgive", [True, False])
def test_try_that_is_taken_back_begins_no_wait(*, forgive: bool) -> None:
    """Else each who signs in would make all others behind the same address wait."""
    clock = Clock()
    lockouts, where = Lockouts(clock), ("address", "10.1.2.3")
    for number in range(FREE["address"] + 2):
        lockouts.begin([("name", f"clerk-{number}"), where])
        clock.now += 120
    good = [("name", "anna"), where]
    lockouts.begin(good)
    lockouts.take_back(good, forgive=forgive)
    lockouts.begin([("name", "bert"), where])


def test_operator_forgets_a_wait() -> None:
    lockouts = Lockouts(Clock())
    fails(lockouts, ANNA, FREE["name"])
    assert lockouts.waiting() == {ANNA[0]: 30}
    assert lockouts.forget("anna")
    assert not lockouts.forget("anna")
    lockouts.begin(ANNA)


def test_what_is_remembered_of_failures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockout, "MOST", 10)
    lockouts = Lockouts(Clock())
    for number in range(50):
        lockouts.begin([("name", str(number))])
    assert len(lockouts._counts) == 10


def test_many_tries_elsewhere_do_not_end_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockout, "MOST", 10)
    lockouts = Lockouts(Clock())
    fails(lockouts, ANNA, FREE["name"])
    for number in range(50):
        lockouts.begin([("name", str(number)), ("address", f"10.0.0.{number}")])
    assert wait_of(lockouts, ANNA) == 30


def test_new_name_is_counted_though_all_that_is_remembered_must_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lockout, "MOST", 10)
    lockouts = Lockouts(Clock())
    for number in range(10):
        fails(lockouts, [("name", str(number))], FREE["name"])
    for number in range(FREE["name"]):
        lockouts.begin([*ANNA, ("address", f"10.0.0.{number}")])
    assert wait_of(lockouts, ANNA) == 30


def test_longest_wait_is_no_lock_out_for_ever() -> None:
    assert LONGEST <= 900
    assert FREE["device"] > FREE["name"]


def caller(name: str) -> Caller:
    return Caller(f"user {name}", frozenset(), ANY_KIND, machine=False, door="page")


def begin(made: Sessions, name: str) -> tuple[str, sessions.Session]:
    return made.begin(caller(name), name, "password", "10.1.2.3")


def test_session_is_found_by_its_id_alone() -> None:
    made = Sessions(900, 36_000, Clock())
    token, session = begin(made, "anna")
    assert made.find(token) is session
    assert made.find(token[:-1]) is None
    assert made.find(session.key.hex()) is None
    assert token not in repr(session)


def test_person_has_some_sessions_and_the_oldest_goes() -> None:
    made, ended = Sessions(900, 36_000, Clock()), []
    made.on_end = lambda session, why: ended.append((session, why))
    first = begin(made, "anna")
    begin(made, "bert")
    for _ in range(PER_PERSON):
        begin(made, "anna")
    assert ended == [(first[1], "too-many")]
    assert first[1].ended
    assert len(list(made)) == PER_PERSON + 1


def test_sessions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(sessions, "MOST", 3)
    made = Sessions(900, 36_000, clock)
    for name in "abc":
        begin(made, name)
    with pytest.raises(TryAgainError, match="3 people"):
        begin(made, "d")
    clock.now += 901
    begin(made, "d")


def test_token_follows_from_the_id_and_fits_no_other() -> None:
    assert is_token(make_token("a" * 43), "a" * 43)
    assert not is_token(make_token("a" * 43), "b" * 43)
    assert not is_token("é", "a" * 43)


def accounts(folder: Path) -> Accounts:
    return Accounts(AccountFile(folder / "accounts.json"), lambda: NOW)


async def test_accounts_are_there_after_a_restart_and_nobody_else_reads_them(
    tmp_path: Path,
) -> None:
    made = accounts(tmp_path)
    await made.add("anna", ("verifier",), ("*",), "hash")
    await made.add("bert", ("issuer", "operator"), ("diploma",), "hash")
    await made.remove("anna")
    device = made.make_device("bert")
    again = accounts(tmp_path)
    assert again.list() == [Account("bert", ("issuer", "operator"), ("diploma",), "hash", NOW)]
    assert again.read_device("bert", device)
    assert (tmp_path / "accounts.json").stat().st_mode & 0o777 == 0o600


async def test_copy_that_others_could_read_is_closed_to_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "accounts.json"
    await accounts(tmp_path).add("anna", ("verifier",), ("*",), "hash")
    path.chmod(0o644)
    assert accounts(tmp_path).find("anna")
    assert path.stat().st_mode & 0o777 == 0o600
    assert "0644" in caplog.text


def test_browser_knows_those_who_share_it_and_takes_nothing_else_up(tmp_path: Path) -> None:
    made = accounts(tmp_path)
    shown = made.make_device("anna", "; x=1.<script>." + "A" * 96)
    assert len(shown) == 96
    first = made.read_device("anna", shown)
    for name in ("bert", "carl"):
        shown = made.make_device(name, shown)
    assert made.read_device("anna", shown) == first
    assert made.read_device("bert", shown) not in (None, first)
    assert made.read_device("dora", shown) is None
    for number in range(SHARED):
        shown = made.make_device(f"clerk-{number}", shown)
    assert made.read_device("anna", shown) is None
    assert len(shown) == 97 * SHARED - 1
    for wrong in (None, "", "\xe9", "zz", shown.upper(), shown[:95]):
        assert made.read_device(f"clerk-{SHARED - 1}", wrong) is None


@pytest.mark.parametrize(
    ("name", "roles", "kinds"),
    [
        ("Anna", ("verifier",), ("*",)),
        ("", ("verifier",), ("*",)),
        ("a" * 33, ("verifier",), ("*",)),
        ("-anna", ("verifier",), ("*",)),
        ("anna\n", ("verifier",), ("*",)),
        ("anna", (), ("*",)),
        ("anna", ("root",), ("*",)),
        ("anna", ("verifier", "verifier"), ("*",)),
        ("anna", ("issuer",), ()),
        ("anna", ("issuer",), ("Bad Kind",)),
    ],
)
def test_account_of_a_wrong_form_is_refused(
    tmp_path: Path, name: str, roles: Any, kinds: Any
) -> None:
    with pytest.raises(ChopmarkError) as caught:
        accounts(tmp_path).check_new(name, roles, kinds)
    assert caught.value.code in ("bad-account", "malformed-kind")


async def test_file_that_would_be_refused_at_the_next_start_is_not_written(tmp_path: Path) -> None:
    made = accounts(tmp_path)
    kinds = tuple(f"kind-{number:05}" for number in range(40_000))
    await made.add("anna", ("issuer",), kinds, "hash")
    with pytest.raises(RefusedError, match="no room"):
        await made.add("bert", ("issuer",), kinds, "hash")
    assert accounts(tmp_path).list() == made.list()


async def test_account_is_never_made_twice(tmp_path: Path) -> None:
    made = accounts(tmp_path)
    adding = [made.add("anna", ("verifier",), ("*",), "hash") for _ in range(2)]
    first, second = await asyncio.gather(*adding, return_exceptions=True)
    assert isinstance(first, Account)
    assert isinstance(second, ExistsError)


@pytest.mark.parametrize("damage", ["{", "[]", "long", "key", "role"])
def test_damaged_file_of_accounts_is_refused_without_being_quoted(
    tmp_path: Path, damage: str
) -> None:
    row = {"name": "a", "roles": ["verifier"], "kinds": ["*"], "hash": "$secret", "changed": NOW}
    whole: dict[str, Any] = {"version": 1, "device_key": "00" * 32, "accounts": [row]}
    if damage == "key":
        whole["device_key"] = "00"
    if damage == "role":
        row["roles"] = ["$secret"]
    text = {"long": " " * MAX_FILE + json.dumps(whole)}.get(damage, json.dumps(whole))
    text = damage if damage in ("{", "[]") else text
    (tmp_path / "accounts.json").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        accounts(tmp_path)
    assert caught.value.code == "accounts-malformed"
    assert "secret" not in str(caught.value)


async def test_disk_that_takes_nothing_leaves_accounts_as_they_were() -> None:
    @dataclass
    class Full:
        kept: list[bytes] = field(default_factory=list)

        def read(self) -> None:
            return None

        def write(self, _data: bytes) -> None:
            raise TryAgainError("storage-full", "no room")

    made = Accounts(Full(), lambda: NOW)
    with pytest.raises(TryAgainError):
        await made.add("anna", ("verifier",), ("*",), "hash")
    assert made.list() == []


@pytest.mark.parametrize(
    "weak",
    [
        *("short", "aaaaaaaaaaaaaaaa", "iamannaiamanna", "x" * 257, "a\tb" * 9),
        *("Password1234", "passwordpassword", "1234567890123", "qwertyuiop12", "chopmark2026!"),
        *("abcabc123456!", "Welcome12345!", "1q2w3e4r1q2w3e4r"),
    ],
)
def test_weak_password_is_refused_without_being_quoted(weak: str) -> None:
    with pytest.raises(RefusedError) as caught:
        check_password(weak, "anna")
    assert caught.value.code == "weak-password"
    assert weak not in str(caught.value)


@pytest.mark.parametrize(
    ("good", "name"),
    [
        ("vier schoene worte", "al"),
        ("my password is a long one", "anna"),
        ("字" + "一二三四五六七八九十甲", "bo"),
    ],
)
def test_password_of_some_variety_is_taken(good: str, name: str) -> None:
    check_password(good, name)


async def test_operator_gives_a_password_while_strangers_fill_the_queue() -> None:
    hasher, gate = Hasher(Cost(1, 64)), threading.Event()
    hasher._thread.submit(gate.wait)
    try:
        guesses = [asyncio.create_task(hasher.check(None, "guess")) for _ in range(QUEUE + 1)]
        (late,), _ = await asyncio.wait(guesses, return_when=asyncio.FIRST_COMPLETED)
        assert isinstance(late.exception(), TryAgainError)
        giving = asyncio.create_task(hasher.make("correct horse battery"))
        await asyncio.sleep(0)
        assert not giving.done()
    finally:
        gate.set()
    assert (await giving).startswith("$argon2id$")
    told = await asyncio.gather(*guesses, return_exceptions=True)
    assert told.count(False) == QUEUE


async def test_hash_is_argon2id_with_the_parameters_that_owasp_asks_for() -> None:
    hasher = Hasher()
    hashed = await hasher.make("correct horse battery")
    assert hashed.startswith(f"$argon2id$v=19$m={COST.memory},t={COST.passes},p=1$")
    assert COST.memory * COST.passes >= 2 * 19 * 1024
    assert await hasher.check(hashed, "correct horse battery")
    assert not await hasher.check(hashed, "correct horse batterY")


async def test_password_is_the_same_in_each_way_to_write_it() -> None:
    hasher = Hasher(Cost(1, 64))
    hashed = await hasher.make("caf\u00e9 caf\u00e9 caf\u00e9")
    assert await hasher.check(hashed, "cafe\u0301 cafe\u0301 cafe\u0301")
    longest = "\u00e9\u01d8" * 128
    check_password(f"{longest[:-3]}xyz", "anna")
    hashed = await hasher.make(longest)
    assert await hasher.check(hashed, "e\u0301u\u0308\u0301" * 128)
    assert not await hasher.check(hashed, f"{longest}x")


async def test_name_that_is_no_account_costs_a_hash_too(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher, asked = Hasher(Cost(1, 64)), []
    hashed = await hasher.make("correct horse battery")
    verify = hasher._argon.verify

    def count(known: str, shown: bytes) -> bool:
        asked.append(known)
        return bool(verify(known, shown))

    monkeypatch.setattr(hasher, "_argon", _Counting(hasher._argon, count))
    for known in (hashed, None, "no hash at all"):
        assert not await hasher.check(known, "wrong")
    assert len(asked) == 3


class _Counting:
    """Argon2's own, whose checks are counted."""

    def __init__(self, inner: Any, verify: Any) -> None:
        self._inner = inner
        self.verify = verify

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_hash_of_other_parameters_is_outdated() -> None:
    old, new = Hasher(Cost(1, 64)), Hasher(Cost(2, 64))
    hashed = old._argon.hash(b"x")
    assert new.is_outdated(hashed)
    assert not old.is_outdated(hashed)


def test_nothing_that_holds_a_password_shows_it() -> None:
    held = [
        CredentialsBody("anna", "hunter2"),
        PasswordBody("hunter2", "hunter2"),
        AccountBody("anna", "hunter2", ["verifier"]),
        Account("anna", ("verifier",), ("*",), "hunter2", NOW),
    ]
    assert all("hunter2" not in f"{one!r}{one}" for one in held)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("FE80::1%eth0", "fe80::1"),
        ("", ""),
        ("x", ""),
    ],
)
def test_address_is_written_in_one_way(text: str, plain: str) -> None:
    assert plain_address(text) == plain


class _Connection:
    """A connection from somewhere."""

    def __init__(self, address: str) -> None:
        self._name = (address, 50_000, 0, 0)

    def get_extra_info(self, _name: str) -> tuple[str, int, int, int]:
        return self._name


def test_connections_of_one_machine_are_counted_together() -> None:
    places = ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "10.1.2.3", "::ffff:10.1.2.3")
    met = [Strangers().meet(_Connection(place))[0].client for place in places]  # type: ignore[arg-type]
    assert len(set(met)) == 3
    assert met[0] == met[1]
    assert met[3] == met[4]


def test_visit_does_not_show_the_id_of_its_session() -> None:
    assert "secret" not in repr(Visit(caller("anna"), "10.1.2.3", token="secret"))


def test_addresses_of_one_machine_are_counted_together() -> None:
    assert address_group("10.1.2.3") == "10.1.2.3"
    assert address_group("2001:db8::1") == address_group("2001:db8::ffff:1") == "2001:db8::/64"
    assert address_group("2001:db8:0:1::1") != address_group("2001:db8::1")
