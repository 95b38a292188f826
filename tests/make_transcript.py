"""Writes docs/operations/commissioning-transcript.txt: `python tests/make_transcript.py`.

It is what a technician's terminal shows of the wizard, from a real run as in the integration test.
Left out is what differs from machine to machine: its name, its links, and lines of files.
"""

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from socket import gethostname
from typing import Final

ROOT: Final = Path(__file__).parents[1]
OUTPUT: Final = ROOT / "docs" / "operations" / "commissioning-transcript.txt"
LEFT_OUT: Final = "(...)"
_FILES: Final = (
    ("-----BEGIN CHOPMARK FILE-----", "-----END CHOPMARK FILE-----"),
    (": chopmark/enrolment", "signed by"),
    ("link ", "Enter if it is right"),
)
"""First and last line of what is left out between them."""


def tidy(shown: str, host: str, ports: tuple[int, ...], folder: str) -> str:
    """The screen without what is this machine's own: the broker is called as it would be."""
    for port, usual in zip(ports, (8883, 8884), strict=True):
        shown = re.sub(rf"(?<!\d){port}(?!\d)", str(usual), shown)
    shown = shown.replace(f"{host}:8883", "broker.bank-hk.example:8883")
    shown = shown.replace("[8883]: 8884", "[8884]:")  # as it would be with the usual ports
    shown = shown.replace(f"{folder}/b/etc", "/etc/chopmark")
    text = "\n".join(_leave_out(shown.splitlines()))
    text = re.sub(rf"^{re.escape(host)}\(", "gw(", text, flags=re.MULTILINE)
    text = text.replace(f"gateway {host} ", "gateway gw ")
    return text.strip() + "\n"


def _leave_out(lines: list[str]) -> Iterator[str]:
    until = ""
    for line in lines:
        if until:
            if not line.startswith(until):
                continue
            until = ""
            yield LEFT_OUT
        yield line
        until = next((last for first, last in _FILES if line.startswith(first)), "")


def main() -> None:
    """Run the wizard, and write down what was shown."""
    sys.path[:0] = [str(ROOT / "demo")]
    from commissionings import Commissioning

    with tempfile.TemporaryDirectory(prefix="w") as folder:
        made = Commissioning(Path(folder), roster=True, far=True)
        try:
            made.begin()
            made.commission()
            shown = made.far.screen.text
            ports = (made.broker.port, made.secure.publish_port)
        finally:
            made.close()
    OUTPUT.write_text(tidy(shown, gethostname(), ports, folder))


if __name__ == "__main__":
    main()
