"""A technician at a box's serial port, head office on the telephone: from new box to member."""

import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from qemu_lab import BROKER, PUBLISHING, find
from qemu_line import PATIENCE, Line
from qemu_machine import Machine

from chopmark.core.armour import ArmourReader, armour
from chopmark.core.boxkey import parse_box_key
from chopmark.core.enrolment import Heading, Person
from rig.authority import USES, Authority
from rig.gateway import Who
from technicians import HASH, PIN, Telephone, authority, signed

PEOPLE = tuple(f"tech-{number:02}" for number in range(16))
RECORDED = "All that is done here is recorded"
PROMPTS = (")>", "]>")
END = "The gateway works."
ERROR = "\r\nE-1"
LATE = ("133: ", "220: ", "400: ", "408: ", "410: ", "906: ", "950: ")
"""What the wizard says where this box, or the other, is too slow to be heard of in time."""
Answer = str | Callable[[], str]


@dataclass
class HeadOffice:
    """What comes in from the boxes, and is sent to the others once all are there."""

    authority: Authority
    boxes: int
    blocks: dict[str, bytes] = field(default_factory=dict)
    _all: threading.Event = field(default_factory=threading.Event)

    def take(self, member: str, block: bytes) -> None:
        """The block of a gateway; by telephone its words are compared."""
        self.blocks[member] = block
        if len(self.blocks) == self.boxes:
            self._all.set()

    def others(self, member: str) -> bytes:
        """The blocks of all others; waits for them."""
        assert self._all.wait(3 * PATIENCE), f"only {sorted(self.blocks)} have sent their block"
        return b"\n".join(block for name, block in sorted(self.blocks.items()) if name != member)

    def certify(self, request: bytes) -> bytes:
        """What a CA answers to a request."""
        parsed, ca = x509.load_pem_x509_csr(request), self.authority.certificate
        made = (
            x509.CertificateBuilder()
            .subject_name(parsed.subject)
            .issuer_name(ca.subject)
            .public_key(parsed.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(ca.not_valid_before_utc)
            .not_valid_after(ca.not_valid_after_utc)
            .add_extension(x509.ExtendedKeyUsage(USES), critical=False)
            .sign(self.authority.key, SHA256())
        )
        return made.public_bytes(Encoding.PEM)


@dataclass
class Technician:
    """One who stands before a box with a laptop."""

    machine: Machine
    who: Who
    office: HeadOffice
    box: str = ""
    code: str = ""
    token_pin: str = ""
    recovery: str = ""
    next_person: int = 0
    plugged: Line | None = None
    phones: dict[str, Telephone] = field(default_factory=dict)
    pasted: list[tuple[str, bytes]] = field(default_factory=list)
    request: bytes = b""
    block: bytes = b""

    @property
    def line(self) -> Line:
        """The port, since the box was started last."""
        return self.plugged or self.machine.tech

    def stage(self) -> None:
        """The first start, at head office."""
        self.line.expect("Type stage: ", seconds=3 * PATIENCE)
        self.line.type("stage")
        _, said = self.line.expect("An emulated token")
        self.box = _find(r"box key\s+(\S+)", said)
        self.code = _find(r"commissioning code\s+(\S+)", said)
        self.recovery = _find(r"recovery key\s+(\S+)", said)
        self.line.expect("none: ")
        self.line.type(self.who.id)
        _, said = self.line.expect("Type yes: ")
        self.token_pin = _find(r"PIN of the token\s+(\S+)", said)
        self.line.type("yes")
        self.line.expect("This box is staged.")
        # From here on it is the console that writes, within the columns of a terminal.
        self.line.shown = True

    def enrol(self) -> None:
        """The file of who may sign in, with the code of the envelope."""
        now = int(time.time())
        people = tuple(Person(one, "service") for one in PEOPLE)
        key = parse_box_key(self.box)
        heading = Heading(key, 1, now - 60, now + 86_400, authority(), people)
        self.wake()
        self.line.type("enrol")
        self.line.expect("commissioning code:")
        self.line.type(self.code)
        self.line.expect("paste the enrolment")
        self.line.type(signed(heading, HASH).decode().strip().replace("\n", "\r").replace("—", "-"))
        self.line.expect("the same?")
        self.line.type("yes")
        self.line.expect("is in force")
        self.sign_in()

    def wake(self) -> None:
        """Enter, until somebody answers."""
        deadline = time.monotonic() + PATIENCE
        while RECORDED not in self.line.seen:
            assert time.monotonic() < deadline, self.line.raw[-3000:]
            self.line.type("")
            until = time.monotonic() + 5
            while time.monotonic() < until and RECORDED not in self.line.seen:
                self.line.read()
        self.line.expect(RECORDED)

    def arrive(self) -> None:
        """Be signed in, whether the session of before is still there or not."""
        deadline = time.monotonic() + PATIENCE
        self.line.read()
        self.line.seen = ""
        while not any(mark in self.line.seen for mark in (RECORDED, *PROMPTS)):
            assert time.monotonic() < deadline, self.line.raw[-3000:]
            self.line.type("")
            until = time.monotonic() + 5
            while time.monotonic() < until and RECORDED not in self.line.seen:
                self.line.read()
        if RECORDED in self.line.seen:
            self.line.expect(RECORDED)
            self.sign_in()
        self.line.seen = ""

    def leave(self) -> None:
        """Be signed out."""
        self.arrive()
        self.line.type("exit")

    def sign_in(self) -> None:
        """Id, PIN and code; each person once, since a code by the clock counts once."""
        phone = Telephone(PEOPLE[self.next_person % len(PEOPLE)])
        self.next_person += 1
        self.line.expect("id: ")
        self.line.type(phone.name)
        self.line.expect("PIN: ")
        self.line.type(PIN)
        kind, _ = self.line.expect("code (by the clock)", "code (by the counter")
        self.line.type(phone.by_clock(time.time()) if "clock" in kind else phone.by_counter())
        self.line.expect("Signed in as")
        self.prompt()
        self.command("terminal length 0")

    def unlock(self) -> None:
        """After a start of the box its HSM waits for the PIN; it stays in place as it is."""
        self.arrive()
        answers = {"PIN of the HSM": self.token_pin, "Type TRY": "TRY", "Type yes": "no"}
        self.talk("hsm pin", answers)

    def talk(
        self,
        text: str,
        answers: Mapping[str, Answer],
        seconds: float = 2 * PATIENCE,
        end: tuple[str, ...] = PROMPTS,
    ) -> str:
        """A command that asks: each question with its answer, up to the next prompt."""
        said = ""
        self.line.type(text)
        self.line.expect("\r\n")
        while True:
            found, before = self.line.expect(*answers, *end, seconds=seconds)
            said += before
            if found not in answers:
                return said
            answer = answers[found]
            self.line.type(answer if isinstance(answer, str) else answer())

    def send(self, text: str, *files: Path) -> str:
        """A command that takes files by ZMODEM, which a terminal program sends."""
        self.line.type(text)
        _, said = self.line.expect("cancels.")  # wherever its lines are broken
        self.line.socket.settimeout(None)
        program = find("sz") or "sz"
        ports = {"stdin": self.line.socket, "stdout": self.line.socket}
        done = subprocess.run([program, "-q", "-b", *files], check=False, timeout=PATIENCE, **ports)
        self.line.socket.settimeout(0.2)
        assert done.returncode == 0
        return said + self.prompt()

    def second(self) -> dict[str, Answer]:
        """What another technician types who signs in beside this one."""
        phone = Telephone(PEOPLE[self.next_person % len(PEOPLE)])
        self.next_person += 1
        return {
            "id: ": phone.name,
            "PIN: ": PIN,
            "code (by the clock)": lambda: phone.by_clock(time.time()),
            "code (by the counter": phone.by_counter,
        }

    def command(self, text: str) -> str:
        """One command; gives what it shows."""
        self.line.type(text)
        self.line.expect("\r\n")
        return self.prompt()

    def prompt(self) -> str:
        """All up to the next prompt."""
        return self.line.expect(*PROMPTS)[1]

    def commission(self) -> None:
        """The wizard, from its first question to its end."""
        answers, patience = self._answers(), 5
        self.line.type("commission")
        while True:
            found, before = self.line.expect(*answers, END, ERROR, seconds=2 * PATIENCE)
            self._note(before + found)
            if found == END:
                self.prompt()
                return
            if found == ERROR:
                patience -= 1
                number, _ = self.line.expect(*LATE, seconds=30)
                assert patience, f"E-1{number}: {self.line.raw[-3000:]}"
                self.prompt()
                self.line.type("commission")
                continue
            answer = answers[found]
            self.line.type(answer if isinstance(answer, str) else answer())

    def _answers(self) -> dict[str, Answer]:
        who = self.who
        return {
            "Member id, such": who.id,
            "Origin, such as": who.origin,
            "Institution:": who.institution,
            "Place (ISO 3166)": who.jurisdiction.lower(),
            "Broker, HOST:PORT": f"{BROKER}:8883",
            "Letter by letter": "yes",
            "Enter if it is right; `ch": "",
            "Enter if it is right; else": "",
            "Module [": "softhsm",
            "Module: ": "softhsm",
            "Label of the token": who.id,
            "Port to publish at": str(PUBLISHING),
            "PIN of the token:": self.token_pin,
            "The PIN once more:": self.token_pin,
            "Make the keys?": "yes",
            "Write the words of both": "",
            "As a file, too?": "no",
            "Once CA and certificate": self._certify,
            "Way (zmodem/armour/qr)": "armour",
            "Head office has it": self._tell_head_office,
            "What has head office sent": self._ask_head_office,
            "Way (zmodem/armour)": "armour",
            "Paste what": self.paste,
            "Its SHA-256, as head": lambda: sha256(self.office.others(who.id)).hexdigest(),
        }

    def _note(self, text: str) -> None:
        if found := re.search(
            r"-----BEGIN CERTIFICATE REQUEST-----.*?-----END CERTIFICATE REQUEST-----",
            text,
            re.DOTALL,
        ):
            self.request = found[0].replace("\r\n", "\n").encode()
        reader = ArmourReader(8192)
        for line in text.split("\r\n"):
            reader.feed(line)
        if reader.current is not None and not reader.current.missing():
            self.block = reader.current.data()

    def _certify(self) -> str:
        ca = self.office.authority.path.read_bytes()
        self.pasted += [("ca.pem", ca), ("own.pem", self.office.certify(self.request))]
        return ""

    def _tell_head_office(self) -> str:
        self.office.take(self.who.id, self.block)
        return "yes"

    def _ask_head_office(self) -> str:
        self.pasted.append(("peers", self.office.others(self.who.id)))
        return "peers"

    def paste(self) -> str:
        """The next file that head office has sent, as armoured lines."""
        return "\r".join(armour(*self.pasted.pop(0)))


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, f"no {pattern} in\n{text}"
    return found[1]
