from chopmark.client.told.steps import describe_step
from chopmark.core.timeline import arrange, is_before, tell_time
from chopmark.core.trace import Cosigned, Name, Report, StepOut

ABOUT = "bank-hk.example/hk-1#3"
DAY = "2026-11-22T13:"


def step(name: Name, time: str, index: int = 3, **more: object) -> StepOut:
    made = StepOut(name, f"{DAY}{time}Z", ABOUT, "bank-hk.example/hk-1", index, "proof")
    return StepOut(**{field: getattr(made, field) for field in made.__struct_fields__} | more)  # type: ignore[arg-type]


ATTESTED = step("attested", "00:00.850")
WITNESSED = step(
    "witnessed", "00:00.000", by=[Cosigned("mo-1", f"{DAY}00:00.000Z")], quorum="reached"
)


def names(*steps: StepOut) -> list[str]:
    return [one.step for one in arrange(steps)]


def test_what_was_witnessed_in_its_second_was_so_after_it_was_attested() -> None:
    steps = arrange([WITNESSED, ATTESTED])
    assert [one.step for one in steps] == ["attested", "witnessed"]
    assert [tell_time(one, steps) for one in steps] == [f"{DAY}00:00.850Z"] * 2
    assert not is_before(WITNESSED, steps)


def test_time_that_the_gateway_remembers_is_told_likewise() -> None:
    later = step("witnessed", "30:00.000", seen_by=f"{DAY}00:00.000Z")
    assert tell_time(later, [ATTESTED, later]) == f"{DAY}00:00.850Z"
    assert tell_time(step("witnessed", "30:00.000"), [ATTESTED]) == f"{DAY}30:00.000Z"


def test_clock_behind_the_issuers_is_said_to_be_so() -> None:
    early = step("witnessed", "00:00.000", quorum="reached", by=WITNESSED.by)
    late = step("attested", "00:07.100")
    steps = arrange([early, late])
    assert [one.step for one in steps] == ["attested", "witnessed"]
    assert tell_time(early, steps) == f"{DAY}00:00.000Z"
    assert is_before(early, steps)
    made = Report(asked_at="", as_of=None, digests=None, parties={}, policies={}, steps=steps)
    told = describe_step(made, early)
    assert told[1:] == [
        f"mo-1 at {DAY}00:00Z",
        "by their clocks, which were behind that of the one who attested it",
    ]
    assert len(describe_step(made, step("witnessed", "00:07.000", quorum="reached"))) == 2


def test_use_comes_after_its_consent_whatever_the_receivers_clock_says() -> None:
    consented = step("consented", "01:00.000", 5)
    used = step("used", "00:59.000", 0, origin="bank-sz.example/sz-1", consent=5)
    withdrawn = step("withdrawn", "02:00.000", 6, consent=5)
    assert names(used, withdrawn, consented, ATTESTED) == [
        "attested", "consented", "used", "withdrawn",
    ]  # fmt: skip
    assert names(withdrawn, step("used", "00:59.000", 0), ATTESTED)[1] == "used"


def test_blinded_one_that_takes_a_place_in_the_same_minute_comes_after() -> None:
    """Its time is that of its minute, and so before what it replaces."""
    assert names(step("superseded", "00:00.000", 4), step("attested", "00:30.000")) == [
        "attested",
        "superseded",
    ]


def test_other_steps_come_by_their_times() -> None:
    revoked, consented = step("revoked", "03:00.000", 7), step("consented", "04:00.000", 8)
    witnessed = step("witnessed", "05:00.000")
    found = names(witnessed, consented, revoked, ATTESTED)
    assert found == ["attested", "revoked", "consented", "witnessed"]
