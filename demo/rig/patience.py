"""How long anybody here waits for what must come."""

from typing import Final

PATIENCE: Final = 120.0
"""Seconds. Many times what it takes: a machine may be busy with all sorts of other work."""
