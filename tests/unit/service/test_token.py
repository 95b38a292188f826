"""Which keys of the token are used: the first ones, or those that have taken over."""

import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from chopmark.hsm.config import HsmConfig
from chopmark.hsm.mark import mark_label
from chopmark.ledger import rotation
from chopmark.ledger.store import create_store
from chopmark.service.config import Config
from chopmark.service.places import log_path
from chopmark.service.token import present_hsm_config
from ledgers import COSIGNER, LOG, ORIGIN
from softkeys import cosigner, log_key

NEXT = log_key(ORIGIN, 7)
SECOND = cosigner(f"{ORIGIN}/cosigner-2", 8)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return SimpleNamespace(  # type: ignore[return-value]  # as much of it as is looked at
        gateway=SimpleNamespace(state=tmp_path),
        hsm=SimpleNamespace(
            module="/module",
            token_label="hk-1",
            token_serial=None,
            log_label="log",
            cosigner_label="cosigner",
            witness_label="witness",
            init_string=None,
            usage_limit=None,
        ),
        anchor=None,
    )


def first() -> HsmConfig:
    return HsmConfig(
        "/module",
        "hk-1",
        log_label="log",
        cosigner_label="cosigner",
        witness_label="witness",
        first_label="log",
    )


def test_without_a_ledger_the_first_keys_are_used(config: Config) -> None:
    assert present_hsm_config(config) == first()


def test_keys_that_have_taken_over_are_used_and_the_mark_stays_where_it_is(config: Config) -> None:
    path = log_path(config.gateway.state)
    create_store(path, LOG.vkey, COSIGNER.vkey)
    with closing(sqlite3.connect(path)) as db, db:
        for key, role in ((NEXT, "log"), (SECOND, "cosigner")):
            vkey = key.vkey.encode()
            rotation.add_key(db, vkey, role, f"{role}-2")  # type: ignore[arg-type]  # one of the two
            rotation.set_due(db, vkey)
    before = present_hsm_config(config)
    assert (before.log_label, before.cosigner_name) == ("log", COSIGNER.name)
    rotation.apply_due(path)
    after = present_hsm_config(config)
    assert (after.log_label, after.cosigner_label) == ("log-2", "cosigner-2")
    assert (after.cosigner_name, after.witness_label) == (SECOND.name, "witness")
    assert mark_label(after) == mark_label(before) == "log-head-mark"
