"""A token's head mark and salt keys in software, as a real one, failing where a test wants."""

from dataclasses import dataclass, field
from hashlib import sha256

from chopmark.core.blinding import SaltKey
from chopmark.core.errors import ConfigurationError, RefusedError, TryAgainError
from chopmark.core.mark import HeadMark


class PowerCutError(Exception):
    """The process ended here."""


@dataclass
class SoftToken:
    """Implements `core.ports.MarkKeeper`.

    Attributes:
        mark: what it holds.
        cut: the power goes `before` or `after` the next mark is written.
        away: it does not answer.
        refuses: it takes no marks.
    """

    mark: HeadMark | None = None
    cut: str = ""
    away: bool = False
    refuses: bool = False
    writes: int = 0

    async def read_mark(self) -> HeadMark | None:
        self._answer()
        return self.mark

    async def write_mark(self, mark: HeadMark, after: HeadMark | None) -> None:
        self._answer()
        if self.refuses:
            raise ConfigurationError("mark-refused", "the token keeps no head mark")
        if self.mark not in (after, mark):
            raise RefusedError("mark-moved", "the head mark was written by another gateway")
        if self.cut == "before":
            raise PowerCutError
        assert self.mark is None or self.mark == mark or mark.counter == self.mark.counter + 1
        self.mark = mark
        self.writes += 1
        if self.cut == "after":
            raise PowerCutError

    def _answer(self) -> None:
        if self.away:
            raise TryAgainError("hsm-away", "the HSM is away", retry_after=1)


@dataclass
class SoftSafe:
    """Implements `core.ports.SaltKeeper`.

    Attributes:
        keys: what it holds, by the time since when each is used.
        away: it does not answer.
        refuses: it takes no salt keys.
        drawn: calls of its generator.
        mute: it has no generator.
        siblings: more keys of a time than one.
        lose: so many writes are done, and their answers lost.
    """

    keys: dict[int, SaltKey] = field(default_factory=dict)
    away: bool = False
    refuses: bool = False
    drawn: int = 0
    mute: bool = False
    siblings: list[SaltKey] = field(default_factory=list)
    lose: int = 0

    async def random(self, count: int) -> bytes:
        self._answer()
        self.drawn += 1
        return b"" if self.mute else sha256(b"%d" % self.drawn).digest()[:count]

    async def read_salt_keys(self) -> tuple[SaltKey, ...]:
        self._answer()
        made = [*self.siblings, *self.keys.values()]
        return tuple(sorted(made, key=lambda key: key.since))

    async def write_salt_key(self, key: SaltKey) -> None:
        self._answer()
        if self.refuses:
            raise ConfigurationError("salt-key-refused", "the token keeps no salt keys")
        if key.since in self.keys:
            self.siblings.append(self.keys[key.since])
        self.keys[key.since] = key
        if self.lose:
            self.lose -= 1
            raise TryAgainError("hsm-away", "the answer was lost", retry_after=1)

    async def destroy_salt_keys(self, before: int) -> int:
        self._answer()
        old = [since for since in self.keys if since < before]
        for since in old:
            del self.keys[since]
        self.siblings = [key for key in self.siblings if key.since >= before]
        return len(old)

    def _answer(self) -> None:
        if self.away:
            raise TryAgainError("hsm-away", "the HSM is away", retry_after=1)
