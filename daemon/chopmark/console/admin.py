"""The console's way to `chopmark-admin`: a line of JSON there, a line back, each in its time."""

import asyncio
import json
from collections.abc import Mapping
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
        line = json.dumps({"verb": verb, **arguments}).encode() + b"\n"
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self.path, limit=MAX_ANSWER)
        except (OSError, TimeoutError) as error:
            raise _unreachable(f"it cannot be reached: {error}") from error
        try:
            async with asyncio.timeout(WIPE_SECONDS if verb == "wipe" else SECONDS):
                said = await _ask(reader, writer, line)
        except TimeoutError:
            raise _unreachable("it has not answered in time", _LATE) from None
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise _unreachable("it left without an answer", _LATE) from error
        finally:
            writer.close()
        return _read_answer(said)


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: bytes) -> bytes:
    try:
        writer.write(line)
        await writer.drain()
    except ConnectionError:
        pass  # it may have refused us before it read a word, and said why
    return await reader.readuntil(b"\n")


def _read_answer(said: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(said)
        if "error" in answer:
            raise _explain(answer["error"])
        done = answer["done"]
    except (ValueError, TypeError, KeyError) as error:
        raise _unreachable("what answers is not chopmark-admin") from error
    if not isinstance(done, dict):
        raise _unreachable("what answers is not chopmark-admin")
    return done


def _explain(problem: Mapping[str, Any]) -> ChopmarkError:
    after = problem["retry_after"]
    return error_from_problem(problem["status"], problem, None if after is None else str(after))


def _unreachable(message: str, hint: str = "") -> UnreachableError:
    hint = hint or "`show services`; without it this console can look, and test, and no more"
    return UnreachableError("admin-unreachable", f"chopmark-admin: {message}", hint=hint)
