"""chopmark: gateways that attest hashes of documents and keep verified replicas."""

__version__ = "0.1.0"
