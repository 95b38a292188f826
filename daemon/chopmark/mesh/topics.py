"""Topics of the mesh (docs/formats/mesh.md): who writes where."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "chopmark/v1"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic, taken apart: `owner`'s `kind`, and for some kinds another member."""

    owner: str
    kind: str
    other: str = ""

    def encode(self) -> str:
        """The topic's name."""
        return "/".join([PREFIX, self.owner, self.kind, *([self.other] if self.other else [])])


def parse_topic(text: str) -> Topic | None:
    """Take a topic apart; None if it is not one of ours."""
    parts = text.removeprefix(PREFIX + "/").split("/")
    if not text.startswith(PREFIX + "/") or not 2 <= len(parts) <= 3:
        return None
    return Topic(*parts)


def checkpoint(owner: str) -> str:
    """Retained: the owner's newest checkpoint note."""
    return Topic(owner, "checkpoint").encode()


def entries(owner: str) -> str:
    """The owner's live packages."""
    return Topic(owner, "entries").encode()


def cosignature(owner: str, witness: str) -> str:
    """Retained: the owner's newest head, cosigned by the witness; by the owner: its heartbeat."""
    return Topic(owner, "cosignature", witness).encode()


def request(asked: str, asker: str) -> str:
    """Written by the asker."""
    return Topic(asked, "request", asker).encode()


def reply(asker: str, asked: str) -> str:
    """Written by the gateway that was asked."""
    return Topic(asker, "reply", asked).encode()


def status(owner: str) -> str:
    """Retained, and the last will: hints about the owner."""
    return Topic(owner, "status").encode()


def evidence(owner: str) -> str:
    """Retained: evidence of a fork that the owner holds."""
    return Topic(owner, "evidence").encode()


def roster(owner: str) -> str:
    """Retained: the newest roster that the owner has."""
    return Topic(owner, "roster").encode()


def subscriptions(me: str, peers: Sequence[str], kinds: Iterable[str] = ()) -> list[str]:
    """What a gateway reads: its peers' topics by name, and what is written to it.

    Cosignatures first: what we have cosigned of a log comes back before the log's next head.

    Args:
        me: our member id.
        peers: ids of the members that are followed.
        kinds: further kinds of topic for which there is a handler.
    """
    mine = [request(me, "+"), reply(me, "+")]
    mine += [cosignature(me, "+")] * ("cosignature" in kinds)
    more = [kind for kind in kinds if kind != "cosignature"]
    theirs = [
        make(peer)
        for peer in peers
        for make in (lambda p: cosignature(p, "+"), checkpoint, entries, status)
    ]
    return mine + theirs + [Topic(peer, kind).encode() for peer in peers for kind in more]
