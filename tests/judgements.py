"""What a verdict is made of, for tests: good facts, and what each verdict changes in them."""

from dataclasses import replace

from chopmark.core.entry import Attestation
from chopmark.core.judge import decide
from chopmark.core.verdict import (
    Facts,
    Issuer,
    Match,
    Question,
    Revoked,
    Source,
    Word,
)

NOW = 1795305600000
DAY = 24 * 3600 * 1000
HK = Issuer("hk-1", "bank-hk.example/hk-1", "Bank HK", "HK")
HK2 = Issuer("hk-2", "bank-hk.example/hk-2", "Bank HK", "HK")
SZ = Issuer("sz-1", "bank-sz.example/sz-1", "Bank SZ", "CN")
ENTRY = Attestation(NOW - 9 * DAY, b"d" * 32, "bank-statement")
GOOD = Facts(
    HK, 5, ENTRY, Source.REPLICA, Match.ALL, quorum="reached", existed_by=NOW - 8 * DAY, as_of=NOW
)
ASK = Question(NOW)
LAPSED = replace(ENTRY, valid_until=NOW - 1)

CHANGES = {
    Word.UNTRUSTED: {"problem": "the signature is not good"},
    Word.MISMATCH: {"match": Match.DIFFERS},
    Word.REVOKED: {"revoked": Revoked(9, 2, NOW - DAY)},
    Word.SUPERSEDED: {"superseded_by": 8},
    Word.EXPIRED: {"entry": LAPSED},
    Word.UNWITNESSED: {"quorum": "missing", "existed_by": None},
    Word.ATTESTATION_ONLY: {"match": Match.NO_DOCUMENT},
    Word.VALID_AS_OF: {"as_of": None},
    Word.VALID: {},
}
"""What makes each verdict, in the order in which the first that applies wins."""
ORDER = list(CHANGES)


def changed(*words: Word) -> Facts:
    """Good facts with what makes these verdicts; where two touch one field the first stays."""
    made = GOOD
    for word in reversed(words):
        made = replace(made, **CHANGES[word])
    return made


def word_of(*found: Facts, question: Question = ASK) -> Word:
    return decide(found, question, NOW - DAY).word


def revoked(reason: int, **changes: object) -> Facts:
    return replace(GOOD, index=9, revoked=Revoked(10, reason, NOW - DAY), **changes)
