"""What is done in the token beside signing: its PIN, its keys, the head mark, salt keys."""

from functools import partial

from chopmark.core.blinding import SaltKey
from chopmark.core.keys import VerifierKey
from chopmark.core.mark import HeadMark
from chopmark.hsm.attributes import TokenKey
from chopmark.hsm.calls import call
from chopmark.hsm.device import Role
from chopmark.hsm.readings import Readings


class Upkeep(Readings):
    """Looks after the token. Each call runs on the HSM's thread, in its turn."""

    async def unlatch(self, *, given: bool = False) -> None:
        """Let the PIN be tried again, once.

        Args:
            given: it is another one than the one in place, which was refused.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`: it was refused again.
        """
        await call(self._thread, partial(self._device.unlatch, given=given))

    async def maintain(self, *, on: bool) -> None:
        """Take the HSM out of use, or into use again.

        Raises:
            TryAgainError: `hsm-away` and others of its family: it cannot be used yet.
        """
        await call(self._thread, partial(self._device.maintain, on=on))

    async def generate(self, role: Role, name: str, base: str) -> tuple[str, VerifierKey]:
        """Make one more key in the token, of the type that the one in use has; see `Device`.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`.
            ConfigurationError: `key-not-protected`.
        """
        return await call(self._thread, self._device.generate, role, name, base)

    async def destroy(self, label: str, key: VerifierKey) -> None:
        """Destroy a key that is not in use, for good, if it is there.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`.
            MissingError: `no-such-key`: another key has this label.
            RefusedError: `ambiguous-key`: several have it.
        """
        await call(self._thread, self._device.destroy, label, key)

    async def read_keys(self) -> tuple[TokenKey, ...]:
        """Every key in the token, whosever it is, with what the token says of each.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`.
        """
        return await call(self._thread, self._device.read_keys)

    async def read_mark(self) -> HeadMark | None:
        """The head mark in the token, or None if it has none.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`.
            RefusedError: `bad-mark`: what stands in its place is no mark of our log.
        """
        return await call(self._thread, self._device.read_mark)

    async def write_mark(self, mark: HeadMark, after: HeadMark | None) -> None:
        """Put a head mark in the place of the one before it; trying again is harmless.

        Args:
            mark: the new one.
            after: what must be in the token now.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`: it may have been written.
            RefusedError: `mark-moved`: another mark is there; `bad-mark`.
            ConfigurationError: `mark-refused`: this token takes no such object.
        """
        await call(self._thread, self._device.write_mark, mark, after)

    async def random(self, count: int) -> bytes:
        """Random bytes of the token's generator; none if it has none.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`.
        """
        return await call(self._thread, self._device.random, count)

    async def read_salt_keys(self) -> tuple[SaltKey, ...]:
        """The salt keys of our log that lie in the token, the oldest first.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`.
        """
        return await call(self._thread, self._device.read_salt_keys)

    async def write_salt_key(self, key: SaltKey) -> None:
        """Put a salt key into the token; trying again is harmless.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`: it may have been written.
            ConfigurationError: `salt-key-refused`: this token takes no such object.
        """
        await call(self._thread, self._device.write_salt_key, key)

    async def destroy_salt_keys(self, before: int) -> int:
        """Destroy the salt keys that began before a time (ms), for good; gives how many.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`.
        """
        return await call(self._thread, self._device.destroy_salt_keys, before)
