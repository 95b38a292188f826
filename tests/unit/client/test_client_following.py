"""Following a log: in order, without a gap, over what goes away and comes back."""

from collections.abc import Iterator
from typing import Any

import pytest

from chopmark.client.following import FIRST_PAUSE, LONGEST_PAUSE, follow
from chopmark.core.errors import ChopmarkError, MissingError, TryAgainError, UnreachableError

AWAY = UnreachableError("gateway-unreachable", "away")


class Gateway:
    """Answers as it is told, one answer for each question."""

    def __init__(self, *answers: list[int] | ChopmarkError) -> None:
        self.answers = list(answers)
        self.asked: list[int] = []

    def entries(self, member: str, after: int, limit: int, wait: float) -> dict[str, Any]:
        assert (member, limit) == ("hk-1", 1000)
        assert wait > 0
        self.asked.append(after)
        answer = self.answers.pop(0)
        if isinstance(answer, ChopmarkError):
            raise answer
        return {"entries": [{"index": index} for index in answer], "size": 99}


def run(gateway: Gateway, after: int, **more: Any) -> Iterator[list[int]]:
    pages = follow(gateway, "hk-1", after, go_on=lambda: bool(gateway.answers), **more)  # type: ignore[arg-type]
    return ([entry["index"] for entry in page] for page in pages)


def test_cursor_moves_with_what_came() -> None:
    gateway = Gateway([0, 1], [], [2], [])
    assert list(run(gateway, -1)) == [[0, 1], [2]]
    assert gateway.asked == [-1, 1, 1, 2]


def test_gateway_that_is_away_is_waited_for_and_told_once_each_time() -> None:
    stopping = TryAgainError("stopping", "stopping")
    gateway = Gateway([5], stopping, *[AWAY] * 5, [6], AWAY, [7])
    told: list[ChopmarkError] = []
    pauses: list[float] = []
    assert list(run(gateway, 4, missed=told.append, pause=pauses.append)) == [[5], [6], [7]]
    assert told == [stopping, AWAY]
    assert pauses == [0.5, 1, 2, 4, LONGEST_PAUSE, LONGEST_PAUSE, FIRST_PAUSE]
    assert gateway.asked == [4, *[5] * 7, 6, 6]


@pytest.mark.parametrize("wrong", [[6], [5, 7], [5, 5], [6, 5]])
def test_gap_and_disorder_are_errors(wrong: list[int]) -> None:
    with pytest.raises(UnreachableError) as caught:
        list(run(Gateway(wrong), 4))
    assert caught.value.code == "bad-answer"


@pytest.mark.parametrize(
    "error", [MissingError("no-such-member", "no"), UnreachableError("bad-answer", "no")]
)
def test_what_does_not_go_away_by_itself_ends_it(error: ChopmarkError) -> None:
    with pytest.raises(type(error)):
        list(run(Gateway(error), 4))
