"""What the doctor's facts mean: a line for each, with a mark, and for a fault the next step.

Pure: no module and no token is asked. Marks: `ok`; `warning`, what an operator should know and may
live with; `fault`, what keeps a gateway from working, or a key from being kept.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from pkcs11.constants import TokenFlag
from pkcs11.mechanisms import Mechanism

from chopmark.hsm.attributes import TokenKey
from chopmark.hsm.facts import Facts, MechanismFacts, Probe, Speed, TokenFacts
from chopmark.hsm.tokeninfo import Room

Mark = Literal["ok", "warning", "fault"]
P256_BITS: Final = 256
ED25519_BITS: Final = (255, 256)
"""Both are in use: bits of the field, or of the key."""
KEPT: Final = "kept"
MADE: Final = "made"
SLOW: Final = 1.0
"""Signatures a second below which a gateway falls behind its peers' heartbeats."""
LITTLE_ROOM: Final = 4096
"""Bytes: a key pair and a head mark, twice over."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table.

    Attributes:
        section: `module`, `token`, `mechanisms`, `keys`, `refuses`, or `speed`.
        mark: how it is.
        name: what it is about.
        text: what was found.
        hint: the next step, where one is due.
    """

    section: str
    mark: Mark
    name: str
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """What a gateway needs of its token.

    Attributes:
        labels: label of each key by role, of a gateway that is set up; empty otherwise. The witness
            key may be missing.
        ed25519: whether a key of it is Ed25519; None if that is still open.
    """

    labels: tuple[tuple[str, str], ...] = ()
    ed25519: bool | None = None


def diagnose(facts: Facts, need: Need) -> tuple[Line, ...]:
    """The table, in the order of its sections."""
    return (
        *_judge_module(facts),
        *_judge_token(facts),
        *_judge_failures(facts),
        *_judge_mechanisms(facts, need),
        *_judge_keys(facts, need),
        *_judge_refusals(facts),
        *_judge_speed(facts.speed),
    )


def has_faults(lines: Iterable[Line]) -> bool:
    """Whether anything is wrong; warnings alone are not."""
    return any(line.mark == "fault" for line in lines)


def _judge_module(facts: Facts) -> Iterator[Line]:
    library = facts.library
    if library is not None:
        yield Line("module", "ok", "file", library.path)
        maker = f"{library.manufacturer}, {library.description} {library.version}"
        yield Line("module", "ok", "made by", f"{maker}, PKCS#11 {library.cryptoki}")
    if facts.warning is not None:
        hint = "for tests and demonstrations; a gateway of value has a device"
        yield Line("module", "warning", "storage", facts.warning, hint)
    for slot in facts.slots:
        name = f"slot {slot.number:#x}"
        if slot.fault is not None:
            hint = "is the device in it, and powered? the vendor's tool shows more"
            yield Line("module", "warning", name, f"does not answer: {slot.fault}", hint)
        else:
            yield Line("module", "ok", name, slot.token or f"no token: {slot.description}")
    if library is not None and not any(slot.token for slot in facts.slots):
        hint = (
            "initialise one with the vendor's tool; for SoftHSM, is SOFTHSM2_CONF set? "
            "for p11-kit, does its server run?"
        )
        yield Line("module", "fault", "tokens", "none", hint)


def _judge_failures(facts: Facts) -> Iterator[Line]:
    for one in facts.failures:
        section = "module" if one.name == "module" else "token"
        hint = one.hint or "`chopmark status` and the vendor's tool say more"
        yield Line(section, "fault", one.name, one.message, hint)
    tokens = [slot for slot in facts.slots if slot.token]
    if facts.token is None and not facts.failures and len(tokens) > 1:
        hint = "name one by --token-label"
        yield Line("token", "fault", "token", f"there are {len(tokens)}", hint)


def _judge_token(facts: Facts) -> Iterator[Line]:
    token = facts.token
    if token is None:
        return
    yield Line("token", "ok", "label", f"{token.label} (serial {token.serial})")
    made = f"{token.manufacturer} {token.model}, firmware {token.firmware}"
    yield Line("token", "ok", "device", made)
    yield from _judge_flags(token.flags)
    yield from _judge_pin(token)
    if token.room is not None:
        yield from _judge_room(token.room)


def _judge_flags(flags: TokenFlag) -> Iterator[Line]:
    if flags & TokenFlag.LOGIN_REQUIRED:
        yield Line("token", "ok", "login", "required")
    else:
        hint = "whoever reaches the module can sign: set a user PIN with the vendor's tool"
        yield Line("token", "warning", "login", "not required", hint)
    if flags & TokenFlag.WRITE_PROTECTED:
        hint = "no head mark and no new key can be made; unlock it with the vendor's tool"
        yield Line("token", "warning", "write-protected", "yes", hint)


def _judge_pin(token: TokenFacts) -> Iterator[Line]:
    flags = token.flags
    if flags & TokenFlag.PROTECTED_AUTHENTICATION_PATH:
        yield Line("token", "ok", "PIN pad", "the PIN is typed at the device")
    if not flags & TokenFlag.USER_PIN_INITIALIZED:
        yield Line("token", "fault", "PIN", "none is set", "set a user PIN with the vendor's tool")
    elif flags & TokenFlag.USER_PIN_LOCKED:
        hint = "the security officer unlocks it with the vendor's tool"
        yield Line("token", "fault", "PIN", "locked", hint)
    elif flags & TokenFlag.USER_PIN_FINAL_TRY:
        hint = "the gateway tries none; log in once with the vendor's tool and the right PIN"
        yield Line("token", "fault", "PIN", "one more wrong PIN locks it", hint)
    elif flags & TokenFlag.USER_PIN_COUNT_LOW:
        hint = "a right PIN sets the count back; find out who tried"
        yield Line("token", "warning", "PIN", "a wrong PIN was tried", hint)
    elif flags & TokenFlag.USER_PIN_TO_BE_CHANGED:
        hint = "change it with the vendor's tool, then the credential"
        yield Line("token", "warning", "PIN", "the maker's, or expired", hint)
    else:
        yield Line("token", "ok", "PIN", "set, no wrong try counted")


def _judge_room(room: Room) -> Iterator[Line]:
    if room.sessions is not None:
        most = f" of {room.max_sessions}" if room.max_sessions else ""
        full = bool(room.max_sessions) and room.sessions + 1 >= (room.max_sessions or 0)
        hint = "close those that nobody uses, or restart what holds them" if full else ""
        text = f"{room.sessions}{most} open"
        yield Line("token", "warning" if full else "ok", "sessions", text, hint)
    if room.free_private is not None:
        small = room.free_private < LITTLE_ROOM
        hint = "destroy what nobody needs: `chopmark hsm keys` lists keys" if small else ""
        text = f"{room.free_private} bytes free for private objects"
        yield Line("token", "warning" if small else "ok", "memory", text, hint)


def _judge_mechanisms(facts: Facts, need: Need) -> Iterator[Line]:
    if not facts.mechanisms:
        return
    for one in (Mechanism.EC_KEY_PAIR_GEN, Mechanism.ECDSA):
        found = facts.mechanisms.get(one)
        problem = _check(found, one, (P256_BITS,))
        if problem is None:
            yield Line("mechanisms", "ok", one.name, _describe(found))
        else:
            hint = "a gateway's log key is P-256: this token cannot hold it"
            yield Line("mechanisms", "fault", one.name, problem, hint)
    for one in (Mechanism.EC_EDWARDS_KEY_PAIR_GEN, Mechanism.EDDSA):
        found = facts.mechanisms.get(one)
        problem = _check(found, one, ED25519_BITS)
        if problem is None:
            yield Line("mechanisms", "ok", one.name, _describe(found))
        elif need.ed25519:
            hint = "a key of this gateway is Ed25519: is this the right token and firmware?"
            yield Line("mechanisms", "fault", one.name, problem, hint)
        elif need.ed25519 is False:
            text = f"{problem}, nor needed: this gateway's keys are P-256"
            yield Line("mechanisms", "ok", one.name, text)
        else:
            hint = "`chopmark init --cosigner-key p256` does without"
            text = f"{problem}: no witness for logs of others"
            yield Line("mechanisms", "warning", one.name, text, hint)
    yield from _judge_data(facts)
    yield from _judge_curve(facts, need)


def _judge_curve(facts: Facts, need: Need) -> Iterator[Line]:
    """The curve of chain accounts: some modules have it, and those of TPMs have not."""
    found = facts.chain_curve
    if found is None:
        return
    if found == MADE:
        yield Line("mechanisms", "ok", "secp256k1", "the key of a chain account can be kept in it")
        return
    text = f"not offered ({found}): the key of a chain account must be one in software"
    if any(role == "chain" for role, _ in need.labels):
        hint = 'set key = "file" in [anchor], and `chopmark anchor init`'
        yield Line("mechanisms", "fault", "secp256k1", text, hint)
    else:
        yield Line("mechanisms", "ok", "secp256k1", text)


def _judge_data(facts: Facts) -> Iterator[Line]:
    if facts.keeps_data == KEPT:
        yield Line("mechanisms", "ok", "data objects", "kept: the head mark has a place")
    elif facts.keeps_data is not None:
        hint = "after each start peers are asked for the newest head: docs/operations/recovery.md"
        text = f"not kept ({facts.keeps_data})"
        yield Line("mechanisms", "warning", "data objects", text, hint)


def _check(found: MechanismFacts | None, one: Mechanism, bits: tuple[int, ...]) -> str | None:
    """What is wrong with a mechanism, or None."""
    if found is None:
        return "not offered"
    generates = one in (Mechanism.EC_KEY_PAIR_GEN, Mechanism.EC_EDWARDS_KEY_PAIR_GEN)
    if not (found.generates if generates else found.signs):
        return "offered, but not for this"
    # Some tell no sizes, and some tell bytes.
    if found.largest and not any(found.smallest <= size <= found.largest for size in bits):
        in_bytes = any(found.smallest <= size // 8 <= found.largest for size in bits)
        return None if in_bytes else f"only keys of {found.smallest} to {found.largest} bits"
    return None


def _describe(found: MechanismFacts | None) -> str:
    if found is None or not found.largest:
        return "offered"
    if found.smallest == found.largest:
        return f"keys of {found.largest}"
    return f"keys of {found.smallest} to {found.largest}"


def _judge_keys(facts: Facts, need: Need) -> Iterator[Line]:
    if facts.keys is None:
        return
    roles = {label: role for role, label in need.labels}
    for key in facts.keys:
        yield _judge_key(key, roles.get(key.label), logged_in=facts.logged_in)
    there = [key.label for key in facts.keys]
    for label, role in roles.items():
        if label not in there and role == "chain":
            hint = "nothing is anchored: `chopmark anchor init` makes it"
            yield Line("keys", "warning", label, "the key of the chain account is not there", hint)
        elif label not in there and role != "witness":
            hint = "is this the right token? a lost key is replaced through the roster"
            yield Line("keys", "fault", label, f"the {role} key is not there", hint)
        if there.count(label) > 1:
            hint = "the vendor's tool renames or destroys the one that is not ours"
            yield Line("keys", "fault", label, "several keys have this label", hint)


def _judge_key(key: TokenKey, role: str | None, *, logged_in: bool) -> Line:
    what = f"{role} key" if role else "none of this gateway's"
    text = f"{what}, {key.type}"
    if key.wrong:
        mark: Mark = "fault" if role else "warning"
        hint = "a key that the token does not keep is replaced: docs/operations/roster.md"
        if role is None:
            hint = "`chopmark hsm destroy` removes what nobody needs"
        return Line("keys", mark, key.label, f"{text}: {'; '.join(key.wrong)}", hint)
    if not logged_in:
        return Line("keys", "ok", key.label, f"{text}; its attributes need --sign")
    bound = f", bound to {', '.join(key.mechanisms)}" if key.mechanisms else ""
    return Line("keys", "ok", key.label, f"{text}, kept by the token, signs only{bound}")


# tpm2-pkcs11 1.9 changes its own record, and the TPM keeps the key all the same.
_LOOSE: Final = "done: it changes what it says of a key"
_LABELS: Final = "rely on what the device itself attests, not on these attributes"
_PROBES: Final[dict[str, tuple[str, Mark, str, str]]] = {
    "read-private": (
        "giving a private key away",
        "fault",
        "DONE: it gives private keys away",
        "use no key of this token",
    ),
    "extractable": ("making a key extractable", "warning", _LOOSE, _LABELS),
    "not-sensitive": ("making a key readable", "warning", _LOOSE, _LABELS),
    "no-digest": (
        "ECDSA of no digest",
        "ok",
        "done; the gateway checks the length itself",
        "",
    ),
}


def _judge_refusals(facts: Facts) -> Iterator[Line]:
    for probe in facts.probes or ():
        yield _judge_probe(probe)
    if facts.no_probes is not None:
        text = f"refused ({facts.no_probes}): what it refuses was not tried"
        yield Line("refuses", "ok", "keys for a session", text)


def _judge_probe(probe: Probe) -> Line:
    if probe.name == "bind-mechanism":
        if probe.refused is None:
            return Line("refuses", "ok", "binding a key", "done: keys are bound to mechanisms")
        text = f"refused ({probe.refused}): keys are bound to no mechanism"
        return Line("refuses", "ok", "binding a key", text)
    name, mark, text, hint = _PROBES[probe.name]
    if probe.refused is not None:
        return Line("refuses", "ok", name, f"refused ({probe.refused})")
    return Line("refuses", mark, name, text, hint)


def _judge_speed(speed: Speed | None) -> Iterator[Line]:
    if speed is None:
        return
    text = (
        f"{_number(speed.rate)} signatures/s, p50 {_number(speed.p50)} ms, "
        f"p99 {_number(speed.p99)} ms ({speed.count} signatures)"
    )
    if speed.rate < SLOW:
        hint = "heads of peers are cosigned late: are others using this device?"
        yield Line("speed", "warning", speed.label, text, hint)
    else:
        yield Line("speed", "ok", speed.label, text)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.0f}"
