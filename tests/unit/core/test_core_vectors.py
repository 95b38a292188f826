"""docs/formats/vectors: the script makes them again, and the code takes and refuses as they say."""

from base64 import b64decode
from functools import cache
from typing import Any

import pytest

import make_vectors
import trees
from chopmark.core.blinding import blind, extract_seed, parse_salt_key, salt_at
from chopmark.core.checkpoint import open_checkpoint
from chopmark.core.entry import parse_entry
from chopmark.core.errors import ChopmarkError, MalformedError
from chopmark.core.keys import parse_vkey
from chopmark.core.mark import parse_mark
from chopmark.core.merkle import root_from_inclusion, verify_consistency
from chopmark.core.note import parse_note, verify_note
from chopmark.core.package import parse_package, verify_package
from chopmark.core.submission import parse_submission
from chopmark.core.tiles import parse_bundle, parse_tile_name
from vectorcases import FILES, PAGES, VECTORS, Case, cases, code_of
from vectorparts import plain

made_again = cache(make_vectors.make_all)


@pytest.mark.parametrize("name", FILES)
def test_vectors_are_what_the_script_makes(name: str) -> None:
    made = made_again()[name]
    assert (make_vectors.FOLDER / f"{name}.json").read_text("utf-8") == make_vectors.encode(made)


def read_note(case: Case) -> list[list[Any]]:
    keys = [parse_vkey(key) for key in VECTORS["note"]["keys"]]
    note = parse_note(case["note"].encode())
    assert note.encode() == case["note"].encode()
    return [[one.key.name, one.time] for one in verify_note(note, keys)]


@pytest.mark.parametrize("case", cases("witness", "cases"))
def test_witness_vector(case: Case) -> None:
    vectors = VECTORS["witness"]
    assert status_of(case["request"].encode(), vectors) == case["status"]
    if case["name"] == "larger size":
        note = case["request"].partition("\n\n")[2] + vectors["answer"]["line"]
        key = parse_vkey(vectors["witness"])
        verified = verify_note(parse_note(note.encode()), (key,))
        assert [one.time for one in verified] == [vectors["answer"]["time"]]


def status_of(request: bytes, vectors: dict[str, Any]) -> int:
    key, last = parse_vkey(vectors["log"]), vectors["cosigned"]
    try:
        asked = parse_submission(request)
        if asked.checkpoint.origin != key.name:
            return 404
        asked.check_signature([key])
        asked.check_step(last["size"], bytes.fromhex(last["root"]))
    except ChopmarkError as error:
        return error.status
    return 200


@pytest.mark.parametrize("case", cases("note", "good"))
def test_note_vector(case: Case) -> None:
    assert read_note(case) == case["verified"]
    assert parse_note(case["note"].encode()).text == case["text"]


@pytest.mark.parametrize("case", cases("note", "bad"))
def test_bad_note_vector(case: Case) -> None:
    assert code_of(read_note, case) == case["code"]


@pytest.mark.parametrize("case", cases("note", "bad_keys"))
def test_bad_vkey_vector(case: Case) -> None:
    assert code_of(lambda bad: parse_vkey(bad["vkey"]), case) == "malformed-vkey"


def read_checkpoint(case: Case) -> dict[str, Any]:
    keys = [parse_vkey(VECTORS["checkpoint"][name]) for name in ("log", "cosigner")]
    head = open_checkpoint(case["note"].encode(), keys[0], (keys[1],)).checkpoint
    return {"note": case["note"], "size": head.size, "root": head.root.hex()}


@pytest.mark.parametrize("case", cases("checkpoint", "good"))
def test_checkpoint_vector(case: Case) -> None:
    assert read_checkpoint(case) == case


@pytest.mark.parametrize("case", cases("checkpoint", "bad"))
def test_bad_checkpoint_vector(case: Case) -> None:
    assert code_of(read_checkpoint, case) == case["code"]


@pytest.mark.parametrize("case", cases("entry", "good"))
def test_entry_vector(case: Case) -> None:
    entry = parse_entry(bytes.fromhex(case["hex"]))
    assert type(entry).__name__ == case["type"]
    assert plain(entry) == case["fields"]


@pytest.mark.parametrize("case", cases("entry", "bad"))
def test_bad_entry_vector(case: Case) -> None:
    assert code_of(lambda bad: parse_entry(bytes.fromhex(bad["hex"])), case) == case["code"]


def test_blinding_vectors() -> None:
    vectors = VECTORS["entry"]["blinding"]
    for case in vectors["digests"]:
        digest = bytes.fromhex(case["digest"])
        salt = bytes.fromhex(vectors["salt"])
        made = blind(salt, vectors["origin"], case["algorithm"], digest)
        assert made.hex() == case["blinded"]
    told = vectors["seed"]
    parts = bytes.fromhex(told["hsm"]), bytes.fromhex(told["system"])
    seed = extract_seed(*parts, told["number"])
    assert seed.hex() == told["seed"]
    for number, salt in told["salts"].items():
        assert salt_at(seed, int(number)).hex() == salt


def read_package(case: Case) -> dict[str, Any]:
    key = parse_vkey(VECTORS["package"]["log"])
    data = b64decode(case["package"])
    package = parse_package(data)
    assert package.encode() == data
    verified = verify_package(package, lambda note: open_checkpoint(note, key))
    return {
        "package": case["package"],
        "start": verified.start,
        "entries": [entry.hex() for entry in verified.entries],
        "size": verified.head.checkpoint.size,
    }


@pytest.mark.parametrize("case", cases("package", "good"))
def test_package_vector(case: Case) -> None:
    assert read_package(case) == case


@pytest.mark.parametrize("case", cases("package", "bad"))
def test_bad_package_vector(case: Case) -> None:
    assert code_of(read_package, case) == case["code"]


def test_tree_vectors() -> None:
    vectors = VECTORS["tiles"]
    leaves = [bytes.fromhex(value) for value in vectors["leaves"]]
    roots = [bytes.fromhex(value) for value in vectors["roots"]]
    assert roots == [trees.root(leaves[:size]) for size in range(8)]
    for case in vectors["inclusion"]:
        path = [bytes.fromhex(value) for value in case["proof"]]
        leaf = leaves[case["index"]]
        assert root_from_inclusion(leaf, case["index"], case["size"], path) == roots[case["size"]]
    for case in vectors["consistency"]:
        path = [bytes.fromhex(value) for value in case["proof"]]
        old, new = case["old"], case["new"]
        verify_consistency(old, new, roots[old], roots[new], path)


def test_tile_vectors() -> None:
    vectors = VECTORS["tiles"]
    for path, (level, index, width) in vectors["names"].items():
        name = parse_tile_name(path)
        assert (name.level, name.index, name.width) == (level, index, width)
    entries = parse_bundle(bytes.fromhex(vectors["bundle"]["hex"]))
    assert [entry.hex() for entry in entries] == vectors["bundle"]["entries"]


@pytest.mark.parametrize("path", VECTORS["tiles"]["bad_names"])
def test_bad_tile_name_vector(path: str) -> None:
    with pytest.raises(MalformedError):
        parse_tile_name(path)


@pytest.mark.parametrize("data", VECTORS["tiles"]["bad_bundles"])
def test_bad_bundle_vector(data: str) -> None:
    with pytest.raises(MalformedError):
        parse_bundle(bytes.fromhex(data))


EXAMPLES = {
    "note": VECTORS["note"]["good"][0]["note"],
    "checkpoint": VECTORS["checkpoint"]["good"][0]["note"],
    "entry": VECTORS["entry"]["good"][0]["hex"],
    "package": VECTORS["package"]["good"][0]["package"],
    "compact": VECTORS["compact"]["headers"][0]["hex"],
    "proof": VECTORS["proof"]["good"][0]["proof"],
    "policy": VECTORS["policy"]["good"][0]["policy"],
    "roster": VECTORS["roster"]["good"][0]["note"],
    "audit": VECTORS["audit"]["good"][0]["proof"],
    "tiles": "tile/0/x001/x234/067",
    "head-mark": VECTORS["head-mark"]["good"][0]["hex"],
    "salt-key": VECTORS["salt-key"]["good"]["hex"],
    "witness": VECTORS["witness"]["cases"][-1]["request"],
    "evidence": VECTORS["evidence"]["good"][1]["evidence"],
    "release": VECTORS["release"]["good"][0]["release"],
    "ceremony": VECTORS["ceremony"]["good"][0]["protocol"],
    "slip": VECTORS["slip"]["good"][2]["slip"],
    "enrolment": VECTORS["enrolment"]["good"][0]["enrolment"],
    "armour": "\n".join(VECTORS["armour"]["example"]),
    "bundle": VECTORS["bundle"]["good"][0]["hex"],
    "consent": VECTORS["consent"]["bodies"][0]["hex"],
}


@pytest.mark.parametrize("name", FILES)
def test_page_begins_with_an_example_that_is_a_vector(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text("utf-8")
    example = page.split("```")[1].partition("\n")[2]
    text = {
        "note",
        "checkpoint",
        "proof",
        "policy",
        "witness",
        "evidence",
        "audit",
        "roster",
        "release",
        "ceremony",
        "slip",
        "enrolment",
        "armour",
    }
    shown = example if name in text else "".join(example.split())
    assert EXAMPLES[name] in shown
    assert f"vectors/{name}.json" in page


def test_salt_key_vectors() -> None:
    vectors = VECTORS["salt-key"]
    good = vectors["good"]
    key = parse_salt_key(bytes.fromhex(good["hex"]))
    assert (key.since, key.key.hex(), key.encode().hex()) == (
        *(good["since"], good["key"]),
        good["hex"],
    )
    sealed = vectors["sealed"]
    box = bytes.fromhex(sealed["box"])
    assert key.open(box, sealed["first"]).hex() == sealed["seed"]
    for wrong, first in ((box[:-1], 5), (box, 4), (box[:11], 5), (b"", 5)):
        with pytest.raises(MalformedError) as caught:
            key.open(wrong, first)
        assert caught.value.code == "damaged-seed"
    for bad in vectors["bad"]:
        with pytest.raises(MalformedError):
            parse_salt_key(bytes.fromhex(bad["hex"]))


def read_mark(case: Case) -> dict[str, Any]:
    mark = parse_mark(bytes.fromhex(case["hex"]))
    assert mark.encode().hex() == case["hex"]
    head = mark.head
    return {
        "origin": head.origin,
        "size": head.size,
        "root": head.root.hex(),
        "counter": mark.counter,
        "epoch": mark.epoch.hex(),
        "clean": mark.clean,
    }


@pytest.mark.parametrize("case", cases("head-mark", "good"))
def test_mark_vector(case: Case) -> None:
    assert read_mark(case).items() <= case.items()


@pytest.mark.parametrize("case", cases("head-mark", "bad"))
def test_bad_mark_vector(case: Case) -> None:
    assert code_of(read_mark, case) == case["code"]
