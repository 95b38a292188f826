"""Our log and the replicas as tiled logs (C2SP tlog-tiles); see `api.tiles`."""

from collections.abc import Mapping

from chopmark.core.errors import MissingError
from chopmark.core.tiles import TileName
from chopmark.ledger.log import Log


class TileService:
    """Implements `api.tiles.Tiles`.

    Args:
        logs: by member id.
    """

    def __init__(self, logs: Mapping[str, Log]) -> None:
        self._logs = logs

    def checkpoint(self, member: str) -> bytes:
        """The newest signed head as a note, with the quorum's cosignatures once it has them.

        Raises:
            MissingError: `no-such-member`, `not-signed`.
        """
        state = self._log(member).state
        witnessed = state.witnessed_note is not None and state.witnessed_size == state.head.size
        note = state.witnessed_note if witnessed else state.note
        if note is None:
            raise MissingError("not-signed", f"no signed head of {member} is known yet")
        return note

    async def tile(self, member: str, name: TileName) -> bytes:
        """A tile or an entry bundle, as far as the newest signed head covers it.

        Raises:
            MissingError: `no-such-member`, `no-such-tile`.
        """
        return await self._log(member).read(lambda reader, state: reader.tile(name, state))

    def _log(self, member: str) -> Log:
        log = self._logs.get(member)
        if log is None:
            raise MissingError("no-such-member", f"no member {member!r} is known here")
        return log
