"""What the mesh knows of one peer, and what it does about the peer's log."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from chopmark.mesh import versions
from chopmark.mesh.asking import Asker
from chopmark.mesh.catchup import CatchUp
from chopmark.mesh.intake import Intake
from chopmark.mesh.lanes import Holder
from chopmark.mesh.ports import FollowedLog
from chopmark.mesh.versions import Versions


@dataclass(slots=True)
class Peer:
    """One peer.

    Attributes:
        log: our replica of its log.
        intake: takes what comes about it.
        catch_up: asks for what is missing of it.
        sizes: what it says that it holds, by origin.
        seen: whether it is online, as each link last heard.
        speaks: the versions of the protocol that it last said it speaks; None before that.
    """

    log: FollowedLog
    intake: Intake
    catch_up: CatchUp
    sizes: Mapping[str, int] = field(default_factory=dict)
    seen: dict[int, bool] = field(default_factory=dict)
    speaks: Versions | None = None

    @property
    def is_understood(self) -> bool:
        """Whether we speak a version that it does too, as far as we know."""
        return self.speaks is None or versions.OURS.meets(self.speaks)

    @classmethod
    def make(
        cls,
        log: FollowedLog,
        asker: Asker,
        holders: Callable[[], Sequence[Holder]],
        limit: int,
        grew: Callable[[], None],
    ) -> Self:
        """A peer with its parts brought together; `grew` is called when the replica may have."""
        intake = Intake(log, limit)
        catch_up = CatchUp(log, asker, intake, holders)

        def changed() -> None:
            catch_up.went_on()
            grew()

        intake.changed = changed
        return cls(log, intake, catch_up)
