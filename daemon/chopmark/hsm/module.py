"""The PKCS#11 module: loading, starting again, and finding a token.

Modules are started with locks (`library`); all the same a `Module` belongs to the thread that
loaded it, and a path can be loaded once at a time: logins, sessions and C_Finalize are the
process's, so that a second user of the module would pull them away under the first.
"""

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pkcs11.constants import TokenFlag
from pkcs11.exceptions import PKCS11Error

from chopmark.core.errors import ConfigurationError, TryAgainError
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.errors import TokenFaultError, advise, describe
from chopmark.hsm.library import NO_SLOT, load
from chopmark.hsm.quirks import P11_KIT_CLIENT, Profile, find_profile
from chopmark.hsm.rpc import ADDRESS_VARIABLE, break_off

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib as Library  # noqa: N812 - a class with a small initial
    from pkcs11.types import Token

_loaded: Final[set[Path]] = set()
_loading: Final = threading.Lock()


class Module:
    """A loaded module. Only the thread that made it may call its methods.

    Args:
        path: absolute path of the shared library.
        reserved: a string that it wants at its start (`init_string`), or None.
        late: one that does not start yet is no error: `find_token` and `restart` try again.

    Raises:
        ConfigurationError: `no-hsm-module` if there is no such file or it is no PKCS#11 module.
        TryAgainError: `hsm-away` if the module does not start, unless it may be late; `hsm-stuck`
            if this process has it loaded already, for a signer that could not be closed.
    """

    def __init__(self, path: str, reserved: str | None = None, *, late: bool = False) -> None:
        self.path = path
        self._reserved = reserved
        self._library: Library
        self._started = self._running = False
        self._owner = threading.get_ident()
        self._closed = False
        self._real = Path(path).resolve()
        with _loading:
            if self._real in _loaded:
                message = f"{path} is in use in this process: an earlier call into it hangs"
                raise TryAgainError("hsm-stuck", message, hint=advise(None), retry_after=1)
            _loaded.add(self._real)
        try:
            self._start()
        except BaseException as error:
            if not (late and isinstance(error, TryAgainError)):
                _loaded.discard(self._real)
                raise

    @property
    def manufacturer(self) -> str:
        """Who made the module, as it says itself; empty while it has not started."""
        return self._library.manufacturer_id if self._started else ""

    @property
    def is_running(self) -> bool:
        """Whether it is between C_Initialize and C_Finalize."""
        return self._started and self._running

    @property
    def profile(self) -> Profile:
        """How to treat it."""
        return find_profile(self.manufacturer)

    def assert_owner(self) -> None:
        """Fail loudly on a call from another thread or after the end, before it does harm."""
        if self._closed:
            raise RuntimeError("this PKCS#11 module was closed")
        if threading.get_ident() != self._owner:
            raise RuntimeError("only the thread that loaded a PKCS#11 module may call it")

    def restart(self) -> None:
        """C_Finalize and C_Initialize: closes every session, and sees the devices anew.

        Raises:
            PKCS11Error: the module does not start.
            TryAgainError: `hsm-away`: it never did yet.
        """
        self.stop()
        if not self._started:
            self._start()
            return
        try:
            self._library.initialize()
        except PKCS11Error:
            if self._is_client:
                self._started = False
                self._library.unload()
            raise
        self._running = True

    def stop(self) -> None:
        """C_Finalize: logs out and closes every session, leaked ones too."""
        self.assert_owner()
        if not self._started:
            return
        self._running = False
        self._disconnect()
        try:
            self._library.finalize()
        except PKCS11Error:
            # A module that lost its device may refuse; C_Initialize will tell.
            return

    def _disconnect(self) -> None:
        """Leave a server of p11-kit before C_Finalize.

        python-pkcs11 does not let go of the GIL in that call, and p11-kit's client asks its server
        there: one that hangs would stop this whole process. Without a connection nobody is asked,
        and the server ends by itself.
        """
        if self._is_client:
            break_off(os.environ.get(ADDRESS_VARIABLE, ""))

    @property
    def _is_client(self) -> bool:
        return Path(self.path).name == P11_KIT_CLIENT

    def close(self) -> None:
        """Stop the module for good; it may then be loaded again."""
        self.stop()
        if self._is_client and self._started:
            self._library.unload()
        self._closed = True
        _loaded.discard(self._real)

    @property
    def library(self) -> "Library":
        """The library's handle, for those who look at the module itself.

        Raises:
            TryAgainError: `hsm-away`: it does not start.
        """
        self.assert_owner()
        if not self._started:
            self._start()
        return self._library

    def list_tokens(self) -> "list[Token]":
        """All tokens that answer; raises as `find_token` if the module does not.

        Raises:
            TokenFaultError: none answers, and a slot has a fault.
        """
        tokens, sick = _list_tokens(self.library)
        if sick is not None and not tokens:
            raise TokenFaultError(f"a slot answers {describe(sick)}")
        return tokens

    def find_token(self, config: HsmConfig) -> "Token":
        """The one token that the configuration names.

        Raises:
            ConfigurationError: `no-such-token` and `ambiguous-token`.
            TokenFaultError: no such token, but one slot or more did not answer, or there is none.
            PKCS11Error: the module does not answer.
            TryAgainError: `hsm-away`: it has not started yet.
        """
        self.assert_owner()
        if not self._started:
            self._start()
        tokens, sick = _list_tokens(self._library)
        found = [token for token in tokens if _matches(token, config)]
        if len(found) == 1:
            return found[0]
        if found:
            message = f"{len(found)} tokens have {config.token_name}"
            hint = "name the token by `token_serial` too"
            raise ConfigurationError("ambiguous-token", message, hint=hint)
        if sick is not None:
            raise TokenFaultError(f"a slot answers {describe(sick)}")
        if not self._library.get_slots():
            raise TokenFaultError(NO_SLOT)
        raise _no_such_token(self.path, config, tokens)

    def _start(self) -> None:
        self._library = load(self.path, self._reserved)
        self._started = self._running = True


def _list_tokens(library: "Library") -> "tuple[list[Token], PKCS11Error | None]":
    # The library's own get_tokens() gives up all slots as soon as one does not answer.
    tokens: list[Token] = []
    sick: PKCS11Error | None = None
    for slot in library.get_slots(token_present=True):
        try:
            tokens.append(slot.get_token())
        except PKCS11Error as error:
            sick = error
    return [token for token in tokens if token.flags & TokenFlag.TOKEN_INITIALIZED], sick


def _matches(token: "Token", config: HsmConfig) -> bool:
    if config.token_label and token.label != config.token_label:
        return False
    return not config.token_serial or token.serial == config.token_serial.encode()


def _no_such_token(path: str, config: HsmConfig, tokens: "list[Token]") -> ConfigurationError:
    there = ", ".join(f"{t.label!r} (serial {t.serial.decode(errors='replace')})" for t in tokens)
    message = f"{path} has no token with {config.token_name}; it has {there or 'none'}"
    hint = "see `token_label` under [hsm]; for SoftHSM, is SOFTHSM2_CONF set?"
    return ConfigurationError("no-such-token", message, hint=hint)
