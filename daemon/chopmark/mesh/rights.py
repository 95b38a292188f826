"""What a gateway may write and read at a broker, so that none takes the topics of another.

Trust rests on signatures, never on this; it keeps a member from filling, or clearing, topics of
others. `topics` says what is needed, and a test that this is neither less nor more.
"""

from typing import Final

from chopmark.mesh.topics import Topic

_OWN: Final = ("checkpoint", "entries", "status", "evidence", "roster")
"""Kinds of topic that their owner writes, and everybody reads."""
_ABOUT: Final = ("request", "reply", "cosignature")
"""Kinds of topic whose last level names who writes."""


def writable(me: str) -> list[str]:
    """Filters of the topics that the member `me` writes."""
    own = [Topic(me, kind).encode() for kind in _OWN]
    return own + [Topic("+", kind, me).encode() for kind in _ABOUT]


def readable(me: str) -> list[str]:
    """Filters of the topics that the member `me` reads."""
    all_ = [Topic("+", kind).encode() for kind in _OWN]
    mine = [Topic(me, kind, "+").encode() for kind in ("request", "reply")]
    return [*all_, Topic("+", "cosignature", "+").encode(), *mine]
