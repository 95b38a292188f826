"""chopmark: gateways that attest hashes of documents and keep verified replicas."""
