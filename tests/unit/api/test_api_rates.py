"""A client's rate: single requests are refused beyond it, streams are slowed."""

import asyncio

import pytest

from chopmark.api.rates import Bucket
from chopmark.core.errors import TryAgainError


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def taken(bucket: Bucket) -> int:
    """How many are given at once."""
    count = 0
    while True:
        try:
            bucket.take()
        except TryAgainError:
            return count
        count += 1


def test_bucket_gives_those_of_a_second_and_then_refuses() -> None:
    clock = Clock()
    bucket = Bucket(5, clock)
    assert taken(bucket) == 5
    with pytest.raises(TryAgainError) as caught:
        bucket.take()
    assert (caught.value.code, caught.value.retry_after) == ("rate-limited", 1)
    clock.now += 0.2
    assert taken(bucket) == 1


def test_bucket_holds_no_more_than_a_second_however_long_it_stood() -> None:
    clock = Clock()
    bucket = Bucket(5, clock)
    clock.now += 3600
    assert taken(bucket) == 5


async def test_stream_runs_into_debt_and_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    clock = Clock()
    bucket = Bucket(100, clock)
    await bucket.pace(100)
    assert not slept
    await bucket.pace(50)
    await bucket.pace(50)
    assert slept == [0.5, 1.0], "two streams of one client wait for each other's share too"
    with pytest.raises(TryAgainError) as caught:
        bucket.take()
    assert caught.value.retry_after == 2
