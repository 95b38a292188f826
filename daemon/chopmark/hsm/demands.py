"""What the token must say of a private key of ours, or the key is not used."""

from typing import Final

from pkcs11.constants import Attribute
from pkcs11.exceptions import AttributeTypeInvalid
from pkcs11.types import Object, Session

from chopmark.core.errors import ConfigurationError
from chopmark.hsm.quirks import find_profile

KEPT: Final = {
    "SENSITIVE": True,
    "ALWAYS_SENSITIVE": True,
    "EXTRACTABLE": False,
    "NEVER_EXTRACTABLE": True,
    "LOCAL": True,
}
"""Or it can leave the token, could once, or was made elsewhere; saying nothing is no promise."""
USED: Final = {
    "SIGN": True,
    "DECRYPT": False,
    "UNWRAP": False,
    "DERIVE": False,
}
"""That it signs, and does nothing else; some modules do not know all of these."""


def kept(*, marks_local: bool) -> dict[str, bool]:
    """`KEPT`, as far as this make of token can say it (`Profile.marks_local`)."""
    return {name: value for name, value in KEPT.items() if marks_local or name != "LOCAL"}


def marks_local(session: Session) -> bool:
    """Whether the token of a session does."""
    return find_profile(session.token.manufacturer_id).marks_local


def check_protected(private: Object, label: str) -> None:
    """Refuse a private key that can or could leave the token, or may do anything but sign.

    Raises:
        ConfigurationError: `key-not-protected`, `unfit-key`.
    """
    asked = kept(marks_local=marks_local(private.session))
    wrong = [name for name, value in asked.items() if read_flag(private, Attribute[name]) != value]
    if wrong:
        message = f"key {label!r} is not kept by the token: wrong {', '.join(wrong)}"
        hint = "use keys that `chopmark init` made in the token"
        raise ConfigurationError("key-not-protected", message, hint=hint)
    unused = (name for name, value in USED.items() if not value)
    more = [name for name in unused if read_flag(private, Attribute[name])]
    if more:
        raise unfit(label, f"it may do more than sign: {', '.join(more)}")


def read_flag(key: Object, name: Attribute) -> bool | None:
    """What the token says, or None where its module does not know the attribute."""
    try:
        return bool(key[name])
    except AttributeTypeInvalid:
        return None


def unfit(label: str, why: str) -> ConfigurationError:
    """The error of a key that is none of those that we use."""
    return ConfigurationError("unfit-key", f"key {label!r} does not fit: {why}")
