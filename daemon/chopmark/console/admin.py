"""The console's way to `chopmark-admin`: a line of JSON there, a line back, each in its time."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chopmark.client.problem import error_from_problem
from chopmark.core.errors import ChopmarkError, UnreachableError

DEFAULT_SOCKET: Final = Path("/run/chopmark-admin.sock")
MAX_ANSWER: Final = 2 << 20
CONNECT_SECONDS: Final = 3.0
SECONDS: Final = 200.0
"""Of any verb: the longest waits for a unit to stop and start again."""
WIPE_SECONDS: Final = 900.0
_TOLD, _END = "told", "done"
"""What a line is called that is not the last, and the last."""
_STRANGE: Final = "what answers is not chopmark-admin"
_Answers = AsyncGenerator[tuple[str, Mapping[str, Any]], None]
_LATE: Final = "what was begun goes on: look again in a while, and see `show log`"


@dataclass(frozen=True, slots=True)
class AdminClient:
    """Implements `command.Admin`; each call has a connection of its own."""

    path: Path = DEFAULT_SOCKET

    async def do(self, verb: str, **arguments: Any) -> Mapping[str, Any]:
        """See `command.Admin.do`.

        Raises:
            UnreachableError: `admin-unreachable`.
            ChopmarkError: what it said.
        """
        async with aclosing(self._ask(verb, arguments)) as answers:
            async for _, done in answers:
                return done
        raise _unreachable(_STRANGE)

    async def look(self, verb: str, **arguments: Any) -> AsyncGenerator[Mapping[str, Any], None]:
        """See `command.Admin.look`; raises as `do`."""
        async with aclosing(self._ask(verb, arguments)) as answers:
            async for kind, told in answers:
                if kind == _END:
                    return
                yield told

    async def _ask(self, verb: str, arguments: Mapping[str, Any]) -> _Answers:
        """What it tells, and then what it has done; each in its time."""
        line = json.dumps({"verb": verb, **arguments}).encode() + b"\n"
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self.path, limit=MAX_ANSWER)
        except (OSError, TimeoutError) as error:
            raise _unreachable(f"it cannot be reached: {error}") from error
        try:
            with suppress(ConnectionError):  # it may have refused us before it read a word
                writer.write(line)
                await writer.drain()
            kind = ""
            while kind != _END:
                kind, told = _read_answer(await _read(reader, verb))
                yield kind, told
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader, verb: str) -> bytes:
    try:
        async with asyncio.timeout(WIPE_SECONDS if verb == "wipe" else SECONDS):
            return await reader.readuntil(b"\n")
    except TimeoutError:
        raise _unreachable("it has not answered in time", _LATE) from None
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise _unreachable("it left without an answer", _LATE) from error


def _read_answer(said: bytes) -> tuple[str, Mapping[str, Any]]:
    try:
        answer = json.loads(said)
        if "error" in answer:
            raise _explain(answer["error"])
        ((kind, told),) = answer.items()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unreachable(_STRANGE) from error
    if kind not in (_TOLD, _END) or not isinstance(told, dict):
        raise _unreachable(_STRANGE)
    return kind, told


def _explain(problem: Mapping[str, Any]) -> ChopmarkError:
    after = problem["retry_after"]
    return error_from_problem(problem["status"], problem, None if after is None else str(after))


def _unreachable(message: str, hint: str = "") -> UnreachableError:
    hint = hint or "`show services`; without it this console can look, and test, and no more"
    return UnreachableError("admin-unreachable", f"chopmark-admin: {message}", hint=hint)
