"""Which heads of our own log count when it is taken back."""

from dataclasses import replace

from chopmark.core.member import PastKey
from chopmark.ledger.epoch import Epochs
from chopmark.mesh.messages import HeadsSeen
from chopmark.service.recovery import Watch, _Heads, _Recovery
from ledgers import LOG, Source, attestations, member
from softkeys import log_key

SOURCE = Source(attestations(9))


def read(ended_at: int) -> _Heads:
    """What is read where the key, which has signed up to 6, has ended at a size."""
    last = PastKey(LOG.vkey, ended_at, SOURCE.head(ended_at).root)
    own = replace(member(), log_key=log_key(LOG.name, 77).vkey, past_log_keys=(last,))
    made = _Recovery(None, own, None, (), None, 0, Watch())  # type: ignore[arg-type]  # as much as is looked at
    found = {
        "hk-1": HeadsSeen(SOURCE.note(2), (SOURCE.note(6),)),
        "mo-1": HeadsSeen(SOURCE.note(6)),
        "gz-1": HeadsSeen(b"no note"),
    }
    try:
        return made._read(found, Epochs(seen_note=SOURCE.note(6)))
    finally:
        made.reading.close()


def test_heads_that_a_thief_has_signed_are_none_and_who_shows_them_has_answered() -> None:
    heads = read(2)
    assert [one.checkpoint.size for one in heads.every] == [2]
    assert heads.answered == ("hk-1", "mo-1")


def test_heads_that_the_ended_key_vouches_for_count() -> None:
    heads = read(6)
    assert sorted(one.checkpoint.size for one in heads.every) == [2, 6, 6, 6]
    assert heads.newest is not None
    assert heads.newest.checkpoint.size == 6
