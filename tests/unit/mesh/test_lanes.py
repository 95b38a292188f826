from chopmark.mesh.lanes import FIRST_WINDOW, MAX_WINDOW, REST, Holder, Lanes

SZ, MO = Holder("sz-1"), Holder("mo-1")


def picked(lanes: Lanes, holders: list[Holder], start: int = 0, now: float = 0.0) -> list[str]:
    """Everybody who can be asked now."""
    found = []
    while (name := lanes.pick(holders, start, now)) is not None:
        found.append(name)
    return found


def test_requests_are_spread_over_all_lanes_up_to_their_windows() -> None:
    assert picked(Lanes(), [SZ, MO]) == ["sz-1", "mo-1"] * FIRST_WINDOW


def test_first_is_asked_first_among_equals() -> None:
    assert Lanes().pick([MO, SZ], 0, 0.0) == "mo-1"


def test_lane_widens_with_each_answer_up_to_a_bound() -> None:
    lanes = Lanes()
    for _ in range(2 * MAX_WINDOW):
        assert lanes.pick([SZ], 0, 0.0) == "sz-1"
        lanes.answered("sz-1")
    assert len(picked(lanes, [SZ])) == MAX_WINDOW


def test_quick_peer_is_asked_for_more_than_a_slow_one() -> None:
    lanes = Lanes()
    asked = picked(lanes, [SZ, MO])
    for _ in range(50):
        lanes.answered("sz-1")
        asked += picked(lanes, [SZ, MO])
    assert asked.count("mo-1") == FIRST_WINDOW
    assert asked.count("sz-1") > 50


def test_silence_narrows_a_lane_and_a_second_one_closes_it_for_a_while() -> None:
    lanes = Lanes()
    lanes.pick([SZ], 0, 0.0)
    lanes.silent("sz-1", 0.0, 5.0)
    assert len(picked(lanes, [SZ], now=5.0)) == FIRST_WINDOW // 2
    lanes.silent("sz-1", 5.1, 10.0)
    assert picked(lanes, [SZ], now=10.0) == []
    lanes.silent("sz-1", 10.1, 15.0)
    assert picked(lanes, [SZ], now=15.0 + REST - 0.1) == []
    assert picked(lanes, [SZ], now=15.0 + REST) == ["sz-1"]


def test_all_that_one_outage_swallowed_is_one_silence() -> None:
    lanes = Lanes()
    asked = picked(lanes, [SZ])
    for _ in asked:
        lanes.silent("sz-1", 0.0, 5.0)
    assert len(picked(lanes, [SZ], now=5.0)) == FIRST_WINDOW // 2


def test_questions_that_fail_at_once_close_a_lane_though_no_time_passes() -> None:
    lanes = Lanes()
    for _ in range(2):
        lanes.pick([SZ], 0, 0.0)
        lanes.silent("sz-1", 0.0, 0.0)
    assert picked(lanes, [SZ]) == []


def test_answer_makes_silence_forgotten() -> None:
    lanes = Lanes()
    for second in range(5):
        lanes.pick([SZ], 0, second)
        lanes.silent("sz-1", second + 0.1, second + 0.2)
        lanes.pick([SZ], 0, second + 0.3)
        lanes.answered("sz-1")
    assert picked(lanes, [SZ], now=6.0)


def test_urgent_question_is_asked_whatever_the_width_of_a_lane() -> None:
    lanes = Lanes()
    picked(lanes, [SZ])
    assert lanes.pick([SZ], 0, 0.0, urgent=True) == "sz-1"
    lanes.blame("sz-1", 0.0)
    assert lanes.pick([SZ], 0, 0.0, urgent=True) is None


def test_peer_without_the_log_or_with_bad_packages_is_left_alone_for_a_while() -> None:
    lanes = Lanes()
    lanes.pick([SZ, MO], 0, 0.0)
    lanes.useless("sz-1", 0.0)
    assert set(picked(lanes, [SZ, MO])) == {"mo-1"}
    lanes.blame("mo-1", 0.0)
    assert picked(lanes, [SZ, MO]) == []
    assert "sz-1" in picked(lanes, [SZ, MO], now=REST)


def test_nobody_is_asked_for_what_it_does_not_hold() -> None:
    lanes = Lanes()
    short = Holder("mo-1", 1000)
    assert set(picked(lanes, [short], start=999)) == {"mo-1"}
    assert picked(lanes, [short], start=1000) == []


def test_unsure_ones_are_asked_only_if_all_others_are_closed() -> None:
    lanes = Lanes()
    holders = [SZ, Holder("hk-1", sure=False)]
    assert set(picked(lanes, holders)) == {"sz-1"}
    lanes.blame("sz-1", 0.0)
    assert set(picked(lanes, holders)) == {"hk-1"}
