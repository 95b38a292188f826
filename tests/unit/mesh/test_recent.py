from chopmark.mesh.recent import Recent


def test_second_time_is_known() -> None:
    recent = Recent(3)
    assert recent.add("a")
    assert recent.add("b")
    assert not recent.add("a")


def test_oldest_is_forgotten_at_the_bound() -> None:
    recent = Recent(2)
    assert all(recent.add(key) for key in "abc")
    assert not recent.add("c")
    assert not recent.add("b")
    assert recent.add("a")


def test_what_was_discarded_is_new_again() -> None:
    recent = Recent(2)
    recent.add("a")
    recent.discard("a")
    recent.discard("never there")
    assert recent.add("a")
