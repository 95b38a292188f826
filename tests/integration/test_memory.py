"""A daemon's memory stays flat, whatever its clients do."""

import contextlib
import os
import re
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import attest, some_document

from rig.gateway import HONG_KONG, Cluster, Gateway
from rig.patience import PATIENCE

MEGABYTE = 1_000_000
GROWTH = 96 * MEGABYTE
"""Bytes by which the daemon's memory may grow in any of these tests, at its peak (docs/limits.md):
most of it is for 640 connections, of which 64 KiB and more are read before they are looked at."""
BATCH = b"POST /v1/attestations:batch HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """One gateway that has done a little of everything."""
    cluster = Cluster(tmp_path / "c", (HONG_KONG,))
    try:
        made = cluster.start()["hk-1"]
        attest(made, some_document("warm"))
        made.get("/v1/status")
        yield made
    finally:
        cluster.stop()


def grown(gateway: Gateway, before: int) -> int:
    """By how much the peak has grown; shown by `pytest -rP`."""
    growth = peak(gateway) - before
    print(f"grown by {growth / MEGABYTE:.1f} MB from {before / MEGABYTE:.1f} MB")  # noqa: T201
    return growth


def peak(gateway: Gateway) -> int:
    """The most memory that the daemon has ever had resident, in bytes."""
    text = Path(f"/proc/{gateway.pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", text, re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def connect(gateway: Gateway) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    client.connect(str(gateway.socket))
    return client


def push(client: socket.socket, data: bytes, most: int, seconds: float = 3) -> int:
    """Send the same bytes over and over until nothing more is taken for so long; gives how many."""
    client.settimeout(seconds)
    sent = 0
    with contextlib.suppress(TimeoutError, ConnectionError):
        while sent < most:
            sent += client.send(data)
    return sent


def refusals(gateway: Gateway, reason: str) -> float:
    text = gateway.metrics()
    found = re.search(
        rf'^chopmark_api_refusals_total{{reason="{reason}"}} (\S+)$', text, re.MULTILINE
    )
    assert found
    return float(found[1])


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.mark.parametrize("line", [b"bad\n", b'{"sha256":"%s"}\n' % (b"0a" * 32)])
def test_client_that_sends_a_batch_and_never_reads(gateway: Gateway, line: bytes) -> None:
    before = peak(gateway)
    with connect(gateway) as client:
        client.sendall(BATCH)
        sent = push(client, chunk(line * 1000), 20 * MEGABYTE)
        assert sent > 0
        attest(gateway, some_document("meanwhile"))
    assert grown(gateway, before) < GROWTH


def test_bad_lines_of_a_client_that_never_reads_stop_being_taken(gateway: Gateway) -> None:
    with connect(gateway) as client:
        client.sendall(BATCH)
        most = 20 * MEGABYTE
        assert push(client, chunk(b"bad\n" * 1000), most) < most


def test_line_without_an_end(gateway: Gateway) -> None:
    before = peak(gateway)
    with connect(gateway) as client:
        client.sendall(BATCH)
        assert push(client, chunk(b"x" * 65536), 100 * MEGABYTE, PATIENCE) >= 100 * MEGABYTE
        attest(gateway, some_document("beside an endless line"))
    assert grown(gateway, before) < GROWTH


def test_600_connections_that_trickle(gateway: Gateway) -> None:
    before = peak(gateway)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(gateway)) for _ in range(600)]
        for number in range(1, 200):
            for client in clients:
                with contextlib.suppress(OSError):
                    client.send(b"GET /healthz HTTP/1.1\r\nx: "[number - 1 : number] or b"x")
        # Each is closed once it has had its time: nobody else has to do anything for it.
        hung_up = select.poll()
        for client in clients:
            hung_up.register(client, 0)
        while clients:
            gone = hung_up.poll(PATIENCE * 1000)
            assert gone, f"{len(clients)} connections are still open"
            for number, _ in gone:
                hung_up.unregister(number)
            clients = [client for client in clients if client.fileno() not in dict(gone)]
        attest(gateway, some_document("after 600 connections"))
    assert grown(gateway, before) < GROWTH


def test_800_idle_connections_leave_room_for_others(gateway: Gateway) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(gateway)) for _ in range(800)]
        gateway.wait_for(lambda: refusals(gateway, "gave-way") >= 800 - 256, "to make room")
        attest(gateway, some_document("beside 800 connections"))
        files = Path(f"/proc/{gateway.pid}/fd")
        gateway.wait_for(lambda: len(os.listdir(files)) < 400, "to close what gave way")  # noqa: PTH208
        assert clients
    gateway.wait_for(gateway.is_ready, "to answer again")


def test_100_megabytes_of_garbage(gateway: Gateway) -> None:
    before = peak(gateway)
    lines = len(gateway.log.read_text().splitlines())
    piece = os.urandom(65536)
    sent = 0
    while sent < 100 * MEGABYTE:
        with connect(gateway) as client, contextlib.suppress(ConnectionError):
            client.sendall(piece)
        sent += len(piece)
    # It may still be closing what was opened, and takes no more connections meanwhile.
    gateway.wait_for(gateway.is_ready, "to answer")
    attest(gateway, some_document("after the garbage"))
    refused = [refusals(gateway, reason) for reason in ("malformed", "too-many-connections")]
    assert sum(refused) > 1000
    assert grown(gateway, before) < GROWTH
    said = gateway.log.read_text().splitlines()[lines:]
    assert len([line for line in said if "Invalid HTTP request" in line]) < 5
    assert len(said) < 10
