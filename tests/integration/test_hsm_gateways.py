"""Whole gateways on modules that are not SoftHSM: made by `chopmark init`, attesting, verifying."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from documents import attest, digests_of, some_document, verify

from integration.hsm_kinds import Shelf
from rig.broker import Broker
from rig.gateway import HONG_KONG, Gateway
from rig.remote import Remote
from rig.token import MODULE, provision_token
from rig.tpm import Tpm

KILLS = int(os.environ.get("KILLS", "5"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("b")) as running:
        yield running


@dataclass
class Served:
    """A gateway, and what ends the processes that serve its module and starts them anew."""

    gateway: Gateway
    kill: Callable[[], None]


@pytest.fixture(scope="module", params=["p11-kit", "tpm2-pkcs11"])
def served(
    request: pytest.FixtureRequest,
    broker: Broker,
    shelf: Shelf,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("g")
    with ExitStack() as stack:
        if request.param == "p11-kit":
            soft = provision_token(folder / "soft", HONG_KONG.id)
            remote = stack.enter_context(Remote(folder / "sock", MODULE, soft.environment))
            token, kill = remote.client(soft), lambda: kill_children(remote)
        else:
            token = shelf.tpm.make_token(folder / "store", HONG_KONG.id)
            kill = lambda: restart(shelf.tpm)  # noqa: E731 - as above
        gateway = Gateway(folder / "hk", HONG_KONG, broker, token=token, cosigner="p256")
        stack.callback(gateway.stop)
        yield Served(gateway.start(), kill)


@pytest.fixture
def gateway(served: Served) -> Gateway:
    return served.gateway


def kill_children(remote: Remote) -> None:
    for pid in remote.children():
        os.kill(pid, signal.SIGKILL)


def restart(tpm: Tpm) -> None:
    tpm.kill_manager()
    tpm.start_manager()


def test_document_attested_on_such_a_token_is_valid(gateway: Gateway) -> None:
    document = some_document("other module")
    made = attest(gateway, document)
    assert verify(gateway, document, proof=made["proof"])["verdict"] == "valid"
    status = gateway.get("/v1/status")
    assert status["hsm"]["state"] == "ready"
    assert "rollback" in status["hsm"]["warning"]


def test_gateway_is_ready_again_after_a_clean_stop(gateway: Gateway) -> None:
    document = some_document("before the stop")
    attest(gateway, document)
    assert gateway.stop() == 0
    gateway.start()
    assert verify(gateway, document)["verdict"] == "valid"
    assert attest(gateway, some_document("after it"))["index"] > 0


def test_log_shows_no_pin(gateway: Gateway) -> None:
    assert gateway.token.read_pin() not in gateway.log.read_text()


def test_kills_of_what_serves_its_module_lose_no_answer_and_need_no_restart(
    served: Served,
) -> None:
    gateway, pid = served.gateway, served.gateway.pid
    answered: dict[int, bytes] = {}
    signed: dict[int, bytes] = {}
    ended = threading.Event()

    def load() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            document = some_document(f"load {number}")
            body = {"digests": digests_of(document), "kind": "bank-statement"}
            with gateway.client() as client:
                answer = client.post("/v1/attestations", json=body)
            assert answer.status_code in (201, 202, 503), answer.text
            if answer.status_code != 503:
                answered[answer.json()["index"]] = document
            if answer.status_code == 201:
                signed[answer.json()["index"]] = document

    with ThreadPoolExecutor(2) as pool:
        loads = [pool.submit(load) for _ in range(2)]
        try:
            for _ in range(KILLS):
                # Only then has it logged in again: SoftHSM writes its token anew at a login, and a
                # kill in the middle of that would destroy an emulated token.
                wait_for_answers(gateway, signed, 3)
                served.kill()
            wait_for_answers(gateway, signed, 3)
        finally:
            ended.set()
    for one in loads:
        one.result()
    for document in answered.values():
        assert verify(gateway, document)["verdict"] == "valid"
    assert (gateway.get("/v1/status")["hsm"]["state"], gateway.pid) == ("ready", pid)


def wait_for_answers(gateway: Gateway, answered: dict[int, bytes], more: int) -> None:
    before = len(answered)
    gateway.wait_for(lambda: len(answered) >= before + more, f"to answer {more} more")
