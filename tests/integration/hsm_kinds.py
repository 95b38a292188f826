"""The PKCS#11 modules that the suite runs on, each a real one of Debian's.

One process loads each module once, and some keep what they saw then: p11-kit's client the address
of its server, tpm2-pkcs11 the first D-Bus. So those stay the same for a run of tests, and what is
behind them changes: each test has a token of its own, a copy of one with keys in it.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from chopmark.core.keys import VerifierKey
from integration.hsm_box import Box
from rig.remote import Remote
from rig.token import MODULE, SoftToken, Token, provision_token
from rig.tpm import Tpm

KINDS: Final = ("softhsm", "p11-kit", "tpm2-pkcs11")


class Shelf:
    """Tokens with keys in them, to be copied for each test, and what they live on.

    Args:
        folder: short, as unix sockets are made in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._masters: dict[str, tuple[Token, tuple[VerifierKey, VerifierKey]]] = {}
        self._tpm: Tpm | None = None
        self._remote: Remote | None = None
        self._made = 0

    @property
    def tpm(self) -> Tpm:
        """The TPM; started when it is first asked for."""
        if self._tpm is None:
            self._tpm = Tpm(self._folder / "tpm")
        return self._tpm

    @property
    def remote(self) -> Remote:
        """Our supervisor with the SoftHSM token of the last box behind it."""
        if self._remote is None:
            served = {"SOFTHSM2_CONF": str(self._folder / "served.conf")}
            self._remote = Remote(self._folder / "hsm.sock", MODULE, served)
        return self._remote

    def close(self) -> None:
        """End all processes."""
        for part in (self._remote.kill if self._remote else None, self._tpm and self._tpm.stop):
            if part is not None:
                part()

    def box(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> Box:
        """A token of its own, with both keys in it."""
        if kind not in self._masters:
            with pytest.MonkeyPatch.context() as patch:
                token = self._new(kind)
                self._masters[kind] = (token, self._equip(kind, token, patch).create())
        master, keys = self._masters[kind]
        box = self._equip(kind, self._copy(kind, master), monkeypatch)
        box.keys = keys
        return box

    def empty_box(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> Box:
        """A token of its own, without keys."""
        return self._equip(kind, self._new(kind), monkeypatch)

    def _new(self, kind: str) -> Token:
        if kind == "tpm2-pkcs11":
            return self.tpm.make_token(self._next(), "hk-1")
        return provision_token(self._next(), "hk-1")

    def _copy(self, kind: str, master: Token) -> Token:
        if kind == "tpm2-pkcs11":
            return self.tpm.copy_token(master, self._next())
        assert isinstance(master, SoftToken)
        return copy_soft_token(master, self._next())

    def _equip(self, kind: str, token: Token, monkeypatch: pytest.MonkeyPatch) -> Box:
        if kind == "softhsm":
            assert isinstance(token, SoftToken)
            box = Box.of(token, monkeypatch)
            return replace(box, lose=lambda: hide(token), restore=lambda: show(token))
        if kind == "p11-kit":
            assert isinstance(token, SoftToken)
            shutil.copy(token.conf, self._folder / "served.conf")
            remote = self.remote
            if not remote.is_running:
                remote.start()
            box = Box.of(remote.client(token), monkeypatch)
            lose, restore = remote.kill, self._start_again
            return replace(box, cosigner="p256", lose=lose, restore=restore)
        monkeypatch.setenv("TSS2_LOG", "all+NONE")  # it says on stderr what it also returns
        box = Box.of(token, monkeypatch)
        lose, restore = self.tpm.kill_manager, self.tpm.start_manager
        return replace(box, cosigner="p256", lose=lose, restore=restore)

    def _start_again(self) -> None:
        self.remote.start()

    def _next(self) -> Path:
        self._made += 1
        return self._folder / str(self._made)


@contextmanager
def open_shelf(folder: Path) -> Iterator[Shelf]:
    """A shelf that ends with the block."""
    shelf = Shelf(folder)
    try:
        yield shelf
    finally:
        shelf.close()


def copy_soft_token(token: SoftToken, folder: Path) -> SoftToken:
    """A SoftHSM token with the same PIN and keys in a new folder."""
    shutil.copytree(token.credentials, folder)
    conf = folder / "softhsm2.conf"
    conf.write_text(conf.read_text().replace(str(token.tokens), str(folder / "tokens")))
    environment = {"SOFTHSM2_CONF": str(conf)}
    return SoftToken(token.module, token.label, folder, environment, conf, folder / "tokens")


def hide(token: SoftToken) -> None:
    """Take the files of a SoftHSM token away."""
    token.tokens.rename(token.tokens.with_name("unplugged"))
    token.tokens.mkdir()


def show(token: SoftToken) -> None:
    """Put them back."""
    token.tokens.rmdir()
    token.tokens.with_name("unplugged").rename(token.tokens)
