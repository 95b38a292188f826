"""Brokers with certificates and an access list: who gets in, who does not, and what he is told."""

import asyncio
import json
import logging
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

from chopmark.core.errors import RefusedError
from chopmark.core.roster_follow import open_roster
from chopmark.mesh import topics
from chopmark.mesh.broker import Broker, Tls, Will
from chopmark.service.acl import make_acl
from ejabberdbroker import Ejabberd
from integration.documents import attest, attest_many, some_document, verify
from integration.link_party import Party, until
from integration.mesh_boxes import boxes
from rig.broker import Broker as PlainBroker
from rig.gateway import HONG_KONG, SHENZHEN, Gateway
from rosters import founding, signed
from securebroker import (
    NAME,
    PAGE,
    SPOILT,
    TEMPLATES,
    Authority,
    SecureBroker,
    run,
    spoil,
    wait_until_past,
)

ROSTER = open_roster(signed(founding()))
ACL = make_acl(ROSTER)


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[BlockBuster]:
    with blockbuster_ctx(["chopmark.mesh", "aiomqtt", "paho"]) as blockbuster:
        yield blockbuster


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("pki") / "ca")
    for name in ("sz-1", "hk-1", "mo-1"):
        made.issue(name)
    return made


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("foreign") / "ca")
    made.issue("hk-1")
    return made


@pytest.fixture(scope="module")
def broker(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[SecureBroker]:
    with SecureBroker(tmp_path_factory.mktemp("first"), authority, ACL) as made:
        yield made


@dataclass(frozen=True)
class At:
    """A broker with another way to reach it than the broker itself says."""

    address: Broker

    def broker_for(self, _member: str) -> Broker:
        return self.address


def reach(broker: SecureBroker, tls: Tls | None, port: int | None = None) -> At:
    """The broker, by these certificates."""
    return At(Broker(broker.host, port or broker.port, broker.publish_port, tls))


@asynccontextmanager
async def away(party: Party) -> AsyncIterator[str]:
    """Why a link does not come about, by its first attempt."""
    task = asyncio.create_task(party.link.run())
    try:
        await until(lambda: party.link.counters.outages == 1 or bool(party.sessions))
        assert not party.sessions, "it was let in"
        yield party.link.reason
    finally:
        task.cancel()
        await asyncio.wait({task})


# Who gets in


async def test_mesh_works_over_two_brokers_by_certificates_though_one_is_killed(
    tmp_path: Path, broker: SecureBroker, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chopmark.mesh.news.STATUS_STEP", 1)
    with SecureBroker(tmp_path / "second", authority, ACL) as second:
        rigs = [second, broker]
        async with boxes(tmp_path, rigs, "sz-1", "hk-1") as (issuer, follower):
            await follower.start()
            await issuer.start()
            await issuer.grow(500)
            await until(lambda: follower.replica.signed_size == 500)
            await asyncio.to_thread(second.kill)
            await issuer.grow(500)
            await until(lambda: follower.replica.signed_size == 1000)
            await until(lambda: follower.mesh.links.connected == [1])
            await asyncio.to_thread(second.start)
            await until(lambda: follower.mesh.links.connected == [0, 1])
            await until(lambda: issuer.mesh.links.connected == [0, 1])
            assert not any(link.refusal for link in issuer.mesh.links.each)
    assert follower.replica.counters.dropped == 0


async def test_connections_are_of_tls_1_3(broker: SecureBroker) -> None:
    async with Party(broker, "hk-1").up() as link:
        assert link._outbound is not None
        assert link._outbound._client.socket().version() == "TLSv1.3"  # type: ignore[union-attr]


# Who does not, and why


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("foreign-client", r"the broker does not know the CA of our certificate"),
        ("expired", r"refuses our certificate .*: it has expired at 2020-01-31 00:00 UTC; have a"),
        ("server-use", r"it is not one for clients; have one made with .* clientAuth"),
        ("foreign-broker", r"the broker's certificate is from a CA that is not in .*ca\.pem; put"),
        ("name", r"the broker's certificate is not for other\.example; .*tls\.name"),
        ("cn", r"our certificate .* is for CN=mo-1, and we are hk-1; have one made for CN=hk-1"),
        ("key", r"the key .*mo-1\.key is not that of the certificate .*hk-1\.pem"),
        ("mode", r"others than its owner may open .*hk-1\.key; chmod 0400"),
        ("password", r"our key .* has a password; store it without"),
        ("no-key", r"ca\.pem is no private key in PEM"),
        ("absent", r"cannot read .*nobody\.pem: No such file"),
        ("not-pem", r"ca\.key is no PEM file"),
        ("plain", r"connection lost before the broker's answer; .*\[broker\.tls\]"),
    ],
)
async def test_wrong_certificate_is_refused_in_plain_words(
    change: str,
    words: str,
    broker: SecureBroker,
    authority: Authority,
    foreign: Authority,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tls: Tls | None = spoil(change, authority, foreign, tmp_path)
    party = Party(reach(broker, tls), "hk-1")
    async with away(party) as reason:
        assert re.search(words, reason), reason
        await until(lambda: len(party.link._told) > 0)
    outages = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert len(outages) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("crl", r"has expired, which by our clock it has not; .*list of revoked certificates"),
        ("server", r"the broker's certificate has expired; its operator must renew it"),
    ],
)
async def test_broker_whose_own_files_are_too_old_is_named(
    change: str, words: str, tmp_path: Path
) -> None:
    old = Authority(tmp_path / "ca")
    old.issue("hk-1")
    if change == "crl":
        run("openssl ca -batch -config ca.cnf -gencrl -crlsec 1 -out crl.pem", old.folder)
    else:
        old.issue_server(instead=SPOILT["expired"])
    with SecureBroker(tmp_path / "broker", old, ACL) as broker:
        party = Party(broker, "hk-1")
        if change == "crl":
            await asyncio.to_thread(wait_until_past, old.folder)
        async with away(party) as reason:
            assert re.search(words, reason), reason


async def test_port_without_tls_is_named(authority: Authority, tmp_path: Path) -> None:
    with PlainBroker(tmp_path / "plain") as plain:
        address = Broker(plain.host, plain.port, None, authority.tls("hk-1"))
        async with away(Party(At(address), "hk-1")) as reason:
            assert reason.startswith("what listens there does not speak TLS; is it the right port")


# What a member may, once in


async def test_member_writes_on_no_topic_of_another(broker: SecureBroker) -> None:
    watcher = Party(broker, "sz-1", "chopmark/v1/#")
    thief = Party(broker, "hk-1")
    stolen = [
        topics.checkpoint("sz-1"),
        topics.entries("mo-1"),
        topics.status("sz-1"),
        topics.evidence("mo-1"),
        topics.roster("sz-1"),
        topics.cosignature("sz-1", "mo-1"),
        topics.request("sz-1", "mo-1"),
        topics.reply("sz-1", "mo-1"),
        "chopmark/v1/xx-1/entries",
        "elsewhere",
    ]
    async with watcher.up(), thief.up() as link:
        for topic in stolen:
            with pytest.raises(RefusedError, match=r"Not authorized \(0x87\)"):
                await link.publish(topic, b"forged", retain=True)
            assert topic in link.refusal
        await link.publish(topics.entries("hk-1"), b"own")
        assert link.connected
        await until(lambda: b"own" in watcher.payloads)
    assert b"forged" not in watcher.payloads


async def test_member_that_the_access_list_does_not_name_is_told(
    broker: SecureBroker, authority: Authority
) -> None:
    authority.issue("xx-1")
    party = Party(broker, "xx-1", will=Will(topics.status("xx-1"), b"gone"))
    watcher = Party(broker, "hk-1", topics.status("+"))
    async with watcher.up():
        async with party.up() as link:
            with pytest.raises(RefusedError, match=r"Not authorized \(0x87\)"):
                await link.publish(topics.status("xx-1"), b"here")
            assert "refused a message to chopmark/v1/xx-1/status" in link.refusal
        async with Party(broker, "sz-1").up() as other:
            await other.publish(topics.status("sz-1"), b"last")
        await until(lambda: b"last" in watcher.payloads)
    assert b"gone" not in watcher.payloads


async def test_member_reads_nothing_that_is_for_another(broker: SecureBroker) -> None:
    eavesdropper = Party(broker, "mo-1", "chopmark/v1/#", "chopmark/v1/hk-1/request/+", "#")
    async with eavesdropper.up(), Party(broker, "sz-1").up() as link:
        await link.publish(topics.request("hk-1", "sz-1"), b"private")
        await link.publish(topics.reply("hk-1", "sz-1"), b"private")
        await link.publish(topics.request("mo-1", "sz-1"), b"mine")
        await link.publish(topics.entries("sz-1"), b"all")
        await until(lambda: b"all" in eavesdropper.payloads)
    live = {one.payload for one in eavesdropper.got if not one.retain}
    assert live == {b"mine", b"all"}


async def test_session_of_another_cannot_be_taken_over(
    broker: SecureBroker, authority: Authority
) -> None:
    owner, sender = Party(broker, "sz-1", topics.request("sz-1", "+")), Party(broker, "mo-1")
    thief = reach(broker, authority.tls("hk-1"))
    ids = ("sz-1", "CN=sz-1", "sz-1-TX")
    async with owner.up() as link, sender.up() as peer:
        for name in ids:
            async with Party(thief, name, "chopmark/v1/sz-1/#").up():
                await peer.publish(topics.request("sz-1", "mo-1"), name.encode())
                await until(lambda name=name: name.encode() in owner.payloads)  # type: ignore[misc]
        assert link.connected
    assert (owner.link.counters.connections, owner.link.counters.outages) == (1, 0)
    async with Party(thief, "sz-1", "chopmark/v1/sz-1/#").up(), sender.up() as peer:
        await peer.publish(topics.request("sz-1", "mo-1"), b"while away")
    again = Party(broker, "sz-1", topics.request("sz-1", "+"))
    async with again.up():
        await until(lambda: b"while away" in again.payloads)
    assert again.sessions == [True]


async def test_session_could_be_taken_over_if_ids_were_not_those_of_certificates(
    tmp_path: Path, authority: Authority
) -> None:
    free = ("use_username_as_clientid true", "use_username_as_clientid false")
    with SecureBroker(tmp_path / "broker", authority, ACL, change=free) as broker:
        owner = Party(broker, "sz-1", topics.request("sz-1", "+"))
        thief = Party(reach(broker, authority.tls("hk-1")), "sz-1")
        async with owner.up(), thief.up():
            await until(lambda: owner.link.counters.outages == 1)
        assert thief.sessions == [True]


# Revocation and renewal


async def test_revoked_member_is_out_after_the_unit_has_acted_and_comes_back_renewed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path / "ca")
    for name in ("sz-1", "hk-1"):
        authority.issue(name)
    with SecureBroker(tmp_path / "broker", authority, ACL) as broker:
        good, bad = Party(broker, "sz-1"), Party(broker, "hk-1")
        async with good.up() as staying, bad.up() as link:
            await asyncio.to_thread(authority.revoke, "hk-1")
            await asyncio.to_thread(broker.install)
            broker.reload()
            await link.publish(topics.entries("hk-1"), b"still there")  # a reload does not do
            async with away(Party(broker, "hk-1")) as reason:
                assert "it is revoked" in reason
            await asyncio.to_thread(_act, broker)
            await until(lambda: "it is revoked" in link.reason)
            await until(lambda: staying.connected and staying.counters.connections == 2)
            assert link.counters.connections == 1
            await asyncio.to_thread(authority.issue, "hk-1")
            await until(lambda: link.connected)
    revoked = [one for one in caplog.messages if "it is revoked" in one]
    assert len(revoked) <= 2  # the second link's one, and one of the outage


def _act(broker: SecureBroker) -> None:
    """What the unit does."""
    run(broker.crl_unit("ExecStartPre"), broker.folder)
    assert broker.crl_unit("ExecStart") == "/usr/bin/systemctl try-restart mosquitto.service"
    broker.restart()


def test_unit_leaves_the_broker_alone_for_a_list_that_is_none(
    broker: SecureBroker, foreign: Authority
) -> None:
    crl = broker.place / "crl.pem"
    good = crl.read_bytes()
    try:
        for bad in (good[:60], b"", (foreign.folder / "crl.pem").read_bytes()):
            crl.write_bytes(bad)
            with pytest.raises(AssertionError, match=r"CRL|crl"):
                run(broker.crl_unit("ExecStartPre"), broker.folder)
    finally:
        crl.write_bytes(good)
    run(broker.crl_unit("ExecStartPre"), broker.folder)


def test_units_are_sound(broker: SecureBroker) -> None:
    units = [str(TEMPLATES / f"chopmark-mosquitto-crl.{kind}") for kind in ("path", "service")]
    command = ["systemd-analyze", "verify", "--man=no", *units]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "chopmark-mosquitto-crl" not in done.stderr, done.stderr
    watched = (broker.folder / "system/chopmark-mosquitto-crl.path").read_text()
    assert f"PathChanged={broker.place}/crl.pem\n" in watched


def test_templates_take_other_places_by_the_command_that_their_page_gives(tmp_path: Path) -> None:
    (script,) = re.findall(r"```sh\n(.*?)```", (TEMPLATES / "README.md").read_text(), re.DOTALL)
    (tmp_path / "chopmark.conf").write_bytes((TEMPLATES / "chopmark.conf").read_bytes())
    run(script, tmp_path)
    lines = (tmp_path / "chopmark.conf").read_text().splitlines()
    assert "listener 18883" in lines
    assert lines.count("crlfile /srv/broker/tls/crl.pem") == 2
    assert not any(one.startswith("cafile /etc") for one in lines)


# A bridge


async def test_bridge_carries_the_mesh_and_drops_nothing_while_a_broker_is_away(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chopmark.mesh.news.STATUS_STEP", 1)
    authority.issue("bridge", "BRIDGE-sz")
    acl = make_acl(ROSTER, bridges={"BRIDGE-sz": ["sz-1"]})
    with SecureBroker(tmp_path / "hk", authority, acl) as far:
        lines = {
            f"{NAME}:8883": f"{far.host}:{far.port}",
            "bridge-ca.pem": "ca.pem",
            "restart_timeout 1 30": "restart_timeout 1",
        }
        with SecureBroker(tmp_path / "sz", authority, ACL, bridge=lines) as near:
            async with (
                boxes(tmp_path, [near], "sz-1") as (issuer,),
                boxes(tmp_path, [far], "hk-1") as (follower,),
            ):
                await follower.start()
                await issuer.start()
                await issuer.grow(300)
                await until(lambda: follower.replica.signed_size == 300)
                await until(lambda: follower.mesh.peers["sz-1"].seen == {0: True})
                await until(lambda: issuer.mesh.peers["hk-1"].seen == {0: True})
                await asyncio.to_thread(far.kill)
                await until(lambda: not follower.mesh.links.connected)
                await asyncio.to_thread(far.start)
                await until(lambda: follower.mesh.links.connected == [0])
                await issuer.grow(300)
                await until(lambda: follower.replica.signed_size == 600)
            await _outlive_an_outage(near, far)


async def _outlive_an_outage(near: SecureBroker, far: SecureBroker) -> None:
    """More than Mosquitto keeps by default waits at the bridge, and arrives."""
    count = 1500
    reader = Party(far, "hk-1", topics.entries("sz-1"))
    async with reader.up():
        pass  # its session waits at the broker
    await asyncio.to_thread(far.stop)
    async with Party(near, "sz-1").up() as link:
        for start in range(0, count, 100):
            numbers = range(start, start + 100)
            topic = topics.entries("sz-1")
            await asyncio.gather(*(link.publish(topic, b"%d" % one) for one in numbers))
    await asyncio.to_thread(far.start)
    async with reader.up():
        await until(lambda: b"%d" % (count - 1) in reader.payloads)
    came = list(dict.fromkeys(one for one in reader.payloads if one.isdigit()))
    assert came == [b"%d" % one for one in range(count)]


# Whole gateways, over Mosquitto and ejabberd


@pytest.fixture(scope="module")
def ejabberd(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, broker: SecureBroker
) -> Iterator[Ejabberd]:
    assert broker  # the certificate for servers is its
    with Ejabberd(tmp_path_factory.mktemp("ejabberd"), authority) as made:
        yield made


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory, broker: SecureBroker, ejabberd: Ejabberd
) -> Iterator[list[Gateway]]:
    """Two gateways that know each other, over both brokers; the second of these starts slowly."""
    folder = tmp_path_factory.mktemp("g")
    made = [Gateway(folder / who.id, who, broker, "jurisdictions") for who in (SHENZHEN, HONG_KONG)]
    try:
        for gateway in made:
            gateway.add_peers([other for other in made if other is not gateway])
            _use(gateway, broker, ejabberd)
            gateway.launch()
        for gateway in made:
            gateway.wait_for(gateway.is_ready, "to be ready")
        yield made
    finally:
        for gateway in made:
            gateway.stop()


def _use(gateway: Gateway, broker: SecureBroker, ejabberd: Ejabberd) -> None:
    """Write the page's block into its configuration, once for each broker."""
    (block,) = re.findall(r"```toml\n(\[\[broker\]\]\n.*?)```", PAGE, re.DOTALL)
    folder = broker.authority.folder
    block = block.replace("/etc/chopmark/broker/hk-1", str(gateway.folder / "transport"))
    block = block.replace("/etc/chopmark/broker", str(folder)) + f'name = "{NAME}"\n'
    host, ports = f'"{broker.host}"', f"{broker.port}\npublish_port = {broker.publish_port}"
    first = block.replace("publish_port = 8884", f"port = {ports}").replace(f'"{NAME}"', host, 1)
    user = f'{ejabberd.port}\nuser = "{gateway.who.id}"'
    second = block.replace("publish_port = 8884", f"port = {user}").replace(f'"{NAME}"', host, 1)
    text = gateway.config.read_text()
    old = re.search(r"(?ms)^\[\[broker\]\]\n.*?(?=^# What differs)", text)
    assert old is not None
    gateway.config.write_text(text.replace(old[0], f"{first}\n{second}\n"))
    _hand_over(gateway, broker.authority, gateway.who.id)


def _hand_over(gateway: Gateway, authority: Authority, name: str) -> None:
    """Put a certificate and its key in place."""
    for kind in ("pem", "key"):
        place = gateway.folder / f"transport.{kind}"
        place.write_bytes((authority.folder / f"{name}.{kind}").read_bytes())
        place.chmod(0o600)


def _states(gateway: Gateway) -> list[str]:
    return [one["state"] for one in gateway.get("/v1/status")["brokers"]]


def _attest_and_verify(issuer: Gateway, receiver: Gateway, name: str) -> None:
    """A document is attested here, cosigned there, and found valid there."""
    document = some_document(name)
    answer = attest(issuer, document)
    receiver.wait_for_head(issuer, answer["index"] + 1)
    receiver.wait_for(lambda: verify(receiver, document)["verdict"] == "valid", "to find it valid")


def test_gateways_attest_replicate_and_witness_by_certificates(
    pair: list[Gateway], ejabberd: Ejabberd
) -> None:
    issuer, receiver = pair
    for gateway in pair:
        gateway.wait_for(lambda one=gateway: _states(one)[0] == "connected", "to connect")
    _attest_and_verify(issuer, receiver, "by certificates")
    assert receiver.get("/v1/status")["brokers"][0]["reason"] is None
    assert ejabberd.port == receiver.get("/v1/status")["brokers"][1]["port"]


def test_status_says_why_a_broker_is_away_and_a_new_certificate_needs_no_restart(
    pair: list[Gateway], broker: SecureBroker, authority: Authority
) -> None:
    gateway = pair[1]

    def reason() -> str:
        return str(gateway.get("/v1/status")["brokers"][0]["reason"])

    authority.issue("old", "hk-1", instead=SPOILT["expired"])
    _hand_over(gateway, authority, "old")
    broker.restart()
    gateway.wait_for(lambda: "it has expired at 2020-01-31 00:00 UTC" in reason(), "to say why")
    status = json.loads(gateway.cli("status", "--json").stdout)
    assert "it has expired" in status["brokers"][0]["reason"]
    _hand_over(gateway, authority, "hk-1")
    gateway.wait_for(lambda: _states(gateway)[0] == "connected", "to be back")
    lines = [one for one in gateway.log.read_text().splitlines() if "has expired" in one]
    assert len(lines) <= 2  # one for each broker


def test_gateways_attest_replicate_and_witness_over_ejabberd_alone(
    pair: list[Gateway], broker: SecureBroker, ejabberd: Ejabberd
) -> None:
    issuer, receiver = pair
    ejabberd.wait()
    for gateway in pair:
        gateway.wait_for(lambda one=gateway: _states(one)[1] == "connected", "to connect")
    broker.stop()
    try:
        for gateway in pair:
            gateway.wait_for(lambda one=gateway: _states(one)[0] == "away", "to lose one")
        _attest_and_verify(issuer, receiver, "over ejabberd")
        _attest_and_verify(receiver, issuer, "the other way")
        size = attest_many(issuer, 20_000)[-1]["index"] + 1
        receiver.wait_for_head(issuer, size)
    finally:
        broker.start()


async def test_ejabberd_keeps_members_to_their_own_topics(
    ejabberd: Ejabberd, authority: Authority
) -> None:
    await asyncio.to_thread(ejabberd.wait)
    async with Party(ejabberd, "mo-1", topics.status("+")).up() as link:
        await link.publish(topics.entries("mo-1"), b"own")
        with pytest.raises(RefusedError, match=r"refused a message to chopmark/v1/sz-1/entries"):
            await link.publish(topics.entries("sz-1"), b"forged")
    other = replace(ejabberd.broker_for("mo-1"), user="sz-1")
    async with away(Party(At(other), "sz-1")) as reason:
        assert "connection refused: Not authorized (0x87)" in reason
    everything = Party(ejabberd, "mo-1", "chopmark/v1/#")
    async with away(everything) as reason:
        assert "refused the subscription to chopmark/v1/#" in reason
    assert authority
