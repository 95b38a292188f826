"""Versions of the mesh's protocol: what each must go on reading, and who speaks with whom."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from chopmark.core.errors import MalformedError
from chopmark.mesh.messages import (
    HeadRequest,
    HeadsSeen,
    Request,
    Status,
    encode_error,
    parse_error,
    parse_heads,
    parse_request,
    parse_status,
)
from chopmark.mesh.versions import OURS, Versions, in_use

ROOT: Final = Path(__file__).parents[3]
SPOKEN: Final = range(OURS.oldest, OURS.newest + 1)


def vectors(version: int, part: str) -> list[dict[str, Any]]:
    text = (ROOT / f"docs/formats/vectors/mesh-{version}.json").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = json.loads(text)[part]
    return found


def read(message: str, data: bytes) -> Any:
    """What a message says, in the words of the vectors."""
    if message == "status":
        status = parse_status(data)
        speaks = {"newest": status.speaks.newest, "oldest": status.speaks.oldest}
        return {"online": status.online, "sizes": status.sizes} | speaks
    if message == "request":
        request = parse_request(data)
        named = {"origin": request.origin}
        if isinstance(request, Request):
            return named | {"start": request.start, "size": request.size}
        return named
    if message == "heads":
        heads = parse_heads(data)
        held = heads.held and heads.held.hex()
        return {"held": held, "seen": [note.hex() for note in heads.seen]}
    return {"code": parse_error(data)}


WRITE: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "request": lambda said: Request(said["origin"], said["start"], said["size"]).encode(),
    "question for heads": lambda said: HeadRequest(said["origin"]).encode(),
    "heads: none": lambda _: HeadsSeen(None).encode(),
    "error": lambda said: encode_error(said["code"]),
    "status: with the oldest version that is spoken": lambda said: Status(
        said["online"], said["sizes"], Versions(said["newest"], said["oldest"])
    ).encode(),
}
"""What this software writes itself, by the name of the vector."""


def all_of(part: str) -> list[Any]:
    return [
        pytest.param(version, one, id=f"{version}: {one['name']}")
        for version in SPOKEN
        for one in vectors(version, part)
    ]


@pytest.mark.parametrize(("version", "one"), all_of("good"))
def test_recorded_message_of_each_spoken_version_is_read(version: int, one: Any) -> None:
    data = bytes.fromhex(one["hex"])
    assert read(one["message"], data) == one["fields"]
    write = WRITE.get(one["name"])
    if write is not None and version == OURS.newest:
        assert write(one["fields"]) == data


@pytest.mark.parametrize(("version", "one"), all_of("bad"))
def test_recorded_message_that_is_none_is_refused(version: int, one: Any) -> None:
    assert version in SPOKEN
    with pytest.raises(MalformedError):
        read(one["message"], bytes.fromhex(one["hex"]))


def test_we_speak_the_version_before_the_newest_if_there_is_one() -> None:
    assert OURS.oldest == max(1, OURS.newest - 1)


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ((1, 1), (1, 1), True),
        ((2, 1), (1, 1), True),
        ((3, 2), (2, 1), True),
        ((3, 2), (1, 1), False),
        ((9, 1), (4, 3), True),
    ],
)
def test_two_meet_if_both_speak_one_version(
    one: tuple[int, int], other: tuple[int, int], *, meet: bool
) -> None:
    assert Versions(*one).meets(Versions(*other)) is meet
    assert Versions(*other).meets(Versions(*one)) is meet


def test_version_in_use_is_the_newest_that_all_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chopmark.mesh.versions.OURS", Versions(3, 2))
    assert in_use([]) == 3
    assert in_use([Versions(4, 3), Versions(3, 2)]) == 3
    assert in_use([Versions(4, 3), Versions(2, 1)]) == 2
    assert in_use([Versions(1, 1), Versions(9, 8)]) == 3, "they do not count"
    assert (str(Versions(3, 2)), str(Versions(1, 1))) == ("2 to 3", "1")
