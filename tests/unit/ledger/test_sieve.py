"""The sieve lets nothing through that was in, and little else."""

import random

import numpy as np
import pytest

from chopmark.ledger.packed import Keys, read_words
from chopmark.ledger.sieve import Sieve


def words(count: int, seed: int) -> Keys:
    return read_words(random.Random(seed).randbytes(32 * count))  # noqa: S311 - no secret


def loaded(layer: int = 4096) -> Sieve:
    made = Sieve(layer)
    made.load([])
    return made


@pytest.mark.parametrize("count", [1, 100, 5000, 20_000])
def test_sieve_knows_all_that_was_in(count: int) -> None:
    sieve = loaded()
    some = words(count, 1)
    for at in range(0, count, 700):
        sieve.admit(some[at : at + 700])
    assert sieve.admit(some).all()


def test_sieve_lets_little_else_through() -> None:
    sieve = loaded(50_000)
    sieve.add(words(50_000, 1))
    assert np.mean(sieve.admit(words(20_000, 2))) < 0.01


def test_sieve_tells_what_comes_twice_at_once() -> None:
    sieve = loaded()
    some = words(1000, 3)
    may = sieve.admit(np.concatenate([some, some[5:7]]))
    assert np.flatnonzero(may).tolist() == [5, 6, 1000, 1001]


def test_sieve_that_is_not_loaded_knows_nothing_for_certain() -> None:
    sieve = Sieve()
    assert sieve.admit(words(10, 4)).all()
    sieve.load([words(40_000, 5)])
    assert sieve.loaded
    assert sieve.admit(words(40_000, 5)[-10:]).all()
    assert not sieve.admit(words(10, 6)).any()


def test_sieve_takes_nothing_too() -> None:
    assert not len(loaded().admit(read_words(b"")))


@pytest.mark.parametrize("known", [False, True])
def test_sieve_does_not_grow_by_what_it_has(*, known: bool) -> None:
    sieve = loaded(1000) if known else Sieve(1000)
    some = words(900, 7)
    for _ in range(5):
        sieve.admit(np.concatenate([some, some[:500]]))
    assert len(sieve._layers) == 1
    assert sieve._count == 900
    sieve.admit(words(200, 8))
    sieve.admit(words(200, 9))
    assert len(sieve._layers) == 2


def test_sieve_that_is_loaded_in_order_tells_new_words_as_well() -> None:
    """The index has its words sorted, over several layers: each must lie all over its own."""
    sieve = Sieve(layer=32_768)
    sieve.load([np.sort(words(4 * 32_768, 1))])
    assert np.mean(sieve.admit(words(4096, 2))) < 0.03
