"""Who is let in: PIN and code together, once; counted before it is judged; whatever the clock."""

import asyncio
import json
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from chopmark.api.signin.passwords import Hasher
from chopmark.client.files import replace_file
from chopmark.console.access import store as stored
from chopmark.console.access.judging import NO_DISK
from chopmark.core.enrolment import Person
from chopmark.core.errors import ChopmarkError, InternalError
from technicians import CODE, DAY, HASH, NOW, PIN, Box, Telephone, authority, heading, signed


@pytest.fixture
async def box(tmp_path: Path) -> Box:
    made = Box(tmp_path / "console")
    await made.enrol()
    return made


async def refusal(box: Box, name: str = "chan", pin: str = PIN, code: str = "000000") -> str:
    with pytest.raises(ChopmarkError) as caught:
        await box.access.judge(name, pin, code)
    return caught.value.code


async def test_pin_and_code_together_let_in_and_every_refusal_is_the_same(tmp_path: Path) -> None:
    """With real hashes, also for an id that nobody has."""
    box = Box(tmp_path / "console", hasher=Hasher())
    await box.enrol()
    code = Telephone("chan").by_clock(box.now)
    told = set()
    for name, pin, typed in (
        *(("chan", "271829", code), ("chan", PIN, "000000")),
        *(("nobody", PIN, code), ("lee", PIN, code)),
    ):
        with pytest.raises(ChopmarkError) as caught:
            await box.access.judge(name, pin, typed)
        told.add((caught.value.code, caught.value.message))
    assert len(told) == 1
    assert await box.access.judge("chan", PIN, code) == Person("chan", "service")


async def test_unknown_id_costs_the_same_hash(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    async def spy(known: str | None, _pin: str) -> bool:
        asked.append(known)
        return False

    monkeypatch.setattr(box.hasher, "check", spy)
    await refusal(box, "nobody")
    await refusal(box, "chan", code="no code")
    assert asked == [None, HASH], "of None the hasher makes a hash all the same"


async def test_code_counts_once_over_restarts(box: Box) -> None:
    code = Telephone("chan").by_clock(box.now)
    await box.access.judge("chan", PIN, code)
    assert await refusal(box, code=code) == "login-refused"
    box.reopened()
    assert await refusal(box, code=code) == "login-refused"
    box.now += 30
    await box.access.judge("chan", PIN, Telephone("chan").by_clock(box.now))


@pytest.mark.parametrize("wrong", ["nobody keeps it", "before what is certain"])
async def test_clock_that_is_not_trusted_asks_for_the_counter(box: Box, wrong: str) -> None:
    phone = Telephone("chan")
    if wrong == "nobody keeps it":
        box.kept = False
    else:
        box.now = NOW - 1.0
    assert (await box.access.outlook("chan")).kind == "counter"
    assert await refusal(box, code=phone.by_clock(box.now)) == "login-refused"
    codes = [phone.by_counter() for _ in range(5)]
    await box.access.judge("chan", PIN, codes[3])
    box.reopened()
    for code in codes[:4]:
        assert await refusal(box, code=code) == "login-refused"
    await box.access.judge("chan", PIN, codes[4])


async def test_clock_set_back_behind_a_login_is_not_trusted(box: Box) -> None:
    box.now += 9 * DAY
    await box.access.judge("chan", PIN, Telephone("chan").by_clock(box.now))
    box.reopened()
    box.now -= 1
    assert (await box.access.outlook("chan")).kind == "counter"


async def test_waits_last_over_restarts_of_console_and_machine(box: Box) -> None:
    for _ in range(5):
        assert await refusal(box) == "login-refused"
    code = Telephone("chan").by_clock(box.now)
    for _ in range(2):
        assert await refusal(box, code=code) == "console-wait"
        box.reopened()
    box.up += 29
    assert (await box.access.outlook("chan")).wait == 1
    box.up = 5.0  # the power was cut
    box.reopened()
    assert (await box.access.outlook("chan")).wait == 30
    box.up += 20
    box.reopened()
    assert (await box.access.outlook("chan")).wait == 10, "a start of the console alone is none"
    box.up += 10
    await box.access.judge("chan", PIN, code)
    assert (await box.access.outlook("chan")).left == 5


async def test_tries_while_one_waits_are_not_written(box: Box) -> None:
    for _ in range(5):
        await refusal(box)
    before = (box.folder / "tries.json").stat().st_mtime_ns
    for _ in range(50):
        assert await refusal(box) == "console-wait"
    assert (box.folder / "tries.json").stat().st_mtime_ns == before


async def test_ten_thousand_wrong_tries_take_bounded_room(box: Box) -> None:
    told = Counter([await refusal(box, f"id{number}", "1", "2") for number in range(10_000)])
    assert told == {"login-refused": 20, "console-wait": 9_980}
    assert (box.folder / "tries.json").stat().st_size < 4096
    assert len(list(box.folder.iterdir())) == 3


async def test_full_disk_keeps_nobody_out_and_gives_no_free_tries(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise InternalError("write-failed", "no space left")

    monkeypatch.setattr(stored, "replace_file", full)
    assert await refusal(box) == "login-refused"
    assert box.slept == [NO_DISK]
    assert (await box.access.outlook("chan")).left == 4, "in memory it counts"
    code = Telephone("chan").by_clock(box.now)
    await box.access.judge("chan", PIN, code)
    assert await refusal(box, code=code) == "login-refused", "and so does the code"
    monkeypatch.setattr(stored, "replace_file", replace_file)
    assert await refusal(box, code=code) == "login-refused"
    assert await refusal(Box_again(box), code=code) == "login-refused"


def Box_again(box: Box) -> Box:  # noqa: N802 - reads as what it is
    box.reopened()
    return box


VICTIM = """
import asyncio, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from chopmark.console.access.judging import Access
from chopmark.console.access.store import Store
from technicians import NOW, PIN

class Slow:
    async def check(self, known, pin):
        print("counted", flush=True)
        await asyncio.sleep(600)

access = Access(Store(Path(sys.argv[1])), Slow(), lambda: 100.0, lambda: NOW + 10.0, lambda: True)
asyncio.run(access.judge("chan", PIN, "000000"))
"""


def kill_while_judging(folder: Path, tests: str) -> None:
    with Popen([sys.executable, "-c", VICTIM, str(folder), tests], stdout=PIPE) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"counted\n"
        victim.send_signal(signal.SIGKILL)


async def test_try_counts_though_the_power_is_cut_before_it_is_judged(box: Box) -> None:
    tests = str(Path(__file__).parents[2])
    for cut in range(5):
        await asyncio.to_thread(kill_while_judging, box.folder, tests)
        box.reopened()
        assert (await box.access.outlook("chan")).left == 4 - cut
    assert await refusal(box, code=Telephone("chan").by_clock(box.now)) == "console-wait"


async def test_nothing_secret_lies_on_the_disk_but_the_key(box: Box) -> None:
    await box.access.judge("chan", PIN, Telephone("chan").by_clock(box.now))
    secrets = [PIN.encode(), Telephone("chan").totp, b"argon2", CODE.encode()]
    for file in box.folder.iterdir():
        assert file.stat().st_mode & 0o077 == 0
        assert not any(one in file.read_bytes() for one in secrets), file
    used = json.loads((box.folder / "tries.json").read_bytes())["used"]
    assert len(used) == 1
    assert box.folder.stat().st_mode & 0o077 == 0


async def test_enrolment_that_is_older_or_for_another_box_or_by_another_key_is_refused(
    box: Box, tmp_path: Path
) -> None:
    hashed, other = HASH, Box(tmp_path / "other")
    await box.enrol(3)
    cases = {
        "enrolment-older": signed(heading(box.key, 2), hashed),
        "enrolment-for-another-box": signed(heading(other.key, 4), hashed),
        "no-known-signature": signed(heading(box.key, 4), hashed, seed=2),
        "malformed-enrolment": b"chopmark/enrolment/v2" + signed(heading(box.key, 4), hashed)[21:],
    }
    for code, data in cases.items():
        with pytest.raises(ChopmarkError) as caught:
            await box.access.take(data)
        assert caught.value.code == code
    same = signed(heading(box.key, 3), hashed)
    with pytest.raises(ChopmarkError) as caught:
        await box.access.take(same)
    assert caught.value.code == "enrolment-older", "the same number sealed anew"
    await box.access.take(box.access.store.read_enrolment())


async def test_whoever_is_not_named_any_more_is_out_and_codes_stay_used(box: Box) -> None:
    code = Telephone("lee").by_clock(box.now)
    await box.access.judge("lee", PIN, code)
    await box.enrol(2, {"lee": "service"})
    assert await refusal(box, "lee", code=code) == "login-refused"
    assert await refusal(box, "chan", code=Telephone("chan").by_clock(box.now)) == "login-refused"


async def test_authority_may_name_the_key_of_the_next_file(box: Box) -> None:
    hashed = HASH
    moved = replace(heading(box.key, 2), authority=authority(2))
    data = signed(moved, hashed)
    await box.access.take(data)
    await box.access.take(data)
    with pytest.raises(ChopmarkError):
        await box.access.take(signed(heading(box.key, 3), hashed))
    await box.access.take(signed(replace(moved, version=3), hashed, seed=2))


async def test_file_that_was_issued_years_ahead_is_mended_by_the_next(box: Box) -> None:
    """Head office's clock was wrong: until the next file codes go by the counter."""
    ahead = heading(box.key, 2)
    wrong = replace(ahead, issued=NOW + 3_000 * DAY, expires=NOW + 3_300 * DAY)
    await box.access.take(signed(wrong, HASH))
    await box.access.judge("chan", PIN, Telephone("chan").by_counter())
    await box.access.take(signed(replace(ahead, version=3), HASH))
    await box.access.judge("chan", PIN, Telephone("chan").by_clock(box.now))


@pytest.mark.parametrize("kept", [True, False])
async def test_expired_enrolment_lets_nobody_in_if_the_time_is_certain(
    box: Box, *, kept: bool
) -> None:
    box.now, box.kept = NOW + 400.0 * DAY, kept
    phone = Telephone("chan")
    if kept:
        assert await refusal(box, code=phone.by_clock(box.now)) == "enrolment-expired"
    else:
        await box.access.judge("chan", PIN, phone.by_counter())


async def test_commissioning_code_opens_a_new_box_once(tmp_path: Path) -> None:
    box = Box(tmp_path / "console")
    assert await refusal(box) == "not-enrolled"
    with pytest.raises(ChopmarkError):
        await box.access.judge_code("ABCD-EFGH-IJKL-MNOQ")
    await box.access.judge_code(CODE.lower().replace("-", " "))
    with pytest.raises(ChopmarkError) as caught:
        await box.access.take(signed(heading(box.key), HASH))
    assert caught.value.code == "not-enrolled", "a transfer is no way round the code"
    await box.enrol()
    for _ in range(4):
        with pytest.raises(ChopmarkError) as caught:
            await box.access.judge_code(CODE)
        assert caught.value.code == "login-refused"


async def test_commissioning_code_counts_no_more_once_a_file_is_in_force(tmp_path: Path) -> None:
    """Also where the power was cut between the two, and the code's file is there still."""
    box = Box(tmp_path / "console")
    code = (box.folder / "commissioning").read_bytes()
    await box.enrol()
    assert not (box.folder / "commissioning").exists()
    (box.folder / "commissioning").write_bytes(code)
    with pytest.raises(ChopmarkError):
        await box.access.judge_code(CODE)


async def test_box_without_a_key_says_what_to_do(tmp_path: Path) -> None:
    box = Box(tmp_path / "console")
    with pytest.raises(ChopmarkError) as caught:
        box.access.store.make("SN-2", CODE[::-1])
    assert caught.value.code == "file-exists"
    await box.access.judge_code(CODE)
    (box.folder / "box.key").unlink()
    with pytest.raises(ChopmarkError) as caught:
        await box.access.box()
    assert caught.value.code == "console-not-made"


async def test_damaged_files_are_told_and_let_nobody_in(box: Box) -> None:
    (box.folder / "tries.json").write_text("{")
    assert await refusal(box) == "console-damaged"
    (box.folder / "tries.json").unlink()
    (box.folder / "box.key").write_bytes(b"SN-1\nx")
    assert await refusal(box) == "console-damaged"
