"""One who may do everything: of whom a test says nothing."""

from typing import Final

from chopmark.api.identity import ANY_KIND, ROLES, Caller

ANYBODY: Final = Caller("", ROLES, ANY_KIND, machine=False, door="unix")
