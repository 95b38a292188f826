"""Pure core: formats, proofs and verdicts. No clock, no files, no network."""
