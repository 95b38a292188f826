"""SDK: hash locally, submit, verify. Imports `core` only."""
