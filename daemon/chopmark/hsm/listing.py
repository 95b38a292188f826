"""The keys in the token, all that there are: which of them is in use says the ledger.

Public halves are read without a login, as everywhere: no try of the PIN is spent.
"""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import PKCS11Error
from pkcs11.types import Session

from chopmark.core.errors import ConfigurationError
from chopmark.core.keys import COSIGNATURE, ED25519, OTHER, VerifierKey
from chopmark.hsm.attributes import TokenKey, read_pairs
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.errors import TokenFaultError, away, describe
from chopmark.hsm.keys import cosigner_name, read_verifier
from chopmark.hsm.module import Module

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LabelledKey:
    """A key in the token.

    Attributes:
        label: its CKA_LABEL.
        number: 1 for the first of its sort, as its label says; later ones have larger numbers.
        key: its public half. A later cosigner key has another name than the first, which the token
            does not know: `named` gives it.
    """

    label: str
    number: int
    key: VerifierKey

    def named(self, name: str) -> VerifierKey:
        """The same key under another name."""
        return VerifierKey(name, self.key.type, self.key.public)


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """Log keys and cosigner keys, the first ones first."""

    log: tuple[LabelledKey, ...]
    cosigner: tuple[LabelledKey, ...]


def list_keys(config: HsmConfig, origin: str) -> TokenKeys:
    """The keys with the configured labels, and those that were made to follow them.

    Blocks until done; the module must not be in use in this process.

    Args:
        config: which module and token, and the labels of the first keys.
        origin: of our log.

    Raises:
        ConfigurationError: `no-hsm-module`, `no-such-token`, `ambiguous-token`.
        TryAgainError: `hsm-away`.
    """

    def read(session: Session) -> TokenKeys:
        return TokenKeys(
            _list(session, config.log_label, origin, cosigner=False),
            _list(session, config.cosigner_label, cosigner_name(origin), cosigner=True),
        )

    return _read(config, read)


def list_pairs(config: HsmConfig) -> tuple[TokenKey, ...]:
    """Every key in the token, whosever it is, by its public half.

    Blocks until done; the module must not be in use in this process.

    Args:
        config: which module and token.

    Raises:
        ConfigurationError: `no-hsm-module`, `no-such-token`, `ambiguous-token`.
        TryAgainError: `hsm-away`.
    """
    return _read(config, lambda session: read_pairs(session, private=False))


def _read(config: HsmConfig, read: Callable[[Session], T]) -> T:
    """Read something in a session without a login, on a thread of its own."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="hsm") as executor:
        return executor.submit(_run, config, read).result()


def _run(config: HsmConfig, read: Callable[[Session], T]) -> T:
    module = Module(config.module, config.init_string)
    try:
        return read(module.find_token(config).open())
    except (PKCS11Error, TokenFaultError) as error:
        raise away(describe(error), error) from error
    finally:
        module.close()


def _list(session: Session, base: str, name: str, *, cosigner: bool) -> tuple[LabelledKey, ...]:
    pattern = re.compile(re.escape(base) + r"(?:-([1-9][0-9]{0,3}))?", re.ASCII)
    found = []
    for public in list(session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY})):
        label = str(public[Attribute.LABEL])
        match = pattern.fullmatch(label)
        if match is None:
            continue
        try:
            key = read_verifier(public, name)
        except ConfigurationError:
            continue  # none of ours
        if cosigner:
            key = VerifierKey(name, COSIGNATURE if key.type == ED25519 else OTHER, key.public)
        found.append(LabelledKey(label, int(match[1] or 1), key))
    return tuple(sorted(found, key=lambda one: one.number))
