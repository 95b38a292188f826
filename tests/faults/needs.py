"""What a machine must have for some faults; each function gives what is missing, or None."""

import os
import shutil
import subprocess
from functools import cache

import pytest


def check(missing: str | None) -> None:
    """Skip the test that calls, with the reason."""
    if missing is not None:
        pytest.skip(missing)


@cache
def strace() -> str | None:
    if shutil.which("strace") is None:
        return "strace is not installed"
    inject = "inject=getcwd:error=EIO:when=1"
    done = _run("strace", "-qq", "-o", os.devnull, "-e", inject, "true")
    return None if done.returncode == 0 else f"strace may not trace: {done.stderr.strip()}"


@cache
def namespaces() -> str | None:
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    for program in ("ip", "nft"):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            return f"{program} is not installed"
    name = f"chop-probe-{os.getpid()}"
    rules = "table inet t { chain c { numgen random mod 100 < 30 drop; }; }"
    probes = (
        ("ip", "netns", "add", name),
        ("ip", "-n", name, "link", "add", "v0", "type", "veth", "peer", "name", "v1"),
        ("ip", "netns", "exec", name, "nft", rules.join(("add ", ""))),
    )
    try:
        for probe in probes:
            done = _run(*probe)
            if done.returncode != 0:
                return f"{' '.join(probe)}: {done.stderr.strip()}"
    finally:
        _run("ip", "netns", "del", name)
    return None


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    environment = os.environ | {"PATH": path}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
