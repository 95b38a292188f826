"""Our log and the replicas, as anchoring sees them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from chopmark.anchor.ports import Finding
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import ChopmarkError, MalformedError
from chopmark.core.member import Member
from chopmark.core.transaction import Anchor
from chopmark.hsm.signer import HsmSigner
from chopmark.ledger.log import Log
from chopmark.ledger.reader import Reader
from chopmark.ledger.replica import Replica
from chopmark.ledger.store import LogState

_UNCOUNTED: Final = frozenset({"past-key", "member-suspended"})
_FORK: Final = "its head is of another history than the one held here: see `chopmark evidence show`"


@dataclass(frozen=True, slots=True)
class HsmAccount:
    """Implements `anchor.ports.Account` by the key in the token."""

    signer: HsmSigner
    kind: Literal["hsm", "software"] = "hsm"

    @property
    def account(self) -> str | None:
        """`0x…`; None while the token has not shown its key."""
        return self.signer.account

    @property
    def is_missing(self) -> bool:
        """Whether a token that answers has no such key."""
        return self.signer.state == "ready" and self.account is None

    async def sign(self, anchor: Anchor) -> bytes:
        """The transaction's bytes; see `HsmSigner.sign_anchor`."""
        return await self.signer.sign_anchor(anchor)


@dataclass(frozen=True, slots=True)
class Newest:
    """Implements `anchor.ports.OwnLog`.

    Attributes:
        quorum: whether cosignatures are demanded: else the newest signed head counts.
    """

    log: Log
    quorum: bool

    @property
    def origin(self) -> str:
        """Its name."""
        return self.log.origin

    def newest(self) -> bytes | None:
        """The note of its newest witnessed checkpoint; an empty log is not anchored."""
        state = self.log.state
        note, size = state.note, state.head.size
        if self.quorum:
            note, size = state.witnessed_note, state.witnessed_size
        return note if size else None


@dataclass(frozen=True, slots=True)
class Histories:
    """Implements `anchor.ports.Histories`.

    Attributes:
        observe_own: told each head of our own log that anybody shows.
    """

    own: Member
    log: Log
    replicas: Mapping[str, Replica]
    observe_own: Callable[[bytes], Awaitable[None]]

    def size(self, origin: str) -> int:
        """Entries that are held."""
        return self._log(origin).state.size

    async def compare(self, origin: str, notes: Sequence[bytes]) -> list[Finding]:
        """Compare heads with what is held; see the port."""
        opened = await asyncio.to_thread(lambda: [self._open(origin, note) for note in notes])
        heads = [one for one in opened if isinstance(one, Checkpoint)]

        def read(reader: Reader, state: LogState) -> list[bytes | None]:
            held = state.size
            return [reader.root_at(one.size) if one.size <= held else None for one in heads]

        roots = iter(await self._log(origin).read(read))
        return [
            await self._judge(origin, note, one, next(roots))
            if isinstance(one, Checkpoint)
            else one
            for note, one in zip(notes, opened, strict=True)
        ]

    async def _judge(
        self, origin: str, note: bytes, head: Checkpoint, root: bytes | None
    ) -> Finding:
        if root == head.root:
            return Finding("good")
        with suppress(MalformedError):  # what it proves is seen to there
            if origin == self.own.origin:
                await self.observe_own(note)
            else:
                await self.replicas[origin].observe_head(note)
        return Finding("ahead") if root is None else Finding("fork", _FORK)

    def _open(self, origin: str, note: bytes) -> Checkpoint | Finding:
        """The head in a note; two signature checks at most, on another thread."""
        try:
            if origin == self.own.origin:
                return self.own.read_vouched(note).checkpoint
            head = self.replicas[origin].member.open_head(note).checkpoint
        except ChopmarkError as error:
            word: Literal["ignored", "bad"] = "ignored" if error.code in _UNCOUNTED else "bad"
            return Finding(word, error.message)
        if (head.size, head.root) in self.replicas[origin].rejected:
            return Finding("ignored", "officers have rejected this head")
        return head

    def _log(self, origin: str) -> Log:
        return self.log if origin == self.own.origin else self.replicas[origin].log
