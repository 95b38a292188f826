"""The health gate: what counts against a new version, and what does not."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chopmark
import configs
from chopmark.service.checks import gate
from chopmark.service.checks.finding import Finding, Scene
from chopmark.service.config import load_config
from chopmark.service.scheduled import note_ended

GOOD: dict[str, Any] = {
    "version": chopmark.__version__,
    "hsm": {"state": "ready", "last_good_seconds": 3.0},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    text = configs.BASE.replace("[gateway]\n", f'[gateway]\nstate = "{tmp_path}/state"\n')
    (tmp_path / "gateway.toml").write_text(text)
    return tmp_path / "gateway.toml"


def scene(path: Path, status: dict[str, Any] | None) -> Scene:
    return Scene(path, load_config(path), 0, status, locked=True, uid=os.geteuid())


def hsm(**values: object) -> dict[str, Any]:
    return {**GOOD, "hsm": values}


def marks(found: Iterator[Finding]) -> list[tuple[str, str]]:
    return [(one.code, one.mark) for one in found]


def test_gateway_must_answer_and_be_the_version_that_is_installed(path: Path) -> None:
    assert marks(gate.check_answers(scene(path, GOOD))) == []
    assert marks(gate.check_answers(scene(path, None))) == [("not-answering", "fault")]
    old = {**GOOD, "version": "0.0.1"}
    assert marks(gate.check_answers(scene(path, old))) == [("other-version", "fault")]


@pytest.mark.parametrize(
    "status", [hsm(state="away"), hsm(state="latched"), hsm(state="ready", last_good_seconds=91.0)]
)
def test_hsm_counts_only_if_it_worked_before(path: Path, status: dict[str, Any]) -> None:
    seen = scene(path, status)
    assert marks(gate.check_signing(seen)) == [("not-looked-at", "not-looked-at")]
    note_ended(seen.config.gateway.state, "health", 1, "all is well", good=True, hsm=True)
    assert marks(gate.check_signing(seen)) == [("hsm-lost", "fault")]
    assert marks(gate.check_signing(scene(path, GOOD))) == []


def test_hsm_that_waits_for_an_operator_is_only_looked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(_scene: Scene) -> Iterator[Finding]:
        yield Finding("token-on-disk", "it is", "see to it", "warning")

    monkeypatch.setattr(gate, "check_hsm", look)
    seen = scene(path, hsm(state="locked"))
    note_ended(seen.config.gateway.state, "health", 1, "all is well", good=True, hsm=True)
    assert marks(gate.check_signing(seen)) == []

    def lost(_scene: Scene) -> Iterator[Finding]:
        yield Finding("hsm-token", "no such token", "plug it in")

    monkeypatch.setattr(gate, "check_hsm", lost)
    assert marks(gate.check_signing(seen)) == [("hsm-token", "fault")]


def test_gate_looks_at_no_network(path: Path) -> None:
    named = [name for name, _ in gate.run_gate(path, GOOD)]
    assert named == [
        "configuration",
        "running",
        "hsm",
        "ledger",
        "heads",
        "disk",
        "console",
        "admin",
    ]


def test_lost_ledger_is_a_fault(path: Path) -> None:
    found = dict(gate.run_gate(path, GOOD))
    assert "no-ledger" in [one.code for one in found["heads"]]
