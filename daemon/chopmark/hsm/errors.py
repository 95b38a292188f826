"""What errors of the HSM mean to us. None of these texts may hold a PIN or what a user typed."""

from typing import Final

from pkcs11.exceptions import PKCS11Error

from chopmark.core.errors import ChopmarkError, TryAgainError
from chopmark.hsm.faults import Rung, fault_of

RETRY_AFTER: Final = 1
"""Seconds: the HSM is re-opened no more often than this."""

_AWAY: Final = "the HSM is away: "


class PinRefusedError(Exception):
    """The token refuses the PIN, or one more wrong try would lock it. For use in this package.

    Args:
        reason: a few words for status and log.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokenFaultError(Exception):
    """The token answers, but not as it must. For use in this package.

    Args:
        reason: a few words for status and log.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LoggedOutError(TokenFaultError):
    """The token shows public objects only."""

    def __init__(self) -> None:
        super().__init__("the HSM has logged us out")


FAULTS: Final = (PKCS11Error, TokenFaultError)
"""What a call into the module may raise that is no fault of ours."""


def is_pin_error(error: Exception) -> bool:
    """Whether another login with the same PIN can only make it worse."""
    fault = fault_of(error)
    return fault is not None and fault.sort == "pin"


def rung_of(error: Exception) -> Rung:
    """Where healing begins; what is no error of PKCS#11 needs the module started anew."""
    if isinstance(error, LoggedOutError):
        return Rung.LOGIN
    fault = fault_of(error)
    return Rung.MODULE if fault is None else fault.rung


def name_of(error: Exception) -> str:
    """What counters call it: the name of PKCS#11's, or a word of ours."""
    fault = fault_of(error)
    if fault is not None:
        return fault.name
    return error.code if isinstance(error, ChopmarkError) else "token-fault"


def describe(error: Exception) -> str:
    """A few words for status and log; python-pkcs11's own messages are mostly empty."""
    if isinstance(error, PinRefusedError | TokenFaultError):
        return error.reason
    if isinstance(error, ChopmarkError):
        return error.message.removeprefix(_AWAY)
    fault = fault_of(error)
    return fault.sentence if fault is not None else type(error).__name__


def advise(error: Exception | None) -> str:
    """What an operator does about it."""
    fault = None if error is None else fault_of(error)
    if fault is not None:
        return fault.action
    if isinstance(error, ChopmarkError) and error.hint:
        return error.hint
    return "is the HSM connected and powered? signing goes on by itself once it is back"


def away(reason: str, error: Exception | None = None) -> TryAgainError:
    """The HSM does not answer just now.

    Args:
        reason: a few words.
        error: what it was, for the hint.
    """
    return TryAgainError("hsm-away", _AWAY + reason, hint=advise(error), retry_after=RETRY_AFTER)


def latched(reason: str) -> TryAgainError:
    """The PIN was refused, and is not tried again before an operator says so."""
    hint = "put the right PIN in place, then `chopmark hsm unlatch`, or `chopmark hsm unlock`"
    return TryAgainError("pin-latched", f"the HSM is locked to us: {reason}", hint=hint)


def locked(reason: str | None = None) -> TryAgainError:
    """The PIN is still to be given.

    Args:
        reason: why; by default, that nobody has since the daemon started.
    """
    hint = "`chopmark hsm unlock`, or `hsm pin` at the console, asks for the PIN"
    message = reason or "the HSM is locked: nobody has given the PIN since the daemon started"
    return TryAgainError("pin-awaited", message, hint=hint)


def in_maintenance() -> TryAgainError:
    """An operator has taken the HSM out of use."""
    hint = "`chopmark hsm maintenance off` takes it into use again"
    message = "the HSM is in maintenance: an operator has taken it out of use"
    return TryAgainError("hsm-maintenance", message, hint=hint, retry_after=60)
