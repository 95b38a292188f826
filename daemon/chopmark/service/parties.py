"""Who the members are, for those who name them, and what they have attested."""

from collections.abc import Iterable

from chopmark.core.errors import MissingError, RefusedError
from chopmark.core.member import Member


class Parties:
    """All members that are known here.

    Args:
        members: our own first.
    """

    def __init__(self, members: Iterable[Member]) -> None:
        self._members = tuple(members)

    def of(self, origin: str) -> Member | None:
        """The member whose log this is."""
        return next((one for one in self._members if one.origin == origin), None)

    def find(self, name: str) -> Member:
        """A receiver by id, origin or institution: active, and no notary; of several the first.

        Raises:
            MissingError: `no-such-member`.
            RefusedError: `receiver-not-active`.
        """
        found = [one for one in self._members if name in (one.id, one.origin, one.institution)]
        if not found:
            known = ", ".join(sorted(one.id for one in self._members))
            message = f"no member {name!r} is known here"
            raise MissingError("no-such-member", message, hint=f"known here: {known}")
        active = [one for one in found if one.is_active]
        if not active:
            message = f"{name} is {found[0].state}, and can receive nothing"
            raise RefusedError("receiver-not-active", message, hint="name another receiver")
        using = [one for one in active if not one.is_notary]
        if not using:
            message = f"{name} is a notary, and uses nothing"
            raise RefusedError("receiver-not-active", message, hint="name another receiver")
        return min(using, key=lambda one: one.id)

    def same_institution(self, origin: str, member: Member) -> bool:
        """Whether a log is of a member's institution."""
        found = self.of(origin)
        return found is not None and found.institution == member.institution
