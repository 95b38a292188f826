"""SDK for programs on the gateway's machine: hash, attest, verify. Imports `core` only."""
