"""Bugs put into the gateway on purpose: each harness must find them, or it finds nothing."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.columns import Columns
from chopmark.core.draft import Recorded
from chopmark.core.note import Signature
from chopmark.hsm.signer import HsmSigner
from chopmark.ledger.sequencer import Item, Sequencer
from chopmark.ledger.store import Appended, Store
from chopmark.mesh.catchup import CatchUp


def answer_before_commit() -> None:
    """Say that entries are recorded as soon as they are queued."""
    record = Sequencer.record
    kept: set[asyncio.Task[Recorded]] = set()

    async def hasty(
        self: Sequencer, items: Sequence[Item], seconds: float, *more: Any, **by_name: Any
    ) -> Recorded:
        start = self._log.state.size
        kept.add(asyncio.create_task(record(self, items, seconds, *more, **by_name)))
        await asyncio.sleep(0)
        return Recorded(start, len(items), 0)

    _put(Sequencer, "record", hasty)


def answer_before_signature() -> None:
    """Say that entries are signed as soon as they are recorded; the HSM is a slow one."""
    sign = HsmSigner.sign_checkpoint

    async def slow(self: HsmSigner, checkpoint: Checkpoint) -> Signature:
        await asyncio.sleep(0.1)
        return await sign(self, checkpoint)

    async def hasty(_: Sequencer, __: int, ___: float) -> bool:
        return True

    _put(HsmSigner, "sign_checkpoint", slow)
    _put(Sequencer, "wait_signed", hasty)


def ignore_failed_commit() -> None:
    """Go on after a COMMIT that failed, as though it had not."""

    @contextmanager
    def careless(self: Store) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        yield
        with suppress(sqlite3.Error):
            self._db.execute("COMMIT")
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    _put(Store, "_transaction", careless)


def move_head_first() -> None:
    """Store the head that an append leads to before the append, if only for a moment."""
    append = Store.append
    move = "UPDATE log SET head_size = ?, head_root = ?"

    def backwards(self: Store, runs: Sequence[Columns], *more: Any) -> Appended:
        tree, before = self._frontier.copy(), self.state.head
        tree.append([leaf for columns in runs for leaf in columns.leaves()])
        self._db.execute(move, (tree.size, tree.root()))
        self._db.execute(move, (before.size, before.root))
        return append(self, runs, *more)

    _put(Store, "append", backwards)


def never_catch_up() -> None:
    """Rely on live packages alone."""

    async def idle(_: CatchUp) -> None:
        return

    _put(CatchUp, "_catch_up", idle)


def _put(where: type, name: str, bug: Callable[..., Any]) -> None:
    if not hasattr(where, name):  # it has moved: the bug would be nowhere
        raise AttributeError(f"{where.__name__} has no {name}")
    setattr(where, name, bug)


SEEDED: dict[str, Callable[[], None]] = {
    bug.__name__: bug for bug in (answer_before_commit, ignore_failed_commit, move_head_first)
}


def command(bug: Callable[[], None]) -> list[str]:
    """The command of a daemon that has a bug."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    code = f"import bugs; bugs.{bug.__name__}(); from chopmark.service.main import run; run()"
    return ["env", f"PYTHONPATH={path}", sys.executable, "-c", code]
