"""The configuration: what loads, and each rule with a text that breaks it."""

import subprocess
import sys
from pathlib import Path

import pytest

from chopmark.core.errors import ConfigurationError
from chopmark.service.brokers import make_brokers
from chopmark.service.config import (
    MAX_CONFIG,
    find_config,
    load_config,
    own_member,
    parse_config,
    parse_peer,
)
from configs import BASE, TLS, cosigner, ed25519, other_peer, p256, peer_block

SZ = "bank-sz.example/sz-1"
HK = "bank-hk.example/hk-1"
SZ_COSIGNER = cosigner(f"{SZ}/cosigner", "sz")
SYSLOG = '[audit.syslog]\nhost = "siem.example"\nca = "/ca.pem"\n'

AT_ONCE = """
import sys, threading
from chopmark.service.config import parse_config

sys.setswitchinterval(1e-6)
text = sys.stdin.buffer.read()
barrier = threading.Barrier(4)
threads = [
    threading.Thread(target=lambda: (barrier.wait(), parse_config(text))) for _ in range(4)
]
for one in threads:
    one.start()
for one in threads:
    one.join()
"""


def refuse(text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text.encode())
    return caught.value


def replaced(old: str, new: str) -> str:
    assert BASE.count(old) == 1
    return BASE.replace(old, new)


def test_config_fills_in_defaults() -> None:
    config = parse_config(BASE.encode())
    assert config.gateway.kinds == ("*",)
    assert config.gateway.state == Path("/var/lib/chopmark")
    assert config.hsm.pin_credential == "hsm-pin"
    assert config.api.socket == Path("/run/chopmark/api.sock")
    assert config.api.listen_address is None
    assert config.broker[0].port == 1883
    assert config.peers == ()


def test_config_gives_peers_as_members() -> None:
    peer = parse_config((BASE + peer_block(kinds='["kyc-report"]')).encode()).peers[0]
    assert (peer.id, peer.origin, peer.institution) == ("sz-1", SZ, "Bank of Shenzhen (example)")
    assert peer.log_key == p256(SZ, 7)
    assert peer.cosigner_key == SZ_COSIGNER
    assert peer.may_issue("kyc-report")
    assert not peer.may_issue("document")


def test_config_accepts_several_peers() -> None:
    config = parse_config((BASE + peer_block() + other_peer()).encode())
    assert [peer.id for peer in config.peers] == ["sz-1", "mo-1"]


def test_config_max_age_falls_back_to_a_day() -> None:
    config = parse_config((BASE + "[kinds.bank-statement]\nmax_age = 60\n").encode())
    assert config.max_age("bank-statement") == 60
    assert config.max_age("diploma") == 86_400


@pytest.mark.parametrize(
    ("listen", "address"),
    [("127.0.0.1:8080", ("127.0.0.1", 8080)), ("[::1]:65535", ("::1", 65535))],
)
def test_config_listen_accepts_loopback(listen: str, address: tuple[str, int]) -> None:
    config = parse_config(f'{BASE}[api]\nlisten = "{listen}"\n'.encode())
    assert config.api.listen_address == address


def test_config_metrics_listen_on_loopback_or_nowhere() -> None:
    assert parse_config(BASE.encode()).metrics.listen_address == ("127.0.0.1", 9464)
    off = parse_config(f'{BASE}[metrics]\nlisten = ""\n'.encode())
    assert off.metrics.listen_address is None


def test_config_storage_bounds() -> None:
    config = parse_config(f"{BASE}[storage]\nalarm = 0.5\nstop = 0.6\n".encode())
    assert (config.storage.alarm, config.storage.stop) == (0.5, 0.6)


@pytest.mark.parametrize("value", ["0", "0.0", "1.0", "97", '"0.9"', "nan", "inf", "true"])
def test_config_storage_bound_is_a_part_of_the_disk(value: str) -> None:
    error = refuse(f"{BASE}[storage]\nstop = {value}\n")
    assert error.code in ("config-type", "config-value")
    assert "storage" in error.message


def test_config_names_unknown_key_and_nearest() -> None:
    error = refuse(replaced("jurisdiction", "juristiction"))
    assert error.code == "config-unknown-key"
    assert "`gateway.juristiction`" in error.message
    assert "`jurisdiction`" in error.hint
    assert error.exit_code == 78


def test_config_lists_known_keys_when_none_is_near() -> None:
    error = refuse(BASE + "[api]\nqqqq = 1\n")
    assert "`api.qqqq`" in error.message
    assert "socket" in error.hint
    assert "listen" in error.hint


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (BASE + "[gatway]\n", "gatway"),
        (BASE + peer_block() + other_peer(extra="1"), "peer[2].extra"),
        (BASE + "[kinds.kyc-report]\nmaxage = 1\n", "kinds.kyc-report.maxage"),
        (BASE + "tsl = true\n", "broker[1].tsl"),
        (BASE + "[broker.tls]\nauthority = 1\n", "broker[1].tls.authority"),
    ],
)
def test_config_names_unknown_key_by_its_place(text: str, key: str) -> None:
    assert f"`{key}`" in refuse(text).message


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (replaced('id = "hk-1"', "id = 1"), "gateway.id"),
        (replaced('id = "hk-1"\n', ""), "gateway"),
        (replaced('host = "127.0.0.1"', "port = 1883"), "broker[1]"),
        (BASE + "port = 0\n", "broker[1].port"),
        (BASE + "port = 65536\n", "broker[1].port"),
        (BASE + "port = true\n", "broker[1].port"),
        (BASE + "publish_port = 0\n", "broker[1].publish_port"),
        (BASE + "user = 1\n", "broker[1].user"),
        (BASE + "tls = true\n", "broker[1].tls"),
        (BASE + TLS.replace("key = ", "# key = "), "broker[1].tls"),
        (BASE + '[kinds.kyc]\nmax_age = "1 day"\n', "kinds.kyc.max_age"),
        (BASE + "[kinds.kyc]\nmax_age = 0\n", "kinds.kyc.max_age"),
        (BASE + "[api]\nsocket = 1\n", "api.socket"),
        (BASE + peer_block(kinds='["a", 1]'), "peer[1].kinds[2]"),
        (BASE.replace("[[broker]]", "[broker]"), "broker"),
        ("", ""),
    ],
)
def test_config_names_key_of_wrong_type(text: str, key: str) -> None:
    error = refuse(text)
    assert error.code == "config-type"
    assert error.message.startswith(f"{key}: " if key else "Object missing")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b'[gateway]\nid = "hk-1\n', "line 2"),
        (b"[gateway]\n\nid = \xff\n", "line 3"),
        (b"[gateway]\n[gateway]\n", "line 2"),
        (b'[gateway]\nid = "a"\nid = "b"\n', "line 3"),
    ],
)
def test_config_names_line_of_bad_syntax(text: bytes, line: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text)
    assert caught.value.code == "config-syntax"
    assert line in caught.value.message


def test_config_refuses_deep_nesting() -> None:
    assert refuse("a = " + "[" * 100_000).code == "config-syntax"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (replaced('id = "hk-1"', 'id = "HK-1"'), "gateway.id"),
        (replaced(f'"{HK}"', '"https://bank-hk.example"'), "gateway.origin"),
        (replaced(f'"{HK}"', '"chopmark/hk-1"'), "gateway.origin"),
        (replaced('"Bank of Hong Kong (example)"', '""'), "gateway.institution"),
        (replaced('jurisdiction = "HK"', 'jurisdiction = "Hong Kong"'), "gateway.jurisdiction"),
        (replaced('"HK"\n', '"HK"\nkinds = []\n'), "gateway.kinds"),
        (replaced('"HK"\n', '"HK"\nkinds = ["*", "kyc"]\n'), "gateway.kinds"),
        (replaced('"HK"\n', '"HK"\nstate = "chopmark"\n'), "gateway.state"),
        (replaced('"HK"\n', '"HK"\nstate = "/a\\u0000b"\n'), "gateway.state"),
        (replaced("/usr/lib/softhsm/", ""), "hsm.module"),
        (replaced('token_label = "hk-1"\n', ""), "hsm"),
        (replaced('token_label = "hk-1"', 'token_label = "a"\ntoken_serial = "b"'), "hsm"),
        (replaced('token_label = "hk-1"', f'token_label = "{"港" * 11}"'), "hsm.token_label"),
        (replaced('token_label = "hk-1"', f'token_serial = "{"0" * 17}"'), "hsm.token_serial"),
        (replaced('l = "hk-1"', 'l = "hk-1"\nlog_label = ""'), "hsm.log_label"),
        (
            replaced('l = "hk-1"', 'l = "hk-1"\ncosigner_label = "chopmark-log"'),
            "hsm.cosigner_label",
        ),
        (replaced('l = "hk-1"', 'l = "hk-1"\npin_credential = "../pin"'), "hsm.pin_credential"),
        (replaced('l = "hk-1"', 'l = "hk-1"\npin_credential = ".."'), "hsm.pin_credential"),
        (BASE + '[api]\nsocket = "api.sock"\n', "api.socket"),
        (BASE + f'[api]\nsocket = "/{"a" * 107}"\n', "api.socket"),
        (BASE + '[api]\nlisten = "0.0.0.0:8080"\n', "api.listen"),
        (BASE + '[api]\nlisten = "192.0.2.1:8080"\n', "api.listen"),
        (BASE + '[api]\nlisten = "localhost:8080"\n', "api.listen"),
        (BASE + '[api]\nlisten = "127.0.0.1"\n', "api.listen"),
        (BASE + '[api]\nlisten = "127.0.0.1:65536"\n', "api.listen"),
        (BASE + '[api]\nlisten = "127.0.0.1:0"\n', "api.listen"),
        (BASE + '[api]\nlisten = "127.0.0.1.1:80"\n', "api.listen"),
        (BASE + '[api]\nlisten = "[::]:8080"\n', "api.listen"),
        (BASE + "".join(f'[[broker]]\nhost = "b{n}"\n' for n in range(8)), "broker"),
        (BASE + '[[broker]]\nhost = "127.0.0.1"\n', "broker[2]"),
        (BASE + '[[broker]]\nhost = "b"\n[[broker]]\nhost = "B"\nport = 1883\n', "broker[3]"),
        (BASE + '[[broker]]\nhost = "127.0.0.1"\nport = 1884\npublish_port = 1883\n', "broker[2]"),
        (BASE + TLS.replace('"/ca.pem"', '"ca.pem"'), "broker[1].tls.ca"),
        (BASE + TLS.replace('"/hk-1.pem"', '"hk-1.pem"'), "broker[1].tls.certificate"),
        (BASE + TLS.replace('"/hk-1.key"', '"hk-1.key"'), "broker[1].tls.key"),
        (BASE + TLS + 'name = "mqtts://b"\n', "broker[1].tls.name"),
        (BASE + 'user = " "\n', "broker[1].user"),
        (BASE + '[[broker]]\nhost = "mqtt://b"\n', "broker[2].host"),
        (BASE + '[metrics]\nlisten = "0.0.0.0:9464"\n', "metrics.listen"),
        (BASE + '[metrics]\nlisten = "9464"\n', "metrics.listen"),
        (
            BASE + '[api]\nlisten = "[::1]:80"\n[metrics]\nlisten = "[::1]:80"\n',
            "metrics.listen",
        ),
        (BASE + "[storage]\nalarm = 0.97\n", "storage.alarm"),
        (BASE + "[storage]\nalarm = 0.98\n", "storage.alarm"),
        (BASE + "[storage]\nstop = 0.995\n", "storage.stop"),
        ("broker = []\n" + BASE.split("[[broker]]")[0], "broker"),
        (replaced('"127.0.0.1"', '"mqtt://b"'), "broker[1].host"),
        (replaced('"127.0.0.1"', '"broker..example"'), "broker[1].host"),
        (replaced('"127.0.0.1"', f'"{"b" * 64}.example"'), "broker[1].host"),
        (replaced('"127.0.0.1"', '".broker.example"'), "broker[1].host"),
        (replaced('"127.0.0.1"', '"broker:1883"'), "broker[1].host"),
        (replaced('"127.0.0.1"', f'"{"b." * 127}"'), "broker[1].host"),
        (BASE + TLS + 'name = "broker..example"\n', "broker[1].tls.name"),
        (BASE + SYSLOG.replace("siem.", "siem.."), "audit.syslog.host"),
        (BASE + SYSLOG + f'name = "{"s" * 64}"\n', "audit.syslog.name"),
        (BASE + "[kinds.KYC]\n", "kinds.KYC"),
        (BASE + peer_block(id='"sz 1"'), "peer[1].id"),
        (BASE + peer_block(origin='"bank-sz.example/"'), "peer[1].origin"),
        (BASE + peer_block(jurisdiction='"China"'), "peer[1].jurisdiction"),
        (BASE + peer_block(institution='"\\n"'), "peer[1].institution"),
        (BASE + peer_block(kinds='["Kyc"]'), "peer[1].kinds"),
    ],
)
def test_config_refuses_value(text: str, key: str) -> None:
    error = refuse(text)
    assert error.code == "config-value"
    assert error.message.startswith(f"{key}: ")


@pytest.mark.parametrize(
    "host",
    ["b", f"{'b' * 63}.example", "broker.example.", "my_broker-1", "::1", "::ffff:192.0.2.1"],
)
def test_host_that_can_be_looked_up_is_taken(host: str) -> None:
    assert parse_config(replaced("127.0.0.1", host).encode()).broker[0].host == host


def test_broker_with_tls_has_another_port_by_default() -> None:
    assert parse_config((BASE + TLS).encode()).broker[0].port == 8883
    given = (BASE + "port = 1883\n" + TLS).encode()
    assert parse_config(given).broker[0].port == 1883


def test_broker_expects_the_name_of_its_host_unless_another_is_given() -> None:
    (first,) = make_brokers(parse_config((BASE + TLS).encode()))
    (second,) = make_brokers(parse_config((BASE + TLS + 'name = "b.example"\n').encode()))
    assert first.tls is not None
    assert second.tls is not None
    assert (first.tls.name, first.tls.member) == ("127.0.0.1", "hk-1")
    assert second.tls.name == "b.example"


def test_config_takes_up_to_eight_brokers() -> None:
    more = "".join(f'[[broker]]\nhost = "127.0.0.1"\nport = {n}\n' for n in range(1, 8))
    config = parse_config((BASE + more).encode())
    assert [broker.port for broker in config.broker] == [1883, *range(1, 8)]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"log_vkey": '"nonsense"'}, "peer[1].log_vkey"),
        ({"cosigner_vkey": '"nonsense"'}, "peer[1].cosigner_vkey"),
        ({"log_vkey": f'"{p256("bank-sz.example/sz-2", 7).encode()}"'}, "peer[1].log_vkey"),
        ({"log_vkey": f'"{cosigner(SZ, "x").encode()}"'}, "peer[1].log_vkey"),
        ({"cosigner_vkey": f'"{cosigner(SZ, "x").encode()}"'}, "peer[1].cosigner_vkey"),
        (
            {"cosigner_vkey": f'"{ed25519(f"{SZ}/cosigner", "x").encode()}"'},
            "peer[1].cosigner_vkey",
        ),
        ({"log_vkey": f'"{ed25519(SZ, "sz").encode()}"'}, "peer[1]"),
        ({"id": '"hk-1"'}, "peer[1].id"),
    ],
)
def test_config_refuses_peer(changes: dict[str, str], key: str) -> None:
    error = refuse(BASE + peer_block(**changes))
    assert error.code == "config-value"
    assert error.message.startswith(f"{key}: ")


def takes_origin(origin: str) -> str:
    return peer_block(
        origin=f'"{origin}"',
        log_vkey=f'"{p256(origin, 7).encode()}"',
        cosigner_vkey=f'"{cosigner(f"{origin}/cosigner", "sz").encode()}"',
    )


@pytest.mark.parametrize("origin", [HK, f"{HK}/cosigner"])
def test_config_refuses_peer_with_a_name_of_our_own(origin: str) -> None:
    error = refuse(BASE + takes_origin(origin))
    assert error.message.startswith("peer[1].origin: ")


@pytest.mark.parametrize(
    ("second", "thing"),
    [
        (other_peer(id='"sz-1"'), "id"),
        (takes_origin(SZ).replace('"sz-1"', '"sz-2"'), "name of a log or key"),
        (takes_origin(f"{SZ}/cosigner").replace('"sz-1"', '"sz-2"'), "name of a log or key"),
        (
            other_peer(log_vkey=f'"{p256("bank-mo.example/mo-1", 7).encode()}"'),
            "public key",
        ),
        (
            other_peer(log_vkey=f'"{ed25519("bank-mo.example/mo-1", "sz").encode()}"'),
            "public key",
        ),
    ],
)
def test_config_refuses_peers_that_share(second: str, thing: str) -> None:
    error = refuse(BASE + peer_block() + second)
    assert error.message == f"peer[2]: has the same {thing} as peer[1]"


def test_own_member_has_the_keys_of_the_hsm() -> None:
    config = parse_config((BASE + peer_block()).encode())
    own = own_member(config, p256(HK, 9), cosigner(f"{HK}/cosigner", "hk"))
    assert (own.id, own.origin, own.kinds) == ("hk-1", HK, frozenset("*"))
    assert own.log_key == p256(HK, 9)


def test_own_member_refuses_the_key_of_a_peer() -> None:
    config = parse_config((BASE + peer_block()).encode())
    with pytest.raises(ConfigurationError, match="public key"):
        own_member(config, p256(HK, 7), cosigner(f"{HK}/cosigner", "hk"))


def test_own_member_refuses_one_key_for_both_uses() -> None:
    config = parse_config(BASE.encode())
    with pytest.raises(ConfigurationError, match="one and the same key"):
        own_member(config, ed25519(HK, "hk"), cosigner(f"{HK}/cosigner", "hk"))


def test_load_config_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(BASE + "tsl = 1\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_config(path)
    assert caught.value.message == f"{path}: unknown key `broker[1].tsl`"
    path.write_text(BASE, encoding="utf-8")
    assert load_config(path).gateway.id == "hk-1"


def test_load_config_says_how_to_make_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file") as caught:
        load_config(tmp_path / "gateway.toml")
    assert caught.value.code == "config-missing"
    assert "chopmark init" in caught.value.hint


def test_load_config_reads_no_more_than_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(BASE + "#" * MAX_CONFIG, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="longer than"):
        load_config(path)


def test_find_config_prefers_option_then_variable_then_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHOPMARK_CONFIG", "/b.toml")
    assert find_config(Path("/a.toml")) == Path("/a.toml")
    assert find_config(None) == Path("/b.toml")
    monkeypatch.setenv("CHOPMARK_CONFIG", "")
    assert find_config(None) == Path("/etc/chopmark/gateway.toml")


def test_parse_peer_reads_one_block() -> None:
    assert parse_peer(peer_block().encode()).log_key == p256(SZ, 7)


@pytest.mark.parametrize(
    "text", ["", "peer = []", peer_block() + other_peer(), BASE + peer_block(), peer_block(id='""')]
)
def test_parse_peer_refuses_anything_else(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_peer(text.encode())


@pytest.mark.parametrize("turn", range(4))
def test_first_reading_by_several_threads_at_once_does_not_end_the_process(turn: int) -> None:
    """Without turns two of three such processes end by a segmentation fault within msgspec."""
    command = [sys.executable, "-c", AT_ONCE]
    done = subprocess.run(command, input=BASE.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b""), f"process {turn}"
