"""Records of the console reach the audit log of a real gateway: each once, and after an outage."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from chopmark.console.gateway import SocketApi
from chopmark.console.recording import ROUTE, ConsoleRecorder
from chopmark.console.spool import Spool
from rig.gateway import SHENZHEN, Cluster, Gateway
from rig.patience import PATIENCE

SOURCE = "ab" * 16


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    cluster = Cluster(tmp_path_factory.mktemp("c"), [SHENZHEN])
    try:
        yield cluster.start()["sz-1"]
    finally:
        cluster.stop()


def record(number: int, **other: Any) -> dict[str, Any]:
    usual = {
        "number": number,
        "at": "2026-11-22T00:00:00.123Z",
        "technician": "chan",
        "action": "console.login",
        "outcome": "done",
        "about": {"role": "service"},
    }
    return usual | other


def hand_over(gateway: Gateway, *records: dict[str, Any]) -> httpx.Response:
    with gateway.client() as client:
        return client.post(ROUTE, json={"source": SOURCE, "records": list(records)})


def of_console(gateway: Gateway) -> list[dict[str, Any]]:
    found = gateway.get("/v1/audit?after=-1&limit=500")
    return [one for one in found["records"] if one["action"].startswith("console.")]


def test_records_are_taken_once_and_say_who_when_and_by_whose_word(gateway: Gateway) -> None:
    assert hand_over(gateway, record(0), record(1, technician="lee")).json() == {"taken": 1}
    again = record(1, technician="somebody else")
    assert hand_over(gateway, again, record(4, action="console.reboot")).json() == {"taken": 4}
    assert hand_over(gateway, record(2)).json() == {"taken": 4}
    found = of_console(gateway)
    assert [one["about"]["technician"] for one in found] == ["chan", "lee", "chan"]
    assert found[2]["action"] == "console.reboot"
    assert {one["actor"] for one in found} == {f"uid {os.getuid()}"}
    assert found[0]["about"]["at"] == "2026-11-22T00:00:00.123Z"
    assert found[0]["time"] > "2026-11-22T00:00:01"
    assert gateway.cli("audit", "check").returncode == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "key.destroyed"},
        {"action": "console."},
        {"outcome": "Done"},
        {"technician": ""},
        {"at": "yesterday"},
        {"number": -1},
        {"about": {"x": "y" * 257}},
        {"about": {"X Y": "z"}},
        {"about": {f"k{number}": "" for number in range(13)}},
        {"more": 1},
    ],
)
def test_what_is_no_record_of_the_console_is_refused(
    gateway: Gateway, wrong: dict[str, Any]
) -> None:
    before = len(of_console(gateway))
    answer = hand_over(gateway, record(100), record(101) | wrong)
    assert answer.status_code == 400
    assert answer.json()["code"].startswith("malformed-")
    assert len(of_console(gateway)) == before, "nothing of it is taken"


def test_numbers_go_up_and_a_request_is_bounded(gateway: Gateway) -> None:
    for records in ([record(9), record(8)], [record(9)] * 2, [record(9)] * 65, []):
        assert hand_over(gateway, *records).status_code == 400


def test_it_is_for_the_unix_socket_alone(gateway: Gateway) -> None:
    with httpx.Client(
        base_url=f"http://127.0.0.1:{gateway.port}", trust_env=False, timeout=PATIENCE
    ) as client:
        answer = client.post(ROUTE, json={"source": SOURCE, "records": [record(9)]})
    assert (answer.status_code, answer.json()["code"]) == (403, "role-missing")


async def test_records_of_an_outage_follow_in_order_over_kills_of_both(
    gateway: Gateway, tmp_path: Path
) -> None:
    path = tmp_path / "records"
    before = len(await asyncio.to_thread(of_console, gateway))
    await asyncio.to_thread(gateway.kill)
    async with SocketApi(gateway.socket) as api:
        first = ConsoleRecorder(Spool(path), api)
        for number in range(70):
            await first.record("chan", "console.step", "done", step=str(number))
        left = ConsoleRecorder(Spool(path), api)  # the console was killed, too
        task = asyncio.create_task(left.run())
        await asyncio.to_thread(gateway.start)
        async with asyncio.timeout(PATIENCE):
            while left.spool.first(1):  # noqa: ASYNC110 - the file is not ours to signal
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait({task})
    found = (await asyncio.to_thread(of_console, gateway))[before:]
    assert [one["about"]["step"] for one in found] == [str(number) for number in range(70)]
    assert (await asyncio.to_thread(gateway.cli, "audit", "check")).returncode == 0
