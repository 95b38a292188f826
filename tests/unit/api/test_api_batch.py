import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchcalls import MADE_AT, Call, batch, line
from chopmark.api.answers import Settled, render
from chopmark.api.limits import ApiLimits
from chopmark.api.lines import Fault, LineSplitter
from chopmark.core.blinding import blind, salt_at
from chopmark.core.draft import Earlier, Recorded
from chopmark.core.entry import SHA256, Attestation, parse_entry
from chopmark.core.errors import InternalError, TryAgainError
from chopmark.core.idempotency import key_reused
from fakegateway import HIDDEN, NOW, SEED, WHO, FakeGateway
from rig.patience import PATIENCE


async def test_each_line_is_answered_in_order() -> None:
    gateway = FakeGateway()
    answers = await batch(gateway, b"".join(line(i) for i in range(10_000)))
    assert answers == [{"index": i, "made_at": MADE_AT, "state": "signed"} for i in range(10_000)]
    assert max(gateway.groups) == 4096
    digests = [parse_entry(leaf).sha256 for leaf in gateway.leaves]
    assert digests == [i.to_bytes(32, "big") for i in range(10_000)]


async def test_every_field_reaches_the_entry() -> None:
    gateway = FakeGateway()
    fields = {"sm3": "ab" * 32, "kind": "diploma", "valid_until": "2027-01-01T00:00:00.5Z"}
    await batch(gateway, line(1, kind="diploma"))
    answers = await batch(gateway, line(2, **fields, supersedes=0))
    assert answers[0]["index"] == 1
    assert parse_entry(gateway.leaves[1]) == Attestation(
        NOW,
        (2).to_bytes(32, "big"),
        "diploma",
        bytes.fromhex("ab" * 32),
        1_798_761_600_500,
        supersedes=0,
    )


@pytest.mark.parametrize("body", [b"", b"\n"[:0]])
async def test_empty_body_is_an_empty_answer(body: bytes) -> None:
    assert await batch(FakeGateway(), body) == []


async def test_last_line_needs_no_line_feed() -> None:
    answers = await batch(FakeGateway(), line(1) + line(2).rstrip(b"\n"))
    assert [answer["index"] for answer in answers] == [0, 1]


async def test_lines_may_end_in_cr_lf() -> None:
    answers = await batch(FakeGateway(), line(1).replace(b"\n", b"\r\n") * 3)
    assert [answer["index"] for answer in answers] == [0, 1, 2]


BAD = [
    (b"\n", "malformed-line"),
    (b"  \r\n", "malformed-line"),
    (b"{}\n", "malformed-line"),
    (b"[]\n", "malformed-line"),
    (b"null\n", "malformed-line"),
    (b"{\n", "malformed-line"),
    (b'{"sha256":"\xff"}\n', "malformed-line"),
    (b'{"sha256":"\\ud800"}\n', "malformed-line"),
    (b"\x00\n", "malformed-line"),
    (line(1).strip() + line(2), "malformed-line"),
    (line(1).strip() + b" " + line(2), "malformed-line"),
    (line(1, sha256="A" * 64), "malformed-line"),
    (line(1, sha256=" " + "a" * 62 + " "), "malformed-line"),
    (line(1, sha256="g" * 64), "malformed-line"),
    (line(1, sha256="a" * 63), "malformed-line"),
    (line(1, sha256="é" * 64), "malformed-line"),
    (line(1, sm3="A" * 64), "malformed-line"),
    (line(1, kind="X"), "malformed-line"),
    (line(1, document="JVBERi0="), "malformed-line"),
    (line(1, supersedes=-1), "malformed-line"),
    (line(1, supersedes="1"), "malformed-line"),
    (line(1, supersedes=99), "no-such-attestation"),
    (line(1, valid_until="tomorrow"), "malformed-time"),
    (line(1, valid_until="2026-01-01T00:00:00Z"), "already-expired"),
    (line(1, kind="credit-report"), "kind-not-allowed"),
    (line(1, kind="kyc-report"), "digest-missing"),
    (line(1, kind="x" * 2000), "malformed-line"),
    (b"x" * 1025 + b"\n", "malformed-line"),
    (b'{"sha256":"' + b"a" * 3_000_000 + b'"}\n', "malformed-line"),
]


@pytest.mark.parametrize(("bad", "code"), BAD)
@pytest.mark.parametrize("size", [64, 1 << 16])
async def test_bad_line_disturbs_no_other(bad: bytes, code: str, size: int) -> None:
    gateway = FakeGateway()
    body = line(7) + bad + line(8) + bad + line(9)
    call = Call(gateway)
    size = max(size, len(body) // 100)
    for at in range(0, len(body), size):
        call.feed(body[at : at + size])
    call.feed(b"", more=False)
    async with asyncio.timeout(PATIENCE):
        await call.run()
    answers = call.lines()
    assert [answer.get("index") for answer in answers] == [0, None, 1, None, 2]
    for number in (2, 4):
        error = answers[number - 1]["error"]
        assert (error["code"], error["line"]) == (code, number)
        assert error["message"]
    assert len(gateway.leaves) == 3


async def test_object_over_two_lines_is_two_bad_lines() -> None:
    # Read as a stream of objects this would be two, one for each line.
    body = line(1).strip() + b'{"sha256":\n' + line(2).removeprefix(b'{"sha256":')
    answers = await batch(FakeGateway(), body)
    assert [answer["error"]["line"] for answer in answers] == [1, 2]


async def test_two_objects_and_an_empty_line_are_two_bad_lines() -> None:
    answers = await batch(FakeGateway(), line(1).strip() + line(2) + b"\n")
    assert [answer["error"]["line"] for answer in answers] == [1, 2]


async def test_line_of_exactly_1_kib_is_taken() -> None:
    padded = line(1).rstrip(b"\n").ljust(1024)
    answers = await batch(FakeGateway(), padded + b"\n" + padded + b" \n" + padded)
    assert ["index" in answer for answer in answers] == [True, False, True]


async def test_body_in_single_bytes_reads_the_same() -> None:
    gateway = FakeGateway()
    call = Call(gateway)
    for byte in line(1) + b"junk\n" + line(2):
        call.feed(bytes([byte]))
    call.feed(b"", more=False)
    await call.run()
    assert [answer.get("index") for answer in call.lines()] == [0, None, 1]


async def test_lines_are_blinded_where_it_is_asked_for_or_demanded() -> None:
    gateway = FakeGateway()
    asked = [{"blinded": True}, {"kind": "kyc"}, {"kind": HIDDEN}, {"blinded": False}]
    await batch(gateway, b"".join(line(n, **more) for n, more in enumerate(asked)))
    await batch(gateway, b"".join(line(n, blinded=True) for n in range(3)))
    entries = [parse_entry(leaf) for leaf in gateway.leaves]
    assert [entry.blinded for entry in entries] == [True, False, True, False, True, True, True]
    hidden = [entry.sha256 for entry in entries]
    for at, number in ((0, 0), (2, 2), (4, 0), (5, 1), (6, 2)):
        digest = number.to_bytes(32, "big")
        assert hidden[at] == blind(salt_at(SEED, at % 4), WHO.origin, SHA256, digest)


def test_lines_of_one_run_each_say_the_time_of_their_entry() -> None:
    run = Recorded(7, 3, NOW + 30_500)
    settled = Settled(1, 4, {1: Fault("bad", "bad")}, run, "signed", minutes=frozenset({0, 2}))
    told = [json.loads(one) for one in render(settled).splitlines()]
    assert [one.get("index") for one in told] == [7, None, 8, 9]
    made = [one["made_at"] for one in told if "index" in one]
    assert made == [MADE_AT, "2026-11-22T13:00:30.500Z", MADE_AT]


async def test_proofs_come_when_asked_for() -> None:
    body = b"".join(line(i) for i in range(300)) + b"junk\n" + line(300)
    answers = await batch(FakeGateway(), body, "proofs=1")
    assert answers[299]["proof"] == "c2sp.org/tlog-proof@v1\nindex 299\n\n— “note”\n"
    assert answers[300]["error"]["line"] == 301
    assert "\nindex 300\n" in answers[301]["proof"]


@pytest.mark.parametrize(
    ("witnessing", "until", "state"),
    [
        (True, "witnessed", "witnessed"),
        (True, "signed", "signed"),
        (False, "witnessed", "signed"),
        (None, "witnessed", "signed"),
    ],
)
async def test_batch_waits_for_the_quorum_where_asked(
    witnessing: bool | None,  # noqa: FBT001 - a parameter
    until: str,
    state: str,
) -> None:
    gateway = FakeGateway(witnessing=witnessing)
    (answer,) = await batch(gateway, line(1), f"proofs=1&until={until}")
    assert answer["state"] == state
    provisional = witnessing is not None and state == "signed"
    assert answer.get("provisional", False) is provisional
    (plain,) = await batch(gateway, line(2), f"until={until}")
    assert "provisional" not in plain


async def test_entry_is_signed_though_its_proof_cannot_be_read() -> None:
    gateway = FakeGateway(fail_proof=InternalError("damaged-log", "a tile is damaged"))
    answers = await batch(gateway, line(1), "proofs=1")
    assert answers == [{"index": 0, "made_at": MADE_AT, "state": "signed"}]


async def test_line_is_recorded_when_the_wait_runs_out() -> None:
    answers = await batch(FakeGateway(signing=False), line(1), "proofs=1&wait=0")
    assert answers == [{"index": 0, "made_at": MADE_AT, "state": "recorded"}]


async def test_line_is_recorded_when_the_hsm_goes_after_the_commit() -> None:
    gateway = FakeGateway(fail_wait=TryAgainError("hsm-away", "the HSM is away"))
    assert (await batch(gateway, line(1)))[0]["state"] == "recorded"


@pytest.mark.parametrize("query", ["proofs=2", "wait=61", "wait=x", "proof=1", "wait=1&wait=2"])
async def test_bad_query_is_a_problem_before_anything_is_read(query: str) -> None:
    call = Call(FakeGateway())
    await call.run(query)
    assert (call.status, call.received) == (400, 0)
    assert json.loads(call.output)["code"] == "malformed-request"


PIECE = st.sampled_from([line(1), b"\n", b"{", b"junk", b'"}\n', line(2, kind="X")]) | st.binary()


@given(pieces=st.lists(PIECE, max_size=12), group=st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_any_bytes_get_one_answer_for_each_line(pieces: list[bytes], group: int) -> None:
    body = b"".join(pieces)
    count = body.count(b"\n") + (not body.endswith(b"\n") and bool(body))

    async def run() -> list[dict[str, Any]]:
        call = Call(FakeGateway(), ApiLimits(group=group, line=100))
        for piece in pieces:
            call.feed(piece)
        call.feed(b"", more=False)
        async with asyncio.timeout(PATIENCE):
            await call.run()
        return call.lines()

    answers = asyncio.run(run())
    assert len(answers) == count
    errors = {
        number: answer["error"] for number, answer in enumerate(answers, 1) if "error" in answer
    }
    assert all(error["line"] == number for number, error in errors.items())
    indexes = [answer["index"] for answer in answers if "index" in answer]
    assert indexes == list(range(len(indexes)))


@given(data=st.binary(max_size=200).map(lambda data: data.replace(b"a", b"\n")), cuts=st.data())
@settings(max_examples=100, deadline=None)
def test_splitter_gives_the_lines_however_the_body_is_cut(data: bytes, cuts: st.DataObject) -> None:
    splitter = LineSplitter(10)
    parts, at = [], 0
    while at < len(data):
        size = cuts.draw(st.integers(1, 50))
        parts.append(splitter.feed(data[at : at + size]))
        at += size
    parts.append(splitter.finish())
    found = b"".join(parts).split(b"\n")
    whole = data.split(b"\n")
    if whole[-1]:
        whole.append(b"")
    assert len(found) == len(whole)
    for kept, line_in in zip(found, whole, strict=True):
        assert kept == line_in or (len(kept) > 10 and line_in.startswith(kept))


def test_splitter_keeps_little_of_an_endless_line() -> None:
    splitter = LineSplitter(1024)
    for _ in range(100):
        assert splitter.feed(b"x" * 100_000) == b""
    assert len(splitter.finish()) == 1026


def test_group_renders_the_same_with_and_without_the_short_way() -> None:
    plain = Settled(1, 3, {}, Recorded(5, 3, NOW), "signed")
    mixed = Settled(1, 4, {3: Fault("x", "y")}, Recorded(5, 3, NOW), "signed")
    assert render(mixed).startswith(render(plain))
    assert render(mixed).endswith(b'{"error":{"code":"x","message":"y","line":4}}\n')


async def test_lines_have_keys_of_their_own() -> None:
    gateway = FakeGateway()
    body = line(1, key="a") + line(2) + line(3, key="b") + line(4, key="b c") + line(5, key="a")
    answers = await batch(gateway, body)
    assert [one.get("error", {}).get("code") for one in answers] == [
        *(None, None, None, "malformed-key", None)
    ]
    (asking,) = gateway.askings
    assert [*asking.keys] == [0, 2, 3]
    assert asking.keys[0].id == asking.keys[3].id
    assert asking.keys[0].fingerprint != asking.keys[3].fingerprint
    assert not asking.again


async def test_what_was_there_before_is_answered_in_its_line() -> None:
    gateway = FakeGateway()
    await batch(gateway, line(1) + line(2))
    known = {0: Earlier(1, NOW), 2: Earlier(0, NOW, duplicate=False), 3: key_reused()}
    gateway.known = lambda _: known
    answers = await batch(gateway, line(2) + b"{\n" + line(3) + line(1) + line(4), "proofs=1")
    assert [one.get("index") for one in answers] == [1, None, 2, 0, None]
    assert [one.get("duplicate") for one in answers] == [True, None, None, None, None]
    assert answers[1]["error"]["code"] == "malformed-line"
    assert answers[4]["error"] | {"message": ""} == {
        "code": "key-reused",
        "message": "",
        "line": 5,
        "hint": key_reused().hint,
    }
    assert [f"index {index}" in answers[at]["proof"] for at, index in ((0, 1), (2, 2), (3, 0))] == [
        *(True, True, True)
    ]


async def test_batch_asks_for_duplicates_anew_where_it_says_so() -> None:
    gateway = FakeGateway()
    await batch(gateway, line(1), "duplicates=again")
    assert gateway.askings[0].again


async def test_line_names_canonical_digests_flat() -> None:
    gateway = FakeGateway()
    body = line(1, **{"json-jcs/1": "ab" * 32}) + line(2, **{"json-jcs/1": "AB" * 32}) + line(3)
    done = await batch(gateway, body)
    assert [answer.get("error", {}).get("code") for answer in done] == [
        None,
        "malformed-line",
        None,
    ]
    first, second = map(parse_entry, gateway.leaves)
    assert isinstance(first, Attestation)
    assert isinstance(second, Attestation)
    assert (first.canonical, second.canonical) == ((("json-jcs/1", b"\xab" * 32),), ())


async def test_line_has_one_canonical_digest() -> None:
    gateway = FakeGateway()
    named = {"json-jcs/1": "ab" * 32, "pdf-pages/1": "cd" * 32}
    refused, taken = await batch(gateway, line(1, **named, sm3="ef" * 32) + line(2))
    assert refused["error"]["code"] == "malformed-line"
    assert "one canonical digest" in refused["error"]["message"]
    assert taken["state"] == "signed"
    assert len(gateway.leaves) == 1


async def test_lines_with_one_canonical_digest_are_not_taken_for_alike() -> None:
    gateway = FakeGateway()
    lines = b"".join(line(n, **{"pdf-pages/1": "ab" * 32}) for n in range(3))
    assert len(await batch(gateway, lines)) == 3
    entries = [parse_entry(leaf) for leaf in gateway.leaves]
    assert all(isinstance(one, Attestation) and one.canonical for one in entries)
