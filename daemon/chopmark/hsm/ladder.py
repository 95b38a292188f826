"""Opens the token, and opens it again after a fault: from the cheapest way to the dearest.

1. session: a new session, and the keys found in it; no PIN is needed
2. login: a new login, and that
3. module: C_Finalize and C_Initialize, which close all that is open and see the devices anew, and
   that
4. where even that cannot help (`Fault.sort` is `fatal`), the daemon ends, and is started again

Everything here runs on the HSM's thread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pkcs11.exceptions import PinIncorrect, PinInvalid, PinLenRange

from chopmark.core.keys import VerifierKey
from chopmark.hsm.book import TokenBook
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.errors import PinRefusedError
from chopmark.hsm.faults import Rung
from chopmark.hsm.module import Module
from chopmark.hsm.pin import PinGuard
from chopmark.hsm.quirks import ANY, Profile
from chopmark.hsm.token import OpenToken, log_in_again, open_token, read_public, reopen_session

_WRONG: Final = (PinIncorrect, PinInvalid, PinLenRange)
"""It was the PIN; otherwise the same one may be right later."""


@dataclass(slots=True)
class Ladder:
    """Opens one gateway's token.

    Attributes:
        config: which token and keys.
        origin: name of the log key.
        guard: gives the PIN.
        book: what is kept about the PIN.
        module: loaded; None before `load`.
    """

    config: HsmConfig
    origin: str
    guard: PinGuard
    book: TokenBook
    module: Module | None = None

    def load(self, *, late: bool) -> None:
        """Load the module; raises as `Module`."""
        if self.module is None:
            self.module = Module(self.config.module, self.config.init_string, late=late)

    def open(self) -> OpenToken:
        """Open the token; raises as `open_token`."""
        return self._guarded(self._open)

    def climb(self, rung: Rung, opened: OpenToken | None) -> OpenToken:
        """Open the token again in the way of a rung.

        Raises:
            PinRefusedError: as `open_token`, as all others.
        """
        if opened is None or rung is Rung.MODULE:
            return self._guarded(self._restart)
        if rung is Rung.LOGIN:
            return self._guarded(lambda module: self._log_in(module, opened))
        return reopen_session(opened, self.config, self.origin)

    @property
    def profile(self) -> Profile:
        """How to treat the module."""
        return ANY if self.module is None else self.module.profile

    def read_public(self) -> tuple[str, VerifierKey, VerifierKey]:
        """Label and public keys, without a login; see there."""
        return read_public(self._loaded(), self.config, self.origin)

    def stop(self) -> None:
        """Log out, and close all that is open."""
        if self.module is not None:
            self.module.stop()

    def close(self) -> None:
        """Give the module back, for good."""
        if self.module is not None:
            self.module.close()
            self.module = None

    def assert_owner(self) -> None:
        """See `Module.assert_owner`."""
        if self.module is not None:
            self.module.assert_owner()

    def _guarded(self, open_: Callable[[Module], OpenToken]) -> OpenToken:
        try:
            return open_(self._loaded())
        except PinRefusedError as refused:
            if isinstance(refused.__cause__, _WRONG):
                self.guard.refuse()
            raise
        finally:
            self.guard.typing = False

    def _loaded(self) -> Module:
        module = self.module or Module(self.config.module, self.config.init_string, late=True)
        self.module = module
        return module

    def _open(self, module: Module) -> OpenToken:
        return open_token(module, self.config, self.origin, self.guard.give, self.book)

    def _restart(self, module: Module) -> OpenToken:
        module.restart()
        return self._open(module)

    def _log_in(self, module: Module, opened: OpenToken) -> OpenToken:
        give = self.guard.give
        return log_in_again(opened, module, self.config, self.origin, give, self.book)
