"""Trying a token out: how fast it signs, what it keeps, and what it refuses. Needs a login.

The log key signs typed self-tests here and nothing else. Whatever else is tried uses a key pair
that is destroyed at once: one of the session, or where the module has none such, of the token.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from pkcs11.constants import Attribute, MechanismFlag, ObjectClass
from pkcs11.exceptions import PKCS11Error
from pkcs11.mechanisms import KeyType, Mechanism
from pkcs11.types import Object, Session, SignMixin

from chopmark.core.errors import ChopmarkError
from chopmark.core.selftest import SelfTest
from chopmark.hsm.ceremony import check_absent
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.der import encode_ecdsa
from chopmark.hsm.errors import TokenFaultError, describe
from chopmark.hsm.facts import Facts, Failure, Probe, Speed
from chopmark.hsm.generation import destroy, generate
from chopmark.hsm.keys import (
    P256_PARAMS,
    SECP256K1_PARAMS,
    HsmKey,
    find_objects,
    find_private,
    find_verifier,
    read_verifier,
)
from chopmark.hsm.mark import mark_label
from chopmark.hsm.quirks import find_profile

SIGNATURES: Final = 200
"""So many are timed..."""
SECONDS: Final = 2.0
"""...or as many as fit into this, but never fewer than `FEWEST`: a TPM may take a second each."""
FEWEST: Final = 5
KEPT: Final = "kept"
MADE: Final = "made"
LABEL: Final = "chopmark-doctor"
"""Of what is made to try things out."""
NOWHERE: Final = "chopmark.invalid/trial"
"""Origin of self-tests by a key of no log."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two clocks that are needed.

    Attributes:
        now_ms: milliseconds since the Unix epoch.
        monotonic: seconds of a clock that never goes back.
    """

    now_ms: Callable[[], int]
    monotonic: Callable[[], float]


def try_out(
    facts: Facts, session: Session, config: HsmConfig | None, origin: str | None, clocks: Clocks
) -> None:
    """Fill in what only a login shows.

    Args:
        facts: is filled in.
        session: one with a login.
        config: the labels of the gateway's keys, or None without a gateway.
        origin: of its log.
        clocks: the time to sign, and to measure.

    Raises:
        PKCS11Error: the token does not answer.
    """
    facts.keeps_data = _try_data(session, config)
    facts.chain_curve = _try_curve(facts, session)
    with _throw_away(facts, session) as trial:
        if trial is not None:
            facts.probes = tuple(_probe(session, trial))
        if config is None or origin is None:
            if trial is not None:
                facts.speed = measure(trial, "a trial key", NOWHERE, clocks)
            return
    try:
        key = _find_log_key(session, config, origin)
    except ChopmarkError as error:
        facts.failures.append(Failure("log key", error.message, error.hint))
        return
    facts.speed = measure(key, config.log_label, origin, clocks)


def measure(key: HsmKey, label: str, origin: str, clocks: Clocks) -> Speed:
    """Time signatures, one after the other; each is verified, outside of what is timed.

    Raises:
        TokenFaultError: one does not verify.
        PKCS11Error: the token does not answer.
    """
    taken: list[float] = []
    while len(taken) < SIGNATURES and (sum(taken) < SECONDS or len(taken) < FEWEST):
        test = SelfTest(origin, clocks.now_ms())
        start = clocks.monotonic()
        signature = sign_self_test(key, test)
        taken.append(clocks.monotonic() - start)
        if key.verifier.verify(test.encode(), signature) is None:
            raise TokenFaultError("a signature of the token does not verify")
    taken.sort()
    return Speed(
        label,
        len(taken),
        sum(taken),
        1000 * taken[len(taken) // 2],
        1000 * taken[min(len(taken) - 1, len(taken) * 99 // 100)],
    )


def prove_pair(key: HsmKey) -> None:
    """Have the private half show that it belongs to the public one, by a self-test.

    Whichever key it is, that is a text which it may sign.

    Raises:
        TokenFaultError: it does not.
        PKCS11Error: the token does not answer.
    """
    test = SelfTest(NOWHERE, 0)
    if key.verifier.verify(test.encode(), sign_self_test(key, test)) is None:
        raise TokenFaultError("the two halves of this label are no pair")


def sign_self_test(key: HsmKey, test: SelfTest) -> bytes:
    """The signature of a self-test, as signed notes carry it.

    Raises:
        TypeError: it is anything else: what a log key signs always says what it is.
        PKCS11Error: the token does not answer.
    """
    if type(test) is not SelfTest:
        raise TypeError(f"a SelfTest is signed, and nothing else: {type(test).__name__}")
    text = test.encode()
    if key.mechanism is Mechanism.ECDSA:
        digest = hashlib.sha256(text).digest()
        return encode_ecdsa(key.private.sign(digest, mechanism=key.mechanism))
    return key.private.sign(text, mechanism=key.mechanism)


def _find_log_key(session: Session, config: HsmConfig, origin: str) -> HsmKey:
    verifier = find_verifier(session, config.log_label, origin, cosigner=False)
    return find_private(session, config.log_label, verifier)


@contextmanager
def _throw_away(facts: Facts, session: Session) -> Iterator[HsmKey | None]:
    """A P-256 key pair to try things on, or None where the token makes none."""
    made: tuple[Object, ...] = ()
    try:
        made = _make_for_session(session)
    except PKCS11Error as error:
        # A TPM's module has keys in the token only.
        made = _make_in_token(facts, session, error)
    try:
        if not made or not isinstance(made[1], SignMixin):
            yield None
            return
        yield HsmKey(made[1], Mechanism.ECDSA, read_verifier(made[0], NOWHERE))
    finally:
        destroy(list(made))


def _make_in_token(facts: Facts, session: Session, before: PKCS11Error) -> tuple[Object, ...]:
    facts.no_probes = describe(before)
    if not session.rw:
        return ()
    try:
        check_absent(session, LABEL)
        profile = find_profile(facts.library.manufacturer if facts.library else "")
        made = generate(session, LABEL, KeyType.EC, profile)
    except (PKCS11Error, ChopmarkError) as error:
        facts.no_probes = f"{describe(before)}, and in the token {describe(error)}"
        return ()
    facts.no_probes = None
    return made


def _make_for_session(session: Session, curve: bytes = P256_PARAMS) -> tuple[Object, Object]:
    """A key pair for ECDSA that vanishes with the session."""
    template = {
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
    }
    params = {Attribute.EC_PARAMS: curve}
    domain = session.create_domain_parameters(KeyType.EC, params, local=True)
    return domain.generate_keypair(
        label=LABEL,
        id=LABEL.encode(),
        store=False,
        mechanism=Mechanism.EC_KEY_PAIR_GEN,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        private_template=template,
    )


def _try_curve(facts: Facts, session: Session) -> str:
    """Whether the token makes keys on the curve of chain accounts, and signs with them."""
    made: tuple[Object, ...] = ()
    try:
        try:
            made = _make_for_session(session, SECP256K1_PARAMS)
        except PKCS11Error as error:
            if not session.rw:
                return describe(error)
            check_absent(session, LABEL)
            profile = find_profile(facts.library.manufacturer if facts.library else "")
            made = generate(session, LABEL, KeyType.EC, profile, SECP256K1_PARAMS)
        digest = hashlib.sha256(LABEL.encode()).digest()
        key = made[1]
        good = isinstance(key, SignMixin) and _signs(key, digest)
    except (PKCS11Error, ChopmarkError) as error:
        return describe(error)
    else:
        return MADE if good else "it makes one, and does not sign with it"
    finally:
        destroy(list(made))


def _signs(key: SignMixin, digest: bytes) -> bool:
    return len(key.sign(digest, mechanism=Mechanism.ECDSA)) == 64


def _probe(session: Session, key: HsmKey) -> list[Probe]:
    private = key.private

    def change(name: Attribute, *, value: bool) -> None:
        private[name] = value
        if private[name] != value:  # it said yes, and did nothing
            raise TokenFaultError("it stays as it is")

    # In this order: whether a key can be read is asked once it is as loose as it gets.
    return [
        Probe("extractable", _refusal(lambda: change(Attribute.EXTRACTABLE, value=True))),
        Probe("not-sensitive", _refusal(lambda: change(Attribute.SENSITIVE, value=False))),
        Probe("read-private", _refusal(lambda: _read_value(private))),
        Probe("no-digest", _refusal(lambda: private.sign(b"", mechanism=Mechanism.ECDSA))),
        Probe("bind-mechanism", _refuse_binding(session, private)),
    ]


def _refuse_binding(session: Session, private: Object) -> str | None:
    if not find_profile(session.token.manufacturer_id).binds:  # a key in the session tells nothing
        return "no such key in the token"
    return None if _is_bound(private) else _refusal(lambda: _make_bound(session))


def _read_value(private: Object) -> None:
    # The value itself goes no further than this line.
    if not private[Attribute.VALUE]:
        raise TokenFaultError("it gives nothing")


def _is_bound(private: Object) -> bool:
    """Whether the trial key is bound already: some modules do so by themselves."""
    try:
        return bool(private[Attribute.ALLOWED_MECHANISMS])
    except PKCS11Error:
        return False


def _make_bound(session: Session) -> None:
    params = {Attribute.EC_PARAMS: P256_PARAMS}
    domain = session.create_domain_parameters(KeyType.EC, params, local=True)
    made = domain.generate_keypair(
        label=LABEL,
        store=False,
        mechanism=Mechanism.EC_KEY_PAIR_GEN,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        private_template={Attribute.ALLOWED_MECHANISMS: [Mechanism.ECDSA]},
    )
    try:
        if tuple(made[1][Attribute.ALLOWED_MECHANISMS]) != (int(Mechanism.ECDSA),):
            raise TokenFaultError("it takes the list, and forgets it")
    finally:
        for half in made:
            half.destroy()


def _refusal(act: Callable[[], object]) -> str | None:
    """Why the token refuses, or None if it does it."""
    try:
        act()
    except (PKCS11Error, TokenFaultError) as error:
        return describe(error)
    return None


def _try_data(session: Session, config: HsmConfig | None) -> str | None:
    """Whether a private data object, as the head mark is one, is kept."""
    if config is not None and find_objects(session, ObjectClass.DATA, mark_label(config)):
        return KEPT
    if not session.rw:
        return None
    template = {
        Attribute.CLASS: ObjectClass.DATA,
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.LABEL: LABEL,
        Attribute.APPLICATION: "chopmark",
        Attribute.VALUE: b"a trial",
    }
    try:
        session.create_object(template)
    except PKCS11Error as error:
        return describe(error)
    found = find_objects(session, ObjectClass.DATA, LABEL)
    kept = any(one[Attribute.VALUE] == b"a trial" for one in found)
    for one in found:
        with suppress(PKCS11Error):
            one.destroy()
    return KEPT if kept else "it takes one, and does not keep it"
