"""Keys in software that sign notes, always the same for the same name and seed."""

from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.keys import (
    COSIGNATURE,
    ECDSA_P256,
    ED25519,
    OTHER,
    VerifierKey,
    cosigned_message,
    encode_spki,
)
from chopmark.core.note import Note, Signature
from chopmark.core.ports import Signer
from chopmark.core.roster import Roster
from chopmark.core.roster_text import encode_roster

_DETERMINISTIC = ec.ECDSA(SHA256(), deterministic_signing=True)


@dataclass(frozen=True)
class SoftKey:
    """A private key; `seed` is a number from 1 to 255."""

    name: str
    type: int
    seed: int

    @property
    def vkey(self) -> VerifierKey:
        return _vkey(self)

    def sign(self, text: str, time: int = 0) -> Signature:
        """Sign a note's text; a cosigner signs it as of `time`."""
        payload = self._sign(text.encode(), time)
        return Signature(self.name, self.vkey.key_id, payload)

    def _sign(self, text: bytes, time: int) -> bytes:
        if self.type == ECDSA_P256:
            return p256_of(self.seed).sign(text, _DETERMINISTIC)
        if self.type == OTHER:
            signature = p256_of(self.seed).sign(cosigned_message(time, text), _DETERMINISTIC)
            return time.to_bytes(8, "big") + signature
        if self.type == COSIGNATURE:
            signature = ed25519_of(self.seed).sign(cosigned_message(time, text))
            return time.to_bytes(8, "big") + signature
        return ed25519_of(self.seed).sign(text)


@cache
def _vkey(key: SoftKey) -> VerifierKey:
    if key.type in (ECDSA_P256, OTHER):
        return VerifierKey(key.name, key.type, encode_spki(p256_of(key.seed).public_key()))
    public = ed25519_of(key.seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return VerifierKey(key.name, key.type, public)


@cache
def ed25519_of(seed: int) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


@cache
def p256_of(seed: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(bytes([seed]) * 31), ec.SECP256R1())


def log_key(origin: str, seed: int = 1, key_type: int = ECDSA_P256) -> SoftKey:
    """The key of a log."""
    return SoftKey(origin, key_type, seed)


def cosigner(name: str, seed: int) -> SoftKey:
    """The key of a cosigner."""
    return SoftKey(name, COSIGNATURE, seed)


def p256_cosigner(name: str, seed: int) -> SoftKey:
    """The key of a cosigner whose HSM has no Ed25519."""
    return SoftKey(name, OTHER, seed)


def ed25519_key(name: str, seed: int) -> SoftKey:
    """A key of type 0x01."""
    return SoftKey(name, ED25519, seed)


def sign_head(
    checkpoint: Checkpoint, log: SoftKey, cosigned: dict[SoftKey, int] | None = None
) -> bytes:
    """The checkpoint note, signed by the log and cosigned at these times."""
    text = checkpoint.encode()
    lines = [log.sign(text)]
    lines += [key.sign(text, time) for key, time in (cosigned or {}).items()]
    return Note(text, tuple(lines)).encode()


@dataclass(frozen=True)
class SoftSigner(Signer):
    """The `Signer` of a gateway whose keys are in software."""

    log: SoftKey
    cosigner: SoftKey

    @property
    def log_key(self) -> VerifierKey:
        return self.log.vkey

    @property
    def cosigner_key(self) -> VerifierKey:
        return self.cosigner.vkey

    async def sign_checkpoint(self, checkpoint: Checkpoint) -> Signature:
        return self.log.sign(checkpoint.encode())

    async def cosign(
        self,
        checkpoint: Checkpoint,
        time: int,
        *,
        refresh: bool = False,  # noqa: ARG002 - it has no queue
    ) -> Signature:
        return self.cosigner.sign(checkpoint.encode(), time)

    async def sign_roster(self, roster: Roster) -> Signature:
        return self.log.sign(encode_roster(roster))
