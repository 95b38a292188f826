"""Commands that need no gateway: config check, fsck, peers export, and init without an HSM."""

import json
import sqlite3
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from chopmark.anchor.software import create_key_file
from chopmark.core.errors import ConfigurationError, ExistsError, InternalError
from chopmark.core.keys import VerifierKey
from chopmark.core.roster import Fingerprint
from chopmark.core.roster_text import encode_roster
from chopmark.core.text import encode_base64
from chopmark.ledger.epoch import Epochs
from chopmark.ledger.replace import put_epochs
from chopmark.ledger.store import create_store, read_keys
from chopmark.service.config import load_config, parse_config
from chopmark.service.config_model import Anchor, Config
from chopmark.service.initialise import Initialised, initialise
from chopmark.service.membership import read_peers
from commandline import Run
from configs import BASE, cosigner, ed25519, p256, peer_block
from rosters import HK, founding, rich, signed, with_notary
from socketgateway import SocketGateway

ORIGIN = "bank-hk.example/hk-1"
KEYS = (p256(ORIGIN, 3), cosigner(f"{ORIGIN}/cosigner", "hk"))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def config(state: Path) -> Config:
    state_line = f'jurisdiction = "HK"\nstate = "{state}"'
    return parse_config(BASE.replace('jurisdiction = "HK"', state_line).encode())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "etc" / "gateway.toml"


class Token:
    """Makes keys once, as the ceremony does; a second time they exist."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> tuple[VerifierKey, VerifierKey]:
        self.made += 1
        if self.made > 1:
            raise ExistsError("key-exists", "the token has a key 'chopmark-log' already")
        return KEYS


@pytest.fixture
def token() -> Token:
    return Token()


def test_init_makes_ledger_and_configuration(
    path: Path, config: Config, token: Token, state: Path
) -> None:
    assert initialise(path, config, token) == Initialised(path, *KEYS)
    assert load_config(path) == config
    assert read_keys(state / "log.db") == KEYS
    assert {entry.name.partition("-")[0] for entry in state.iterdir()} == {"log.db"}
    assert state.stat().st_mode & 0o777 == 0o700


def test_init_makes_nothing_if_the_configuration_exists(
    path: Path, config: Config, token: Token, state: Path
) -> None:
    path.parent.mkdir()
    path.write_text("mine")
    with pytest.raises(ExistsError):
        initialise(path, config, token)
    assert path.read_text() == "mine"
    assert token.made == 0
    assert not state.exists()


def test_init_makes_nothing_if_the_ledger_exists(
    path: Path, config: Config, token: Token, state: Path
) -> None:
    state.mkdir()
    create_store(state / "log.db", *KEYS)
    with pytest.raises(ExistsError, match="ledger"):
        initialise(path, config, token)
    assert token.made == 0
    assert not path.exists()


def test_init_makes_nothing_if_the_keys_exist(
    path: Path, config: Config, token: Token, state: Path
) -> None:
    token.made = 1
    with pytest.raises(ExistsError, match="key"):
        initialise(path, config, token)
    assert not path.exists()
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("step", ["create_store", "write_new", "sync_folder"])
def test_init_goes_on_after_a_failure_at_any_step(
    path: Path,
    config: Config,
    token: Token,
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    module = "chopmark.service.initialise"
    real: Callable[..., object] = __import__(module, fromlist=[step]).__dict__[step]

    def fail(*arguments: object) -> object:
        if step == "write_new" and arguments[0] != path:
            return real(*arguments)
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(f"{module}.{step}", fail)
        with pytest.raises(OSError, match="full"):
            initialise(path, config, token)
    assert not path.exists()
    assert initialise(path, config, token).log_key == KEYS[0]
    assert token.made == 1
    assert {entry.name.partition("-")[0] for entry in state.iterdir()} == {"log.db"}


def test_init_does_not_take_the_keys_of_another_gateways_broken_off_init(
    path: Path, config: Config, token: Token, state: Path
) -> None:
    state.mkdir()
    note = ["bank-mo.example/mo-1", "/m.so", "mo-1", None, "a", "b", *(k.encode() for k in KEYS)]
    (state / "init.pending").write_text(json.dumps(note))
    with pytest.raises(ExistsError, match="another gateway"):
        initialise(path, config, token)
    assert token.made == 0


@pytest.mark.parametrize("text", ["", "{}", "[1]", "not json", '["a", "b"]'])
def test_init_stops_at_a_damaged_note(
    path: Path, config: Config, token: Token, state: Path, text: str
) -> None:
    state.mkdir()
    (state / "init.pending").write_text(text)
    with pytest.raises(InternalError, match=r"init\.pending is damaged") as caught:
        initialise(path, config, token)
    assert caught.value.hint
    assert token.made == 0


def test_init_after_the_last_step_but_one_is_done(
    path: Path, config: Config, token: Token, state: Path
) -> None:
    initialise(path, config, token)
    hsm = config.hsm
    place = [str(hsm.module), hsm.token_label, hsm.token_serial, hsm.log_label, hsm.cosigner_label]
    note = json.dumps([ORIGIN, *place, *(key.encode() for key in KEYS)])
    (state / "init.pending").write_text(note)
    with pytest.raises(ExistsError):
        initialise(path, config, token)
    assert not (state / "init.pending").exists()


def test_init_without_pin_makes_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    done = run(*init_words(tmp_path))
    assert done.code == 78
    assert "PIN" in done.err
    assert not (tmp_path / "gateway.toml").exists()
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (["--id", "HK 1"], 78),
        (["--origin", "https://bank"], 78),
        (["--listen", "0.0.0.0:80"], 78),
        (["--broker", "nowhere"], 64),
        (["--broker", "host:0"], 64),
        (["--unknown", "x"], 64),
    ],
)
def test_init_refuses_bad_values(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: list[str], code: int
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    words = init_words(tmp_path)
    if change[0] in words:
        words[words.index(change[0]) + 1] = change[1]
    else:
        words += change
    done = run(*words)
    assert done.code == code, done
    assert not (tmp_path / "state").exists()


def init_words(folder: Path) -> list[str]:
    return [
        *("init", "--config", str(folder / "gateway.toml"), "--id", "hk-1", "--origin", ORIGIN),
        *("--institution", "Bank of Hong Kong (example)", "--jurisdiction", "HK"),
        *("--module", "/m.so", "--token-label", "hk-1", "--state", str(folder / "state")),
    ]


def test_config_check_is_ok(run: Run, path: Path, config: Config, token: Token) -> None:
    initialise(path, config, token)
    done = run("config", "check", "--config", path)
    assert done.code == 0
    assert done.out.startswith(f"{path}: ok\n")
    assert run("config", "check", "--config", path, "--json").lines()[0]["ok"] is True


def test_config_check_names_what_is_wrong(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(BASE.replace("jurisdiction", "jurisdicton"))
    done = run("config", "check", "--config", path)
    assert done.code == 78
    assert "`gateway.jurisdicton`" in done.err
    assert "did you mean `jurisdiction`?" in done.err


def test_witness_floor_is_named_once_something_is_lost(
    run: Run, tmp_path: Path, state: Path
) -> None:
    key, other = ed25519("log.example/others", "log"), cosigner(f"{ORIGIN}/witness", "w")
    path, ledger = tmp_path / "gateway.toml", state / "log.db"
    path.write_text(
        BASE.replace('jurisdiction = "HK"', f'jurisdiction = "HK"\nstate = "{state}"')
        + f'[[witness.log]]\norigin = "{key.name}"\nvkey = "{key.encode()}"\n'
    )
    state.mkdir()
    create_store(ledger, *KEYS)
    root = encode_base64(b"r" * 32)
    floor = ("witness", "floor", "--config", path, key.name)
    assert run(*floor, "--size", 7, "--root", root).code == 65
    put_epochs(ledger, Epochs(), (), other.encode())
    for wrong in ((), ("--size", 7), ("--size", -1), ("--root", root), ("--checkpoint", path)):
        assert run(*floor, *wrong).code in (64, 65)
    done = run(*floor, "--size", 7, "--root", root, "--json")
    assert (done.code, json.loads(done.out)) == (0, {"origin": key.name, "size": 7, "root": root})
    assert "from 9 entries on" in run(*floor, "--size", 9, "--root", root).out


def test_fsck_of_a_sound_ledger_is_0(run: Run, path: Path, config: Config, token: Token) -> None:
    initialise(path, config, token)
    done = run("fsck", "--config", path)
    assert done.code == 0
    assert done.out.startswith("hk-1  ")
    assert done.out.endswith("  ok\n")


def test_fsck_with_findings_is_10(
    run: Run, path: Path, config: Config, token: Token, state: Path
) -> None:
    initialise(path, config, token)
    with sqlite3.connect(state / "log.db") as db:
        db.execute("UPDATE log SET size = 3")
    db.close()
    assert run("fsck", "--config", path).code == 10
    (line,) = run("fsck", "--config", path, "--json").lines()
    assert line["id"] == "hk-1"
    assert line["findings"]


def test_fsck_of_what_is_no_database_is_10(
    run: Run, path: Path, config: Config, token: Token, state: Path
) -> None:
    initialise(path, config, token)
    (state / "log.db").write_text("no database")
    (line,) = run("fsck", "--config", path, "--json").lines()
    assert [one["code"] for one in line["findings"]] == ["unreadable"]
    assert run("fsck", "--config", path).code == 10


def test_fsck_of_a_forbidden_ledger_is_77(
    run: Run, path: Path, config: Config, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    initialise(path, config, token)

    def refuse(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("chopmark.service.fsck.Path.exists", refuse)
    done = run("fsck", "--config", path)
    assert done.code == 77
    assert "daemon's user" in done.err


def test_fsck_checks_replicas_that_are_there(
    run: Run, path: Path, config: Config, token: Token, state: Path
) -> None:
    initialise(path, config, token)
    with path.open("a") as file:
        file.write(peer_block())
    assert len(run("fsck", "--config", path, "--json").lines()) == 1
    assert run("fsck", "--config", path, "--member", "sz-1").code == 66
    assert run("fsck", "--config", path, "--member", "xx-1").code == 66
    (peer,) = load_config(path).peers
    (state / "replica").mkdir()
    create_store(state / "replica" / "sz-1.db", peer.log_key, peer.cosigner_key)
    lines = run("fsck", "--config", path, "--json").lines()
    assert [line["id"] for line in lines] == ["hk-1", "sz-1"]


def test_fsck_without_ledger_is_66(
    run: Run, path: Path, config: Config, token: Token, state: Path
) -> None:
    initialise(path, config, token)
    (state / "log.db").unlink()
    assert run("fsck", "--config", path).code == 66


def test_peers_export_without_daemon_is_made_from_the_disk(
    run: Run, path: Path, config: Config, token: Token
) -> None:
    initialise(path, config, token)
    done = run("peers", "export", "--config", path)
    assert done.code == 0
    (peer,) = tomllib.loads(done.out)["peer"]
    assert (peer["log_vkey"], peer["cosigner_vkey"]) == tuple(key.encode() for key in KEYS)
    assert "using the configuration" in done.err


def test_peers_export_names_the_account_that_anchors(
    run: Run, path: Path, config: Config, token: Token, tmp_path: Path
) -> None:
    key = tmp_path / "chain.pem"
    account = create_key_file(key)
    anchor = Anchor(
        endpoints=("http://127.0.0.1:8545",), contract="0x" + "11" * 20, key="file", key_file=key
    )
    initialise(path, replace(config, anchor=anchor), token)
    done = run("peers", "export", "--config", path)
    assert [peer["chain"] for peer in tomllib.loads(done.out)["peer"]] == [account]
    assert "account" not in done.err


def test_peers_export_says_that_only_the_token_knows_the_account(
    run: Run, path: Path, config: Config, token: Token
) -> None:
    anchor = Anchor(endpoints=("http://127.0.0.1:8545",), contract="0x" + "11" * 20)
    initialise(path, replace(config, anchor=anchor), token)
    done = run("peers", "export", "--config", path)
    assert [peer.get("chain") for peer in tomllib.loads(done.out)["peer"]] == [None]
    assert "export again once the gateway runs" in done.err


def test_peers_export_of_a_named_configuration_asks_no_other_gateway(
    run: Run,
    path: Path,
    config: Config,
    token: Token,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    initialise(path, config, token)
    other = SocketGateway(tmp_path)
    monkeypatch.setenv("CHOPMARK_GATEWAY", other.address)
    assert run("peers", "export", "--config", path).code == 0
    assert other.requests == []
    other.close()


def test_peers_export_from_a_named_gateway_does_not_fall_back(
    run: Run, path: Path, config: Config, token: Token
) -> None:
    initialise(path, config, token)
    assert run("peers", "export", "--config", path, "--gateway", "unix:/nowhere").code == 69


def test_init_of_keys_for_another_ledger_is_refused(path: Path, config: Config) -> None:
    other = (p256("bank-mo.example/mo-1", 4), KEYS[1])
    with pytest.raises(ConfigurationError):
        initialise(path, config, lambda: other)


def test_roster_is_pinned_before_the_first_start(run: Run, tmp_path: Path) -> None:
    state, path, note = tmp_path / "state", tmp_path / "gateway.toml", tmp_path / "roster-1"
    state.mkdir()
    create_store(state / "log.db", HK.log.vkey, HK.cosigner.vkey)
    path.write_text(BASE.replace('id = "hk-1"', f'id = "hk-1"\nstate = "{state}"'))
    note.write_bytes(signed(founding()))
    pin = ("--config", str(path), "roster", "pin", str(note), "--offline")
    refused = run(*pin, "0" * 64)
    assert (refused.code, "another one" in refused.err) == (65, True)
    words = Fingerprint(encode_roster(founding())).words
    done = run(*pin, words)
    assert done.code == 0
    assert words in done.out
    assert [peer.id for peer in read_peers(load_config(path))] == ["sz-1", "mo-1"]


def test_roster_exports_the_access_list_of_a_broker_offline(run: Run, tmp_path: Path) -> None:
    note = tmp_path / "roster-1"
    note.write_bytes(signed(founding()))
    done = run("roster", "export-acl", str(note), "--bridge", "BRIDGE-x=hk-1,mo-1")
    assert done.code == 0
    assert "\nuser CN=hk-1\ntopic write chopmark/v1/hk-1/checkpoint\n" in done.out
    assert "\nuser BRIDGE-x\n" in done.out
    as_json = json.loads(run("roster", "export-acl", str(note), "--json").out)
    assert as_json["version"] == 1
    assert as_json["fingerprint"] in as_json["acl"]
    assert run("roster", "export-acl", str(note), "--subject", "hk-1").code == 64
    twice = ("--subject", "hk-1=CN=a", "--subject", "hk-1=CN=b")
    done = run("roster", "export-acl", str(note), *twice)
    assert (done.code, "given twice: hk-1" in done.err) == (64, True)


def test_access_list_without_a_roster_is_of_the_peer_blocks_and_says_so(
    run: Run, tmp_path: Path
) -> None:
    state, path, acl = tmp_path / "state", tmp_path / "gateway.toml", tmp_path / "acl"
    path.write_text(BASE.replace('id = "hk-1"', f'id = "hk-1"\nstate = "{state}"') + peer_block())
    export = ("--config", str(path), "roster", "export-acl")
    done = run(*export, "--offline", "-o", str(acl))
    assert (done.code, "no roster is pinned" in done.out) == (0, True)
    text = acl.read_text()
    assert text.splitlines()[1].startswith("# No roster: made from the [[peer]] blocks")
    assert [line for line in text.splitlines() if line.startswith("user ")] == [
        f"user {prefix}{member}" for member in ("hk-1", "sz-1") for prefix in ("", "CN=")
    ]
    unasked = run(*export, "-o", str(acl), "--subject", "xx-1=CN=xx-1,O=x", "--offline")
    assert unasked.code == 64
    assert acl.read_text() == text, "what was there stays when it did not work"
    state.mkdir()
    create_store(state / "log.db", HK.log.vkey, HK.cosigner.vkey)
    note = tmp_path / "roster-1"
    note.write_bytes(signed(founding()))
    words = Fingerprint(encode_roster(founding())).words
    assert run("--config", str(path), "roster", "pin", str(note), "--offline", words).code == 0
    assert run(*export, "--offline").out == run("roster", "export-acl", str(note)).out


def test_access_list_of_a_gateway_without_a_roster(
    run: Run, gateway: SocketGateway, tmp_path: Path
) -> None:
    path, acl = tmp_path / "gateway.toml", tmp_path / "acl"
    path.write_text(BASE + peer_block())
    export = ("--gateway", gateway.address, "--config", str(path), "roster", "export-acl")
    assert "# No roster: made from the [[peer]] blocks" in run(*export).out
    path.write_text(BASE.replace("bank-hk.example/hk-1", "bank-hk.example/other") + peer_block())
    refused = run(*export, "-o", str(acl))
    assert (refused.code, acl.exists()) == (66, False)
    assert "its configuration is not on this machine" in refused.err


def test_access_list_while_no_gateway_answers_names_the_way_without(
    run: Run, tmp_path: Path
) -> None:
    refused = run("--gateway", f"unix:{tmp_path}/none", "roster", "export-acl")
    assert (refused.code, "--offline" in refused.err) == (69, True)


def test_roster_check_names_a_notary(run: Run) -> None:
    Path("roster").write_bytes(signed(with_notary(rich(), "mo-1")))
    done = run("roster", "check", "roster")
    assert done.code == 0
    assert next(line for line in done.out.splitlines() if "notary" in line).startswith("mo-1 ")


def test_contract_is_not_put_onto_what_is_no_node(run: Run) -> None:
    done = run("anchor", "deploy", "node.example:8545")
    assert done.code == 64
    assert "not an address of a node" in done.err
