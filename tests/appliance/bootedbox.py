"""A box that boots: systemd as PID 1 in a container, with a root file system of its own.

An overlay over the layers of `rootfs` is its disk. It shares this machine's kernel: what only a
kernel of its own enforces (memory, addresses) is not tried here.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from boxneeds import PATH

SECONDS: Final = 240.0
QUIET: Final = (
    # With /sys writable (see `port`) these would reach for the machine that we share.
    *("systemd-udev-trigger.service", "systemd-sysctl.service", "systemd-modules-load.service"),
    *("systemd-hwdb-update.service", "kmod-static-nodes.service"),
    # Slow, and nothing here is kept over a boot.
    *("console-getty.service", "systemd-timesyncd.service", "apt-daily.timer"),
    *("apt-daily-upgrade.timer", "e2scrub_all.timer", "e2scrub_reap.service"),
)
BOOT: Final = """
mount -t overlay overlay -o "$1" "$2"
umount -R /sys/fs/cgroup 2>/dev/null || true
if mountpoint -q /sys/fs/cgroup; then mount -t tmpfs none /sys/fs/cgroup; fi
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$3"
echo $$ >"/sys/fs/cgroup/$3/cgroup.procs"
shift 3
exec systemd-nspawn --quiet --boot --register=no --keep-unit --link-journal=no --console=read-only \
    --directory="$@"
"""


class Box:
    """A box in the network namespace `space`; `port` is the pty that is its serial port ttyS0."""

    def __init__(
        self, folder: Path, name: str, layers: Sequence[Path], space: str, port: str | None = None
    ) -> None:
        self.folder, self.name = folder, name
        self._layers, self._space, self._port = layers, space, port
        self._nspawn: subprocess.Popen[bytes] | None = None
        for one in ("upper", "work", "merged"):
            (folder / one).mkdir(parents=True)
        masks = folder / "upper/etc/systemd/system"
        masks.mkdir(parents=True)
        for unit in QUIET:
            (masks / unit).symlink_to("/dev/null")

    def boot(self) -> None:
        """Power on; returns once systemd says that the box has started."""
        lower = ":".join(str(one) for one in reversed(self._layers))
        upper, work = self.folder / "upper", self.folder / "work"
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        merged = str(self.folder / "merged")
        words = [f"--network-namespace-path=/run/netns/{self._space}", f"--machine={self.name}"]
        values = os.environ | {"PATH": PATH}
        if self._port is not None:
            words.append(f"--bind={self._port}:/dev/ttyS0")
            # systemd knows devices only where /sys is no read-only copy, and hears of them from
            # udev, which must be allowed to tell.
            words.append("--capability=CAP_NET_ADMIN")
            values["SYSTEMD_NSPAWN_API_VFS_WRITABLE"] = "yes"
        command = ("unshare", "-m", "--propagation", "private", "sh", "-ec", BOOT, "sh")
        with (self.folder / "console.log").open("ab") as log:
            self._nspawn = subprocess.Popen(
                [*command, options, merged, self._group, merged, *words],
                env=values,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_for(self._has_started, "systemd to start all units")
        if self._port is not None:
            self.plug()

    def plug(self) -> None:
        """A STAND-IN: the kernel's word on this machine's own ttyS0 counts as one on the line.

        udev and systemd are real. A manager in a container reads udev's book when it begins anew.
        """
        self.run("udevadm", "trigger", "--action=add", "--settle", "/sys/class/tty/ttyS0")
        self.systemctl("daemon-reexec")
        self.wait_for(lambda: self.is_active("dev-ttyS0.device"), "the serial port")

    def halt(self) -> None:
        """Power off in order; harmless if it does not run."""
        nspawn, self._nspawn = self._nspawn, None
        if nspawn is None:
            return
        nspawn.send_signal(signal.SIGTERM)
        try:
            nspawn.wait(SECONDS)
        except subprocess.TimeoutExpired:
            nspawn.kill()
            nspawn.wait(SECONDS)
        self._remove_group()

    @property
    def _group(self) -> str:
        """Its control group: each box has one of its own, in which its systemd makes more."""
        return f"{self._space}-{self.name}"

    def _remove_group(self) -> None:
        """What is left of the box ends here, whatever became of nspawn."""
        for mounted in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
            group = mounted / self._group
            if (group / "cgroup.kill").exists():
                (group / "cgroup.kill").write_text("1")
                self.wait_for(lambda group=group: _is_empty(group), "its processes to end")
                for folder, _, _ in os.walk(group, topdown=False):
                    Path(folder).rmdir()

    @property
    def leader(self) -> int:
        """The process id of its systemd out here."""
        nspawn = self._nspawn
        assert nspawn is not None
        assert nspawn.poll() is None, (self.folder / "console.log").read_text()
        children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split()
        for child in children:
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return int(child)
        return 0

    @property
    def root(self) -> Path:
        """Its file system, as its processes see it."""
        return Path(f"/proc/{self.leader}/root")

    def run(
        self,
        *words: str,
        user: str = "root",
        check: bool = True,
        given: str = "",
        seconds: float = SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the box, as somebody who is signed in there."""
        enter = ("nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p")
        become = () if user == "root" else ("setpriv", f"--reuid={user}", f"--regid={user}")
        groups = () if user == "root" else ("--init-groups",)
        values = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/"}
        done = subprocess.run(
            [*enter, *become, *groups, *words],
            env=values,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def systemctl(self, *words: str) -> str:
        """What systemctl says."""
        try:
            return self.run("systemctl", *words).stdout.strip()
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def shown(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.systemctl("show", "--value", f"--property={name}", unit)

    def is_active(self, unit: str) -> bool:
        return self.shown(unit, "ActiveState") == "active"

    def failed(self) -> list[str]:
        """Units that have failed."""
        said = self.systemctl("list-units", "--plain", "--no-legend", "--state=failed")
        return [line.split()[0] for line in said.splitlines()]

    def log(self, unit: str = "chopmark*", lines: int = 60) -> str:
        """The end of the journal of units."""
        words = ("journalctl", "--no-pager", "-o", "cat", "-n", str(lines), "-u", unit)
        return self.run(*words, check=False).stdout

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file as root."""
        self.run(
            "sh",
            "-ec",
            'umask 077; cat >"$1"; chmod "$2" "$1"',
            "sh",
            path,
            f"{mode:o}",
            given=text,
        )

    def wait_for(self, condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (
                f"{self.name}: waited in vain for {what}\n{self._said()}"
            )
            time.sleep(0.1)

    def _said(self) -> str:
        said = (self.folder / "console.log").read_text()[-2000:]
        return said + (self.log() if self._nspawn is not None and self.leader else "")

    def _has_started(self) -> bool:
        if not self.leader or not (self.root / "run/systemd/private").exists():
            return False
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in {"running", "degraded"}


def _is_empty(group: Path) -> bool:
    return "populated 0" in (group / "cgroup.events").read_text()
