"""What goes into a support bundle: everything that is told about gateway and box, each in a text.

All are collected at once, each with its deadline and its bound; one that cannot be had says why.
Nothing here is redacted yet: `bundle` does that to every text, so that none is forgotten.
"""

import asyncio
import json
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

import httpx

import chopmark
from chopmark.console.box.certificates import read_certificates
from chopmark.console.box.clock import read_clock
from chopmark.console.box.journal import MAX_LINES, Wanted, read_log
from chopmark.console.box.network import read_network
from chopmark.console.box.sensors import Space, read_space, read_temperatures, read_wear
from chopmark.console.box.units import read_units
from chopmark.console.command import Surroundings
from chopmark.console.diagnosing import diagnose
from chopmark.console.place import find_folder
from chopmark.console.spool import ASIDE
from chopmark.console.stateside import look_at_files, look_at_space
from chopmark.core.errors import ChopmarkError
from chopmark.service.config import MAX_CONFIG
from chopmark.service.config_model import Config

ROUTES: Final = ("status", "hsm", "keys", "peers", "replicas", "roster", "evidence", "rates")
"""Of the API, each a text `NAME.json`; the keys' public halves only."""
MAX_TEXT: Final = 512 * 1024
"""Characters of one text; of a longer one the end is kept."""
_METRICS_SECONDS: Final = 2.0

Collected = dict[str, Any]
"""Texts, bytes of a configuration, and values for JSON, by name."""


async def collect(given: Surroundings, config: Config | None, *, offline: bool) -> Collected:
    """All of it; raises nothing about any of them.

    Args:
        given: the gateway, and where its configuration is.
        config: what the configuration says; None if it does not hold.
        offline: the gateway hangs, and is not asked through `chopmark doctor`.
    """
    sources = dict(_sources(given, config, offline=offline))
    values = await asyncio.gather(*(_attempt(source) for source in sources.values()))
    return dict(zip(sources, values, strict=True))


Source = Callable[[], Awaitable[Any]]


def _sources(
    given: Surroundings, config: Config | None, *, offline: bool
) -> Iterator[tuple[str, Source]]:
    yield "about.json", lambda: asyncio.to_thread(_about, given.who)
    for name in ROUTES:
        yield f"{name}.json", lambda name=name: given.gateway.get(f"/v1/{name}")  # type: ignore[misc]
    yield "doctor.json", lambda: _doctor(given, offline=offline)
    yield "log.txt", _log
    yield "refused.txt", lambda: asyncio.to_thread(_refused)
    yield "units.json", lambda: _plain(read_units())
    yield "network.json", lambda: _plain(read_network())
    yield "clock.json", lambda: _plain(read_clock())
    yield "box.json", lambda: _box(given, config)
    yield "config.toml", lambda: asyncio.to_thread(_read_config, given.config)
    if config is not None:
        yield "metrics.txt", lambda: _metrics(config)
        yield "databases.json", lambda: look_at_files(given.admin, config.gateway.state)
        yield "certificates.json", lambda: asyncio.to_thread(_certificates, config)


async def _attempt(source: Source) -> Any:
    try:
        return await source()
    except ChopmarkError as error:
        return {"error": {"code": error.code, "message": error.message}}
    except (OSError, httpx.HTTPError) as error:
        return {"error": {"code": "not-collected", "message": str(error)}}


def _about(who: str) -> Mapping[str, Any]:
    """Versions of everything that runs here."""
    parts = {one.metadata["Name"]: one.version for one in distributions()}
    return {
        "format": 1,
        "made_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "technician": who,
        "console": chopmark.__version__,
        "python": sys.version,
        "system": list(platform.uname()),
        "parts": dict(sorted(parts.items())),
    }


async def _doctor(given: Surroundings, *, offline: bool) -> list[Any]:
    results = diagnose(given.config, offline=offline, admin=given.admin)
    async with aclosing(results) as checks:
        return [asdict(one) async for one in checks]


async def _log() -> str:
    return "\n".join(await read_log(Wanted(MAX_LINES)))


def _refused() -> str:
    """Records of the console that the daemon would not take."""
    found = sorted(find_folder().glob(f"*{ASIDE}"))
    return "\n".join(one.read_bytes().decode("utf-8", "replace") for one in found)


async def _plain(made: Awaitable[Any]) -> Any:
    """A dataclass, or a list of them, as what JSON has."""
    found = await made
    return [asdict(one) for one in found] if isinstance(found, list) else asdict(found)


async def _box(given: Surroundings, config: Config | None) -> Mapping[str, Any]:
    spaces: list[Space | None] = [await asyncio.to_thread(read_space, Path("/"))]
    if config is not None:
        spaces.append(await look_at_space(given.admin, config.gateway.state))
    return {
        "spaces": [asdict(one) for one in spaces if one is not None],
        **await asyncio.to_thread(_sensors),
    }


def _sensors() -> Mapping[str, Any]:
    return {
        "temperatures": [asdict(one) for one in read_temperatures()],
        "wear": [asdict(one) for one in read_wear()],
        "load": os.getloadavg(),
    }


def _read_config(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_CONFIG)


async def _metrics(config: Config) -> str:
    if not config.metrics.listen:
        return ""
    async with httpx.AsyncClient(timeout=_METRICS_SECONDS, trust_env=False) as client:
        return (await client.get(f"http://{config.metrics.listen}/metrics")).text


def _certificates(config: Config) -> list[Any]:
    return [asdict(one) for one in read_certificates(config)]


def encode(value: Any) -> str:
    """A text as it is, or a value as JSON; of what is too long the end is kept."""
    text = value if isinstance(value, str) else json.dumps(value, indent=1, default=str)
    return text if len(text) <= MAX_TEXT else f"[cut]\n{text[-MAX_TEXT:]}"
