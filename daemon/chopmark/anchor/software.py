"""An account whose key is in a file: for HSMs that have no secp256k1, as those over a TPM.

It is worth less than one in an HSM, and status says which it is. Who steals it can anchor nothing
that the log's own key has not signed: a false anchor is an alarm, and proves nothing about the log.
"""

import asyncio
import os
from pathlib import Path
from typing import Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256K1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from chopmark.core.errors import ConfigurationError, ExistsError, InternalError
from chopmark.core.secp256k1 import account_of, complete
from chopmark.core.transaction import Anchor, Transaction, to_transaction

# keccak-256 has the length of SHA-256, which is all that the library wants to know.
_PREHASHED: Final = ECDSA(Prehashed(SHA256()))


class SoftwareAccount:
    """Implements `ports.Account`.

    Args:
        key: on secp256k1.
        origin: of the log whose heads it may anchor.
    """

    kind: Literal["hsm", "software"] = "software"

    def __init__(self, key: EllipticCurvePrivateKey, origin: str) -> None:
        self._key = key
        self._origin = origin
        self._point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    @property
    def account(self) -> str:
        """`0x…`."""
        return account_of(self._point)

    @property
    def is_missing(self) -> bool:
        """Whether its key is known not to be there: it was read from its file."""
        return False

    async def sign(self, anchor: Anchor) -> bytes:
        """The transaction's bytes."""
        transaction = to_transaction(anchor, self._origin)
        return await asyncio.to_thread(sign_transaction, self._key, transaction)


def sign_transaction(key: EllipticCurvePrivateKey, transaction: Transaction) -> bytes:
    """Sign whatever transaction: for deploying, by a key that is good for nothing else."""
    digest = transaction.digest()
    r, s = decode_dss_signature(key.sign(digest, _PREHASHED))
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    found = complete(point, digest, r.to_bytes(32) + s.to_bytes(32))
    if found is None:
        raise InternalError("bad-signature", "a signature made in software does not verify")
    return transaction.signed(*found)


def make_key() -> EllipticCurvePrivateKey:
    """A new key."""
    return generate_private_key(SECP256K1())


def create_key_file(path: Path) -> str:
    """Make a key, and write it to a file that its owner alone may read; gives the account.

    Raises:
        ExistsError: `key-exists`.
        OSError: the disk refuses.
    """
    key = make_key()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ExistsError("key-exists", f"{path} is there already") from error
    with os.fdopen(number, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return SoftwareAccount(key, "").account


def load_key_file(path: Path) -> EllipticCurvePrivateKey:
    """Read a key that `create_key_file` has written.

    Raises:
        ConfigurationError: `bad-key-file`: it is not there, open to others, or no such key.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise _bad(path, "others than its owner may open it", f"chmod 600 {path}")
            key = load_pem_private_key(file.read(16384), None)
    except OSError as error:
        hint = "`chopmark anchor init` makes it"
        raise _bad(path, error.strerror or str(error), hint) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _bad(path, "it holds no private key that is not encrypted") from error
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256K1):
        raise _bad(path, "its key is not on secp256k1")
    return key


def read_account(path: Path) -> str:
    """The account of a key in a file; raises as `load_key_file`."""
    return SoftwareAccount(load_key_file(path), "").account


def _bad(path: Path, why: str, hint: str = "") -> ConfigurationError:
    return ConfigurationError("bad-key-file", f"the account's key in {path}: {why}", hint=hint)
