"""The link against a real Mosquitto, started, killed and started again."""

import asyncio
import logging
import signal
import socket
import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop
from blockbuster import BlockBuster, blockbuster_ctx

from chopmark.core.errors import RefusedError, UnreachableError
from chopmark.mesh.link import Broker, BrokerAwayError, Link, Message, Will
from chopmark.mesh.strict import Strict
from integration.link_party import QUICK, Party, until
from rig.broker import Broker as Rig
from rig.patience import PATIENCE


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[BlockBuster]:
    with blockbuster_ctx(["chopmark", "aiomqtt", "paho"]) as blockbuster:
        yield blockbuster


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path / "broker") as broker:
        yield broker


async def insist(link: Link, topic: str, payload: bytes, seconds: float = PATIENCE) -> None:
    """Publish until there is an answer in time: on a busy machine a short time is soon over."""
    async with asyncio.timeout(seconds):
        while True:
            with suppress(UnreachableError):
                await link.publish(topic, payload)
                return
            await asyncio.sleep(0.01)


async def test_message_carries_topic_payload_correlation_and_retain(rig: Rig) -> None:
    sender, receiver = Party(rig, "a"), Party(rig, "b", "x/#")
    async with sender.up() as link:
        await link.publish("x/kept", b"1", retain=True, expiry=600)
        async with receiver.up():
            await until(lambda: len(receiver.got) == 1)
            await link.publish("x/live", b"2", correlation=b"\x00\xff")
            await until(lambda: len(receiver.got) == 2)
    kept, live = receiver.got
    assert (kept.topic, kept.payload, kept.correlation, kept.retain) == ("x/kept", b"1", None, True)
    assert (live.topic, live.payload, live.retain) == ("x/live", b"2", False)
    assert live.correlation == b"\x00\xff"


async def test_unacknowledged_message_comes_again_and_acknowledged_does_not(rig: Rig) -> None:
    sender, receiver = Party(rig, "a"), Party(rig, "b", "x", acknowledge=False)
    async with sender.up() as link:
        async with receiver.up():
            for payload in (b"1", b"2", b"3"):
                await link.publish("x", payload)
            await until(lambda: len(receiver.got) == 3)
            receiver.got[0].acknowledge()
            receiver.got[0].acknowledge()
        for message in receiver.got:
            message.acknowledge()  # too late, and harmless
        again = Party(rig, "b", "x")
        async with again.up():
            await until(lambda: len(again.got) == 2)
        await link.publish("x", b"4")
        last = Party(rig, "b", "x")
        async with last.up():
            await until(lambda: len(last.got) == 1)
    assert receiver.sessions == [False]
    assert again.sessions == [True]
    assert again.payloads == [b"2", b"3"]
    assert last.payloads == [b"4"]


async def test_acknowledgements_reach_the_broker_in_order_of_arrival(rig: Rig) -> None:
    sender, receiver = Party(rig, "a"), Party(rig, "b", "x", acknowledge=False)
    async with sender.up() as link, receiver.up():
        for payload in (b"1", b"2"):
            await link.publish("x", payload)
        await until(lambda: len(receiver.got) == 2)
        receiver.got[1].acknowledge()
        assert receiver.link.counters.acknowledged == 0
        receiver.got[0].acknowledge()
        assert receiver.link.counters.acknowledged == 2


async def test_message_in_hand_at_stop_is_finished_and_acknowledged(rig: Rig) -> None:
    sender, receiver = Party(rig, "a"), Party(rig, "b", "x", delay=0.3)
    async with sender.up() as link:
        async with receiver.up():
            await link.publish("x", b"1")
            await until(lambda: receiver.link.counters.received == 1)
        assert receiver.payloads == [b"1"]
        await link.publish("x", b"2")
        again = Party(rig, "b", "x")
        async with again.up():
            await until(lambda: len(again.got) == 1)
    assert again.payloads == [b"2"]


async def test_publish_denied_by_access_list_is_refused(tmp_path: Path) -> None:
    with Rig(tmp_path / "broker", acl=["topic read #", "topic write allowed"]) as rig:
        async with Party(rig, "a").up() as link:
            await link.publish("allowed", b"1")
            with pytest.raises(RefusedError, match=r"Not authorized \(0x87\)") as refused:
                await link.publish("denied", b"1")
            assert link.connected
    assert refused.value.code == "broker-refused"
    assert link.counters.refused == 1


async def test_subscription_below_qos_1_is_the_reason(tmp_path: Path) -> None:
    with Rig(tmp_path / "broker", extra=["max_qos 0"]) as rig:
        party = Party(rig, "a", "x")
        task = asyncio.create_task(party.link.run())
        await until(lambda: party.link.counters.outages == 1)
        assert "refused the subscription to x at QoS 1" in party.link.reason
        assert not party.link.connected
        assert party.sessions == []
        task.cancel()
        await asyncio.wait({task})


async def test_refused_connection_is_the_reason(tmp_path: Path) -> None:
    closed = ["allow_anonymous false"]
    with Rig(tmp_path / "broker", extra=closed) as rig:
        party = Party(rig, "a")
        task = asyncio.create_task(party.link.run())
        await until(lambda: party.link.counters.outages == 1)
        assert "connection refused: Not authorized (0x87)" in party.link.reason
        with pytest.raises(UnreachableError, match="Not authorized") as away:
            await party.link.publish("x", b"1")
        assert away.value.code == "broker-away"
        task.cancel()
        await asyncio.wait({task})


async def test_more_filters_than_a_subscribe_may_have_all_work(rig: Rig) -> None:
    topics = [f"t/{number}" for number in range(20)]
    sender, receiver = Party(rig, "a"), Party(rig, "b", *topics)
    async with sender.up() as link, receiver.up():
        for topic in topics:
            await link.publish(topic, b"1")
        await until(lambda: len(receiver.got) == 20)
    assert [message.topic for message in receiver.got] == topics


async def test_killed_broker_is_away_and_session_resumes_after_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "chopmark.mesh")
    with Rig(tmp_path / "broker", persistence=True) as rig:
        party = Party(rig, "a", "x")
        async with party.up() as link:
            await asyncio.to_thread(rig.restart)  # writes the session to disk
            await until(lambda: len(party.sessions) == 2 and link.connected)
            await asyncio.to_thread(rig.kill)
            with pytest.raises(UnreachableError) as away:
                await link.publish("x", b"lost")
            await until(lambda: not link.connected)
            assert away.value.code == "broker-away"
            assert link.reason
            await asyncio.to_thread(rig.start)
            await until(lambda: len(party.sessions) == 3 and link.connected)
            await link.publish("x", b"found")
            await until(lambda: party.payloads == [b"found"])
    assert party.sessions == [False, True, True]
    outages = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(outages) == link.counters.outages == 2


async def test_publishes_in_flight_fail_when_the_broker_is_killed(rig: Rig) -> None:
    async with Party(rig, "a").up() as link:
        rig.freeze()
        tasks = [asyncio.create_task(link.publish("x", bytes(30_000))) for _ in range(500)]
        await asyncio.sleep(0)
        await asyncio.to_thread(rig.kill)
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} == {BrokerAwayError}


async def test_publish_without_answer_ends_the_connection_and_is_not_repeated(rig: Rig) -> None:
    limits = replace(QUICK, publish_timeout=0.3)
    sender, receiver = Party(rig, "a", limits=limits), Party(rig, "b", "x")
    async with receiver.up(), sender.up() as link:
        rig.freeze()
        with pytest.raises(UnreachableError, match="no answer"):
            await link.publish("x", b"perhaps")
        rig.thaw()
        # More than two, perhaps: the broker may take an older attempt to connect for a newer one.
        await until(lambda: len(sender.sessions) >= 2 and link.connected)
        await insist(link, "x", b"surely")
        await until(lambda: b"surely" in receiver.payloads)
    assert receiver.payloads.count(b"perhaps") <= 1


async def test_cancelled_publish_gives_its_slot_back(rig: Rig) -> None:
    async with Party(rig, "a", limits=replace(QUICK, in_flight=2)).up() as link:
        for _ in range(5):
            task = asyncio.create_task(link.publish("x", b"1"))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
        await asyncio.wait_for(link.publish("x", b"2"), PATIENCE)


async def test_burst_to_a_slow_receiver_is_bounded_and_loses_nothing(rig: Rig) -> None:
    count = 5_000
    sent = [number.to_bytes(4, "big") + bytes(1_000) for number in range(count)]
    waiting = iter(sent)
    limits = replace(QUICK, unacknowledged=50)
    sender, receiver = Party(rig, "a"), Party(rig, "b", "x", limits=limits, delay=0.01)

    async def work(link: Link) -> None:
        for payload in waiting:
            await link.publish("x", payload)

    async with receiver.up() as receiving:
        async with sender.up() as link:
            await asyncio.gather(*(work(link) for _ in range(50)))
        assert len(receiver.got) < count
        assert receiving.counters.pauses > 0
    assert receiver.peak <= 50

    rest = Party(rig, "b", "x", limits=limits)
    async with rest.up():
        await until(lambda: rest.payloads[-1:] == sent[-1:])
    assert rest.sessions == [True]
    # Closing a socket with unread bytes may cost the last acknowledgements: those come again.
    assert receiver.payloads == sent[: len(receiver.got)]
    assert list(dict.fromkeys(receiver.payloads + rest.payloads)) == sent
    assert len(receiver.got) + len(rest.got) - count <= limits.unacknowledged


async def test_messages_of_one_sender_arrive_in_order(rig: Rig) -> None:
    sender, receiver = Party(rig, "a"), Party(rig, "b", "x")
    async with sender.up() as link, receiver.up():
        sent = [number.to_bytes(4, "big") for number in range(1_000)]
        await asyncio.gather(*(link.publish("x", payload) for payload in sent))
        await until(lambda: len(receiver.got) == 1_000)
    assert receiver.payloads == sent


async def test_held_messages_stop_the_intake_and_not_publishing(rig: Rig) -> None:
    limits = replace(QUICK, unacknowledged=10)
    sender = Party(rig, "a")
    receiver = Party(rig, "b", "x", limits=limits, acknowledge=False)
    async with sender.up() as link, receiver.up() as stuck:
        await asyncio.gather(*(link.publish("x", bytes(25_000)) for _ in range(300)))
        await until(lambda: len(receiver.got) == 10)
        await stuck.publish("y", b"1")
        assert stuck.counters.received == 10
        receiver.acknowledge = True
        for message in list(receiver.got):
            message.acknowledge()
        await until(lambda: len(receiver.got) == 300)


async def test_will_is_published_when_the_client_is_killed(rig: Rig) -> None:
    client = textwrap.dedent("""
        import asyncio, sys
        from chopmark.mesh.link import Broker, Link, Will
        async def on_message(message): message.acknowledge()
        async def on_connect(session_present): print("up", flush=True)
        async def main():
            will = Will("status/mortal", b"gone")
            await Link(Broker("127.0.0.1", int(sys.argv[1])), "mortal", ["x"], will=will,
                       on_message=on_message, on_connect=on_connect).run()
        asyncio.run(main())
    """)
    watcher = Party(rig, "watcher", "status/#")
    async with watcher.up():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", client, str(rig.port), stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), PATIENCE) == b"up\n"
        assert watcher.got == []
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await until(lambda: watcher.payloads == [b"gone"])


async def test_will_is_published_at_a_clean_stop_too(rig: Rig) -> None:
    watcher = Party(rig, "watcher", "status/#")
    async with watcher.up():
        async with Party(rig, "a", will=Will("status/a", b"gone")).up():
            assert watcher.got == []
        await until(lambda: watcher.payloads == [b"gone"])


async def test_oversized_payload_is_refused_before_sending(rig: Rig) -> None:
    async with Party(rig, "a").up() as link:
        await link.publish("x", bytes(65_536))
        with pytest.raises(RefusedError) as refused:
            await link.publish("x", bytes(65_537))
        with pytest.raises(RefusedError):
            await link.publish("x" * 257, b"")
        with pytest.raises(RefusedError):
            await link.publish("x", b"", correlation=bytes(257))
        assert link.counters.published == 1
    assert refused.value.code == "message-too-large"


async def test_packet_larger_than_the_broker_takes_is_refused(tmp_path: Path) -> None:
    with Rig(tmp_path / "broker", extra=["max_packet_size 10000"]) as rig:
        async with Party(rig, "a").up() as link:
            await link.publish("x", bytes(9_000))
            with pytest.raises(RefusedError, match="10000"):
                await link.publish("x", bytes(10_000))
            assert link.connected


async def test_oversized_incoming_message_is_acknowledged_and_dropped(rig: Rig) -> None:
    sender = Party(rig, "a", limits=replace(QUICK, payload=200_000))
    receiver = Party(rig, "b", "x")
    oversized: list[str] = []
    receiver.link.on_oversized = oversized.append
    async with sender.up() as link, receiver.up() as receiving:
        await link.publish("x", bytes(65_537))
        await link.publish("x", b"small")
        await until(lambda: len(receiver.got) == 1)
        assert receiving.counters.dropped == 1
        assert receiving.counters.acknowledged == 2
    assert receiver.payloads == [b"small"]
    assert oversized == ["x"]


async def test_takeover_by_a_second_client_of_the_same_id_does_not_loop_hot(rig: Rig) -> None:
    limits = replace(QUICK, backoff_first=0.2, backoff_top=5.0)
    first, second = Party(rig, "same", limits=limits), Party(rig, "same", limits=limits)
    async with first.up() as one, second.up() as two:
        await until(lambda: one.counters.outages + two.counters.outages >= 4)
        began = asyncio.get_running_loop().time()
        await until(lambda: one.counters.outages + two.counters.outages >= 6)
        assert asyncio.get_running_loop().time() - began > 0.1


async def test_error_of_the_handler_brings_the_message_again(rig: Rig) -> None:
    sender, receiver = Party(rig, "a"), Party(rig, "b", "x")
    failures = [UnreachableError("disk-away", "no disk")]
    seen: list[bytes] = []

    async def on_message(message: Message) -> None:
        if failures:
            raise failures.pop()
        seen.append(message.payload)
        message.acknowledge()

    receiver.link._on_message = on_message
    async with sender.up() as link, receiver.up() as receiving:
        await link.publish("x", b"1")
        await until(lambda: seen == [b"1"])
        assert receiving.counters.outages == 1


async def test_bug_in_the_handler_comes_out_of_run(rig: Rig) -> None:
    sender, receiver = Party(rig, "a"), Party(rig, "b", "x")

    async def on_message(_: Message) -> None:
        raise ZeroDivisionError

    receiver.link._on_message = on_message
    async with sender.up() as link:
        task = asyncio.create_task(receiver.link.run())
        await until(lambda: receiver.link.connected)
        await link.publish("x", b"1")
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(task, PATIENCE)


async def test_stop_while_connecting_leaves_nothing_behind(tmp_path: Path) -> None:
    with Rig(tmp_path / "broker") as rig:
        party = Party(rig, "a")
        rig.freeze()
        task = asyncio.create_task(party.link.run())
        await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait({task}, timeout=PATIENCE)
        rig.thaw()
    assert task.cancelled()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("moment", ["_on_connect", "_on_subscribe", "_on_socket_open"])
async def test_stop_is_heard_in_the_very_moment_of_an_answer(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    answered = getattr(Strict, moment)
    loop = asyncio.get_running_loop()

    def stop_as_well(self: Strict, *arguments: object) -> None:
        answered(self, *arguments)
        loop.call_soon_threadsafe(task.cancel) if moment == "_on_socket_open" else task.cancel()

    monkeypatch.setattr(Strict, moment, stop_as_well)
    task = asyncio.create_task(Party(rig, "a").link.run())
    await asyncio.wait({task}, timeout=PATIENCE)
    assert task.cancelled()


async def test_stop_leaves_no_task_behind(rig: Rig) -> None:
    async with Party(rig, "a", "x").up() as link:
        await link.publish("x", b"1")
    assert not link.connected
    with pytest.raises(UnreachableError):
        await link.publish("x", b"1")
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_pause_longer_than_the_keep_alive_keeps_the_connection(rig: Rig) -> None:
    limits = replace(QUICK, unacknowledged=1, keepalive=3)
    sender = Party(rig, "a")
    receiver = Party(rig, "b", "x", limits=limits, acknowledge=False)
    async with sender.up() as link, receiver.up() as stuck:
        for payload in (b"1", b"2"):
            await link.publish("x", payload)
        await until(lambda: stuck.counters.pauses == 1)
        clock = asyncio.get_running_loop().time
        long_enough = clock() + 3 * limits.keepalive
        await until(lambda: clock() > long_enough)
        receiver.acknowledge = True
        receiver.got[0].acknowledge()
        await until(lambda: receiver.payloads == [b"1", b"2"])
        assert stuck.counters.outages == 0


CONNACK = bytes([0x20, 3, 0, 0, 0])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "connection lost"),
        (b"\x00\x00", "connection lost"),
        (CONNACK, "connection lost"),
        (CONNACK + b"\xe0\x02\x8b\x00", "Server shutting down"),
        (CONNACK + b"\x30\xff\xff\xff\x7f", "a packet that is too large"),
        (CONNACK + b"\x34\x06\x00\x01x\x00\x01\x00", "at QoS 2"),
        (CONNACK + b"\x32\x02\x00\x09", "connection lost: Protocol error"),
    ],
)
async def test_broken_broker_is_an_outage_with_a_reason(answer: bytes, reason: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)
        writer.write(answer)
        await writer.drain()
        if reason == "connection lost":
            writer.close()
        else:
            await reader.read()
            writer.close()

    async def nothing(_: object) -> None:
        pass

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    broker = Broker(*server.sockets[0].getsockname()[:2])
    link = Link(broker, "a", ["x"], on_message=nothing, on_connect=nothing, limits=QUICK)
    async with server:
        task = asyncio.create_task(link.run())
        await until(lambda: link.counters.outages == 1)
        assert reason in link.reason
        task.cancel()
        await asyncio.wait({task})
    assert task.cancelled()


SUBACK = bytes([0x90, 4, 0, 1, 0, 1])
PINGRESP = bytes([0xD0, 0])


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_reset_behind_what_was_not_read_yet_is_an_outage(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """A broker may answer, reset, and all of that be there before we read: uvloop tells once."""
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(_reset_twice())


async def _reset_twice() -> None:
    connected: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)
        writer.write(CONNACK)
        connected.append(writer)
        if await reader.read(1_000):
            writer.write(SUBACK)

    async def nothing(_: object) -> None:
        pass

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    broker = Broker(*server.sockets[0].getsockname()[:2])
    link = Link(broker, "a", ["x"], on_message=nothing, on_connect=nothing, limits=QUICK)
    async with server:
        task = asyncio.create_task(link.run())
        for outages in (1, 2):
            await until(lambda: link.connected)
            for writer in connected:
                _reset(writer)
            connected.clear()
            await until(lambda count=outages: link.counters.outages == count)
        assert not task.done()
        task.cancel()
        await asyncio.wait({task})
    assert task.cancelled()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Send a few packets, and a reset right behind them."""
    writer.write(5 * PINGRESP)
    at = writer.get_extra_info("socket")
    at.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
