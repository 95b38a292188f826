"""What a gateway meets besides its HSM and its files."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from chopmark.core.ports import Clock
from chopmark.ledger.index import DigestIndex
from chopmark.mesh.link import Link
from chopmark.service.clock import SystemClock
from chopmark.service.clockguard import ClockGuard


@dataclass(frozen=True, slots=True)
class Outside:
    """Clock, randomness, network and index; a simulation has its own."""

    clock: Clock = field(default_factory=SystemClock)
    open_index: Callable[[Path], DigestIndex] = DigestIndex
    make_link: Callable[..., Link] = Link
    random: Callable[[int], bytes] = secrets.token_bytes
    make_guard: Callable[[str, str, Clock], ClockGuard] = ClockGuard
