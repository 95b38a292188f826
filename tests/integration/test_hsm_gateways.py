"""Whole gateways on modules that are not SoftHSM: made by `chopmark init`, attesting, verifying."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from documents import attest, some_document, verify

from integration.hsm_kinds import Shelf
from rig.broker import Broker
from rig.gateway import HONG_KONG, Gateway
from rig.remote import Remote
from rig.token import MODULE, provision_token
from rig.tpm import Tpm


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


def test_gateway_goes_on_when_what_serves_its_module_is_killed(served: Served) -> None:
    attest(served.gateway, some_document("before"))
    for number in range(3):
        served.kill()
        document = some_document(f"killed {number}")
        made = attest(served.gateway, document)
        assert verify(served.gateway, document, proof=made["proof"])["verdict"] == "valid"
    assert served.gateway.get("/v1/status")["hsm"]["state"] == "ready"
