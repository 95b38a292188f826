"""What is raised inside this package, and goes no further."""


class NotCanonicalError(ValueError):
    """The document has no canonical digest of this name; the message says why."""
