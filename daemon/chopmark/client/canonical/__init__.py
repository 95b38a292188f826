"""Canonical digests: of what a document says, however it was saved (docs/formats/canonical.md).

They never make a verdict valid: they explain why the bytes of a document are not those attested.
"""
