"""What a seed draws before it begins: how bad the world is.

Each seed has some faults only, so that no kind of fault hides behind another.
"""

from dataclasses import dataclass, replace
from random import Random

from simulation.attacker import ATTACKS, REPLIES
from simulation.attacker import LIKELY as LIKELY_ATTACKS

FAULTS = (
    "kill",
    "commit",
    "stop",
    "disk-full",
    "hsm-away",
    "clock",
    "cut",
    "route",
    "broker",
    "line",
    "fork",
)

_LIKELY = {"fork": 0.25}
WITNESSED = 0.4
"""Part of the seeds whose clocks are right in which heads need a quorum."""
ATTACKED = 0.1
"""Part of the seeds in which one of the members is an attacker."""


@dataclass(frozen=True)
class Plan:
    """One seed's world."""

    gateways: int
    issuers: int
    clients: int
    seconds: float
    pause: float
    faults: tuple[str, ...]
    fault_pause: float
    loss: float
    double: float
    delay: float
    hsm: float
    call: float
    window: int
    crowd: float
    offsets: tuple[int, ...]
    witnessed: bool
    put_back: bool = False
    attacks: tuple[str, ...] = ()
    attack_count: int = 0
    attack_replies: tuple[str, ...] = ()
    attack_race: float = 0.0
    attack_spoof: bool = False


def add_attacks(plan: Plan, random: Random) -> Plan:
    """Draw what the attacker does, if there is one: it is in the place of a gateway."""
    if random.random() >= ATTACKED:
        return plan
    chosen = tuple(one for one in ATTACKS if random.random() < LIKELY_ATTACKS.get(one, 0.3))
    return replace(
        plan,
        gateways=plan.gateways - 1,
        attacks=chosen or (random.choice(ATTACKS),),
        attack_count=random.choice((5, 15, 30)),
        attack_replies=tuple(random.sample(REPLIES, random.randint(1, 3))),
        attack_race=random.choice((0, 0.2, 0.9)),
        attack_spoof=random.random() < 0.4,
    )


def draw_plan(random: Random) -> Plan:
    """Draw a plan."""
    gateways = 5 if random.random() < 0.05 else 4
    seconds = random.uniform(2, 8)
    chosen = tuple(fault for fault in FAULTS if random.random() < _LIKELY.get(fault, 0.4))
    return Plan(
        gateways=gateways,
        issuers=random.randint(1, 3),
        clients=random.randint(1, 2),
        seconds=seconds,
        pause=seconds / random.randint(3, 9),
        faults=chosen or (random.choice(FAULTS),),
        fault_pause=seconds / random.randint(2, 7),
        loss=random.choice((0, 0, 0.05, 0.3)),
        double=random.choice((0, 0.1, 0.3)),
        delay=random.choice((0.002, 0.02, 0.1)),
        hsm=random.choice((0.005, 0.05, 0.4)),
        call=random.choice((0.0005, 0.005, 0.05)),
        window=random.choice((4, 20, 200)),
        crowd=random.choice((0, 0, 0, 0.1)),
        offsets=tuple(random.randint(-2000, 2000) for _ in range(gateways)),
        put_back="fork" not in chosen and random.random() < 0.2,
        # What clocks do to entries must not hide behind what they do to quorums.
        witnessed=random.random() < WITNESSED and "clock" not in chosen,
    )
