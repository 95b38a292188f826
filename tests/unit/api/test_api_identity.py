"""Who is at the other end of a unix socket, and what that one may do."""

import os
import socket
from collections.abc import Iterator

import pytest

from chopmark.api.identity import (
    ANY_KIND,
    CALLER,
    ROLES,
    Caller,
    Callers,
    Grant,
    Grants,
    require_unix,
)
from chopmark.core.errors import ForbiddenError

VERIFIER = Grant(frozenset({"verifier"}), rate=7)
ISSUER = Grant(frozenset({"issuer"}), frozenset({"diploma"}))


class Transport:
    """As much of asyncio's as identity asks for."""

    def __init__(self, peer: socket.socket | None) -> None:
        self.peer = peer

    def get_extra_info(self, name: str) -> object:
        return self.peer if name == "socket" else None


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def meet(callers: Callers, peer: socket.socket | None) -> Caller:
    caller, certificate = callers.meet(Transport(peer))  # type: ignore[arg-type]
    assert certificate is None
    return caller


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> int:
    """Our uid, as that of somebody who is neither root nor the daemon."""
    monkeypatch.setattr("chopmark.api.identity._CREDENTIALS", Pretended())
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    return 1000


class Pretended:
    """SO_PEERCRED of a process with uid and gid 1000."""

    size = 12

    def unpack(self, data: bytes) -> tuple[int, int, int]:
        assert len(data) == self.size
        return 4711, 1000, 1000


def test_whoever_opens_the_socket_may_do_everything_where_nobody_is_named(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    caller = meet(Callers(), pair[0])
    assert caller == Caller(f"uid {os.getuid()}", ROLES, ANY_KIND, machine=True, door="unix")


def test_daemon_itself_may_do_everything_whoever_is_named(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    caller = meet(Callers(Grants(users={1: VERIFIER})), pair[0])
    assert caller.roles == ROLES


@pytest.mark.usefixtures("stranger")
def test_user_has_the_grant_of_its_own_block_before_that_of_a_group(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    callers = Callers(Grants({1000: VERIFIER}, ((1000, ISSUER),)))
    caller = meet(callers, pair[0])
    assert (caller.client, caller.roles) == ("uid 1000", {"verifier"})
    assert caller.bucket is not None
    assert meet(callers, pair[1]) is caller, "one bucket for all connections of a client"


@pytest.mark.usefixtures("stranger")
def test_user_has_the_grant_of_its_group(pair: tuple[socket.socket, socket.socket]) -> None:
    callers = Callers(Grants({}, ((1, VERIFIER), (1000, ISSUER))))
    caller = meet(callers, pair[0])
    assert (caller.roles, caller.kinds) == ({"issuer"}, {"diploma"})
    assert not caller.may_issue("document")


@pytest.mark.usefixtures("stranger")
def test_user_has_the_grant_of_a_supplementary_group(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chopmark.api.identity._read_groups", lambda _: [5, 6])
    assert meet(Callers(Grants({}, ((6, ISSUER),))), pair[0]).roles == {"issuer"}


def test_groups_are_those_that_the_kernel_knows() -> None:
    from chopmark.api.identity import _read_groups

    code = (
        "import os, socket, sys\n"
        "if os.getuid() == 0: os.setgroups([5, 60001])\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); sys.stdin.read()\n"
    )
    import subprocess
    import sys
    import tempfile

    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = f"{folder}/s"
        listener.bind(path)
        listener.listen()
        with subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE) as other:
            peer, _ = listener.accept()
            expected = [5, 60001] if os.getuid() == 0 else sorted(os.getgroups())
            assert sorted(_read_groups(peer)) == expected
            peer.close()
            other.communicate()


@pytest.mark.usefixtures("stranger")
def test_user_whom_nobody_names_is_barred(pair: tuple[socket.socket, socket.socket]) -> None:
    caller = meet(Callers(Grants({1: VERIFIER})), pair[0])
    assert caller.barred is not None
    assert caller.barred.code == "unknown-client"
    assert "uid 1000" in caller.barred.message
    assert "[[api.user]]" in caller.barred.hint
    assert not caller.roles


def test_loopback_is_no_program_and_not_the_unix_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = meet(Callers(), listener)
    assert (caller.client, caller.roles, caller.machine) == (
        "local",
        ROLES - {"operator"},
        False,
    )
    token = CALLER.set(caller)
    with pytest.raises(ForbiddenError) as caught:
        require_unix("a PIN is taken")
    CALLER.reset(token)
    assert caught.value.code == "unix-only"
