"""The appliance's packet filter in a network namespace: who floods shuts out nobody else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from leftout import leave_out
from rig.patience import PATIENCE

RULES = Path(__file__).parents[2] / "firmware-config/root/etc/nftables.conf"
CALLS = 50
"""Fewer than a caller may make at once."""
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
BOX = """\
import subprocess, sys
caller = sys.argv[1]
for words in (
    f"ip link add box type veth peer name caller netns {caller}",
    "ip address add 192.0.2.1/24 dev box",
    "ip address add 2001:db8::1/32 dev box nodad",
    "ip link set box up",
    f"nft --file {sys.argv[2]}",
):
    subprocess.run(words.split(), check=True)
import socket
listeners = [socket.create_server((host, 8443), family=family, backlog=4096)
    for host, family in (("192.0.2.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6))]
print("ready", flush=True)
sys.stdin.read()
"""
CALLER = """\
import select, socket, subprocess, sys
CALLS, ESTABLISHED = int(sys.argv[1]), 1
print("here", flush=True)
sys.stdin.readline()
for words in (
    "ip address add 192.0.2.2/24 dev caller",
    "ip address add 192.0.2.3/24 dev caller",
    "ip address add 2001:db8:0:2::2/32 dev caller nodad",
    "ip address add 2001:db8:0:2::3/32 dev caller nodad",
    "ip address add 2001:db8:0:3::3/32 dev caller nodad",
    "ip link set caller up",
):
    subprocess.run(words.split(), check=True)
def call(source, target):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    one = socket.socket(family, socket.SOCK_STREAM)
    one.setblocking(False)
    one.bind((source, 0))
    one.connect_ex((target, 8443))
    return one
def let_in(calls):
    # How many came in by their first packet: one that was dropped is sent again a second later.
    waiting = {one.fileno(): one for one in calls}
    poll, first = select.poll(), 0
    for number in waiting:
        poll.register(number, select.POLLOUT)
    while waiting:
        for number, _ in poll.poll():
            poll.unregister(number)
            info = waiting.pop(number).getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            first += info[0] == ESTABLISHED and int.from_bytes(info[100:104], sys.byteorder) == 0
    return first
for target, flooding, others in (
    ("192.0.2.1", "192.0.2.2", ["192.0.2.3"]),
    ("2001:db8::1", "2001:db8:0:2::2", ["2001:db8:0:3::3", "2001:db8:0:2::3"]),
):
    let_in([call(source, target) for source in (flooding, *others)])  # neighbours know them now
    flood = [call(flooding, target) for _ in range(300)]
    rest = [let_in([call(other, target) for _ in range(CALLS)]) for other in others]
    print(*rest, flush=True)
"""


def start(script: str, *words: str) -> subprocess.Popen[str]:
    command = ["unshare", "--net", sys.executable, "-c", script, *words]
    pipe = subprocess.PIPE
    environment = {**os.environ, "PATH": PATH}
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)


def test_caller_who_floods_shuts_out_nobody_else() -> None:
    needed = [shutil.which(name, path=PATH) for name in ("nft", "ip", "unshare")]
    if os.geteuid() != 0 or None in needed:
        leave_out("network namespaces need root; nftables and iproute2 are needed, too")
    with start(CALLER, str(CALLS)) as caller, start(BOX, str(caller.pid), str(RULES)) as box:
        try:
            assert caller.stdout is not None
            assert box.stdout is not None
            assert caller.stdout.readline() == "here\n"
            assert box.stdout.readline() == "ready\n"
            said, _ = caller.communicate("\n", timeout=PATIENCE)
        finally:
            caller.kill()
            box.kill()
    (four,), (six, next_door) = (map(int, line.split()) for line in said.splitlines())
    assert (four, six) == (CALLS, CALLS)
    assert next_door < CALLS, "another address of who floods, in the same network of 64 bits"
