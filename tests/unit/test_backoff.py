from random import SystemRandom

from chopmark.mesh.backoff import Backoff


def test_backoff_doubles_up_to_the_top() -> None:
    backoff = Backoff(0.5, 30.0, SystemRandom())
    full = [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    for most in full:
        assert most / 2 <= backoff.next() <= most


def test_backoff_reset_starts_anew() -> None:
    backoff = Backoff(0.5, 30.0, SystemRandom())
    for _ in range(10):
        backoff.next()
    backoff.reset()
    assert backoff.next() <= 0.5


def test_backoff_stays_at_the_top_after_years() -> None:
    backoff = Backoff(0.5, 30.0, SystemRandom())
    assert all(backoff.next() <= 30.0 for _ in range(5000))
