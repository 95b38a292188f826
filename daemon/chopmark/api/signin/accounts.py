"""Local accounts: people who sign in with a password, in one small file of the gateway's.

The daemon alone writes it, at the word of an operator on the unix socket; what it says is durable
before it counts. The file holds hashes, and a key by which browsers are known again: whoever can
read it can guess passwords at leisure, so that nobody but the daemon may.
"""

import asyncio
import hmac
import re
import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import Final, Literal, Protocol

import msgspec

from chopmark.api.identity import ROLES, Role
from chopmark.core.errors import (
    ConfigurationError,
    ExistsError,
    MissingError,
    RefusedError,
)
from chopmark.core.member import check_kinds

MOST: Final = 1024
MAX_FILE: Final = 1024 * 1024
SHARED: Final = 16
"""People who are known in one browser: colleagues share the computer of a counter."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}", re.ASCII)
_NONCE: Final = 16
_KEY: Final = 32
_DEVICE: Final = b"chopmark/device/v1\n"
_SHOWN: Final = re.compile(r"[0-9a-f]{96}", re.ASCII)
"""What a browser keeps for one person: a nonce, and the seal over nonce and name."""


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One person; `changed` is when the password was set, `kinds` what may be attested."""

    name: str
    roles: tuple[Role, ...]
    kinds: tuple[str, ...]
    hash: str
    changed: str

    def __repr__(self) -> str:
        return f"Account({self.name!r}, hash=***)"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    device_key: str
    accounts: tuple[Account, ...]


class AccountStore(Protocol):
    """Where the file lies; `service` provides it. Its calls block."""

    def read(self) -> bytes | None:
        """What is in it, at most `MAX_FILE` and a byte; None before there is one."""
        ...

    def write(self, data: bytes) -> None:
        """Put this in its place, durably, for nobody else to read."""
        ...


class Accounts:
    """All that there are. Made of the file as it is; slow, and not for the event loop.

    Args:
        store: the file.
        now: gives the time as text.

    Raises:
        ConfigurationError: `accounts-malformed`.
    """

    def __init__(self, store: AccountStore, now: Callable[[], str]) -> None:
        self._store = store
        self._now = now
        self._changing = asyncio.Lock()
        data = store.read()
        found = _File(1, secrets.token_hex(_KEY), ()) if data is None else _parse(data)
        self._device_key = bytes.fromhex(found.device_key)
        self._all = {account.name: account for account in found.accounts}

    def list(self) -> list[Account]:
        """All, by name."""
        return [self._all[name] for name in sorted(self._all)]

    def find(self, name: str) -> Account | None:
        """The one of this name."""
        return self._all.get(name)

    def get(self, name: str) -> Account:
        """The one of this name.

        Raises:
            MissingError: `no-such-account`.
        """
        account = self._all.get(name)
        if account is None:
            hint = "`chopmark account list` shows those that there are"
            raise MissingError("no-such-account", f"there is no account {name[:32]!r}", hint=hint)
        return account

    def check_new(self, name: str, roles: tuple[Role, ...], kinds: tuple[str, ...]) -> None:
        """Refuse what cannot be an account.

        Raises:
            RefusedError: `bad-account`.
            ExistsError: `account-exists`.
        """
        if not _NAME.fullmatch(name):
            raise RefusedError("bad-account", "a name is 1 to 32 of a-z, 0-9, . _ and -")
        if name in self._all:
            hint = "`chopmark account password` gives it another password"
            raise ExistsError("account-exists", f"there is an account {name} already", hint=hint)
        if not roles or not ROLES.issuperset(roles) or len(set(roles)) < len(roles):
            raise RefusedError("bad-account", f"roles are some of {', '.join(sorted(ROLES))}")
        check_kinds(kinds)
        if len(self._all) >= MOST:
            raise RefusedError("bad-account", f"there are {MOST} accounts, which is the most")

    async def add(
        self, name: str, roles: tuple[Role, ...], kinds: tuple[str, ...], hashed: str
    ) -> Account:
        """Make one; raises as `check_new`."""
        async with self._changing:
            self.check_new(name, roles, kinds)
            account = Account(name, roles, kinds, hashed, self._now())
            await self._put(self._all | {name: account})
            return account

    async def set_hash(self, name: str, hashed: str) -> None:
        """Give one another password (`no-such-account`)."""
        async with self._changing:
            await self._put_hash(self.get(name), hashed, self._now())

    async def swap_hash(self, was: Account, hashed: str, *, same: bool = False) -> bool:
        """Give one another password, or the `same` by a newer hash, if it is still what it was.

        Hashing takes a while: what an operator has done meanwhile stays.
        """
        async with self._changing:
            if self._all.get(was.name) != was:
                return False
            await self._put_hash(was, hashed, was.changed if same else self._now())
            return True

    async def remove(self, name: str) -> None:
        """Take one away (`no-such-account`)."""
        async with self._changing:
            self.get(name)
            await self._put({other: one for other, one in self._all.items() if other != name})

    def make_device(self, name: str, shown: str | None = None) -> str:
        """What a browser keeps in which this person has signed in, and those whom it shows."""
        nonce = secrets.token_bytes(_NONCE)
        return ".".join([(nonce + self._seal(name, nonce)).hex(), *_split(shown)][:SHARED])

    def read_device(self, name: str, shown: str | None) -> str | None:
        """Which browser shows this, if this person has signed in there."""
        for text in _split(shown):
            data = bytes.fromhex(text)
            nonce, seal = data[:_NONCE], data[_NONCE:]
            if hmac.compare_digest(seal, self._seal(name, nonce)):
                return nonce.hex()
        return None

    def _seal(self, name: str, nonce: bytes) -> bytes:
        return hmac.digest(self._device_key, _DEVICE + nonce + name.encode(), sha256)

    async def _put_hash(self, account: Account, hashed: str, changed: str) -> None:
        account = msgspec.structs.replace(account, hash=hashed, changed=changed)
        await self._put(self._all | {account.name: account})

    async def _put(self, accounts: dict[str, Account]) -> None:
        file = _File(1, self._device_key.hex(), tuple(accounts.values()))
        data = msgspec.json.format(msgspec.json.encode(file), indent=1)
        if len(data) > MAX_FILE:  # it would be refused at the next start
            message = "the file of accounts has no room for this"
            raise RefusedError("bad-account", message, hint="give it fewer kinds of documents")
        await asyncio.to_thread(self._store.write, data)
        self._all = accounts


def _split(shown: str | None) -> list[str]:
    """What a browser keeps for each; whatever else it shows is left out."""
    parts = (shown or "").split(".", SHARED)[:SHARED]
    return [part for part in parts if _SHOWN.fullmatch(part)]


def _parse(data: bytes) -> _File:
    try:
        found = msgspec.json.decode(data, type=_File) if len(data) <= MAX_FILE else None
        key = b"" if found is None else bytes.fromhex(found.device_key)
    except (msgspec.DecodeError, ValueError, RecursionError):  # their texts may hold part of a hash
        found, key = None, b""
    if found is None or len(key) != _KEY:
        hint = "put a copy of it back, or remove it and make the accounts anew"
        message = "the file of accounts, accounts.json in the state folder, is damaged"
        raise ConfigurationError("accounts-malformed", message, hint=hint)
    return found
