"""The order in which the HSM serves."""

import asyncio
import threading

from chopmark.hsm.thread import HsmThread
from chopmark.hsm.turns import Turn, Turns


def served(turns: Turns[str]) -> list[str]:
    return [turns.take() for _ in range(len(turns))]


def test_turns_serve_the_most_urgent_first_and_anchors_last() -> None:
    turns: Turns[str] = Turns()
    for turn in reversed(Turn):
        turns.put(turn, turn.name)

    assert served(turns) == ["UPKEEP", "HEARTBEAT", "OWN", "OTHER", "REFRESH", "ANCHOR", "CLOSE"]
    assert len(turns) == 0


def test_own_heads_take_half_of_the_turns_while_others_wait() -> None:
    turns: Turns[str] = Turns()
    for number in range(3):
        turns.put(Turn.OWN, f"own {number}")
    for number in range(5):
        turns.put(Turn.OTHER, f"other {number}")

    assert served(turns) == [
        *("own 0", "other 0", "own 1", "other 1", "own 2", "other 2"),
        *("other 3", "other 4"),
    ]


def test_own_heads_take_every_turn_while_no_other_waits() -> None:
    turns: Turns[str] = Turns()
    for number in range(4):
        turns.put(Turn.OWN, f"own {number}")

    assert served(turns) == ["own 0", "own 1", "own 2", "own 3"]


def test_a_stream_of_own_heads_keeps_no_other_waiting_for_more_than_one() -> None:
    turns: Turns[str] = Turns()
    turns.put(Turn.OWN, "own")
    turns.take()
    turns.put(Turn.OTHER, "other")
    turns.put(Turn.OWN, "own")

    assert turns.take() == "other"


def test_heartbeats_come_before_heads_and_leave_their_turns_as_they_are() -> None:
    turns: Turns[str] = Turns()
    for turn in (Turn.OWN, Turn.OTHER, Turn.HEARTBEAT):
        turns.put(turn, turn.name)
    first = turns.take()
    turns.put(Turn.HEARTBEAT, "again")

    assert [first, *served(turns)] == ["HEARTBEAT", "again", "OWN", "OTHER"]


async def test_thread_serves_by_turns_what_waits_behind_a_call() -> None:
    thread = HsmThread()
    gate, done = threading.Event(), list[Turn]()
    first = asyncio.create_task(thread.call(gate.wait))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(thread.call(done.append, t, turn=t)) for t in reversed(Turn)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(first, *waiting)
    thread.stop()

    assert done == list(Turn)
