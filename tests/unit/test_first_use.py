"""Types that two threads of one process may read for the first time are learnt before, at import.

msgspec 0.22 learns a struct when it is first decoded to, without a lock, and runs Python meanwhile:
another thread then meets a struct that is half learnt.
"""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chopmark.console.access.store import Store, Tries
from chopmark.console.access.waits import Count
from chopmark.service.kernelclock import tell
from chopmark.service.scheduled import note_ended
from chopmark.service.token_book import open_book

LEARNING = """
import sys
from pathlib import Path

folder = Path(sys.argv[1])
{read}

def look(frame, event, _argument):
    if event == "call" and frame.f_globals["__name__"].startswith("msgspec."):
        print("learns")

sys.setprofile(look)
found = read()
sys.setprofile(None)
print(found)
"""
"""Says so if msgspec runs Python: it does to learn a type, and not to decode to one it knows."""
HALF_LEARNT = """
import resource, sys, threading
import msgspec

class Inner(msgspec.Struct):
    number: int

class Outer(msgspec.Struct):
    inner: Inner

def read():
    return msgspec.json.decode(b'{"inner": {"number": 1}}', type=Outer)

def meanwhile(frame, event, _argument):
    if event == "call" and frame.f_locals.get("obj") is Inner:
        other = threading.Thread(target=read)
        other.start()
        other.join()

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.setprofile(meanwhile)
read()
"""
ELSEWHERE = """
import msgspec

class Other(msgspec.Struct):
    number: int

def read():
    return msgspec.json.decode(b'{"number": 1}', type=Other)
"""
TRIES = """
from chopmark.console.access.store import Store
read = Store(folder).read_tries
"""
KERNEL = """
from chopmark.service import kernelclock
kernelclock.TOLD = folder / "told"
read = kernelclock._read_told
"""
PIN = """
from chopmark.service.token_book import open_book
def read():
    return open_book(folder).refused
"""
ENDED = """
from chopmark.service.scheduled import read_ended
def read():
    return read_ended(folder, "fsck")
"""


def run(program: str, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("read", "write", "found"),
    [
        (TRIES, lambda at: Store(at).write_tries(Tries({"a": Count(1, 2, 3)})), "Count"),
        (KERNEL, lambda at: tell(at / "told"), "Kernel"),
        (PIN, lambda at: open_book(at).refuse("it is wrong"), "it is wrong"),
        (ENDED, lambda at: note_ended(at, "fsck", 1, "all is well", good=True), "all is well"),
    ],
    ids=["tries", "kernel", "pin", "ended"],
)
def test_reading_what_several_threads_read_learns_no_type(
    read: str, write: Callable[[Path], None], found: str, tmp_path: Path
) -> None:
    write(tmp_path)
    done = run(LEARNING.format(read=read), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert found in done.stdout
    assert "learns" not in done.stdout


def test_reading_to_a_type_that_is_new_is_found_to_learn_it(tmp_path: Path) -> None:
    assert "learns" in run(LEARNING.format(read=ELSEWHERE), tmp_path).stdout


def test_second_thread_that_meets_a_type_half_learnt_ends_the_process() -> None:
    """Once this fails, msgspec has a lock, and types need not be learnt at import any more."""
    assert run(HALF_LEARNT).returncode == -signal.SIGSEGV
