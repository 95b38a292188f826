"""Looks at a module and a token: `facts` holds what is found, `diagnosis` says what it means.

Without a login nothing is written and no PIN is asked for. With one, the log key signs self-tests
(core.selftest) and nothing else; what a token refuses is tried on a key that is thrown away.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pkcs11.constants import MechanismFlag, TokenFlag
from pkcs11.exceptions import PKCS11Error
from pkcs11.mechanisms import Mechanism
from pkcs11.types import Slot, Token

from chopmark.core.errors import ChopmarkError
from chopmark.hsm.attributes import read_pairs
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.errors import PinRefusedError, TokenFaultError, describe
from chopmark.hsm.facts import (
    NEEDED,
    Facts,
    Failure,
    Library,
    MechanismFacts,
    SlotFacts,
    TokenFacts,
)
from chopmark.hsm.module import Module
from chopmark.hsm.pin import Source
from chopmark.hsm.token import login, warn_of
from chopmark.hsm.tokeninfo import read_room
from chopmark.hsm.trial import Clocks, try_out

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib as Handle  # noqa: N812 - a class with a small initial

PIN_HINT = "no further try is made: is it the right PIN, and does the vendor's tool say how many?"


def examine(
    path: str,
    config: HsmConfig | None,
    *,
    reserved: str | None = None,
    origin: str | None = None,
    pin: Source | None = None,
    clocks: Clocks | None = None,
) -> Facts:
    """Look at a module and a token. Blocks until done; raises nothing about either.

    The module must not be in use in this process; other processes may use it.

    Args:
        path: of the module, absolute.
        config: which token; None for the only one that there is.
        reserved: what the module wants to be told at its start, or None.
        origin: of our log; None if it is not known: the log key is then not used.
        pin: gives the PIN, to log in and try things out; None to do without.
        clocks: needed with a PIN.
    """
    facts = Facts()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="hsm") as executor:
        executor.submit(_run, facts, (path, reserved), config, origin, pin, clocks).result()
    return facts


def _run(
    facts: Facts,
    module_named: tuple[str, str | None],
    config: HsmConfig | None,
    origin: str | None,
    pin: Source | None,
    clocks: Clocks | None,
) -> None:
    try:
        module = Module(*module_named)
    except ChopmarkError as error:
        facts.failures.append(Failure("module", error.message, error.hint))
        return
    try:
        _look(facts, module, config, origin, pin, clocks)
    finally:
        module.close()


def _look(
    facts: Facts,
    module: Module,
    config: HsmConfig | None,
    origin: str | None,
    pin: Source | None,
    clocks: Clocks | None,
) -> None:
    try:
        facts.library = _describe_library(module.library, module.path)
        facts.warning = warn_of(module)
        facts.slots = tuple(map(_describe_slot, module.library.get_slots()))
        token = _choose(module, config, facts.slots)
        if token is None:
            return
        facts.token = _describe_token(token, module.path)
        facts.mechanisms = _describe_mechanisms(token.slot)
        if pin is None or clocks is None:
            facts.keys = read_pairs(token.open(), private=False)
            return
        _try(facts, module, token, config, origin, pin, clocks)
    except PinRefusedError as refused:
        facts.failures.append(Failure("login", refused.reason, PIN_HINT))
    except ChopmarkError as error:
        facts.failures.append(Failure("token", error.message, error.hint))
    except (PKCS11Error, TokenFaultError) as error:
        facts.failures.append(Failure("token", f"it does not answer: {describe(error)}"))


def _try(
    facts: Facts,
    module: Module,
    token: Token,
    config: HsmConfig | None,
    origin: str | None,
    pin: Source,
    clocks: Clocks,
) -> None:
    writable = not token.flags & TokenFlag.WRITE_PROTECTED
    session = login(module, token, pin, rw=writable)
    facts.logged_in = True
    facts.keys = read_pairs(session, private=True)
    try_out(facts, session, config, origin, clocks)


def _choose(module: Module, config: HsmConfig | None, slots: tuple[SlotFacts, ...]) -> Token | None:
    if config is not None:
        return module.find_token(config)
    numbers = [one.number for one in slots if one.token is not None]
    if len(numbers) != 1:
        return None
    slot = next(one for one in module.library.get_slots() if one.slot_id == numbers[0])
    return slot.get_token()


def _describe_library(library: "Handle", path: str) -> Library:
    return Library(
        path,
        library.manufacturer_id,
        library.library_description,
        _version(library.library_version),
        _version(library.cryptoki_version),
    )


def _describe_slot(slot: Slot) -> SlotFacts:
    try:
        token = slot.get_token()
    except PKCS11Error as error:
        return SlotFacts(slot.slot_id, slot.slot_description, None, describe(error))
    if not token.flags & TokenFlag.TOKEN_INITIALIZED:
        return SlotFacts(slot.slot_id, slot.slot_description, None)
    name = f"{token.label} (serial {_text(token.serial)})"
    return SlotFacts(slot.slot_id, slot.slot_description, name)


def _describe_token(token: Token, path: str) -> TokenFacts:
    return TokenFacts(
        token.label,
        _text(token.serial),
        token.manufacturer_id,
        token.model,
        _version(token.firmware_version),
        token.flags,
        read_room(path, token.slot.slot_id),
    )


def _describe_mechanisms(slot: Slot) -> dict[Mechanism, MechanismFacts | None]:
    offered = slot.get_mechanisms()
    return {one: _describe_mechanism(slot, one) if one in offered else None for one in NEEDED}


def _describe_mechanism(slot: Slot, mechanism: Mechanism) -> MechanismFacts:
    info = slot.get_mechanism_info(mechanism)
    return MechanismFacts(
        info.min_key_length or 0,
        info.max_key_length or 0,
        signs=bool(info.flags & MechanismFlag.SIGN),
        generates=bool(info.flags & MechanismFlag.GENERATE_KEY_PAIR),
    )


def _version(pair: tuple[int, int]) -> str:
    return f"{pair[0]}.{pair[1]}"


def _text(data: bytes) -> str:
    return data.decode(errors="replace").strip()
