"""Anchoring brought together: our account, the chain, who is followed, and what is told of it."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final

from chopmark.anchor import anchorer as anchoring
from chopmark.anchor import follower as following
from chopmark.anchor.anchorer import Anchorer
from chopmark.anchor.chain import Chain
from chopmark.anchor.follower import Follower
from chopmark.anchor.judging import Followed
from chopmark.anchor.ports import Account
from chopmark.anchor.software import SoftwareAccount, load_key_file
from chopmark.anchor.store import Row, Seen, Store, store_path
from chopmark.core.errors import InternalError, MissingError
from chopmark.core.member import Member, is_account
from chopmark.core.ports import Clock
from chopmark.core.transaction import origin_hash
from chopmark.core.verdict import Anchored
from chopmark.core.wording import format_time
from chopmark.hsm.signer import HsmSigner
from chopmark.ledger.log import Log
from chopmark.ledger.replica import Replica
from chopmark.service.anchor_check import make_chain
from chopmark.service.anchor_logs import Histories, HsmAccount, Newest
from chopmark.service.config_model import Anchor, Config

AWAY: Final = 300.0
"""Seconds without any node after which there is an alarm."""
LATE: Final = 3
"""Intervals for which a head may wait before there is an alarm; and five minutes at least."""
REMEMBERED: Final = 7 * 86_400_000
"""Milliseconds for which a contradiction is an alarm."""


class Anchoring:
    """Anchors our log, follows the others', and tells how that goes.

    Args:
        config: `[anchor]`.
        members: us first, then all peers, those that are suspended or have left too.
        chain: its nodes.
        store: what is known of it.
        follower: reads it.
        anchorer: writes to it; None if our log is not anchored.
    """

    def __init__(
        self,
        config: Anchor,
        members: Sequence[Member],
        chain: Chain,
        store: Store,
        follower: Follower,
        anchorer: Anchorer | None,
        clock: Clock,
    ) -> None:
        self._config = config
        self._members = members
        self._chain = chain
        self._store = store
        self._follower = follower
        self._anchorer = anchorer
        self._clock = clock
        self._problems: dict[str, str | None] = {}
        self._stands: tuple[float, int] | None = None

    async def run(self) -> None:
        """Run for ever; nothing else waits for it."""
        config = self._config
        async with asyncio.TaskGroup() as tasks:
            told = partial(self._told, "following")
            work = following.run(self._follower, config.poll, told)
            tasks.create_task(work, name="anchors followed")
            if self._anchorer is not None:
                told = partial(self._told, "anchoring")
                tasks.create_task(anchoring.run(self._anchorer, told), name="anchoring")

    def account(self) -> str | None:
        """The account that anchors our log; None if none does, or its key is not there."""
        return None if self._anchorer is None else self._anchorer.account.account

    def covering(self, origin: str, index: int) -> Anchored | None:
        """The first anchor over an entry of those that were compared. On any thread."""
        try:
            found = self._store.covering(origin, index)
        except sqlite3.Error:  # a verdict does not depend on it
            return None
        return None if found is None else Anchored(self._config.chain_id, *found)

    async def page(self, member: str, after: int, limit: int) -> list[dict[str, Any]]:
        """Anchors of a member's log whose heads are larger than this, as JSON.

        Raises:
            MissingError: `no-such-member`.
            TryAgainError: `anchor-storage`.
        """
        found = next((one for one in self._members if one.id == member), None)
        if found is None:
            raise MissingError("no-such-member", f"no member {member!r} is known here")
        return [_describe_row(row) for row in await self._store.page(found.origin, after, limit)]

    def describe(self) -> dict[str, Any]:
        """How it is, as JSON (docs/api.md)."""
        config, follower = self._config, self._follower
        height, cursor = follower.height, self._store.cursor
        return {
            "chain_id": config.chain_id,
            "contract": config.contract,
            "endpoints": self._chain.describe(),
            "block": cursor,
            "height": height,
            "lag": None if height is None else max(0, height - cursor),
            "problem": next((why for why in self._problems.values() if why), None),
            "read": self._follower.taken,
            "missing": sum(max(0, one.counted - one.read) for one in follower.gaps.values()),
            "own": self._describe_own(),
            "logs": self._describe_logs(),
        }

    def alarms(self) -> list[dict[str, str]]:
        """What an operator must look after."""
        return [*self._away(), *self._late(), *self._gaps(), *self._contradictions()]

    def _told(self, task: str, problem: str | None) -> None:
        if task == "following":
            self._note_progress(problem)
        if problem != self._problems.get(task) and problem is not None:
            following.LOG.warning("%s: %s", task, problem)
        self._problems[task] = problem

    def _note_progress(self, problem: str | None) -> None:
        """Since when no step of the follower has brought it on, and at which block."""
        cursor = self._store.cursor
        if problem is None:
            self._stands = None
        elif self._stands is None or self._stands[1] != cursor:
            self._stands = time.monotonic(), cursor

    def _describe_own(self) -> dict[str, Any] | None:
        if self._anchorer is None:
            return None
        latest, account = self._anchorer.latest, self._anchorer.account
        return {
            "account": account.account,
            "key": account.kind,
            "listed": account.account is not None and account.account == self._members[0].chain,
            "number": None if latest is None else latest.number,
            "size": None if latest is None else latest.size,
            "block": None if latest is None else latest.block,
            "waiting": self._anchorer.due_since is not None,
            "sent": self._anchorer.sent,
            "refused": self._anchorer.refused,
        }

    def _describe_logs(self) -> list[dict[str, Any]]:
        found, counts = [], self._store.counts
        for member in self._members:
            account = self._account_of(member)
            seen = self._store.seen.get((account or "", origin_hash(member.origin)), Seen())
            found.append(
                {
                    "id": member.id,
                    "account": account,
                    "number": seen.number,
                    "size": seen.size,
                    "block": seen.block or None,
                    "ahead": counts[member.origin, "ahead"],
                    "fork": counts[member.origin, "fork"],
                    "bad": counts[member.origin, "bad"],
                }
            )
        return found

    def _account_of(self, member: Member) -> str | None:
        """The account that is followed; of ours the one that we have, listed or not."""
        own = self.account()
        return own if own is not None and member is self._members[0] else member.chain

    def _away(self) -> list[dict[str, str]]:
        now, since, stands = time.monotonic(), self._chain.since, self._stands
        if since is not None and now - since >= AWAY:
            reasons = "; ".join(one.reason for one in self._chain.endpoints if one.reason)
            message = f"no node of the chain can be used: {reasons}"
        elif stands is not None and now - stands[0] >= AWAY:
            why = self._problems.get("following")
            message = f"no node of the chain can be read above block {stands[1]}: {why}"
        else:
            return []
        hint = "are the nodes running? all else works; what is not anchored now is later"
        return [{"code": "anchor-away", "message": message, "hint": hint}]

    def _late(self) -> list[dict[str, str]]:
        one = self._anchorer
        if one is None:
            return []
        if one.account.is_missing:
            message = "our log is not anchored: the token has no key for the chain"
            hint = "`chopmark anchor init` makes one; then start the gateway again"
            return [{"code": "anchor-late", "message": message, "hint": hint}]
        if one.blocked is not None:
            message = f"our account has anchored the size {one.blocked}, and our log is smaller"
            hint = "was its key in other hands? the roster can name another account; or is our "
            hint += "ledger an old copy? `chopmark status` says so"
            return [{"code": "anchor-late", "message": message, "hint": hint}]
        waited = 0.0 if one.due_since is None else time.monotonic() - one.due_since
        if waited < max(300.0, LATE * self._config.every):
            return []
        said = f"; a node says: {one.refused}" if one.refused else ""
        message = f"our newest head has waited {waited:.0f} s for its anchor{said}"
        hint = "`chopmark anchor status` says how nodes and account are"
        return [{"code": "anchor-late", "message": message, "hint": hint}]

    def _gaps(self) -> list[dict[str, str]]:
        hint = "its nodes hide events, or lack blocks: ask another node, and the chain's operator"
        return [
            {
                "code": "anchor-gap",
                "message": f"the contract counts {one.counted} anchors of {one.origin}, and its "
                f"nodes tell of {one.read}",
                "hint": hint,
            }
            for one in self._follower.gaps.values()
        ]

    def _contradictions(self) -> list[dict[str, str]]:
        since = self._clock.now_ms() - REMEMBERED
        rows = [row for row in self._store.bad if row.found_at >= since]
        hint = "call its operator: is the key of its account in other hands? nothing is frozen"
        return [
            {
                "code": "anchor-contradiction",
                "message": f"anchor {row.number} of {row.origin} in block {row.block}: "
                f"{row.reason}",
                "hint": hint,
            }
            for row in rows
        ]


async def open_anchoring(
    config: Config,
    own: Member,
    log: Log,
    replicas: Sequence[Replica],
    signer: HsmSigner,
    observe_own: Callable[[bytes], Awaitable[None]],
    clock: Clock,
    stack: AsyncExitStack,
    *,
    quorum: bool,
) -> Anchoring | None:
    """Bring it together; None without `[anchor]`.

    Raises:
        ConfigurationError: `bad-key-file`.
        InternalError: `anchor-storage`.
    """
    anchor = config.anchor
    if anchor is None:
        return None
    chain = await asyncio.to_thread(make_chain, anchor)
    place = chain.place
    stack.push_async_callback(chain.close)
    try:
        store = await asyncio.to_thread(Store, store_path(config.gateway.state, place), place)
    except (sqlite3.Error, OSError) as error:
        hint = "`chopmark anchor forget` removes what was read of the chain: it is read again"
        message = f"what was read of the chain cannot be opened: {error}"
        raise InternalError("anchor-storage", message, hint=hint) from error
    stack.push_async_callback(asyncio.to_thread, store.close)
    chain.known = store.first_hash
    account = await _open_account(anchor, signer, own.origin)
    anchorer = None
    if account is not None:
        newest = Newest(log, quorum=quorum)
        anchorer = Anchorer(chain, store, account, newest, clock.now_ms, anchor.every)
    members = [own, *(one.member for one in replicas)]
    histories = Histories(own, log, {one.origin: one for one in replicas}, observe_own)

    def followed() -> Followed:
        known = {
            (one.chain, origin_hash(one.origin)): one.origin
            for one in members
            if one.chain is not None and is_account(one.chain)
        }
        ours = None if account is None else account.account
        if ours is not None:  # listed or not
            known[ours, origin_hash(own.origin)] = own.origin
        return known

    follower = Follower(chain, store, histories, followed, clock.now_ms)
    return Anchoring(anchor, members, chain, store, follower, anchorer, clock)


async def _open_account(anchor: Anchor, signer: HsmSigner, origin: str) -> Account | None:
    if not anchor.publish:
        return None
    if anchor.key_file is None:
        return HsmAccount(signer)
    key = await asyncio.to_thread(load_key_file, anchor.key_file)
    return SoftwareAccount(key, origin)


def _describe_row(row: Row) -> dict[str, Any]:
    return {
        "number": row.number,
        "size": row.size,
        "block": row.block,
        "transaction": row.transaction,
        "account": row.account,
        "state": row.word,
        "reason": row.reason,
        "found_at": format_time(row.found_at),
    }
