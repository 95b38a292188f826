"""What a chain, its nodes or a thief of an account's key can do to whoever reads it.

On a real EVM node; the answers that no node gives by itself come from a stand-in that lies.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest

from chains import HONG_KONG, SHENZHEN, Desk, Shelf, Stage, Writer, desk, head_note, set_stage
from chopmark.anchor import rpc
from chopmark.anchor.contract import read_number
from chopmark.anchor.deploying import deploy
from chopmark.anchor.judging import CHUNK
from chopmark.anchor.ports import Finding
from chopmark.anchor.rewinding import DENSE, thin
from chopmark.anchor.rpc import Node, TooLargeError
from chopmark.anchor.software import make_key
from chopmark.anchor.store import KEPT_NOTES
from chopmark.core.errors import MalformedError, RefusedError, UnreachableError
from rig.chain import CHAIN_ID, PACKAGES, Anvil
from rig.patience import PATIENCE
from rig.standin import StandIn

pytestmark = pytest.mark.skipif(
    not PACKAGES.is_dir(), reason="no npm packages here: `./setup.sh` installs them"
)
MACAO = "bank-mo.example/mo-1"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    node = Anvil(tmp_path / "chain", last=False)
    standin = None
    try:
        node.start()
        standin = StandIn(node.url).start()
        yield set_stage(node, standin)
    finally:
        if standin is not None:
            standin.stop()
        node.stop()


async def step_until_idle(one: Desk) -> None:
    async with asyncio.timeout(PATIENCE):
        while await one.anchorer.step():  # noqa: ASYNC110 - the chain is asked
            await asyncio.sleep(0.02)


async def use_node(one: Desk, node: Node) -> None:
    await one.chain.close()
    one.chain.endpoints[0].node = node


async def test_size_larger_than_any_log_stops_nobody(stage: Stage, tmp_path: Path) -> None:
    """Who has an account's key can write it; the database has no room for such a number."""
    thief, honest = Writer(stage.chain()), Writer(stage.chain())
    shelf = Shelf({HONG_KONG: 0, SHENZHEN: 100, MACAO: 100})
    accounts = {thief.key_of(SHENZHEN): SHENZHEN, honest.key_of(MACAO): MACAO}
    await thief.anchor(SHENZHEN, 2**63)
    await thief.anchor(SHENZHEN, 2**64 - 1)
    await honest.anchor(MACAO, 5)
    async with desk(stage, tmp_path, shelf, accounts) as ours:
        await ours.follower.step()
        assert ours.rows() == [(1, 5, "good"), (1, 2**63 - 1, "bad"), (2, 2**63 - 1, "bad")]
        assert not ours.follower.gaps
        await ours.follower.step()
    await thief.chain.close()
    await honest.chain.close()


async def test_block_with_more_than_is_read_holds_up_its_account_alone(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thief, honest = Writer(stage.chain()), Writer(stage.chain())
    shelf = Shelf({HONG_KONG: 0, SHENZHEN: 100, MACAO: 100})
    accounts = {thief.key_of(SHENZHEN): SHENZHEN, honest.key_of(MACAO): MACAO}
    await honest.anchor(MACAO, 4)
    block = await one_block(stage, [(thief, SHENZHEN, 5, b"x" * 16_000), (honest, MACAO, 5, b"")])
    await honest.anchor(MACAO, 6)
    monkeypatch.setattr(rpc, "MAX_ANSWER", 20_000)
    async with desk(stage, tmp_path, shelf, accounts) as ours:
        await ours.follower.step()
        assert ours.store.cursor >= block
        assert ours.rows() == [(1, 4, "good"), (2, 5, "good"), (3, 6, "good")]
        assert [gap.origin for gap in ours.follower.gaps.values()] == [SHENZHEN]
    await thief.chain.close()
    await honest.chain.close()


async def one_block(stage: Stage, anchors: Sequence[tuple[Writer, str, int, bytes]]) -> int:
    """Have several anchors stand in one block; gives it."""
    stage.node.call("evm_setAutomine", False)  # noqa: FBT003 - RPC
    try:
        work = [
            asyncio.create_task(one.anchor(origin, size, note or None))
            for one, origin, size, note in anchors
        ]
        wanted = hex(len(anchors))
        while stage.node.call("txpool_status")["pending"] != wanted:  # noqa: ASYNC110 - a node
            await asyncio.sleep(0.02)
        stage.node.mine(1)
        receipts = await asyncio.gather(*work)
    finally:
        stage.node.call("evm_setAutomine", True)  # noqa: FBT003 - RPC
    (block,) = {one.block for one in receipts}
    return block


async def test_anchors_of_one_block_are_taken_in_its_order(stage: Stage, tmp_path: Path) -> None:
    """FISCO BCOS numbers events within their transactions: all of them are number 0."""
    writer = Writer(stage.chain())
    shelf = Shelf({HONG_KONG: 0, SHENZHEN: 100})
    accounts = {writer.key_of(SHENZHEN): SHENZHEN}
    sizes = range(1, 7)  # more than three: what is missed is looked for twice, one more each time
    raws = [await writer.make(SHENZHEN, size, nonce=size - 1) for size in sizes]
    stage.node.call("evm_setAutomine", False)  # noqa: FBT003 - RPC
    for raw in raws:
        stage.node.call("eth_sendRawTransaction", "0x" + raw.hex())
    stage.node.call("evm_setAutomine", True)  # noqa: FBT003 - RPC
    stage.node.mine(1)
    turned = Turned(stage.url)
    async with desk(stage, tmp_path, shelf, accounts) as ours:
        await use_node(ours, turned)
        await ours.follower.step()
        assert ours.rows() == [(n, n, "good") for n in sizes]
    await writer.chain.close()


class Turned(Node):
    """A node that answers with the events the other way round, as none promises an order."""

    async def batch(self, calls: Any) -> list[Any]:
        answers = await super().batch(calls)
        return [list(reversed(one)) if isinstance(one, list) else one for one in answers]


class Liar(Node):
    """A node that answers with events of another contract."""

    async def batch(self, calls: Any) -> list[Any]:
        answers = await super().batch(calls)
        return [
            [event | {"address": "0x" + "66" * 20} for event in one]
            if isinstance(one, list)
            else one
            for one in answers
        ]


async def test_events_of_another_contract_count_for_nobody(stage: Stage, tmp_path: Path) -> None:
    writer = Writer(stage.chain())
    shelf = Shelf({HONG_KONG: 0, SHENZHEN: 100})
    await writer.anchor(SHENZHEN, 5)
    async with desk(stage, tmp_path, shelf, {writer.key_of(SHENZHEN): SHENZHEN}) as ours:
        await use_node(ours, Liar(stage.url))
        with pytest.raises(MalformedError, match="of another contract"):
            await ours.follower.step()
        assert ours.rows() == []
    await writer.chain.close()


async def test_chain_that_was_put_back_is_read_and_written_again(
    stage: Stage, tmp_path: Path
) -> None:
    """As all nodes from copies: numbers and blocks that were read are given out anew."""
    shelf = Shelf({HONG_KONG: 100}, note=head_note(HONG_KONG, 1))
    async with desk(stage, tmp_path, shelf) as ours:
        await step_until_idle(ours)
        await ours.follower.step()
        ours.chain.monotonic = count(1000, 100).__next__  # a node that lags is asked again at once
        copy = stage.node.call("evm_snapshot")
        for size in (2, 3, 4):
            shelf.note = head_note(HONG_KONG, size)
            await step_until_idle(ours)
            stage.node.mine(3)
        await ours.follower.step()
        assert [row[0] for row in ours.rows()] == [1, 2, 3, 4]
        assert stage.node.call("evm_revert", copy)
        stage.node.mine(1)
        for size in (5, 6, 7, 8):
            shelf.note = head_note(HONG_KONG, size)
            await step_until_idle(ours)
            await ours.follower.step()
        stage.node.mine(20)  # past the block whose hash is known
        await ours.follower.step()
        sizes = [(1, 1), (2, 5), (3, 6), (4, 7), (5, 8)]
        assert ours.rows() == [(*one, "good") for one in sizes]
        assert not ours.follower.gaps
        assert ours.store.counts[HONG_KONG, "good"] == 5
        covering = ours.store.covering(HONG_KONG, 1)
        assert covering is not None
        assert covering[0] == 5, "the anchor of size 2 is gone"


async def test_put_back_chain_is_found_out_once_it_has_as_many_anchors(
    stage: Stage, tmp_path: Path
) -> None:
    """The counter alone says nothing then: the same number stands for another anchor."""
    shelf, key = Shelf({HONG_KONG: 100}, note=head_note(HONG_KONG, 1)), make_key()
    async with desk(stage, tmp_path, shelf, key=key) as ours:
        copy = stage.node.call("evm_snapshot")
        await step_until_idle(ours)
        await ours.follower.step()
        assert ours.rows() == [(1, 1, "good")]
        assert stage.node.call("evm_revert", copy)
        shelf.note = head_note(HONG_KONG, 9)
        await step_until_idle(ours)
        await ours.follower.step()
        assert ours.rows() == [(1, 9, "good")]
        assert not ours.follower.gaps
    async with desk(stage, tmp_path, shelf, key=key) as ours:
        assert ours.rows() == [(1, 9, "good")], "it is stored"


async def test_put_back_chain_that_has_grown_past_what_was_read_is_found_out(
    stage: Stage, tmp_path: Path
) -> None:
    """Numbers, and blocks of those before, go on as they did: the hash of a block tells."""
    writer, shelf = Writer(stage.chain()), Shelf({HONG_KONG: 0, SHENZHEN: 100})
    accounts = {writer.key_of(SHENZHEN): SHENZHEN}
    await writer.anchor(SHENZHEN, 1)
    copy = stage.node.call("evm_snapshot")
    await writer.anchor(SHENZHEN, 2)
    await writer.anchor(SHENZHEN, 3)
    async with desk(stage, tmp_path, shelf, accounts) as ours:
        await ours.follower.step()
        assert ours.rows() == [(n, n, "good") for n in (1, 2, 3)]
        assert stage.node.call("evm_revert", copy)
        for size in (5, 6, 7, 8):
            await writer.anchor(SHENZHEN, size)
        await ours.follower.step()
        sizes = [(1, 1), (2, 5), (3, 6), (4, 7), (5, 8)]
        assert ours.rows() == [(*one, "good") for one in sizes]
    await writer.chain.close()


def test_marks_are_fewer_the_farther_back_they_are() -> None:
    marks: list[tuple[int, str]] = []
    for block in range(20_000):
        marks = thin([*marks, (block, "")])
    blocks = [block for block, _ in marks]
    assert blocks == sorted(blocks)
    assert blocks[-DENSE:] == list(range(20_000 - DENSE, 20_000))
    assert len(blocks) < 150
    behind = [later - earlier for earlier, later in pairwise(blocks)]
    worst = max(step / (20_000 - block) for step, block in zip(behind, blocks, strict=False))
    assert worst < 0.6, "a chain that was put back is found out soon, however far it was"


async def test_node_that_lags_behind_makes_nobody_forget(stage: Stage, tmp_path: Path) -> None:
    writer = Writer(stage.chain())
    shelf = Shelf({HONG_KONG: 0, SHENZHEN: 100})
    accounts = {writer.key_of(SHENZHEN): SHENZHEN}
    await writer.anchor(SHENZHEN, 1)
    copy = stage.node.call("evm_snapshot")
    await writer.anchor(SHENZHEN, 2)
    async with desk(stage, tmp_path, shelf, accounts) as ours:
        await ours.follower.step()
        assert stage.node.call("evm_revert", copy)
        await ours.follower.step()
        assert ours.rows() == [(1, 1, "good"), (2, 2, "good")]
        assert not ours.follower.gaps
        assert ours.chain.describe()[0]["reason"] == "it has 2 blocks, fewer than were read"
    await writer.chain.close()


@dataclass
class Suspending(Shelf):
    """A member that is suspended, as long as it is."""

    suspended: bool = True
    asked: list[int] = field(default_factory=list)

    async def compare(self, origin: str, notes: Sequence[bytes]) -> list[Finding]:
        self.asked.append(len(notes))
        if self.suspended:
            return [Finding("ignored", "suspended")] * len(notes)
        return await super().compare(origin, notes)


async def test_what_was_ignored_counts_once_its_member_is_back(
    stage: Stage, tmp_path: Path
) -> None:
    writer = Writer(stage.chain())
    shelf = Suspending({HONG_KONG: 0, SHENZHEN: 1000})
    accounts = {writer.key_of(SHENZHEN): SHENZHEN}
    all_of_them = CHUNK + 3
    for size in range(1, all_of_them + 1):
        await writer.anchor(SHENZHEN, size)
    async with desk(stage, tmp_path, shelf, accounts) as ours:
        await ours.follower.step()
        assert {row[2] for row in ours.rows()} == {"ignored"}
        assert ours.store.covering(SHENZHEN, 0) is None
    shelf.suspended = False
    async with desk(stage, tmp_path, shelf, accounts) as ours:  # as after each change of members
        await ours.follower.step()
        assert ours.rows() == [(n, n, "good") for n in range(1, all_of_them + 1)]
        assert ours.store.counts[SHENZHEN, "good"] == all_of_them
        assert ours.store.counts[SHENZHEN, "ignored"] == 0
        assert max(shelf.asked) <= CHUNK
        shelf.asked.clear()
        await ours.follower.step()
        assert shelf.asked == [], "once is enough"
    await writer.chain.close()


async def test_what_was_bad_for_want_of_a_key_is_no_alarm_once_it_is_known(
    stage: Stage, tmp_path: Path
) -> None:
    class Late(Suspending):
        async def compare(self, origin: str, notes: Sequence[bytes]) -> list[Finding]:
            found = await super().compare(origin, notes)
            return [Finding("bad", "not signed") if one.word == "ignored" else one for one in found]

    writer = Writer(stage.chain())
    shelf = Late({HONG_KONG: 0, SHENZHEN: 1000})
    accounts = {writer.key_of(SHENZHEN): SHENZHEN}
    await writer.anchor(SHENZHEN, 1)
    await writer.anchor(SHENZHEN, 2, head_note(SHENZHEN, 3))
    async with desk(stage, tmp_path, shelf, accounts) as ours:
        await ours.follower.step()
        assert [row.number for row in ours.store.bad] == [1, 2]
    shelf.suspended = False
    async with desk(stage, tmp_path, shelf, accounts) as ours:
        assert [row.number for row in ours.store.bad] == [1, 2]
        await ours.follower.step()
        assert [row.number for row in ours.store.bad] == [2], "that one contradicts in itself"
        assert [row[2] for row in ours.rows()] == ["good", "bad"]
    await writer.chain.close()


async def test_only_so_many_notes_that_count_for_nothing_are_kept(
    stage: Stage, tmp_path: Path
) -> None:
    writer = Writer(stage.chain())
    shelf = Suspending({HONG_KONG: 0, SHENZHEN: 1000})
    async with desk(stage, tmp_path, shelf, {writer.key_of(SHENZHEN): SHENZHEN}) as ours:
        ours.store.counts[SHENZHEN, "bad"] = KEPT_NOTES - 1
        await writer.anchor(SHENZHEN, 1)
        await ours.follower.step()
        await writer.anchor(SHENZHEN, 2)
        await ours.follower.step()
        rows = await ours.store.page(SHENZHEN, 0, 10)
        assert [row.note is None for row in rows] == [False, True]
    await writer.chain.close()


async def test_missing_anchors_are_looked_for_less_and_less(stage: Stage, tmp_path: Path) -> None:
    assert stage.standin is not None
    writer = Writer(stage.chain(stage.node.url))
    shelf = Shelf({HONG_KONG: 0, SHENZHEN: 1000})
    stage.standin.hide = {(await writer.anchor(SHENZHEN, 2)).block}
    async with desk(stage, tmp_path, shelf, {writer.key_of(SHENZHEN): SHENZHEN}) as ours:
        now = 0.0
        ours.chain.monotonic = lambda: now
        looks = []
        for second in range(40):
            now = 10.0 + second
            before = stage.standin.asked.get("eth_getLogs", 0)
            await ours.follower.step()
            if stage.standin.asked.get("eth_getLogs", 0) > before:
                looks.append(second)
        assert looks == [0, 1, 3, 7, 15, 31]
        stage.standin.hide = set()
        now += 300
        await ours.follower.step()
        assert not ours.follower.gaps
    await writer.chain.close()


async def test_number_larger_than_any_is_no_number() -> None:
    assert read_number("0x7fffffffffffffff") == 2**63 - 1
    with pytest.raises(MalformedError, match="too large"):
        read_number("0x8000000000000000")


async def test_answer_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte after byte, each in time: it would hold up the follower for ever."""
    monkeypatch.setattr(rpc, "WHOLE", 0.3)
    ended, over = asyncio.Event(), asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n[")
        while not ended.is_set() and not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.02)
        writer.close()
        over.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    link = Node(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        with pytest.raises(UnreachableError, match="no whole answer"):
            await link.call("eth_chainId")
    finally:
        ended.set()
        await over.wait()
        await link.close()
        server.close()


async def test_large_answer_is_refused_as_such(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc, "MAX_ANSWER", 100)
    link = Node(stage.url)
    with pytest.raises(TooLargeError):
        await link.call("eth_getBlockByNumber", "0x0", False)  # noqa: FBT003 - RPC
    await link.close()


async def test_account_without_a_balance_hears_so_and_goes_on_once_it_has_one(
    stage: Stage, tmp_path: Path
) -> None:
    assert stage.standin is not None
    stage.standin.poor = True
    link = Node(stage.url)
    with pytest.raises(RefusedError, match="InsufficientFunds") as caught:
        await deploy(link, CHAIN_ID)
    assert "balance" in caught.value.hint
    await link.close()
    shelf = Shelf({HONG_KONG: 7}, note=head_note(HONG_KONG, 7))
    async with desk(stage, tmp_path, shelf) as ours:
        assert await ours.anchorer.step()
        assert ours.anchorer.refused == "InsufficientFunds"
        stage.standin.poor = False
        await step_until_idle(ours)
        assert (ours.anchorer.refused, ours.anchorer.sent) == (None, 1)
        assert ours.anchorer.latest is not None
        assert ours.anchorer.latest.number == 1


async def test_account_that_a_thief_has_spoilt_is_known_to_be_so(
    stage: Stage, tmp_path: Path
) -> None:
    """The contract takes larger heads only: our own ones are never anchored again."""
    shelf, key = Shelf({HONG_KONG: 7}, note=head_note(HONG_KONG, 7)), make_key()
    thief = Writer(stage.chain(), key)
    async with desk(stage, tmp_path, shelf, key=key) as ours:
        await step_until_idle(ours)
        assert ours.anchorer.blocked is None
        await thief.anchor(HONG_KONG, 2**63)
        shelf.note = head_note(HONG_KONG, 9)
        await ours.anchorer.step()
        assert ours.anchorer.blocked == 2**63
        assert ours.anchorer.due_since is None
    await thief.chain.close()
