"""PKCS#11: the token, its one thread, and the typed signer."""

from chopmark.hsm.ceremony import create_keys
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.signer import HsmSigner
from chopmark.hsm.start import open_signer

__all__ = ["HsmConfig", "HsmSigner", "create_keys", "open_signer"]
