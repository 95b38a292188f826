"""Which key a rotation before officers takes for its own: the one that was made for it."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from pkcs11.mechanisms import KeyType

from ceremonies import TIME, begun
from chopmark.core.ceremony import Step
from chopmark.core.errors import ConfigurationError, RefusedError
from chopmark.core.keys import VerifierKey
from chopmark.hsm import create_keys
from chopmark.hsm.ceremony import generate_key
from chopmark.hsm.module import Module
from chopmark.hsm.quirks import ANY
from chopmark.hsm.token import login
from chopmark.service.ceremony_desk import Book
from chopmark.service.ceremony_rotate import RotateSteps
from chopmark.service.ceremony_token import Pins
from chopmark.service.token import hsm_config
from integration.ceremony_scene import ORIGIN, Scene


@dataclass
class Daemon:
    """Stands for the running gateway: makes keys in the same token, of both asked at once more."""

    scene: Scene
    beside: int = 0
    made: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        pin = self.scene.token.read_pin
        self.first = create_keys(hsm_config(self.scene.config), ORIGIN, pin)

    def keys(self) -> list[dict[str, Any]]:
        log, cosigner = (one.encode() for one in self.first)
        later = [{"vkey": one, "role": "log", "in_use": False} for one in self.made]
        used = {"log": log, "cosigner": cosigner}
        return [{"vkey": v, "role": role, "in_use": True} for role, v in used.items()] + later

    def generate_key(self, role: str) -> dict[str, Any]:
        assert role == "log"
        keys = [self._make().encode() for _ in range(1 + self.beside)]
        return {"vkey": keys[-1]}

    def _make(self) -> VerifierKey:
        module = Module(str(self.scene.config.hsm.module))
        try:
            token = module.find_token(hsm_config(self.scene.config))
            session = login(module, token, self.scene.token.read_pin, rw=True)
            label = f"chopmark-log-{len(self.made) + 2}"
            key = generate_key(session, label, ORIGIN, KeyType.EC, ANY, cosigner=False)
        finally:
            module.close()
        self.made.append(key.encode())
        return key

    def retire_key(self, vkey: str) -> list[dict[str, Any]]:
        self.retired.append(vkey)
        return self.keys()


@pytest.fixture
def daemon(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """PINs are typed."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    scene.desk.password = scene.token.read_pin()
    return Daemon(scene)


def open_steps(daemon: Daemon, book: Book) -> RotateSteps:
    config, desk = daemon.scene.config, daemon.scene.desk
    pins = Pins(desk, config)
    return RotateSteps(config, desk, book, pins, hsm_config(config), "log", daemon)


def begin(daemon: Daemon) -> RotateSteps:
    """A rotation whose go-ahead was given."""
    steps = open_steps(daemon, Book.begin(daemon.scene.protocol, begun()))
    steps.book.add(Step("go-ahead", TIME, TIME, steps.go_ahead().facts))
    return steps


def test_key_that_was_made_for_it_is_taken_after_it_broke_off(daemon: Daemon) -> None:
    steps = begin(daemon)
    daemon.scene.desk.password = "not the PIN"
    with pytest.raises(ConfigurationError) as caught:
        steps.make()
    assert caught.value.code == "pin-refused"
    daemon.scene.desk.password = daemon.scene.token.read_pin()
    book = Book(daemon.scene.protocol, steps.book.ceremony)  # of another process
    keys, said = open_steps(daemon, book).make()
    assert [keys[0].encode()] == daemon.made
    assert set(said) == {"chopmark-log-2", "chopmark-cosigner"}
    book.forget()
    assert not list(daemon.scene.folder.glob("protocol*"))


def test_key_that_was_made_at_the_same_moment_is_neither_taken_nor_destroyed(
    daemon: Daemon,
) -> None:
    daemon.beside = 1
    steps = begin(daemon)
    with pytest.raises(RefusedError) as caught:
        steps.make()
    stray, ours = daemon.made
    assert caught.value.code == "other-keys"
    assert stray in caught.value.message
    assert ours not in caught.value.message
    steps.undo()
    assert daemon.retired == [ours]


def test_key_that_came_after_the_go_ahead_is_neither_taken_nor_destroyed(daemon: Daemon) -> None:
    steps = begin(daemon)
    daemon.generate_key("log")
    with pytest.raises(RefusedError) as caught:
        steps.make()
    assert caught.value.code == "other-keys"
    assert steps.undo() == ""
    assert (len(daemon.made), daemon.retired) == (1, [])


def test_key_of_an_earlier_ceremony_with_the_same_name_is_forgotten(daemon: Daemon) -> None:
    steps = begin(daemon)
    steps.make()
    steps.book.path.unlink()
    again = begin(daemon)
    assert again.book.made == ""
