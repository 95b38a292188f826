"""Evidence convicts who signed two histories, and nobody else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trees
from chopmark.core.checkpoint import Checkpoint, open_checkpoint
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.evidence import (
    HEADER,
    MAX_BULLETIN,
    MAX_EVIDENCE,
    MAX_HASHES,
    Branch,
    Evidence,
    Subject,
    check_evidence,
    differing_heads,
    encode_bulletin,
    make_evidence,
    parse_bulletin,
    parse_evidence,
)
from chopmark.core.merkle import range_nodes
from chopmark.core.package import Package, parse_package, verify_package
from chopmark.core.refute import Anchor, Shown, refute_entry, refute_head, refute_package
from chopmark.core.tiles import encode_bundle
from mutations import flipped, is_canonical, mutated
from softkeys import cosigner, log_key, sign_head

ORIGIN = "bank-a.example/sz-1"
LOG = log_key(ORIGIN)
ENTRIES = [b"entry %d" % index for index in range(600)]


class History:
    """A log with all its heads; `at` is where it leaves the first history."""

    def __init__(self, at: int | None = None) -> None:
        self.entries = list(ENTRIES)
        if at is not None:
            self.entries[at] = b"another"
        self.leaves = [trees.leaf(entry) for entry in self.entries]
        self.nodes = trees.Nodes(self.leaves)

    def head(self, size: int) -> Checkpoint:
        return Checkpoint(ORIGIN, size, trees.root(self.leaves[:size]))

    def note(self, size: int) -> bytes:
        return sign_head(self.head(size), LOG)

    def held(self, size: int, beyond: int | None = None) -> Shown:
        """A replica of `size` entries, which came under the head of another size."""
        head = self.head(beyond or size)
        right = tuple(self.nodes(*node) for node in range_nodes(size, head.size))
        return Shown.by_log(Anchor(head, self.note(head.size), size, right), self.nodes)

    def package(self, start: int, end: int, size: int) -> Shown:
        package = Package(
            ORIGIN,
            start,
            encode_bundle(self.entries[start:end]),
            b"".join(self.nodes(*node) for node in range_nodes(0, start)),
            b"".join(self.nodes(*node) for node in range_nodes(end, size)),
            self.note(size),
        )
        read = parse_package(package.encode())
        return Shown.by_package(verify_package(read, lambda n: open_checkpoint(n, LOG.vkey)))

    def branch(self, size: int, beyond: int) -> Branch:
        proof = tuple(trees.proof(size, self.leaves[:beyond]))
        return Branch(trees.root(self.leaves[:size]), proof, self.note(beyond))

    def entry(self, index: int, size: int) -> Branch:
        path = tuple(trees.path(index, self.leaves[:size]))
        return Branch(self.leaves[index], path, self.note(size))


HONEST = History()
EVIDENCE = make_evidence(Subject.SIZE, 9, HONEST.branch(9, 20), History(3).branch(9, 14))


def convicts(evidence: Evidence | None) -> bool:
    """Whether it convicts, also after it was written and read."""
    assert evidence is not None
    assert parse_evidence(evidence.encode()) == evidence
    fork = check_evidence(evidence, LOG.vkey)
    assert fork.origin == evidence.origin == ORIGIN
    assert fork.below == min(fork.first.checkpoint.size, fork.second.checkpoint.size)
    return fork.evidence is evidence


def refuses(evidence: Evidence) -> str:
    with pytest.raises(MalformedError) as caught:
        check_evidence(evidence, LOG.vkey)
    return caught.value.code


# What convicts


def test_two_heads_of_one_size_convict() -> None:
    evidence = differing_heads(History(3).note(9), HONEST.note(9))
    assert convicts(evidence)
    assert (evidence.subject, evidence.number) == (Subject.SIZE, 9)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 256, 300])
@pytest.mark.parametrize("beyond", [300, 301, 512])
def test_smaller_head_of_another_history_convicts(size: int, beyond: int) -> None:
    other = History(0)
    evidence = refute_head(HONEST.held(beyond), other.head(size), other.note(size))
    assert convicts(evidence)


@pytest.mark.parametrize("held", [5, 256, 290, 299])
@pytest.mark.parametrize("size", [1, 4, 5])
def test_head_convicts_against_entries_that_no_head_has_reached(held: int, size: int) -> None:
    other = History(0)
    evidence = refute_head(HONEST.held(held, 300), other.head(size), other.note(size))
    assert convicts(evidence)


@pytest.mark.parametrize(("start", "end"), [(256, 300), (290, 300), (300, 301), (299, 310)])
@pytest.mark.parametrize("beyond", [300, 303])
def test_package_of_another_history_convicts(start: int, end: int, beyond: int) -> None:
    theirs = History(17).package(start, end, 555)
    assert convicts(refute_package(HONEST.held(300, beyond), theirs))


def test_first_package_of_another_history_convicts() -> None:
    assert convicts(refute_package(HONEST.held(300), History(0).package(0, 1, 1)))


@pytest.mark.parametrize("index", [0, 17, 255, 299])
def test_another_entry_convicts(index: int) -> None:
    theirs = History(index).entry(index, 411)
    assert convicts(refute_entry(HONEST.held(300, 303), index, theirs))
    assert convicts(refute_entry(HONEST.held(300), index, theirs))


def test_cosignatures_in_a_note_do_no_harm() -> None:
    note = sign_head(HONEST.head(9), LOG, {cosigner(f"{ORIGIN}/cosigner", 2): 5})
    assert convicts(differing_heads(note, History(3).note(9)))


# What does not


def test_nothing_is_made_where_histories_agree() -> None:
    ours = HONEST.held(300)
    assert refute_head(ours, HONEST.head(9), HONEST.note(9)) is None
    assert refute_head(ours, History(0).head(301), History(0).note(301)) is None
    assert refute_package(ours, HONEST.package(256, 310, 310)) is None
    assert refute_package(ours, History(0).package(512, 520, 520)) is None
    assert refute_entry(ours, 5, HONEST.entry(5, 411)) is None
    assert refute_entry(ours, 400, History(400).entry(400, 411)) is None


@given(st.data())
def test_honest_log_is_never_convicted(data: st.DataObject) -> None:
    """Whatever is put together from its heads, its proofs and its hashes."""
    sizes = st.integers(1, 40)
    subject = data.draw(st.sampled_from(Subject))
    number = data.draw(st.integers(0, 40))

    def branch() -> Branch:
        head = data.draw(sizes)
        if number and data.draw(st.booleans()):
            about = data.draw(st.integers(1, head))
            made = HONEST.branch(about, head)
        else:
            made = HONEST.entry(data.draw(st.integers(0, head - 1)), head)
        hashes = [made.value, *made.hashes, *HONEST.leaves[:2]]
        value = data.draw(st.sampled_from([made.value, *hashes, flipped(made.value)]))
        some = st.lists(st.sampled_from(hashes), max_size=6).map(tuple)
        return replace(made, value=value, hashes=data.draw(st.just(made.hashes) | some))

    with pytest.raises(RefusedError):
        check_evidence(make_evidence(subject, number, branch(), branch()), LOG.vkey)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_honest_proofs_to_the_same_size_prove_nothing(size: int, one: int, other: int) -> None:
    branches = [HONEST.branch(min(size, one, other), head) for head in (one, other)]
    evidence = make_evidence(Subject.SIZE, min(size, one, other), *branches)
    assert refuses(evidence) == "no-fork"


@pytest.mark.parametrize("which", [0, 1])
def test_any_flipped_bit_acquits(which: int) -> None:
    branch = EVIDENCE.branches[which]
    for bad in (
        replace(branch, value=flipped(branch.value)),
        *(
            replace(branch, hashes=(*branch.hashes[:n], flipped(value), *branch.hashes[n + 1 :]))
            for n, value in enumerate(branch.hashes)
        ),
        replace(branch, hashes=branch.hashes[1:]),
        replace(branch, hashes=(*branch.hashes, b"h" * 32)),
    ):
        branches = [*EVIDENCE.branches]
        branches[which] = bad
        assert refuses(make_evidence(Subject.SIZE, 9, *branches)) == "bad-consistency"


def test_another_entry_needs_its_path() -> None:
    theirs = History(3).entry(3, 9)
    evidence = make_evidence(
        Subject.ENTRY, 3, HONEST.entry(3, 20), replace(theirs, value=b"v" * 32)
    )
    assert refuses(evidence) == "bad-inclusion"
    assert refuses(replace(evidence, number=20)) == "bad-inclusion"


def test_heads_that_another_key_signed_convict_nobody() -> None:
    thief = sign_head(History(3).head(9), log_key(ORIGIN, 9))
    assert refuses(differing_heads(HONEST.note(9), thief)) == "no-known-signature"


def test_heads_of_another_log_convict_nobody() -> None:
    other = log_key("bank-b.example/hk-1", 1)
    notes = [
        sign_head(replace(history.head(9), origin=other.name), other)
        for history in (HONEST, History(3))
    ]
    assert refuses(differing_heads(*notes)) == "malformed-checkpoint"


# The format


TEXT = EVIDENCE.encode().decode()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (TEXT.replace(HEADER, "chopmark/evidence/v2"), "malformed-evidence"),
        (TEXT.replace("size 9\n\n", "root 9\n\n"), "malformed-evidence"),
        (TEXT.replace("size 9\n\n", "size 09\n\n"), "malformed-number"),
        (TEXT.replace("size 9\n\n", "size 9\nmore\n\n"), "malformed-number"),
        (TEXT.replace("branch ", "twig "), "malformed-evidence"),
        (TEXT.replace("\n\nbranch ", "\n\n\nbranch "), "malformed-evidence"),
        (TEXT + "\n", "malformed-evidence"),
        (TEXT[:-1], "malformed-note"),
        (TEXT + "\n" + TEXT, "malformed-evidence"),
        (TEXT.replace("\n14\n", "\n014\n"), "malformed-number"),
        ("é" * MAX_EVIDENCE, "malformed-evidence"),
        (
            Evidence(Subject.SIZE, 9, EVIDENCE.branches[::-1]).encode().decode(),
            "malformed-evidence",
        ),
        (
            make_evidence(
                Subject.SIZE,
                9,
                replace(EVIDENCE.branches[0], hashes=(b"h" * 32,) * (MAX_HASHES + 1)),
                EVIDENCE.branches[1],
            )
            .encode()
            .decode(),
            "malformed-evidence",
        ),
    ],
)
def test_evidence_refuses(text: str, code: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_evidence(text.encode())
    assert caught.value.code == code


@given(mutated(EVIDENCE.encode()))
def test_damaged_evidence_is_refused_or_reads_as_it_is_written(data: bytes) -> None:
    assert is_canonical(data, parse_evidence, Evidence.encode)


def test_evidence_has_a_name() -> None:
    other = differing_heads(HONEST.note(9), History(3).note(9))
    assert len({EVIDENCE.digest, other.digest}) == 2


def test_bulletin_carries_what_fits() -> None:
    texts = [b"a" * 10, b"b" * MAX_BULLETIN, b"c" * 20]
    assert parse_bulletin(encode_bulletin(texts)) == [b"a" * 10, b"c" * 20]


@pytest.mark.parametrize("data", [b"\xa0", b"\x81\x01", b"\x81", b"junk"])
def test_bulletin_refuses_what_is_no_list_of_texts(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_bulletin(data)
