"""What tests of the command line share: a folder, a gateway, and running `chopmark` in process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chopmark.cli import main as main_module
from chopmark.cli.main import build_app, main
from commandline import Ended, Run
from socketgateway import SocketGateway

NAMES = ("CHOPMARK_GATEWAY", "CHOPMARK_CONFIG", "CHOPMARK_DEBUG", "NO_COLOR", "FORCE_COLOR")


APP = build_app()
"""A command builds it once; building it for each of hundreds takes seconds."""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in an empty folder, and find nothing of this machine."""
    monkeypatch.setattr(main_module, "build_app", lambda: APP)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CHOPMARK_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("CHOPMARK_GATEWAY", f"unix:{tmp_path}/none.sock")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `chopmark` with these arguments."""

    def call(*arguments: object) -> Ended:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Ended(code, *capsys.readouterr())

    return call


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SocketGateway]:
    """A gateway that the commands find."""
    made = SocketGateway(tmp_path)
    monkeypatch.setenv("CHOPMARK_GATEWAY", made.address)
    yield made
    made.close()


@pytest.fixture
def document() -> Path:
    """A document in the current folder."""
    path = Path("statement.pdf")
    path.write_bytes(b"%PDF-1.7 balance: 1,000.00\n")
    return path
