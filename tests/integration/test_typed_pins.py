"""A PIN that people type is asked for before a token is opened, and is not kept after it was."""

import threading
from pathlib import Path

import msgspec
import pytest

from chopmark.core.errors import ConfigurationError, TryAgainError
from chopmark.hsm import create_keys, module
from chopmark.hsm.book import Unkept
from chopmark.hsm.pin import BookedPin
from chopmark.service.ceremony_token import Pins
from chopmark.service.recovery import recover
from chopmark.service.token import hsm_config
from chopmark.service.typed_pin import asked_first
from integration.ceremony_scene import ORIGIN, Scene, ScriptedDesk


class Keeper:
    """Who types the PIN, and notes what goes on meanwhile."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.asked: list[tuple[bool, set[Path]]] = []

    def __call__(self) -> str:
        mine = threading.current_thread() is threading.main_thread()
        self.asked.append((mine, set(module._loaded)))
        return self.scene.token.read_pin()


@pytest.fixture
def keeper(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    """No credential: the PIN is typed."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    return Keeper(scene)


def test_ceremony_asks_for_each_pin_while_nothing_waits_for_the_token(
    scene: Scene, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = ScriptedDesk.secret

    def ask(desk: ScriptedDesk, question: str) -> str:
        return keeper() if "PIN of the token" in question else secret(desk, question)

    monkeypatch.setattr(ScriptedDesk, "secret", ask)
    scene.hold()
    assert keeper.asked == [(True, set())] * 3


def test_recovery_asks_for_the_pin_while_nothing_waits_for_the_token(
    scene: Scene, keeper: Keeper
) -> None:
    create_keys(hsm_config(scene.config), ORIGIN, scene.token.read_pin)
    with pytest.raises(ConfigurationError) as caught:
        recover(scene.config, keeper, 1.0)
    assert caught.value.code == "no-peers", "the token was opened"
    assert keeper.asked == [(True, set())]


def test_typed_pin_is_given_once_and_forgotten() -> None:
    with asked_first(lambda: "typed") as source:
        assert source() == "typed"
        with pytest.raises(TryAgainError) as caught:
            source()
    assert caught.value.code == "hsm-away"
    with asked_first(lambda: "typed") as source:
        assert "typed" not in repr(source)
    with pytest.raises(TryAgainError):
        source()


def test_pin_of_the_daemon_is_read_at_the_login_only() -> None:
    read = []
    booked = BookedPin(lambda: read.append(1) or "1234", Unkept())
    with asked_first(booked) as source:
        assert (source, read) == (booked, [])


def test_pin_that_the_daemon_gets_by_its_socket_is_typed(scene: Scene) -> None:
    """Whatever credentials there are for other programs."""
    hsm = msgspec.structs.replace(scene.config.hsm, pin="socket")
    pins = Pins(scene.desk, msgspec.structs.replace(scene.config, hsm=hsm))
    with pins.source("hk-1") as source:
        assert source() == scene.desk.password
    assert pins.typed


@pytest.mark.parametrize("kept", ["credential", "file"])
def test_rehearsal_never_reads_the_pin_of_the_daemon(scene: Scene, kept: str) -> None:
    """The credential is at hand; the throw-away token would refuse it, and that would be noted."""
    scene.config.gateway.state.mkdir()
    hsm = msgspec.structs.replace(scene.config.hsm, pin=kept)
    config = msgspec.structs.replace(scene.config, hsm=hsm)
    desk = ScriptedDesk({}, has_people=False)
    with Pins(desk, config, drill="00000000").source("rehearsal") as source:
        assert source() == "00000000"
    desk.has_people = True
    with Pins(desk, config, drill="00000000").source("rehearsal") as source:
        assert source() == desk.password
