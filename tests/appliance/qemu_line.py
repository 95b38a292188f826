"""The far end of a serial line of a machine in QEMU: a unix socket."""

import os
import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from consolescreen import Screen

PATIENCE = float(os.environ.get("PATIENCE", "300"))
"""Seconds: everything is emulated, and two machines share two cores with whatever else runs."""


@dataclass
class Line:
    """What comes is read into a screen as on a terminal; what goes is typed.

    Attributes:
        shown: a person looks: before the console runs, firmware and GRUB move the cursor about.
    """

    path: Path
    screen: Screen = field(default_factory=Screen)
    seen: str = ""
    raw: str = ""
    shown: bool = False

    def __post_init__(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(self.path))
        self.socket.settimeout(0.2)

    def close(self) -> None:
        """Unplug our end."""
        self.socket.close()

    def type(self, text: str) -> None:
        """Some text and Enter, no faster than the line is."""
        data = f"{text}\r".encode()
        for at in range(0, len(data), 256):
            self.socket.settimeout(60)
            self.socket.sendall(data[at : at + 256])
            if len(data) > 256:
                time.sleep(0.05)
        self.socket.settimeout(0.2)

    def expect(self, *texts: str, seconds: float = PATIENCE) -> tuple[str, str]:
        """Which of these comes first, and all before it; what follows is for the next."""
        deadline = time.monotonic() + seconds
        pattern = re.compile("|".join(re.escape(one) for one in texts))
        while (found := pattern.search(self.seen)) is None:
            assert time.monotonic() < deadline, f"no {texts} after\n{self.raw[-3000:]}"
            self.read()
        before, self.seen = self.seen[: found.start()], self.seen[found.end() :]
        return found[0], before

    def read(self) -> None:
        """Whatever has come; a fifth of a second at most."""
        with suppress(TimeoutError, BlockingIOError, ConnectionError):
            text = self.socket.recv(65_536).decode("utf-8", "replace")
            if self.shown:
                self.screen.feed(text)
            self.seen += text
            self.raw += text


class Shell:
    """A root shell of the machine under test, which the harness asked for (`qemu_machine`)."""

    def __init__(self, path: Path) -> None:
        self.line = Line(path)
        self.opened, self.uptime = 0.0, "0"

    def open(self, seconds: float = PATIENCE) -> None:
        """Wait for its prompt; before that nothing is read, and what is typed would pile up."""
        self.line.expect("# ", seconds=seconds)
        self.line.type("stty -echo; PS1=; PS2=; printf '%s@@\\n' '@@up'")
        self.line.expect("@@up@@", seconds=seconds)
        self.line.expect("\n")
        self.opened = time.monotonic()
        self.uptime = self.run("cut -d ' ' -f 1 /proc/uptime")

    def run(self, command: str, seconds: float = PATIENCE, *, check: bool = True) -> str:
        """Run a command; gives what it says."""
        code, said = self.ask(command, seconds)
        assert code == 0 or not check, f"{command}: {code}\n{said}"
        return said

    def ask(self, command: str, seconds: float = PATIENCE) -> tuple[int, str]:
        """Run a command; gives exit code and what it says."""
        self.line.type(f"{{ {command} ; }} </dev/null 2>&1; printf '\\n@@%d@@\\n' $?")
        _, before = self.line.expect("\n@@", seconds=seconds)
        _, code = self.line.expect("@@", seconds=30)
        return int(code), before.replace("\r\n", "\n").strip("\r\n")
