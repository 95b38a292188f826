"""What the network lets the box reach, told by `chopmark-diagnose@`: the console has no network.

Each connection to its socket gets a line of JSON for each check, as `chopmark doctor` tells them.
"""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from chopmark.core.errors import UnreachableError

SOCKET: Final = Path("/run/chopmark-diagnose.sock")
CHECKS: Final = ("names", "brokers", "syslog", "chain", "releases")
"""Names of the checks that it makes; those of `chopmark doctor` are called the same."""
SECONDS: Final = 180.0
"""Until the unit is ended."""
_MAX_LINE: Final = 1024 * 1024


async def reach(path: Path, seconds: float = SECONDS) -> dict[str, Mapping[str, Any]]:
    """The lines by names of the checks, or nothing where there is no such socket.

    Raises:
        UnreachableError: `program-late`: it has not ended in time, or says what cannot be read.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _listen(path)
    except (FileNotFoundError, ConnectionRefusedError):
        return {}
    except (OSError, ValueError, TypeError, KeyError) as error:
        message = (
            f"chopmark-diagnose has not told what can be reached: {str(error) or 'it is late'}"
        )
        raise UnreachableError("program-late", message, hint="try again; `show log`") from error


async def _listen(path: Path) -> dict[str, Mapping[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(path, limit=_MAX_LINE)
    found: dict[str, Mapping[str, Any]] = {}
    try:
        while len(found) <= len(CHECKS) and (line := await reader.readline()):
            told = json.loads(line)
            found[str(told["check"])] = told
    finally:
        writer.close()
    return found
