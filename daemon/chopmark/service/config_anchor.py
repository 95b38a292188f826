"""What must hold for `[anchor]`.

1. 1 to 8 endpoints, each once: `http://` or `https://`, with a host, and neither user nor password.
2. The contract is an address.
3. A key in the token has a label of its own; one in a file has an absolute path.
"""

from typing import Final
from urllib.parse import urlsplit

from chopmark.core.member import check_account
from chopmark.service.config_doors import check_absolute
from chopmark.service.config_model import Anchor, Hsm
from chopmark.service.config_tree import apply_check, wrong_value

MAX_ENDPOINTS: Final = 8
_HINT: Final = "such as http://127.0.0.1:8545 or https://node.example:8545"


def check_anchor(anchor: Anchor, hsm: Hsm) -> None:
    """Apply the rules.

    Raises:
        ConfigurationError: `config-value`.
    """
    count = len(anchor.endpoints)
    if not 1 <= count <= MAX_ENDPOINTS or len(set(anchor.endpoints)) < count:
        raise wrong_value("anchor.endpoints", f"1 to {MAX_ENDPOINTS} are due, each once")
    for url in anchor.endpoints:
        _check_url(url)
    apply_check("anchor.contract", check_account, anchor.contract)
    _check_key(anchor, hsm)
    if anchor.ca is not None:
        check_absolute("anchor.ca", anchor.ca)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong_value("anchor.endpoints", "not an address of a node", hint=_HINT) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise wrong_value("anchor.endpoints", "not an address of a node", hint=_HINT)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        message = "an address holds no user, password or query: it is shown in status and logs"
        raise wrong_value("anchor.endpoints", message, hint=_HINT)


def _check_key(anchor: Anchor, hsm: Hsm) -> None:
    if (anchor.key_file is None) == (anchor.key == "file" and anchor.publish):
        raise wrong_value("anchor.key_file", 'it goes with key = "file", and only with that')
    if anchor.key_file is not None:
        check_absolute("anchor.key_file", anchor.key_file)
    label = anchor.key_label
    if not label.isprintable() or not 0 < len(label.encode()) <= 255:
        raise wrong_value("anchor.key_label", "a label has 1 to 255 bytes that print")
    if label in (hsm.log_label, hsm.cosigner_label, hsm.witness_label):
        raise wrong_value("anchor.key_label", "the same as that of another key")
