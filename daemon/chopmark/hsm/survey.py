"""What a token is and offers, and what its keys say of themselves: for the record of a ceremony.

Nothing here needs a login but the attributes of private keys. What a token says of itself is what
PKCS#11 shows, and no proof: the record says who says it.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import AttributeTypeInvalid, PKCS11Error
from pkcs11.mechanisms import Mechanism
from pkcs11.types import Session, Token

from chopmark.core.errors import ConfigurationError
from chopmark.core.keys import VerifierKey
from chopmark.hsm.ceremony import destroy_key
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.demands import KEPT, USED
from chopmark.hsm.errors import PinRefusedError, TokenFaultError, away, describe
from chopmark.hsm.keys import find_objects
from chopmark.hsm.module import Module
from chopmark.hsm.pin import Source
from chopmark.hsm.token import login, warn_of

T = TypeVar("T")

NEEDED: Final = (
    Mechanism.EC_KEY_PAIR_GEN,
    Mechanism.ECDSA,
    Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
    Mechanism.EDDSA,
)
"""What log key (the first two) and cosigner key take; the last two may be missing for `p256`."""
DRAW: Final = 32
"""Bytes of each draw of random."""
_FLAGS: Final = {"TOKEN": True, "PRIVATE": True, **KEPT, "MODIFIABLE": False, **USED}
"""Read for the record; those that must be so were checked before (`demands.check_protected`)."""


@dataclass(frozen=True, slots=True)
class Survey:
    """A token, in its own words.

    Attributes:
        module: path of the PKCS#11 module.
        digest: SHA-256 of the module's file, in hexadecimal.
        manufacturer: who made the token.
        firmware: its version; hardware: the same.
        warning: what must be said about this make of token, or None.
        offered: needed mechanisms that it has.
        missing: needed mechanisms that it has not.
        random: whether two draws of random differ and are no constant; None: it offers none.
    """

    module: str
    digest: str
    manufacturer: str
    model: str
    label: str
    serial: str
    firmware: str
    hardware: str
    warning: str | None
    offered: tuple[str, ...]
    missing: tuple[str, ...]
    random: bool | None


def survey_token(config: HsmConfig) -> Survey:
    """Look at the token, without a login; blocks, and the module must not be in use here.

    Raises:
        ConfigurationError: `no-hsm-module`, `no-such-token`, `ambiguous-token`.
        TryAgainError: `hsm-away`.
    """
    return _on_thread(config, lambda module: _survey(module, config))


def read_attributes(session: Session, config: HsmConfig) -> dict[str, str]:
    """What the two private keys say of themselves, by label: words joined by commas."""
    labels = (config.log_label, config.cosigner_label)
    return {label: _read_attributes(session, label) for label in labels}


def look_at_keys(config: HsmConfig, pin: Source) -> dict[str, str]:
    """The same with a login of its own.

    Raises:
        ConfigurationError: as `survey_token`, and `pin-refused`.
        TryAgainError: `hsm-away`.
    """
    return _on_thread(
        config,
        lambda module: read_attributes(login(module, module.find_token(config), pin), config),
    )


def destroy_keys(config: HsmConfig, pin: Source, log: VerifierKey, cosigner: VerifierKey) -> None:
    """Destroy the keys of a ceremony that was aborted: nobody has used them.

    Raises:
        ConfigurationError: as `survey_token`, and `pin-refused`.
        MissingError: `no-such-key`: another key has the label, and stays.
        TryAgainError: `hsm-away`.
    """

    def run(module: Module) -> None:
        session = login(module, module.find_token(config), pin, rw=True)
        destroy_key(session, config.log_label, log)
        destroy_key(session, config.cosigner_label, cosigner)

    _on_thread(config, run)


def _on_thread(config: HsmConfig, call: Callable[[Module], T]) -> T:
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="hsm") as executor:
        return executor.submit(_with_module, config, call).result()


def _with_module(config: HsmConfig, call: Callable[[Module], T]) -> T:
    module = Module(config.module, config.init_string)
    try:
        return call(module)
    except PinRefusedError as refused:
        hint = "a token locks after a few wrong tries: make sure of the PIN first"
        raise ConfigurationError("pin-refused", refused.reason, hint=hint) from refused
    except (PKCS11Error, TokenFaultError) as error:
        raise away(describe(error)) from error
    finally:
        module.close()


def _survey(module: Module, config: HsmConfig) -> Survey:
    token = module.find_token(config)
    there = token.slot.get_mechanisms()
    return Survey(
        module=module.path,
        digest=hashlib.sha256(Path(module.path).read_bytes()).hexdigest(),
        manufacturer=_tidy(token.manufacturer_id),
        model=_tidy(token.model),
        label=_tidy(token.label),
        serial=_tidy(token.serial),
        firmware=_version(token.firmware_version),
        hardware=_version(token.hardware_version),
        warning=warn_of(module),
        offered=tuple(one.name for one in NEEDED if one in there),
        missing=tuple(one.name for one in NEEDED if one not in there),
        random=_try_random(token),
    )


def _try_random(token: Token) -> bool | None:
    session = token.open()
    try:
        draws = [session.generate_random(8 * DRAW) for _ in range(2)]
    except PKCS11Error:
        return None
    finally:
        session.close()
    return draws[0] != draws[1] and all(len(set(one)) > DRAW // 4 for one in draws)


def _read_attributes(session: Session, label: str) -> str:
    (private,) = find_objects(session, ObjectClass.PRIVATE_KEY, label)
    said = []
    for name, value in _FLAGS.items():
        try:
            found = bool(private[Attribute[name]])
        except AttributeTypeInvalid:
            said.append(f"{name} unknown")
            continue
        said.append(f"{name} {'yes' if found else 'no'}{'' if found == value else ' (!)'}")
    return ", ".join(said)


def _version(version: object) -> str:
    # A pair, but the library's types say that it may be None.
    return ".".join(map(str, version)) if isinstance(version, tuple) else "unknown"


def _tidy(value: object) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text.strip(" \0") or "unknown"
