"""Keys of consents and uses that wait for their proofs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chopmark.cli.keptkey import KeptKey
from chopmark.client.files import PRIVATE_MODE
from chopmark.core.errors import (
    ChopmarkError,
    InternalError,
    RefusedError,
    TryAgainError,
    UnreachableError,
)

BODY = {"purpose": "sme-loan", "consents": []}


def failing(error: ChopmarkError) -> Callable[[str], dict[str, Any]]:
    def call(_key: str) -> dict[str, Any]:
        raise error

    return call


def test_same_request_has_the_same_key_until_its_proof_is_there(tmp_path: Path) -> None:
    document, keys = tmp_path / "a.pdf", []

    def send(body: dict[str, object]) -> KeptKey:
        kept = KeptKey(document, "use", body)
        assert kept.send(lambda key: keys.append(key) or {"index": 7}) == {"index": 7}  # type: ignore[func-returns-value]
        return kept

    send(BODY)
    kept = send(BODY)
    send(BODY | {"purpose": "mortgage"})
    assert kept.path.stat().st_mode & 0o777 == PRIVATE_MODE
    kept.drop()
    send(BODY)
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (UnreachableError("gone", "it broke off"), True),
        (InternalError("internal", "it fell over"), True),
        (RefusedError("consent-missing", "none was shown"), False),
        (TryAgainError("not-recorded", "the HSM is away"), False),
    ],
)
def test_key_stays_only_where_nobody_knows_whether_it_is_recorded(
    tmp_path: Path, error: ChopmarkError, *, stays: bool
) -> None:
    kept = KeptKey(tmp_path / "a.pdf", "use", BODY)
    with pytest.raises(type(error)):
        kept.send(failing(error))
    assert kept.path.exists() == stays
