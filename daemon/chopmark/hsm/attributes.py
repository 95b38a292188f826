"""What the token says of its key pairs, read back object by object: a claim of its own, no proof.

Without a login only public halves are there; what is said of the private ones is then not known.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import AttributeSensitive, AttributeTypeInvalid
from pkcs11.mechanisms import Mechanism
from pkcs11.types import Object, Session

from chopmark.core.errors import ConfigurationError
from chopmark.core.fingerprint import Fingerprint, encode_public
from chopmark.core.keys import VerifierKey
from chopmark.hsm.demands import KEPT, USED, kept, marks_local
from chopmark.hsm.keys import SECP256K1_PARAMS, read_verifier

SHOWN: Final = ("SIGN_RECOVER", "MODIFIABLE", "ALWAYS_AUTHENTICATE")
"""What is worth knowing, and no fault either way: no mechanism of ours signs with recovery."""
SIGNING: Final = ("ECDSA", "EDDSA")
"""What the names of mechanisms that only sign begin with: some modules list all that hash, too."""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key pair in the token.

    Attributes:
        label: CKA_LABEL.
        public: the public half as a verifier key without a name, or None if it is of no type
            that we know, or not there.
        private: how many private halves have this label; None if that was not looked at (no login).
        flags: boolean attributes of the private half by name; None for what the token does not
            tell. Empty if none was read.
        mechanisms: what CKA_ALLOWED_MECHANISMS binds the private half to; None if not told, and
            empty if to nothing in particular.
        marks_local: whether LOCAL means anything in this token.
        chain: whether the public half is on secp256k1, the curve of chain accounts.
    """

    label: str
    public: VerifierKey | None
    private: int | None
    flags: Mapping[str, bool | None]
    mechanisms: tuple[str, ...] | None = None
    marks_local: bool = True
    chain: bool = False

    @property
    def spki(self) -> bytes | None:
        """DER SubjectPublicKeyInfo of the public half."""
        return encode_public(self.public) if self.public is not None else None

    @property
    def fingerprint(self) -> Fingerprint | None:
        """That of the public half."""
        return Fingerprint(self.spki) if self.spki is not None else None

    @property
    def type(self) -> str:
        """`p256`, `ed25519`, `secp256k1`, or `other`."""
        if self.chain:
            return "secp256k1"
        if self.public is None:
            return "other"
        return "p256" if self.public.is_p256 else "ed25519"

    @property
    def wrong(self) -> tuple[str, ...]:
        """What is not as it must be with a key of ours, each in a few words."""
        return tuple(find_faults(self))


def find_faults(key: TokenKey) -> Iterable[str]:
    """What is wrong with a key pair, as far as it was looked at."""
    if key.public is None and not key.chain:
        yield "no public half that is P-256 or Ed25519"
    if key.private == 0:
        yield "no private half"
    if key.private is not None and key.private > 1:
        yield f"{key.private} private halves have this label"
    if key.flags:
        yield from _find_wrong_flags(key.flags, kept(marks_local=key.marks_local))
    beyond = [one for one in key.mechanisms or () if not one.startswith(SIGNING)]
    if beyond:
        yield f"allowed for {', '.join(beyond)}"


def _find_wrong_flags(flags: Mapping[str, bool | None], asked: Mapping[str, bool]) -> Iterable[str]:
    for name in asked:
        if flags.get(name) is None:
            yield f"{name} is not told"
    for name, value in {**asked, **USED}.items():
        if flags.get(name) not in (None, value):
            yield name if flags[name] else f"not {name}"


def read_pairs(session: Session, *, private: bool) -> tuple[TokenKey, ...]:
    """All key pairs in the token, by label.

    Args:
        session: an open one.
        private: whether it is logged in, and so sees private halves.

    Raises:
        PKCS11Error: the token does not answer.
    """
    # Each search is ended before anything else: an open one locks the session.
    publics = _find(session, ObjectClass.PUBLIC_KEY)
    privates = _find(session, ObjectClass.PRIVATE_KEY) if private else None
    pairs = [_read_pair(label, public, privates) for label, public in publics]
    labels = {label for label, _ in publics}
    alone = [(label, one) for label, one in privates or () if label not in labels]
    pairs += [_read_pair(label, None, [(label, one)]) for label, one in alone]
    return tuple(sorted(pairs, key=lambda pair: pair.label))


def _find(session: Session, kind: ObjectClass) -> list[tuple[str, Object]]:
    found = list(session.get_objects({Attribute.CLASS: kind, Attribute.TOKEN: True}))
    return [(str(_read(one, Attribute.LABEL) or ""), one) for one in found]


def _read_pair(
    label: str, public: Object | None, privates: list[tuple[str, Object]] | None
) -> TokenKey:
    key = _read_public(public) if public is not None else None
    chain = public is not None and _read(public, Attribute.EC_PARAMS) == SECP256K1_PARAMS
    if privates is None:
        return TokenKey(label, key, None, {}, chain=chain)
    # Every one counts, whatever its CKA_ID: a label is how halves are found when it matters.
    halves = [one for its, one in privates if its == label]
    if len(halves) != 1:
        return TokenKey(label, key, len(halves), {}, chain=chain)
    names = (*KEPT, *USED, *SHOWN)
    flags = {name: _read_flag(halves[0], Attribute[name]) for name in names}
    mechanisms, local = _read_mechanisms(halves[0]), marks_local(halves[0].session)
    return TokenKey(label, key, 1, flags, mechanisms, local, chain)


def _read_public(public: Object) -> VerifierKey | None:
    try:
        return read_verifier(public, "")
    except (ConfigurationError, AttributeTypeInvalid, AttributeSensitive):
        return None


def _read_flag(key: Object, name: Attribute) -> bool | None:
    value = _read(key, name)
    return None if value is None else bool(value)


def _read_mechanisms(key: Object) -> tuple[str, ...] | None:
    found = _read(key, Attribute.ALLOWED_MECHANISMS)
    return None if found is None else tuple(_name_mechanism(one) for one in found)


def _read(key: Object, name: Attribute) -> Any:
    try:
        return key[name]
    # Not known to the module, not told to us, or (no handler) a session that was opened without.
    except (AttributeTypeInvalid, AttributeSensitive, NotImplementedError):
        return None


def _name_mechanism(number: int) -> str:
    try:
        return Mechanism(number).name
    except ValueError:
        return f"0x{number:08x}"
