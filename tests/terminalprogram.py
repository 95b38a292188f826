"""A technician's own terminal: picocom in a window of tmux, and `sz` and `rz` started from it.

What is typed goes through the keyboard of the terminal; what comes is read where a technician has
it logged. The window is 80 columns by 24 lines.
"""

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Final

from consolescreen import Screen
from rig.patience import PATIENCE

_ATTENTION: Final = "C-a"
_ZMODEM: Final = re.compile(r"rz\r|\*\*\x18B[0-9a-f]{14}\r.?\n?\x11?|[\x00-\x06\x0b-\x0c\x0e-\x1f]")


class Picocom:
    """The far end of a line.

    Args:
        path: the port.
        folder: the laptop's files; made if missing.
    """

    def __init__(self, path: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.screen = Screen()
        self.seen = ""
        self._log = folder / "session.log"
        self._read, self._rest = 0, b""
        self._socket = folder / "tmux"
        programs = ("--send-cmd", "sz -q -b", "--receive-cmd", "rz -q -b -y")
        options = ("-q", "-b", "115200", *programs, "--logfile", self._log.name)
        self._tmux("-u", "-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "-c",
                   str(folder), "picocom", *options, path)  # fmt: skip
        self._wait(self._log.exists, "picocom to begin")

    def close(self) -> None:
        """Close the window."""
        subprocess.run(self._command("kill-server"), capture_output=True, check=False)

    @property
    def window(self) -> str:
        """What stands in the window, and above it."""
        return self._tmux("capture-pane", "-p", "-S", "-500")

    def type(self, text: str) -> None:
        """Type a line, or paste several, and press Enter."""
        self._tmux("load-buffer", "-", given=f"{text}\r")
        self._tmux("paste-buffer", "-d", "-r")

    def expect(self, *texts: str) -> tuple[str, str]:
        """Which of these comes first, and all before it; what follows is for the next."""
        pattern = re.compile("|".join(re.escape(one) for one in texts))
        deadline = time.monotonic() + PATIENCE
        while (found := pattern.search(self.seen)) is None:
            assert time.monotonic() < deadline, f"no {texts} in\n{self.window}"
            if not self._take():
                time.sleep(0.01)
        before, self.seen = self.seen[: found.start()], self.seen[found.end() :]
        return found[0], before

    def receive(self) -> None:
        """Have picocom run `rz`."""
        self._run("C-r", "")

    def send(self, path: Path) -> None:
        """Have picocom run `sz` with a file."""
        self._run("C-s", str(path))

    def _run(self, key: str, words: str) -> None:
        asked, ended = (self.window.count(one) for one in ("*** file:", "*** exit status:"))
        self._tmux("send-keys", _ATTENTION, key)
        self._wait(lambda: self.window.count("*** file:") > asked, "picocom to ask for a file")
        self._tmux("send-keys", "-l", words) if words else None
        self._tmux("send-keys", "Enter")
        self._wait(lambda: self.window.count("*** exit status:") > ended, "the transfer to end")
        status = self.window.rpartition("*** exit status:")[2].split()[0]
        assert status == "0", self.window

    def _take(self) -> bool:
        """Read what was logged since."""
        with self._log.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        self._read += len(data)
        text = (self._rest + data).decode("utf-8", "ignore")
        self._rest = (self._rest + data)[len(text.encode()) :] if "\x18" not in text else b""
        text = _ZMODEM.sub("", text)
        self.screen.feed(text)
        self.seen += text
        return bool(data)

    def _wait(self, condition: object, what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():  # type: ignore[operator]
            assert time.monotonic() < deadline, f"waited in vain for {what}:\n{self.window}"
            time.sleep(0.02)

    def _tmux(self, *words: str, given: str | None = None) -> str:
        done = subprocess.run(
            self._command(*words), input=given, capture_output=True, text=True, check=True,
            env={**os.environ, "TERM": "screen", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        return done.stdout

    def _command(self, *words: str) -> tuple[str, ...]:
        return ("tmux", "-S", str(self._socket), *words)
