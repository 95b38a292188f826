"""How much was done, minute by minute."""

from chopmark.service.history import KEPT, History, Totals
from ledgers import NOW, Clock


def test_history_tells_what_was_done_in_each_minute() -> None:
    totals, clock = Totals(10, 0, 100), Clock()
    history = History(lambda: totals, clock)
    assert history.describe()["recorded"] == []
    totals = Totals(15, 2, 100)
    history.sample()
    totals = Totals(15, 2, 107)
    clock.now += 60_000
    history.sample()
    told = history.describe()
    assert told["recorded"] == [5, 0]
    assert told["verified"] == [2, 0]
    assert told["replicated"] == [0, 7]
    assert told["step_seconds"] == 60
    assert clock.now == NOW + 60_000
    assert told["until"] == "2027-01-15T08:01:00.000Z"


def test_history_keeps_a_day_and_no_more() -> None:
    totals = Totals(0, 0, 0)
    history = History(lambda: totals, Clock())
    for number in range(KEPT + 5):
        totals = Totals(number * number, 0, 0)
        history.sample()
    recorded = history.describe()["recorded"]
    assert len(recorded) == KEPT
    assert recorded[-1] == (KEPT + 4) ** 2 - (KEPT + 3) ** 2


def test_replica_that_was_made_anew_counts_as_nothing() -> None:
    totals = Totals(0, 0, 500)
    history = History(lambda: totals, Clock())
    totals = Totals(0, 0, 20)
    history.sample()
    assert history.describe()["replicated"] == [0]
