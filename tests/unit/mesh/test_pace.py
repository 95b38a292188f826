from chopmark.mesh.pace import PATIENCE, Pace

SZ, MO = "sz-1", "mo-1"


def pace(**sizes: int) -> Pace:
    """A bound of 100 entries, and peers that hold so much of 1,000."""
    made = Pace(100)
    for name, size in sizes.items():
        made.heard(f"{name}-1", size, 1000, 0.0)
    return made


def test_nobody_is_waited_for_without_peers() -> None:
    assert not Pace(100).is_slowed(10**9, 0.0)
    assert Pace(100).lags(10**9, 0.0) == {}


def test_issuer_is_slowed_to_the_slowest_peer_that_counts() -> None:
    made = pace(sz=1000, mo=950)
    assert made.lags(1000, 0.0) == {SZ: 0, MO: 50}
    assert not made.is_slowed(1050, 0.0)
    assert made.is_slowed(1051, 0.0)
    made.heard(MO, 960, 1051, 1.0)
    assert not made.is_slowed(1051, 1.0)


def test_newcomer_in_catch_up_does_not_count_until_it_was_near() -> None:
    made = pace(sz=1000, mo=0)
    assert made.lags(1000, 0.0) == {SZ: 0}
    made.heard(MO, 899, 1000, 1.0)
    assert MO not in made.lags(1000, 1.0)
    made.heard(MO, 900, 1000, 2.0)
    assert made.lags(1000, 2.0)[MO] == 100
    assert made.is_slowed(1001, 2.0), "and from then on it counts however far behind it is"


def test_peer_that_is_gone_counts_again_once_it_is_near() -> None:
    made = pace(mo=1000)
    made.gone(MO)
    made.gone("never heard of")
    assert not made.is_slowed(2000, 0.0)
    made.heard(MO, 1500, 2000, 1.0)
    assert not made.is_slowed(2000, 1.0)
    made.heard(MO, 1950, 2000, 2.0)
    assert made.is_slowed(2051, 2.0)


def test_peer_that_does_not_grow_for_long_counts_no_longer() -> None:
    made = pace(mo=1000)
    assert made.is_slowed(1200, 5.0)
    made.heard(MO, 1000, 1200, 10.0)
    assert made.is_slowed(1200, 5.0 + PATIENCE), "what it says does not count, its growth does"
    assert not made.is_slowed(1200, 5.1 + PATIENCE)


def test_peer_that_grows_is_waited_for_as_long_as_it_takes() -> None:
    made = pace(mo=1000)
    made.heard(MO, 1000, 1100, 1.0)
    for second in range(1, 100):
        now = second * (PATIENCE - 1.0)
        assert made.is_slowed(10_000, now)
        made.heard(MO, 1000 + second, 10_000, now)


def test_quiet_time_is_not_held_against_anybody() -> None:
    made = pace(mo=1000)
    assert not made.is_slowed(1000, 3600.0)
    assert made.is_slowed(1200, 3601.0)


def test_replica_that_was_made_anew_is_a_newcomer() -> None:
    made = pace(mo=1000)
    made.heard(MO, 10, 1000, 1.0)
    assert not made.is_slowed(1000, 1.0)
