"""PKCS#11: the token, its one thread, and the typed signer."""
