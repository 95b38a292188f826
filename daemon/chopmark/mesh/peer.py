"""What the mesh knows of one peer, and what it does about the peer's log."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from chopmark.mesh.asking import Asker
from chopmark.mesh.catchup import CatchUp
from chopmark.mesh.intake import Intake
from chopmark.mesh.lanes import Holder
from chopmark.mesh.ports import FollowedLog


@dataclass(slots=True)
class Peer:
    """One peer.

    Attributes:
        log: our replica of its log.
        intake: takes what comes about it.
        catch_up: asks for what is missing of it.
        sizes: what it says that it holds, by origin.
        seen: whether it is online, as each link last heard.
    """

    log: FollowedLog
    intake: Intake
    catch_up: CatchUp
    sizes: Mapping[str, int] = field(default_factory=dict)
    seen: dict[int, bool] = field(default_factory=dict)

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
