"""A bare box, a technician at the far end of its line, and head office on the telephone.

Real: the console's process, chopmark-admin, SoftHSM, Mosquitto, the daemon, another gateway. A
STAND-IN is what `serialline` (the line) and `adminbox` (systemctl) say of themselves.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from socket import gethostbyname, gethostname
from typing import Any, Final

import httpx
from serial import Serial

from adminbox import AdminBox
from chopmark.client.emergency import make_emergency_key
from chopmark.console.access.store import Store
from chopmark.core.armour import ArmourReader, armour
from chopmark.core.enrolment import Heading, Person
from chopmark.core.roster_follow import SignedRoster, open_roster
from chopmark.service.config_edit import set_brokers
from chopmark.service.config_model import Broker as ConfiguredBroker
from chopmark.service.config_model import BrokerTls
from consolebox import times_begun
from consolescreen import Screen
from rig.broker import Broker
from rig.gateway import SHENZHEN, Gateway
from rig.patience import PATIENCE
from securebroker import Authority, SecureBroker
from serialline import SerialLine
from technicians import HASH, PIN, Telephone, authority, signed
from terminalprogram import Picocom

HOST: Final = gethostname()
"""Of the broker on another machine: by this name the box does not take it for its own."""

PEOPLE = tuple(f"tech-{number:02}" for number in range(16))
"""A code by the clock counts once: where somebody keeps the clock, each signs in once."""
END = "The gateway works."
ERROR = "\r\nE-1"
LATE = ("133: ", "220: ", "408: ", "410: ", "906: ", "950: ")
"""What the wizard says where a program or a peer is too slow to be heard of in time."""
MOST_LATE = 5
Answer = str | Callable[[], str | None]
"""What is typed; or what somebody does, which gives that, or None if nothing is typed."""


@dataclass(frozen=True)
class Kill:
    """SIGKILL of `whom` as a text is seen.

    Attributes:
        whom: `console`, `admin`, `daemon`, or `all` of them.
        answered: what the text asks is answered first.
    """

    text: str
    whom: str = "console"
    answered: bool = True


@dataclass
class Technician:
    """The far end."""

    path: str
    screen: Screen = field(default_factory=Screen)
    seen: str = ""

    def __post_init__(self) -> None:
        self.serial = Serial(self.path, 115_200, timeout=0.05, write_timeout=PATIENCE)

    def close(self) -> None:
        self.serial.close()

    def type(self, text: str) -> None:
        self.serial.write(f"{text}\r".encode())

    def expect(self, *texts: str) -> tuple[str, str]:
        """Which of these comes first, and all before it; what follows is for the next."""
        deadline = time.monotonic() + PATIENCE
        pattern = re.compile("|".join(re.escape(one) for one in texts))
        while (found := pattern.search(self.seen)) is None:
            assert time.monotonic() < deadline, f"no {texts} after\n{self.screen.text[-3000:]}"
            self._read()
        before, self.seen = self.seen[: found.start()], self.seen[found.end() :]
        return found[0], before

    def _read(self) -> None:
        data = self.serial.read(max(1, self.serial.in_waiting)).decode()
        self.screen.feed(data)
        self.seen += data


@dataclass
class Console:
    """The console's process on a line, which can be killed and started again."""

    box: AdminBox
    line: SerialLine
    process: subprocess.Popen[bytes] | None = None
    begun: int = 0

    @property
    def log(self) -> Path:
        return self.box.folder / "console.log"

    @property
    def folder(self) -> Path:
        return self.box.folder / "console"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "STATE_DIRECTORY": str(self.folder)}

    def launch(self) -> None:
        where = {
            "--port": self.line.box,
            "--config": self.box.config,
            "--admin": self.box.socket,
            "--seat": self.box.folder / "seat",
        }
        words = [str(word) for pair in where.items() for word in pair]
        command = [sys.executable, "-m", "chopmark.console.main", *words]
        self.begun = times_begun(self.log)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)

    def wait(self) -> None:
        self.box.wait_for(self._has_port, "the console to open its port")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None

    def _has_port(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        return times_begun(self.log) > self.begun


class Commissioning:
    """One box on its way from bare to working, with all around it.

    Args:
        folder: for everything.
        roster: head office sends a roster; else blocks of peers.
        far: the broker is on another machine, as the box sees it: it wants TLS of both sides. Then
            files go by ZMODEM, and the technician has picocom.
    """

    def __init__(self, folder: Path, *, roster: bool, far: bool = False) -> None:
        self.roster = roster
        self.authority = Authority(folder / "ca", HOST) if far else None
        self.broker = self._start_broker(folder / "broker")
        self.sz = Gateway(folder / "sz", SHENZHEN, self.broker, "jurisdictions")
        self.laptop = folder / "laptop"
        self._reach_broker()
        self.box = AdminBox(folder / "b")
        self.line = SerialLine()
        self.console = Console(self.box, self.line)
        self.far: Technician | Picocom = (
            Picocom(self.line.far, self.laptop) if far else Technician(self.line.far)
        )
        self.people = iter(PEOPLE)
        self.by_counter = Telephone(PEOPLE[0])
        self.file, self.answer, self.words = b"", b"", ""
        self.forgiven = self.late = 0

    def close(self) -> None:
        self.console.kill()
        self.box.close()
        self.sz.stop()
        self.broker.stop()
        self.far.close()
        self.line.close()

    def begin(self) -> None:
        """Everything runs that runs in a branch and at head office on that day; the box is bare."""
        self.sz.launch()
        assert self.box.token.label == "hk-1"
        code = self._init_access()
        self._start_box()
        self.sz.wait_for(self.sz.is_ready, "to be ready")
        if self.roster:
            self._found_roster()
        self._enrol(code)

    def sign_in(self) -> None:
        self._wake()
        self._sign_in()

    def commission(self, kills: Sequence[Kill] = ()) -> None:
        """Go through the wizard; what is killed at one text is killed once, in the order given."""
        left, answers = list(kills), self._answers()
        self.far.type("commission")
        while True:
            texts = tuple(dict.fromkeys((*(one.text for one in left), *answers, END, ERROR)))
            found, before = self.far.expect(*texts)
            self._note_files(before + found)
            if found == END:
                assert not left, f"never seen: {left}"
                self.far.expect(")>", ")[")
                return
            if found == ERROR:
                self._go_on_after_error()
                continue
            kill = next((one for one in left if one.text == found), None)
            if found in answers and (kill is None or kill.answered):
                answer = answers[found]
                typed = answer if isinstance(answer, str) else answer()
                if typed is not None:
                    self.far.type(typed)
            if kill is not None:
                left.remove(kill)
                self._kill(kill.whom)

    def _kill(self, whom: str) -> None:
        if whom == "all":
            self.cut_power()
            return
        if whom == "console":
            self.console.kill()
            self.console.launch()
            self.console.wait()
            self._go_on()
            return
        self.forgiven += 1
        if whom == "admin":
            self.box.kill()
            self.box.wait_for(lambda: not self.box.programs(), "what it had begun to end")
            self.box.start()
        else:
            self.box.kill_daemon()
            self.box.do("unit-start", unit="gateway")  # as systemd does by itself

    def _go_on_after_error(self) -> None:
        """Who has lost admin or daemon in the midst of something, or waits for a busy machine."""
        found, _ = self.far.expect("901: ", "400: ", *LATE)
        if found in LATE:
            self.late += 1
            assert self.late <= MOST_LATE, self.far.screen.text[-3000:]
        else:
            assert self.forgiven, self.far.screen.text[-3000:]
            self.forgiven -= 1
        self.far.expect(")>", ")[")
        self.far.type("commission")

    def witnessed(self) -> list[str]:
        """The types of the entries of the box's log that a quorum has cosigned."""
        transport = httpx.HTTPTransport(uds=str(self.box.api))
        with httpx.Client(transport=transport, timeout=PATIENCE) as client:
            told: list[dict[str, Any]] = []

            def is_reached() -> bool:
                told.append(client.get("http://localhost/v1/status").json()["witnessed"])
                return bool(told[-1]["state"] == "reached")

            self.box.wait_for(is_reached, "the quorum over all there is")
            page = client.get("http://localhost/v1/entries?after=-1&limit=100&wait=0").json()
        return [one["type"] for one in page["entries"][: int(told[-1]["size"])]]

    def cut_power(self) -> None:
        """SIGKILL of console, chopmark-admin and daemon; then all that starts with a box starts."""
        self.console.kill()
        self.box.kill()
        self.box.kill_daemon()
        for pid in self.box.programs():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self._start_box()
        self._go_on()

    def _go_on(self) -> None:
        self.far.seen = ""
        self.sign_in()
        self.far.type("commission")

    def _start_box(self) -> None:
        self.console.launch()
        self.box.start()
        self.console.wait()

    def _answers(self) -> dict[str, Answer]:
        pin = self.box.token.read_pin()
        return {
            "Member id, such": "hk-1",
            "Origin, such as": "bank-hk.example/hk-1",
            "Institution:": "Bank of Hong Kong (example)",
            "Place (ISO 3166)": "hk",
            "Broker, HOST:PORT": f"{HOST if self.authority else '127.0.0.1'}:{self.broker.port}",
            "Letter by letter": "yes",
            "Enter if it is right; `ch": "",
            "Enter if it is right; else": "",
            "Module [": "",
            "Label of the token": "",
            "PIN of the token:": pin,
            "The PIN once more:": pin,
            "Make the keys?": "yes",
            "Write the words of both": "",
            **(self._by_zmodem() if self.authority else self._by_armour()),
            "Head office has it": self._tell_head_office,
            "What has head office sent": "roster" if self.roster else "peers",
            "Its fingerprint, as head": lambda: self.words.replace("-", " "),
            "Its SHA-256, as head": lambda: self.words,
        }

    def _by_armour(self) -> dict[str, Answer]:
        return {
            "Way (zmodem/armour/qr)": "armour",
            "Way (zmodem/armour)": "armour",
            "Paste what": self._paste,
        }

    def _by_zmodem(self) -> dict[str, Answer]:
        return {
            "Way (zmodem/armour/qr)": "zmodem",
            "Way (zmodem/armour)": "zmodem",
            "Sending hk-1.csr": self._receive,
            "Sending hk-1.toml": self._receive,
            "Have you the certificate?": self._has_certificate,
            "As a file, too?": "yes",
            "Once CA and certificate": self._have_signed,
            "Waiting for ca.pem": lambda: self._send("ca.pem", self._of_ca("ca.pem")),
            "Waiting for hk-1.pem": lambda: self._send("hk-1.pem", self._of_ca("hk-1.pem")),
            "Port to publish at": lambda: str(self.secure.publish_port),
            "Waiting for roster": lambda: self._send("roster", self.file),
        }

    @property
    def secure(self) -> SecureBroker:
        assert isinstance(self.broker, SecureBroker)
        return self.broker

    def _receive(self) -> None:
        """By picocom's `rz`; what came is what head office gets."""
        assert isinstance(self.far, Picocom)
        self.far.receive()
        if (block := self.laptop / "hk-1.toml").exists():
            self.file = block.read_bytes()

    def _send(self, name: str, data: bytes) -> None:
        assert isinstance(self.far, Picocom)
        (self.laptop / name).write_bytes(data)
        self.far.send(Path(name))

    def _of_ca(self, name: str) -> bytes:
        assert self.authority is not None
        return (self.authority.folder / name).read_bytes()

    def _has_certificate(self) -> str:
        assert self.authority is not None
        return "yes" if (self.authority.folder / "hk-1.pem").exists() else "no"

    def _have_signed(self) -> str:
        """The request goes to the CA as it came over the line."""
        assert self.authority is not None
        request = (self.laptop / "hk-1.csr").read_bytes()
        (self.authority.folder / "hk-1.csr").write_bytes(request)
        self.authority.sign("hk-1")
        return ""

    def _start_broker(self, folder: Path) -> Broker:
        if self.authority is None:
            return Broker(folder)
        self.authority.issue("sz-1")
        return SecureBroker(folder, self.authority, "", host=gethostbyname(HOST))

    def _reach_broker(self) -> None:
        """Shenzhen reaches the broker by TLS, too."""
        if self.authority is None:
            return
        ca, pem, key = (self.authority.folder / one for one in ("ca.pem", "sz-1.pem", "sz-1.key"))
        made = ConfiguredBroker(
            host=HOST,
            port=self.broker.port,
            publish_port=self.secure.publish_port,
            tls=BrokerTls(ca=ca, certificate=pem, key=key),
        )
        self.sz.config.write_text(set_brokers(self.sz.config.read_text(), (made,)))

    def _allow(self, roster: Path) -> None:
        """The broker's access list is that of a roster."""
        if self.authority is not None:
            self.secure.access = self.sz.cli("roster", "export-acl", str(roster)).stdout
            self.secure.install()
            self.secure.reload()

    def _note_files(self, text: str) -> None:
        reader = ArmourReader(8192)
        for line in text.split("\r\n"):
            reader.feed(line)
        if reader.current is not None and not reader.current.missing():
            self.file = reader.current.data()

    def _tell_head_office(self) -> str:
        """Head office has the block; asked again after a failure, it has done its part already."""
        if not self.answer:
            self.answer = self._answer_block(self.file)
        self.file = self.answer
        return "yes"

    def _answer_block(self, block: bytes) -> bytes:
        """It makes a roster, or pins the peer; gives what it sends."""
        if self.roster:
            path = self.box.folder / "hk-1.toml"
            path.write_bytes(block)
            self.words = self._join(path)
            return self.file
        self.sz.stop()
        self.sz.pin([block.decode()])
        self.sz.start()
        answer = self.sz.export().encode()
        self.words = sha256(answer).hexdigest()
        return answer

    def _paste(self) -> str:
        return "\r".join(armour("members", self.file))

    def _found_roster(self) -> None:
        block = self.sz.folder / "sz-1.toml"
        block.write_text(self.sz.export())
        vkey = make_emergency_key(SHENZHEN.origin, self.sz.folder / "sz-1.pem")
        first = self.sz.folder / "roster-1"
        joined = ("--first", "--join", str(block), "--emergency", f"sz-1={vkey}")
        self.sz.cli("roster", "propose", str(first), *joined)
        self.sz.cli("roster", "sign", str(first))
        self.sz.cli("roster", "pin", str(first), _read(first).fingerprint.words)
        self._allow(first)

    def _join(self, block: Path) -> str:
        vkey = make_emergency_key("bank-hk.example/hk-1", self.box.folder / "hk-1.pem")
        text = self.sz.folder / "roster-2"
        joined = ("--join", str(block), "--emergency", f"hk-1={vkey}")
        self.sz.cli("roster", "propose", str(text), *joined)
        self.sz.cli("roster", "sign", str(text))
        self._allow(text)
        self.sz.cli("roster", "publish", str(text))
        self.file = text.read_bytes()
        return _read(text).fingerprint.words

    def _init_access(self) -> str:
        """Where the box is staged; gives its commissioning code."""
        command = [sys.executable, "-m", "chopmark.console.main", "init-access", "SN-0001"]
        environment = self.console.environment
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[1].split()[-1]

    def _enrol(self, code: str) -> None:
        box, now = Store(self.console.folder).read_box(), int(time.time())
        people = tuple(Person(one, "service") for one in PEOPLE)
        heading = Heading(box, 1, now, now + 86_400, authority(), people)
        self._wake()
        self.far.type("enrol")
        self.far.expect("commissioning code:")
        self.far.type(code)
        self.far.expect("paste the enrolment")
        self.far.type(signed(heading, HASH).decode().strip().replace("\n", "\r").replace("—", "-"))
        self.far.expect("the same?")
        self.far.type("yes")
        self.far.expect("is in force")
        self._sign_in()

    def _wake(self) -> None:
        self.far.type("")
        self.far.expect("All that is done here is recorded")

    def _sign_in(self) -> None:
        phone = Telephone(next(self.people))
        self.far.expect("id: ")
        self.far.type(phone.name)
        self.far.expect("PIN: ")
        self.far.type(PIN)
        kind, _ = self.far.expect("code (by the clock)", "code (by the counter")
        self.far.type(phone.by_clock(time.time()) if "clock" in kind else phone.by_counter())
        self.far.expect("Signed in as")
        self.far.expect(")>", ")[")
        self.far.type("terminal length 0")
        self.far.expect("0")
        self.far.expect(")>", ")[")


def _read(path: Path) -> SignedRoster:
    return open_roster(path.read_bytes())
