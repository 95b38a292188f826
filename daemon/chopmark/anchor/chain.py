"""The chain, by whichever of its nodes answers.

Rules:
1. A node is used once it has shown that it is of our chain: its chain id is the configured one (and
   never 0), its first block the one that we know, and its contract has exactly our code.
2. A step is done with one node from its beginning to its end: another one may lack blocks that the
   first had, and would silently tell of none.
3. A node that fails, or does not belong to the chain, is left alone for a while that doubles.
4. State is always the newest, whatever block is asked for; logs are asked for in steps of 10
   blocks, of which nodes look at no more; the tags `safe`, `finalized` and `pending` are never
   used, nor is anything that an Ethereum node knows and a node of FISCO BCOS does not.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from chopmark.anchor.contract import (
    ANCHORED,
    Event,
    Key,
    Latest,
    decode_latest_of,
    encode_latest_of,
    load_contract,
    parse_event,
    read_bytes,
    read_number,
)
from chopmark.anchor.rpc import BATCH, Call, Node, RpcError
from chopmark.core.errors import ChopmarkError, MalformedError, RefusedError, UnreachableError

STEP: Final = 10
"""Blocks that a node looks at for one `eth_getLogs`, however many are asked for
(`filter_max_process_block`)."""
MAX_KEYS: Final = 64
"""Logs in one question: the members of the largest roster, and accounts that they had before."""
FIRST: Final = 1.0
LONGEST: Final = 60.0
"""Seconds for which a node that failed is left alone: at first, and at most."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which contract on which chain.

    Attributes:
        chain_id: positive.
        contract: its address, `0x` and 40 lower-case hexadecimal digits.
        first_block: none of its anchors stands before this one.
    """

    chain_id: int
    contract: str
    first_block: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction that is in a block."""

    block: int
    good: bool


@dataclass(slots=True)
class Endpoint:
    """A node, and how it is.

    Attributes:
        reason: why it is not used, or None.
        checked: whether it has shown that it is of our chain since it failed last.
    """

    node: Node
    reason: str | None = None
    checked: bool = False
    failures: int = 0
    not_before: float = 0.0


class View:
    """The chain by one node, for one step. Each method raises what `Node.call` does."""

    def __init__(self, node: Node, place: Place) -> None:
        self._node = node
        self._place = place
        self.url = node.url

    async def height(self) -> int:
        """The newest block; it is final, as every block."""
        return read_number(await self._node.call("eth_blockNumber"))

    async def latest(self, keys: Sequence[Key]) -> list[Latest]:
        """The newest anchor of each of these logs, now."""
        found: list[Latest] = []
        for start in range(0, len(keys), MAX_KEYS):
            some = keys[start : start + MAX_KEYS]
            call = {"to": self._place.contract, "data": "0x" + encode_latest_of(some).hex()}
            answer = read_bytes(await self._node.call("eth_call", call, "latest"))
            found += decode_latest_of(answer, len(some))
        return found

    async def events(self, first: int, last: int, accounts: Sequence[str]) -> list[Event]:
        """All anchors of these accounts in up to `STEP * BATCH` blocks, in their order.

        Raises:
            TooLargeError: they are more than what is read at once: ask for fewer blocks.
        """
        if not 0 <= last - first < STEP * BATCH:
            raise ValueError(f"{last - first + 1} blocks at once")
        starts = range(first, last + 1, STEP)
        calls = [self._logs(one, min(one + STEP - 1, last), accounts) for one in starts]
        return await self._events(await self._node.batch(calls), first, last, accounts)

    async def each_block(self, first: int, last: int, accounts: Sequence[str]) -> list[Event]:
        """The same in up to `BATCH` blocks, of which each is asked for by itself."""
        calls = [self._logs(one, one, accounts) for one in range(first, last + 1)]
        return await self._events(await self._node.batch(calls), first, last, accounts)

    async def nonce(self, account: str) -> int:
        """How many transactions of an account are in blocks."""
        return read_number(await self._node.call("eth_getTransactionCount", account, "latest"))

    async def send(self, raw: bytes) -> None:
        """Hand in a transaction; that it was taken says nothing, and no more does an error.

        Raises:
            RpcError: what the node said; the transaction may be in a block all the same.
        """
        await self._node.call("eth_sendRawTransaction", "0x" + raw.hex())

    async def receipt(self, transaction: str) -> Receipt | None:
        """What became of a transaction; None as long as it is in no block, whatever the reason."""
        found = await self._node.call("eth_getTransactionReceipt", transaction)
        if not isinstance(found, dict):
            return None
        return Receipt(
            read_number(found.get("blockNumber")), read_number(found.get("status", "0x1")) == 1
        )

    async def block_hash(self, number: int) -> str:
        """Hash of a block, as the node tells it; a chain is known by that of block 0."""
        asked = hex(number)
        block = await self._node.call("eth_getBlockByNumber", asked, False)  # noqa: FBT003 - RPC
        if not isinstance(block, dict):
            raise RefusedError("other-chain", f"{self.url} has no block {number}")
        return "0x" + read_bytes(block.get("hash"), 32).hex()

    async def check(self, known: str | None) -> str:
        """See that the node is of our chain; gives the hash of its first block.

        Raises:
            RefusedError: `other-chain`, `other-contract`.
        """
        place = self._place
        chain_id = read_number(await self._node.call("eth_chainId"))
        if chain_id == 0 or chain_id != place.chain_id:
            message = f"{self.url} is of chain {chain_id}, not of {place.chain_id}"
            hint = "set chain_id in [anchor]; a chain without one (0) is not used"
            raise RefusedError("other-chain", message, hint=hint)
        first = await self.block_hash(0)
        if known is not None and first != known:
            message = f"{self.url} is of another chain of the same number: its first block differs"
            hint = "if the chain was set up anew: `chopmark anchor forget`, gateway stopped"
            raise RefusedError("other-chain", message, hint=hint)
        code = read_bytes(await self._node.call("eth_getCode", place.contract, "latest"))
        if code.hex() != load_contract()["deployed"]:
            what = "another contract" if code else "no contract"
            message = f"{self.url} has {what} at {place.contract}"
            hint = "`chopmark anchor deploy` puts it there, once for all members"
            raise RefusedError("other-contract", message, hint=hint)
        return first

    async def _events(
        self, answers: Sequence[Any], first: int, last: int, accounts: Sequence[str]
    ) -> list[Event]:
        told = [one for answer in answers for one in _list(answer)]
        if not told:
            return []
        contract = self._place.contract
        found = await asyncio.to_thread(lambda: [parse_event(one, contract) for one in told])
        wanted = set(accounts)
        there = [one for one in found if one.account in wanted and first <= one.block <= last]
        return sorted(there, key=lambda one: (one.block, one.place))

    def _logs(self, first: int, last: int, accounts: Sequence[str]) -> Call:
        padded = [f"0x{account[2:]:0>64}" for account in accounts]
        asked = {
            "address": self._place.contract,
            "fromBlock": hex(first),
            "toBlock": hex(last),
            "topics": [ANCHORED, padded],
        }
        return "eth_getLogs", [asked]


@dataclass(slots=True)
class Chain:
    """The nodes of one chain.

    Attributes:
        place: which chain and contract.
        known: hash of its first block, once it is known.
        since: time at which no node answered any more, of `monotonic`; None while one does.
    """

    place: Place
    endpoints: Sequence[Endpoint]
    monotonic: Callable[[], float] = time.monotonic
    known: str | None = None
    since: float | None = None
    _turn: int = field(default=0)

    @asynccontextmanager
    async def view(self) -> AsyncIterator[View]:
        """A node for one step; one that fails in it is left alone for a while.

        Raises:
            UnreachableError: `chain-away`: none answers, or all were tried lately.
        """
        for _ in self.endpoints:
            endpoint = self.endpoints[self._turn]
            view = await self._open(endpoint)
            if view is not None:
                break
            self._next()
        else:
            self.since = self.monotonic() if self.since is None else self.since
            raise self._away()
        try:
            yield view
        except RpcError:  # it answers, and perhaps another one does what is asked
            self._next()
            raise
        except (UnreachableError, MalformedError) as error:
            self._fail(endpoint, error)
            self._next()
            raise
        self.since, endpoint.failures = None, 0

    def skip(self, view: View, reason: str) -> None:
        """Leave a node alone for a while: what it tells is not complete."""
        for endpoint in self.endpoints:
            if endpoint.node.url == view.url:
                self._fail(endpoint, RefusedError("incomplete", reason))
        self._next()

    def describe(self) -> list[dict[str, Any]]:
        """How each node is, as JSON."""
        return [
            {
                "url": one.node.url,
                "state": "away" if one.reason else "ready" if one.checked else "unused",
                "reason": one.reason,
            }
            for one in self.endpoints
        ]

    async def close(self) -> None:
        """Close all connections."""
        for one in self.endpoints:
            await one.node.close()

    async def _open(self, endpoint: Endpoint) -> View | None:
        if self.monotonic() < endpoint.not_before:
            return None
        view = View(endpoint.node, self.place)
        if not endpoint.checked:
            try:
                self.known = await view.check(self.known)
            except ChopmarkError as error:
                self._fail(endpoint, error)
                return None
        endpoint.checked, endpoint.reason = True, None
        return view

    def _fail(self, endpoint: Endpoint, error: ChopmarkError) -> None:
        endpoint.checked, endpoint.reason = False, error.message
        wait = min(LONGEST, FIRST * 2.0 ** min(endpoint.failures, 10))
        endpoint.failures += 1
        endpoint.not_before = self.monotonic() + wait

    def _next(self) -> None:
        self._turn = (self._turn + 1) % len(self.endpoints)

    def _away(self) -> UnreachableError:
        reasons = "; ".join(one.reason for one in self.endpoints if one.reason)
        return UnreachableError("chain-away", f"no node of the chain can be used: {reasons}")


def _list(answer: object) -> list[Any]:
    if not isinstance(answer, list):
        raise MalformedError("malformed-answer", "the node's answer makes no sense: no list")
    return answer
