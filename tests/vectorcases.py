"""docs/formats/vectors as cases of tests, and what a reader says of a bad one."""

import json
from typing import Any

import pytest

import make_vectors
from chopmark.core.errors import MalformedError

FILES = [
    "note",
    "checkpoint",
    "entry",
    "package",
    "compact",
    "proof",
    "policy",
    "tiles",
    "head-mark",
    "salt-key",
    "evidence",
    "roster",
    "witness",
    "audit",
    "release",
    "ceremony",
    "slip",
    "enrolment",
    "armour",
    "bundle",
    "consent",
]
PAGES = make_vectors.FOLDER.parent
VECTORS = {
    name: json.loads((make_vectors.FOLDER / f"{name}.json").read_text("utf-8")) for name in FILES
}
Case = dict[str, Any]


def cases(file: str, sort: str) -> list[Any]:
    found = VECTORS[file][sort]
    return [pytest.param(case, id=case.get("name", str(at))) for at, case in enumerate(found)]


def code_of(read: Any, case: Case) -> str:
    with pytest.raises(MalformedError) as caught:
        read(case)
    return caught.value.code
