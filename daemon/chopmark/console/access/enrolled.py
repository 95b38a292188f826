"""The enrolment in force, and which one may take its place.

The clock is trusted if the kernel says that somebody keeps it, and it is not before a time that is
certain: that at which the enrolment was issued, or at which a code by the clock was taken. What an
enrolment claims counts as long as it is in force, so that a wrong one is mended by the next.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from chopmark.console.access.store import Store
from chopmark.core.enrolment import Enrolment, check_fresh, open_enrolment, parse_enrolment
from chopmark.core.errors import RefusedError


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Reads and takes enrolments. All its calls but `trusted` block.

    Attributes:
        store: where they lie.
        now: seconds since the Unix epoch.
        kept: whether somebody keeps the clock.
    """

    store: Store
    now: Callable[[], float]
    kept: Callable[[], bool]

    def read(self) -> Enrolment | None:
        """The one in force; None before the first. Whose it is was judged when it was taken."""
        data = self.store.read_enrolment()
        return _parse(data) if data else None

    def open(self, certain: int) -> tuple[Enrolment, X25519PrivateKey]:
        """The one in force, and the key that opens it; no time before `certain` is right.

        Raises:
            RefusedError: `not-enrolled`, `enrolment-expired`.
        """
        made = self.read()
        if made is None:
            hint = "type `enrol` in place of an id: it takes the commissioning code and the file"
            raise RefusedError("not-enrolled", "nobody may sign in here yet", hint=hint)
        check_fresh(made, self._latest(max(certain, made.heading.issued)))
        return made, self.store.read_key()[1]

    def check(self, data: bytes, certain: int) -> Enrolment:
        """One that may be put in force; see `Access.check`."""
        current = self.read()
        if current is not None and data == self.store.read_enrolment():
            return current
        made = open_enrolment(data, None if current is None else current.heading.authority)
        name, private = self.store.read_key()
        if made.heading.box != self.store.read_box():
            message = f"this file is for the box {made.heading.box.name}, and this one is {name}"
            hint = "each box has its own file, made with the key that it shows"
            raise RefusedError("enrolment-for-another-box", message, hint=hint)
        made.unseal(private)
        if current is not None:
            _check_newer(made, current)
        check_fresh(made, self._latest(certain))
        return made

    def trusted(self, certain: int) -> bool:
        """Whether the clock is; no time before `certain` is right."""
        return self.kept() and self.now() >= certain

    def _latest(self, certain: int) -> int:
        """The latest time that has certainly been."""
        return int(self.now()) if self.trusted(certain) else certain


@lru_cache(maxsize=2)
def _parse(data: bytes) -> Enrolment:
    """Parsed once for each file; what is sealed in it stays so."""
    return parse_enrolment(data)[0]


def _check_newer(made: Enrolment, current: Enrolment) -> None:
    mine, theirs = current.heading.version, made.heading.version
    if theirs <= mine:
        message = f"this is number {theirs} of this box's enrolments, and number {mine} is in force"
        hint = "ask head office for the newest one"
        raise RefusedError("enrolment-older", message, hint=hint)
