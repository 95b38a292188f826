"""Where the API listens: also on an address that is still to come, and on sockets handed over."""

import logging
import socket
from pathlib import Path

import pytest

from chopmark.api.listeners import Doors, open_listeners
from chopmark.service import activation

SOON = "192.0.2.1"
"""Of no machine: an address for documentation (RFC 5737)."""


def test_address_that_this_machine_does_not_have_yet_is_listened_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (listener,) = open_listeners(None, (SOON, 0), anywhere=True)
    with listener:
        assert listener.getsockname()[0] == SOON
        assert SOON in caplog.text


def make(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(path))
    made.listen()
    return made


def test_socket_that_was_passed_takes_the_place_of_our_own_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    doors = Doors([make(path)])
    (served,) = doors.open(path, None)
    with served:
        assert served.getsockname() == str(path)
    served, port = doors.open(path, ("127.0.0.1", 0))
    served.close()
    port.close()
    (port,) = doors.open(None, ("127.0.0.1", 0))
    with port:
        assert port.family == socket.AF_INET, "only where it belongs"
    doors.close()
    assert path.exists()


def test_socket_that_was_passed_at_another_place_is_served_beside_ours(tmp_path: Path) -> None:
    doors = Doors([make(tmp_path / "passed.sock")])
    path = tmp_path / "api.sock"
    names = []
    for one in doors.open(path, None):
        with one:
            names.append(one.getsockname())
    assert names == [str(tmp_path / "passed.sock"), str(path)]
    doors.close()
    assert not path.exists()


def test_what_is_no_unix_socket_that_listens_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "api.sock"
    good, silent = make(path), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with good, silent, socket.create_server(("127.0.0.1", 0)) as port:
        numbers = [good.fileno(), silent.fileno(), port.fileno()]
        monkeypatch.setattr(activation, "listen_fds", lambda: numbers)
        with caplog.at_level(logging.WARNING):
            (taken,) = activation.take_listeners(path)
        assert taken.fileno() == good.fileno()
        taken.detach()
    assert caplog.text.count("no unix socket") == 2
