"""What PKCS#11 errors mean to us. None of these texts may hold a PIN or what a user typed."""

from typing import Final

from pkcs11.exceptions import (
    PinExpired,
    PinIncorrect,
    PinInvalid,
    PinLenRange,
    PinLocked,
    PKCS11Error,
)

from chopmark.core.errors import ChopmarkError, TryAgainError

PIN_ERRORS: Final = (PinIncorrect, PinInvalid, PinLenRange, PinExpired, PinLocked)
"""Errors of a login that another try with the same PIN can only make worse."""

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


def describe(error: Exception) -> str:
    """A few words for status and log; python-pkcs11's own messages are mostly empty."""
    if isinstance(error, PinRefusedError | TokenFaultError):
        return error.reason
    if isinstance(error, ChopmarkError):
        return error.message.removeprefix(_AWAY)
    name = type(error).__name__
    if type(error) is PKCS11Error:  # codes that the library has no class for
        return f"{name}: {error}"
    return name


def away(reason: str) -> TryAgainError:
    """The HSM does not answer just now."""
    hint = "is the HSM connected and powered? signing goes on by itself once it is back"
    return TryAgainError("hsm-away", _AWAY + reason, hint=hint, retry_after=RETRY_AFTER)


def latched(reason: str) -> TryAgainError:
    """The PIN was refused, and is not tried again before a restart."""
    hint = "put the right PIN into the credential `hsm-pin`, then restart the gateway"
    return TryAgainError("pin-latched", f"the HSM is locked to us: {reason}", hint=hint)
