"""The proof vectors of transparency-dev/merkle, from the folder that CHOPMARK_VECTORS names."""

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chopmark.core.errors import RefusedError
from chopmark.core.merkle import root_from_inclusion, verify_consistency

FOLDER = os.environ.get("CHOPMARK_VECTORS")
NO_FOLDER = pytest.param(None, marks=pytest.mark.skip("CHOPMARK_VECTORS names no folder"))


def cases(name: str) -> list[Any]:
    if not FOLDER:
        return [NO_FOLDER]
    found = json.loads((Path(FOLDER) / "merkle" / name).read_text())
    return [pytest.param(case, id=case["desc"]) for case in found]


def decode(value: str | None) -> bytes:
    return base64.b64decode(value or "")


def is_refused(check: Callable[[], object]) -> bool:
    """Whether a check raises, or says no."""
    try:
        return check() is False
    except RefusedError:
        return True


@pytest.mark.parametrize("case", cases("inclusion.json"))
def test_inclusion_vector(case: dict[str, Any]) -> None:
    leaf, root = decode(case["leafHash"]), decode(case["root"])
    proof = [decode(value) for value in case["proof"] or []]
    index, size = case["leafIdx"], case["treeSize"]
    refused = is_refused(lambda: root_from_inclusion(leaf, index, size, proof) == root)
    assert refused is case["wantErr"]


@pytest.mark.parametrize("case", cases("consistency.json"))
def test_consistency_vector(case: dict[str, Any]) -> None:
    roots = decode(case["root1"]), decode(case["root2"])
    proof = [decode(value) for value in case["proof"] or []]
    sizes = case["size1"], case["size2"]
    refused = is_refused(lambda: verify_consistency(*sizes, *roots, proof))
    assert refused is case["wantErr"]


@pytest.mark.skipif(not FOLDER, reason="CHOPMARK_VECTORS names no folder")
@pytest.mark.parametrize("name", ["inclusion.json", "consistency.json"])
def test_all_vectors_are_there_and_most_must_be_refused(name: str) -> None:
    wanted = [case.values[0]["wantErr"] for case in cases(name)]
    assert len(wanted) == 98
    assert 49 < sum(wanted) < 98
