"""A technician at the serial port of a booted box: enrolled, signed in, typing."""

import time

from bootedbox import Box

from chopmark.console.access.store import Store
from chopmark.core.enrolment import Heading, Person
from commissionings import Technician
from technicians import HASH, PIN, Telephone, authority, signed

STATE = "var/lib/chopmark-console"
PROMPT = (")>", ")[")


class Visitor:
    """Somebody with a laptop, and head office on the telephone."""

    def __init__(self, box: Box, far: str) -> None:
        self.box, self.far = box, Technician(far)
        self.phone = Telephone("chan")
        self.codes = 0

    def close(self) -> None:
        self.far.serial.close()

    def stage(self) -> str:
        """Where the box is staged; gives its commissioning code."""
        words = ("/opt/chopmark/bin/chopmark-console", "init-access", "SN-0001")
        said = self.box.run(*words, user="chopmark-console").stdout
        return said.splitlines()[1].split()[-1]

    def enrol(self, code: str) -> None:
        """Bring the first enrolment to a new box."""
        now = int(time.time())
        known = Store(self.box.root / STATE).read_box()
        heading = Heading(known, 1, now, now + 86_400, authority(), (Person("chan", "service"),))
        self._wake()
        self.far.type("enrol")
        self.far.expect("commissioning code:")
        self.far.type(code)
        self.far.expect("paste the enrolment")
        file = signed(heading, HASH).decode().strip()
        self.far.type(file.replace("\n", "\r").replace("—", "-"))
        self.far.expect("the same?")
        self.far.type("yes")
        self.far.expect("is in force")

    def sign_in(self) -> None:
        """By the code by the counter: nobody keeps the clock of a container."""
        self.far.expect("id: ")
        self.far.type("chan")
        self.far.expect("PIN: ")
        self.far.type(PIN)
        kind, _ = self.far.expect("code (by the clock)", "code (by the counter")
        clock = "clock" in kind
        self.far.type(self.phone.by_clock(time.time()) if clock else self.phone.by_counter())
        self.far.expect("Signed in as")
        self.far.expect(*PROMPT)
        self.ask("terminal length 0")

    def ask(self, line: str) -> str:
        """Type a command; what comes between its echo and the next prompt."""
        self.far.type(line)
        self.far.expect(line)
        return self.far.expect(*PROMPT)[1]

    def _wake(self) -> None:
        self.far.type("")
        self.far.expect("All that is done here is recorded")
