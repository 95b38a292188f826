"""The module is started with its locks on: without, two threads in SoftHSM end the process."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chopmark.core.errors import TryAgainError
from chopmark.hsm.library import load
from integration.hsm_box import Box
from integration.hsm_kinds import Shelf
from rig.patience import PATIENCE

SPY = next(Path("/usr/lib").glob("*/pkcs11/pkcs11-spy.so"))
START = """
import sys
from chopmark.hsm.library import load

library = load(sys.argv[1], sys.argv[2] or None)
library.finalize()
library.initialize()
assert len(list(library.get_slots(token_present=True))) >= 1
library.finalize()
"""
STRESS = """
import sys, threading, time
from pkcs11.constants import Attribute, ObjectClass
from pkcs11.mechanisms import Mechanism
{load}

token = next(slot.get_token() for slot in library.get_slots(token_present=True))
login = token.open(user_pin=sys.stdin.readline().rstrip())
PRIVATE = {{Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: "chopmark-log"}}
end = time.monotonic() + 4

def work():
    session = token.open()
    while time.monotonic() < end:
        (key,) = list(session.get_objects(PRIVATE))
        assert len(key.sign(b"x" * 32, mechanism=Mechanism.ECDSA)) == 64

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
PLAIN = "import pkcs11; library = pkcs11.lib(sys.argv[1])"
OURS = "from chopmark.hsm.library import load; library = load(sys.argv[1])"


@pytest.fixture
def box(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Box:
    return shelf.box("softhsm", monkeypatch)


def run(script: str, *arguments: str, given: str = "", **more: str) -> int:
    environment = {**os.environ, **more, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(
        command, env=environment, input=given, text=True, check=False, timeout=PATIENCE
    )
    return done.returncode


def test_module_is_told_that_it_may_use_locks_at_each_start(box: Box, tmp_path: Path) -> None:
    output = tmp_path / "spy.txt"
    spying = {"PKCS11SPY": box.token.module, "PKCS11SPY_OUTPUT": str(output)}
    assert run(START, str(SPY), "", **spying) == 0
    assert output.read_text().count(": C_Initialize") == 2
    assert re.findall(r"flags: (\d+)", output.read_text())[:2] == ["2", "2"]  # CKF_OS_LOCKING_OK


def test_module_is_handed_what_it_wants_to_be_told(box: Box) -> None:
    """SoftHSM wants nothing, and says so (PKCS#11 v3.0 §5.4.1: CKR_ARGUMENTS_BAD)."""
    library = load(box.token.module)
    assert library.manufacturer_id == "SoftHSM"
    library.finalize()
    with pytest.raises(TryAgainError, match="CKR_ARGUMENTS_BAD"):
        load(box.token.module, "configdir='sql:/var/lib/chopmark/nss'")


def test_four_threads_in_the_module_do_no_harm(box: Box) -> None:
    assert run(STRESS.format(load=OURS), box.token.module, given=box.token.read_pin()) == 0


def test_four_threads_end_a_process_whose_module_has_no_locks(box: Box) -> None:
    """So the test above can fail: this is how python-pkcs11 starts a module by itself."""
    tries = (
        run(STRESS.format(load=PLAIN), box.token.module, given=box.token.read_pin())
        for _ in range(20)
    )
    assert any(status < 0 for status in tries)  # by a signal, most times the first
