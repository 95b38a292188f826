"""The head mark in a real SoftHSM token."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import FunctionNotSupported

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import ChopmarkError, RefusedError
from chopmark.core.mark import HeadMark
from chopmark.hsm import mark as hsm_mark
from integration.hsm_box import HEAD, ORIGIN, Box

FIRST = HeadMark(HEAD, 1, b"e" * 16, clean=False)
SECOND = replace(FIRST, head=Checkpoint(ORIGIN, 9, b"\2" * 32), counter=2)
LABEL = "chopmark-log-head-mark"


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    made = Box.make(tmp_path, monkeypatch)
    made.create()
    return made


def put(box: Box, value: bytes) -> None:
    """Leave an object where marks are, as a power cut or another program would."""
    template = {
        Attribute.CLASS: ObjectClass.DATA,
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.LABEL: LABEL,
        Attribute.VALUE: value,
    }
    with box.session() as session:
        session.create_object(template)


def values(box: Box) -> list[bytes]:
    with box.session() as session:
        wanted = {Attribute.CLASS: ObjectClass.DATA, Attribute.LABEL: LABEL}
        found = list(session.get_objects(wanted))
        assert all(one[Attribute.PRIVATE] for one in found)
        return [one[Attribute.VALUE] for one in found]


def files(box: Box) -> set[Path]:
    return set(Path(box.token.tokens).rglob("*.object"))


async def test_mark_lasts_and_the_newer_one_takes_its_place(box: Box) -> None:
    async with box.signer() as signer:
        assert await signer.read_mark() is None
        await signer.write_mark(FIRST, None)
        await signer.write_mark(SECOND, FIRST)
    async with box.signer() as signer:
        assert await signer.read_mark() == SECOND
    assert values(box) == [SECOND.encode()]


async def test_mark_written_twice_is_written_once(box: Box) -> None:
    async with box.signer() as signer:
        await signer.write_mark(FIRST, None)
        await signer.write_mark(FIRST, None)
    assert values(box) == [FIRST.encode()]


async def test_mark_of_another_box_is_not_overwritten(box: Box) -> None:
    other = replace(FIRST, epoch=b"o" * 16, counter=2)
    put(box, other.encode())
    async with box.signer() as signer:
        with pytest.raises(RefusedError) as caught:
            await signer.write_mark(SECOND, FIRST)
        assert caught.value.code == "mark-moved"
        assert await signer.read_mark() == other


async def test_kill_between_create_and_destroy_leaves_the_newer_mark(box: Box) -> None:
    put(box, FIRST.encode())
    put(box, SECOND.encode())
    third = replace(SECOND, counter=3)
    async with box.signer() as signer:
        assert await signer.read_mark() == SECOND
        await signer.write_mark(third, SECOND)
    assert values(box) == [third.encode()]


async def test_mark_that_a_kill_left_half_written_does_not_hide_the_one_before(box: Box) -> None:
    put(box, FIRST.encode())
    kept = files(box)
    put(box, SECOND.encode())
    (half,) = files(box) - kept
    half.write_bytes(b"")  # as SoftHSM leaves it between two of its calls
    async with box.signer() as signer:
        assert await signer.read_mark() == FIRST
        await signer.write_mark(SECOND, FIRST)
        assert await signer.read_mark() == SECOND


async def test_what_is_no_mark_is_refused_unless_a_mark_lies_beside_it(box: Box) -> None:
    put(box, b"\xa0")
    async with box.signer() as signer:
        with pytest.raises(RefusedError) as caught:
            await signer.read_mark()
        assert caught.value.code == "bad-mark"
    put(box, FIRST.encode())
    async with box.signer() as signer:
        assert await signer.read_mark() == FIRST


async def test_mark_of_another_log_is_refused(box: Box) -> None:
    put(box, replace(FIRST, head=Checkpoint("bank-sz.example/sz-1", 5, b"\1" * 32)).encode())
    async with box.signer() as signer:
        with pytest.raises(RefusedError):
            await signer.read_mark()


async def test_mark_is_read_and_written_after_the_token_was_away(box: Box) -> None:
    away = Path(f"{box.token.tokens}-away")
    tokens = Path(box.token.tokens)
    async with box.signer() as signer:
        await signer.write_mark(FIRST, None)
        shutil.move(tokens, away)
        with pytest.raises(ChopmarkError) as caught:
            await signer.write_mark(SECOND, FIRST)
        assert caught.value.code == "hsm-away"
        assert signer.state == "away"
        shutil.move(away, tokens)
        box.clock.now += 10
        await signer.write_mark(SECOND, FIRST)
        assert signer.state == "ready"
        assert await signer.read_mark() == SECOND


async def test_token_without_data_objects_says_so(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Session:
        """A session that makes no data objects, as a session of a token without them."""

        def __init__(self, real: object) -> None:
            self.get_objects = real.get_objects  # type: ignore[attr-defined]

        def create_object(self, _template: object) -> None:
            raise FunctionNotSupported

    real = hsm_mark.write_mark
    monkeypatch.setattr(
        "chopmark.hsm.device.write_mark", lambda session, *rest: real(Session(session), *rest)
    )
    async with box.signer() as signer:
        with pytest.raises(ChopmarkError) as caught:
            await signer.write_mark(FIRST, None)
        assert caught.value.code == "mark-refused"
        assert signer.state == "ready"
        await signer.sign_checkpoint(HEAD)
