"""Two network namespaces and the cable between them."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from boxneeds import PATH


@dataclass(frozen=True)
class Cable:
    """Namespaces of its ends, and their addresses."""

    spaces: tuple[str, str]
    addresses: tuple[str, str] = ("10.78.0.1", "10.78.0.2")


@contextmanager
def cable() -> Iterator[Cable]:
    """A cable between two new namespaces, which go with it."""
    made = Cable((f"chop-{os.getpid()}-a", f"chop-{os.getpid()}-b"))
    try:
        for space in made.spaces:
            _ip("netns", "add", space)
            _ip("-n", space, "link", "set", "lo", "up")
        here, there = made.spaces
        peer = ("peer", "name", "host0", "netns", there)
        _ip("-n", here, "link", "add", "host0", "type", "veth", *peer)
        for space, address in zip(made.spaces, made.addresses, strict=True):
            _ip("-n", space, "addr", "add", f"{address}/24", "dev", "host0")
            _ip("-n", space, "link", "set", "host0", "up")
        yield made
    finally:
        for space in made.spaces:
            subprocess.run(["ip", "netns", "del", space], env={"PATH": PATH}, check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], env={"PATH": PATH}, check=True)
