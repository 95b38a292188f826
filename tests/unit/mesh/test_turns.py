import asyncio

from chopmark.mesh.turns import Turns


async def test_senders_are_served_by_turns_each_in_the_order_of_its_own_line() -> None:
    turns: Turns[int] = Turns(10, 5)
    assert all(turns.put("mo-1", number) for number in range(3))
    assert turns.put("hk-1", 9)
    assert len(turns) == 4
    assert turns.longest() == 3
    served = [await turns.get() for _ in range(4)]
    assert served == [("mo-1", 0), ("hk-1", 9), ("mo-1", 1), ("mo-1", 2)]
    assert len(turns) == 0


async def test_room_is_bounded_for_one_sender_and_for_all() -> None:
    turns: Turns[int] = Turns(3, 2)
    assert [turns.put("mo-1", number) for number in range(3)] == [True, True, False]
    assert [turns.put("hk-1", number) for number in range(2)] == [True, False]
    await turns.get()
    assert turns.put("hk-1", 1)


async def test_who_waits_gets_what_comes() -> None:
    turns: Turns[str] = Turns(3, 2)
    waiting = [asyncio.create_task(turns.get()) for _ in range(2)]
    await asyncio.sleep(0)
    turns.put("mo-1", "first")
    turns.put("hk-1", "second")
    assert await asyncio.gather(*waiting) == [("mo-1", "first"), ("hk-1", "second")]
