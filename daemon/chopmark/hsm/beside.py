"""A token that a command opens for one piece of work, beside the daemon or before there is one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from pkcs11.exceptions import MechanismInvalid
from pkcs11.types import Session

from chopmark.core.errors import ConfigurationError
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.errors import FAULTS, PinRefusedError, away, describe
from chopmark.hsm.module import Module
from chopmark.hsm.pin import Source
from chopmark.hsm.quirks import Profile
from chopmark.hsm.token import login

T = TypeVar("T")
PIN_HINT: Final = "put the right PIN into the credential `hsm-pin`; a token locks after a few tries"


def in_session(
    config: HsmConfig,
    pin: Source,
    work: Callable[[Session, Profile], T],
    unable: tuple[str, str],
    *,
    rw: bool = True,
) -> T:
    """Log in, do something, and give the module back, on a thread of its own.

    Blocks until done; the module must not be in use in this process.

    Args:
        config: which module and token.
        pin: gives the PIN; called once.
        work: what is done; gets how to treat the module too.
        unable: message and hint for a mechanism that the token does not have.
        rw: whether objects will be made.

    Raises:
        ConfigurationError: `no-hsm-module`, `no-such-token`, `ambiguous-token`, `pin-refused`,
            `no-such-mechanism`.
        TryAgainError: `hsm-away`.
    """

    def run() -> T:
        module = Module(config.module, config.init_string)
        try:
            session = login(module, module.find_token(config), pin, rw=rw)
            return work(session, module.profile)
        except PinRefusedError as refused:
            raise ConfigurationError("pin-refused", refused.reason, hint=PIN_HINT) from refused
        except MechanismInvalid as error:
            raise ConfigurationError("no-such-mechanism", unable[0], hint=unable[1]) from error
        except FAULTS as error:
            raise away(describe(error), error) from error
        finally:
            module.close()

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="hsm") as executor:
        return executor.submit(run).result()
