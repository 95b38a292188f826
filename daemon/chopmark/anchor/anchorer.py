"""Anchors the newest witnessed checkpoint of our log, once in a while.

Rules:
1. The contract says how far our log is anchored: nothing that is remembered here. It takes no head
   that is not larger than the last one, so that nothing is anchored twice, whatever goes wrong.
2. One transaction is under way at a time. It is stored before it is sent, and sent again, the same
   bytes, to whichever node answers, until a receipt or the account's nonce says that it is over.
3. One that does not get into a block is followed by another one of the same nonce, with the newest
   head, of which the chain takes one at most; and one whose nonce the chain has not come to, as
   after a chain was put back, by one with the nonce that is due.
4. An error in answer to a transaction is only noted: it may be in a block all the same.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from chopmark.anchor.chain import Chain, View
from chopmark.anchor.contract import Latest
from chopmark.anchor.ports import Account, OwnLog
from chopmark.anchor.rpc import RpcError
from chopmark.anchor.store import Pending, Store
from chopmark.core.checkpoint import parse_checkpoint
from chopmark.core.errors import ChopmarkError
from chopmark.core.note import parse_note
from chopmark.core.transaction import Anchor, origin_hash, transaction_hash

LOG: Final = logging.getLogger("chopmark.anchor")
POLL: Final = 3.0
"""Seconds between two looks at a transaction that is under way: about a block of an idle chain."""
LOOK: Final = 30.0
"""Seconds between two looks whether there is something to be anchored, at most."""
STUCK: Final = 120_000
"""Milliseconds after which a transaction is followed by another one of the same nonce."""


@dataclass
class Anchorer:
    """Anchors our log.

    Attributes:
        now_ms: the time.
        every: seconds between two anchors.
        latest: our newest anchor by the contract, when it was asked last.
        due_since: `monotonic` time since when a head waits to be anchored; None if none does.
        refused: what a node said last of a transaction of ours that is under way, or None.
        sent: transactions that were made since start.
        blocked: size that our account has anchored, where our log is not so large; or None.
    """

    chain: Chain
    store: Store
    account: Account
    log: OwnLog
    now_ms: Callable[[], int]
    every: float
    monotonic: Callable[[], float] = time.monotonic
    latest: Latest | None = None
    due_since: float | None = None
    refused: str | None = None
    sent: int = 0
    blocked: int | None = None
    _last: float | None = None

    async def step(self) -> bool:
        """Bring it one step further; gives whether a transaction is under way.

        Raises:
            ChopmarkError: what nodes, HSM and disk refuse.
        """
        account, note = self.account.account, self.log.newest()
        if account is None:
            return False
        async with self.chain.view() as view:
            if self.chain.known is not None:
                await self.store.know_chain(self.chain.known)
            key = (account, origin_hash(self.log.origin))
            self.latest = (await view.latest([key]))[0]
            pending = await self.store.pending()
            if pending is not None and await self._is_over(view, account, pending):
                await self.store.set_pending(None)
                self.latest, pending = (await view.latest([key]))[0], None
            size = 0 if note is None else parse_checkpoint(parse_note(note).text).size
            self.blocked = self.latest.size if size < self.latest.size else None
            if note is None or size <= self.latest.size:
                self.due_since = None
                return pending is not None and await self._send(view, pending)
            self.due_since = self.monotonic() if self.due_since is None else self.due_since
            if pending is None and not self._is_due():
                return False
            if pending is None or await self._is_stuck(view, account, pending):
                pending = await self._make(view, account, note, size, pending)
            return await self._send(view, pending)

    def _is_due(self) -> bool:
        return self._last is None or self.monotonic() - self._last >= self.every

    async def _is_over(self, view: View, account: str, pending: Pending) -> bool:
        """Whether nothing can become of a transaction any more that has not yet."""
        receipt = await view.receipt(pending.hash)
        if receipt is not None:
            message = "head of size %d: its transaction is in block %d%s"
            done = "" if receipt.good else ", refused by the contract"
            LOG.info(message, pending.size, receipt.block, done)
            self.refused = None
            return True
        return await view.nonce(account) > pending.nonce  # another one had this nonce

    async def _is_stuck(self, view: View, account: str, pending: Pending) -> bool:
        old = self.now_ms() - pending.made_at >= STUCK
        return old or await view.nonce(account) < pending.nonce

    async def _make(
        self, view: View, account: str, note: bytes, size: int, before: Pending | None
    ) -> Pending:
        """A transaction, durable before anybody sees it."""
        nonce = await view.nonce(account)
        if before is not None and before.nonce == nonce and before.size == size:
            made = Pending(nonce, size, before.raw, before.hash, self.now_ms())  # nothing newer
        else:
            place = self.chain.place
            anchor = Anchor(place.chain_id, bytes.fromhex(place.contract[2:]), nonce, note)
            raw = await self.account.sign(anchor)
            made = Pending(nonce, size, raw, transaction_hash(raw), self.now_ms())
        await self.store.set_pending(made)
        self._last = self.monotonic()
        self.sent += 1
        return made

    async def _send(self, view: View, pending: Pending) -> bool:
        try:
            await view.send(pending.raw)
        except RpcError as error:  # known already, in a block already, refused: see rule 4
            if error.said != self.refused:
                LOG.debug("%s of a transaction: %s", view.url, error.said)
            self.refused = error.said
        return True


async def run(anchorer: Anchorer, problem: Callable[[str | None], None]) -> None:
    """Anchor for ever; what goes wrong is told, and tried again.

    Args:
        anchorer: who anchors.
        problem: told why the last step has failed, or None.
    """
    while True:
        under_way = True
        try:
            under_way = await anchorer.step()
            problem(None)
        except ChopmarkError as error:
            problem(error.message)
        except Exception:  # nothing that a chain answers may end the gateway
            LOG.exception("anchoring")
            problem("an error of ours: see the log")
        await asyncio.sleep(POLL if under_way else min(anchorer.every, LOOK))
