"""The terminal without a port: bytes in, keys and lines out; text in, inert lines out."""
