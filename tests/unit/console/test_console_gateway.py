"""The daemon's API at the console: deadlines, and daemons that are dead, hang, or talk nonsense."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from chopmark.console.gateway import MAX_ANSWER, FoundApi, SocketApi
from chopmark.core.errors import ChopmarkError, UnreachableError
from rig.patience import PATIENCE
from socketgateway import Problem, SocketGateway


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[SocketGateway]:
    made = SocketGateway(tmp_path)
    yield made
    made.close()


async def test_answer_of_a_get(gateway: SocketGateway) -> None:
    async with SocketApi(gateway.path) as api:
        assert (await api.get("/v1/status"))["id"] == gateway.log.id
        assert "log " in await api.get_text("/v1/policy")


async def test_answer_of_a_post(gateway: SocketGateway) -> None:
    gateway.keys.append({"label": "old", "fingerprint": "ab"})
    async with SocketApi(gateway.path) as api:
        assert await api.post("/v1/keys/destroy", {"label": "old", "fingerprint": "ab"}) == []


async def test_problem_is_the_error_that_the_api_says(gateway: SocketGateway) -> None:
    gateway.problem = Problem(403, "role-missing", "not yours", "ask")
    async with SocketApi(gateway.path) as api:
        with pytest.raises(ChopmarkError, match="not yours") as caught:
            await api.get("/v1/status")
    assert (caught.value.code, caught.value.hint) == ("role-missing", "ask")


@pytest.mark.parametrize("there", [True, False], ids=["nobody listens", "no socket"])
async def test_dead_daemon_is_told_at_once(tmp_path: Path, *, there: bool) -> None:
    path = tmp_path / "api.sock"
    if there:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
    async with SocketApi(path) as api, asyncio.timeout(PATIENCE):
        with pytest.raises(UnreachableError, match="the daemon does not run") as caught:
            await api.get("/v1/status", seconds=600)
    assert caught.value.code == "gateway-unreachable"


async def test_hung_daemon_costs_the_deadline(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(path))
        hung.listen()
        async with SocketApi(path) as api:
            with pytest.raises(UnreachableError, match=r"does not answer within 0\.2 s") as caught:
                await api.get("/v1/status", seconds=0.2)
    assert caught.value.code == "gateway-unreachable"


async def test_answer_without_end_is_refused(gateway: SocketGateway) -> None:
    gateway.answer = (200, "application/json", b'"' + b"x" * MAX_ANSWER + b'"')
    async with SocketApi(gateway.path) as api:
        with pytest.raises(UnreachableError) as caught:
            await api.get("/v1/status", seconds=60)
    assert caught.value.code == "bad-answer"


async def test_answer_that_is_no_json_is_refused(gateway: SocketGateway) -> None:
    gateway.answer = (200, "text/plain", b"hello")
    async with SocketApi(gateway.path) as api:
        with pytest.raises(UnreachableError) as caught:
            await api.get("/v1/status")
    assert caught.value.code == "bad-answer"


async def test_gateway_is_found_where_its_configuration_says_once_there_is_one(
    gateway: SocketGateway, tmp_path: Path
) -> None:
    found: list[Path] = []
    api = FoundApi(lambda: found[0] if found else None, tmp_path / "usual.sock")
    try:
        with pytest.raises(UnreachableError, match=r"usual\.sock"):
            await api.get("/v1/status")
        found.append(gateway.path)
        assert (await api.get("/v1/status"))["id"] == gateway.log.id
        gateway.keys.append({"label": "old", "fingerprint": "ab"})
        assert await api.post("/v1/keys/destroy", {"label": "old", "fingerprint": "ab"}) == []
    finally:
        await api.close()
