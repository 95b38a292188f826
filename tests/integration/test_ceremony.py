"""Key ceremonies on real SoftHSM tokens, by officers with certificates that openssl made."""

import contextlib
import dataclasses
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ceremonies import TIME, ended, held
from chopmark.cli.main import main
from chopmark.client.officers import read_certificate
from chopmark.core.audit import parse_record
from chopmark.core.ceremony import Ceremony, End
from chopmark.core.ceremony_rules import GATES, check_file, check_trusted
from chopmark.core.ceremony_text import parse_file
from chopmark.core.errors import ConfigurationError, ExistsError, MalformedError, RefusedError
from chopmark.core.keys import parse_vkey
from chopmark.hsm import HsmConfig, create_keys, open_signer
from chopmark.hsm.listing import list_keys
from chopmark.ledger.store import read_keys
from chopmark.service.ceremony_desk import AbortedError
from chopmark.service.ceremony_hold import Held, Plan, hold
from chopmark.service.config_model import Broker, Clock, Config, Gateway, Hsm
from commandline import Ended, Run
from rig.gateway import HONG_KONG, Cluster
from rig.gateway import Gateway as RunningGateway
from rig.token import MODULE, Token, provision_token

ORIGIN = "bank-hk.example/hk-1"
NAMES = {"chan": "Chan Tai Man", "lee": "Lee Siu Ming", "ho": "Ho Ka Yan"}
PASSWORD = "open sesame"
ROOT = Path(__file__).parents[2]


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def officers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with NAME.crt and NAME.key; lee's key is encrypted, and also in lee.p12."""
    folder = tmp_path_factory.mktemp("officers")
    sorts = {
        "chan": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        "lee": ("-newkey", "rsa:2048", "-passout", f"pass:{PASSWORD}"),
        "ho": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes"),
    }
    for name, sort in sorts.items():
        key, crt = folder / f"{name}.key", folder / f"{name}.crt"
        subject = f"/O=Bank of Hong Kong (example)/CN={NAMES[name]}"
        openssl("req", "-x509", *sort, "-keyout", key, "-out", crt, "-subj", subject, "-days", 30)
    secret = f"pass:{PASSWORD}"
    lee = ("-inkey", folder / "lee.key", "-in", folder / "lee.crt", "-passin", secret)
    openssl("pkcs12", "-export", *lee, "-passout", secret, "-out", folder / "lee.p12")
    return folder


class BrokenOffError(Exception):
    """The power went."""


@dataclass
class ScriptedDesk:
    """People who answer; whatever is asked has an answer here.

    Attributes:
        answers: by name of the question: a text, or what gives it; also a list, one after another.
    """

    answers: dict[str, object]
    has_people: bool = True
    password: str = PASSWORD
    backup_pin: str = field(default="", repr=False)
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)

    def say(self, text: str = "", style: str = "") -> None:
        self.said.append(f"{style} {text}")

    def fields(self, fields: Sequence[tuple[str, object]]) -> None:
        self.said += [f"{name} {value}" for name, value in fields]

    def ask(self, name: str, question: str, default: str = "") -> str:
        self.asked.append(name)
        answer = self.answers.get(name, default)
        if isinstance(answer, list):
            answer = answer.pop(0)
        if callable(answer):
            answer = answer()
        assert isinstance(answer, str), f"{name}: {question}"
        if answer == "!abort":
            raise AbortedError("the officers ended it")
        return answer or default

    def confirm(self, name: str, question: str) -> bool:
        return self.ask(name, question, "yes") == "yes"

    def secret(self, question: str) -> str:
        self.secrets.append(question)
        return self.backup_pin if "backup" in question else self.password


@dataclass
class Scene:
    """A token, officers, and what the ceremony shall make."""

    folder: Path
    token: Token
    officers: Path
    need: int = 2
    lenient: bool = True
    desk: ScriptedDesk = field(init=False)

    def __post_init__(self) -> None:
        self.desk = ScriptedDesk(self.answers())

    @property
    def config(self) -> Config:
        return Config(
            gateway=Gateway(
                id="hk-1",
                origin=ORIGIN,
                institution="Bank of Hong Kong (example)",
                jurisdiction="HK",
                state=self.folder / "state",
            ),
            hsm=Hsm(module=Path(MODULE), token_label="hk-1"),
            clock=Clock(require="none" if self.lenient else "synchronised"),
            broker=(Broker(host="127.0.0.1", port=1883),),
        )

    @property
    def protocol(self) -> Path:
        return self.folder / "protocol"

    @property
    def unfinished(self) -> Path:
        return self.folder / "protocol.unfinished"

    def certificates(self) -> list[Path]:
        return [self.officers / f"{name}.crt" for name in NAMES]

    def answers(self) -> dict[str, object]:
        found: dict[str, object] = {
            "officer-3-present": "no",
            "person-1": "Au Wing, auditor",
            "backup-made": "no",
            "backup-declined": "the second token comes next week",
            "backup-token": "no",
            "no-backup-token": "it comes next week",
            "resumed-by": "Chan Tai Man; the power went",
        }
        for gate in ("go-ahead", "read-aloud", "close"):
            found[f"approve-{gate}-1"] = self.sign_elsewhere
            found[f"approve-{gate}-2"] = str(self.officers / "lee.p12")
        return found

    def sign_elsewhere(self, name: str = "chan") -> str:
        """What a smart card would do: sign the file that the screen names, by openssl."""
        (text,) = self.folder.glob("protocol.step-*")
        signature = self.folder / "signature"
        openssl("dgst", "-sha256", "-sign", self.officers / f"{name}.key", "-out", signature, text)
        return str(signature)

    def hold(self, *, resumed: bool = False, place: str | None = "Data centre 2") -> Held:
        plan = Plan(
            path=self.folder / "gateway.toml",
            config=self.config,
            cosigner="ed25519",
            officers=self.certificates(),
            need=self.need,
            place=place,
            protocol=self.unfinished if resumed else self.protocol,
            resumed=resumed,
        )
        return hold(plan, self.desk)

    def read(self) -> Ceremony:
        file = parse_file(self.protocol.read_bytes())
        check_file(file)
        return file.ceremony

    def keys(self) -> int:
        found = list_keys(HsmConfig(MODULE, token_label="hk-1"), ORIGIN)
        return len(found.log) + len(found.cosigner)

    def is_set_up(self) -> bool:
        return any((self.folder / name).exists() for name in ("gateway.toml", "state/log.db"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `chopmark` in this process."""

    def call(*arguments: object) -> Ended:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Ended(code, *capsys.readouterr())

    return call


@pytest.fixture
def scene(tmp_path: Path, officers: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    token = provision_token(tmp_path / "hsm", "hk-1")
    monkeypatch.setenv("SOFTHSM2_CONF", str(token.conf))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(token.credentials))
    return Scene(tmp_path, token, officers)


def test_ceremony_makes_a_gateway_and_a_protocol_that_auditors_can_check(scene: Scene) -> None:
    held = scene.hold()
    ceremony = scene.read()
    check_trusted(ceremony, [read_certificate(one) for one in scene.certificates()])
    assert [one.result for one in ceremony.steps] == [*["done"] * 7, "declined", "done", "done"]
    keys = ceremony.find("keys")
    assert keys is not None
    made = tuple(parse_vkey(keys.fact(f"{role}-key")) for role in ("log", "cosigner"))
    assert read_keys(scene.folder / "state/log.db") == made
    assert held.log_key == made[0].encode()
    assert "EXTRACTABLE no, NEVER_EXTRACTABLE yes, LOCAL yes" in keys.fact("log-attributes")
    assert "(!)" not in keys.fact("log-attributes") + keys.fact("cosigner-attributes")
    token = ceremony.find("token")
    assert token is not None
    assert token.fact("serial") == _serial(scene.token)
    assert not scene.unfinished.exists()
    assert not list(scene.folder.glob("protocol.step-*"))
    assert _audited(scene) == [{"kind": "init", "protocol": held.digest}]
    secret = scene.token.read_pin()
    everything = scene.protocol.read_text() + "".join(scene.desk.said)
    assert secret not in everything
    assert PASSWORD not in everything
    assert scene.desk.secrets == ["PIN of Lee Siu Ming's key in lee.p12: "] * 3


def test_officer_may_use_an_encrypted_pem_key_and_is_asked_again_after_a_slip(scene: Scene) -> None:
    answers = scene.desk.answers
    lee = str(scene.officers / "lee.key")
    answers["approve-go-ahead-2"] = ["nowhere", scene.sign_elsewhere, lee]
    scene.hold()
    assert scene.desk.asked.count("approve-go-ahead-2") == 3
    said = scene.desk.said
    refused = [said[number + 1] for number, one in enumerate(said) if "not taken" in one]
    assert len(refused) == 2
    assert "is not by the certificate beside it" in refused[1]


def test_wrong_pin_of_an_officers_key_is_not_shown(scene: Scene) -> None:
    scene.desk.password = "wrong and secret"
    scene.desk.answers["ask-again"] = "no"
    scene.desk.answers["approve-go-ahead-2"] = [str(scene.officers / "lee.p12")] * 3
    with pytest.raises(RefusedError) as caught:
        scene.hold()
    assert caught.value.code == "ceremony-aborted"
    everything = repr(caught.value.__dict__) + scene.protocol.read_text() + "".join(scene.desk.said)
    assert "secret" not in everything
    assert (scene.keys(), scene.is_set_up()) == (0, False)


STEPS = ("presence", "token", "go-ahead", "keys", "read-aloud", "restore-drill", "close")


def test_ceremony_that_breaks_off_after_each_step_goes_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off after every step there is, and once more between making and writing down."""
    from chopmark.service.ceremony_desk import Book

    add = Book.add
    left = list(STEPS)

    def break_off(book: Book, step: object) -> None:
        add(book, step)  # type: ignore[arg-type]
        if left and getattr(step, "name", "") == left[0]:
            left.pop(0)
            raise BrokenOffError

    monkeypatch.setattr(Book, "add", break_off)
    for number in range(len(STEPS)):
        with pytest.raises(BrokenOffError):
            scene.hold(resumed=number > 0)
        assert scene.unfinished.exists()
    scene.hold(resumed=True)
    ceremony = scene.read()
    assert [one.name for one in ceremony.steps].count("resumed") == len(STEPS)
    assert scene.keys() == 2


def test_keys_made_before_they_were_written_down_are_found_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chopmark.service import ceremony_init

    real = ceremony_init.prepare

    def break_off(*arguments: object) -> object:
        real(*arguments)  # type: ignore[arg-type]
        raise BrokenOffError

    monkeypatch.setattr(ceremony_init, "prepare", break_off)
    with pytest.raises(BrokenOffError):
        scene.hold()
    monkeypatch.setattr(ceremony_init, "prepare", real)
    scene.hold(resumed=True)
    keys = scene.read().find("keys")
    assert keys is not None
    assert "LOCAL yes" in keys.fact("log-attributes")
    assert scene.keys() == 2


@pytest.mark.parametrize("moment", ["close", "forget"])
def test_ceremony_that_broke_off_while_it_was_put_in_place_ends_so(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    from chopmark.service.ceremony_desk import Book

    real = getattr(Book, moment)

    def break_off(*_: object) -> str:
        raise BrokenOffError

    monkeypatch.setattr(Book, moment, break_off)
    with pytest.raises(BrokenOffError):
        scene.hold()
    assert scene.is_set_up()
    monkeypatch.setattr(Book, moment, real)
    held = scene.hold(resumed=True)
    assert scene.read().origin == ORIGIN
    assert held.digest in {one["protocol"] for one in _audited(scene)}
    assert not scene.unfinished.exists()


@pytest.mark.parametrize("change", ["token", "officers", "configuration", "text"])
def test_another_ceremony_does_not_go_on_with_it(
    scene: Scene, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.desk.answers["confirmed-1"] = _break_off
    with pytest.raises(BrokenOffError):
        scene.hold()
    scene.desk.answers["confirmed-1"] = "yes"
    if change == "token":
        other = provision_token(scene.folder / "other", "hk-1")
        monkeypatch.setenv("SOFTHSM2_CONF", str(other.conf))
    if change == "officers":
        scene.need = 1
    if change == "configuration":
        scene.lenient = False
    if change == "text":
        text = scene.unfinished.read_text()
        scene.unfinished.write_text(text.replace("auditor", "inventor"))
    with pytest.raises(RefusedError) as caught:
        scene.hold(resumed=True)
    codes = {"token": "wrong-token", "text": "broken-chain"}
    assert caught.value.code == codes.get(change, "ceremony-changed")
    assert not scene.protocol.exists()


def test_aborted_ceremony_leaves_a_record_and_no_keys(scene: Scene) -> None:
    scene.desk.answers["confirmed-2"] = "!abort"
    with pytest.raises(RefusedError) as caught:
        scene.hold()
    assert caught.value.code == "ceremony-aborted"
    end = scene.read().end
    assert end is not None
    assert end.outcome == "aborted"
    assert "were destroyed" in end.reason
    assert (scene.keys(), scene.is_set_up()) == (0, False)
    assert not (scene.folder / "state/init.pending").exists()


def test_keys_of_an_aborted_ceremony_may_stay_and_are_not_taken_later(scene: Scene) -> None:
    scene.desk.answers |= {"confirmed-2": "!abort", "destroy": "no"}
    with pytest.raises(RefusedError):
        scene.hold()
    end = scene.read().end
    assert end is not None
    assert "stay in the token" in end.reason
    scene.protocol.unlink()
    scene.desk = ScriptedDesk(scene.answers() | {"try-again": "no"})
    with pytest.raises(RefusedError):
        scene.hold()
    assert scene.keys() == 2
    again = scene.read()
    assert [one.name for one in again.steps if one.result == "failed"] == ["keys"]


def test_nothing_is_made_without_enough_approvals(scene: Scene) -> None:
    scene.desk.answers |= {"approve-go-ahead-2": "-", "ask-again": "no"}
    with pytest.raises(RefusedError) as caught:
        scene.hold()
    assert "go-ahead was not approved" in str(caught.value)
    assert scene.keys() == 0


def test_refused_credential_is_tried_once(scene: Scene) -> None:
    (scene.token.credentials / "hsm-pin").write_text("not the pin")
    with pytest.raises(ConfigurationError) as caught:
        scene.hold()
    assert caught.value.code == "pin-refused"
    assert "try-again" not in scene.desk.asked
    assert scene.unfinished.exists()


def test_restore_drill_finds_the_same_keys_in_a_backup_token(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of SoftHSM's files, made in the backup step, is what a vendor's cloning gives."""
    backup = scene.folder / "backup"

    def copy() -> str:
        shutil.copytree(scene.token.tokens, backup / "tokens")
        conf = scene.token.conf.read_text().replace(str(scene.token.tokens), f"{backup}/tokens")
        (backup / "softhsm2.conf").write_text(conf)
        return "copied"

    def put(conf: Path) -> Callable[[], str]:
        def change() -> str:
            monkeypatch.setenv("SOFTHSM2_CONF", str(conf))
            return ""

        return change

    scene.desk.backup_pin = scene.token.read_pin()
    scene.desk.answers |= {
        "backup-made": "yes",
        "backup-means": copy,
        "backup-kept": "in the safe",
        "backup-token": "yes",
        "backup-label": put(backup / "softhsm2.conf"),
        "token-back": put(scene.token.conf),
    }
    scene.hold()
    drill = scene.read().find("restore-drill")
    assert drill is not None
    assert drill.fact("backup-token").endswith("the same keys, good signatures")
    assert drill.fact("backup-log-signature")


def test_restore_drill_fails_with_a_token_of_other_keys(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = provision_token(scene.folder / "other", "hk-1")

    scene.desk.backup_pin = other.read_pin()

    def put() -> str:
        monkeypatch.setenv("SOFTHSM2_CONF", str(other.conf))
        return ""

    scene.desk.answers |= {"backup-token": "yes", "backup-label": put, "try-again": "no"}
    with pytest.raises(RefusedError):
        scene.hold()
    failed = [one for one in scene.read().steps if one.result == "failed"]
    assert [one.name for one in failed] == ["restore-drill"]


def test_ceremony_over_an_existing_gateway_does_not_begin(scene: Scene) -> None:
    scene.hold()
    with pytest.raises(ExistsError) as caught:
        scene.hold()
    assert caught.value.code == "file-exists"


def _break_off() -> str:
    raise BrokenOffError


def _serial(token: Token) -> str:
    (folder,) = token.tokens.iterdir()
    return folder.name.replace("-", "")[-16:]


def _audited(scene: Scene) -> list[dict[str, object]]:
    with closing(sqlite3.connect(scene.folder / "state/log.db")) as db:
        records = [parse_record(one) for (one,) in db.execute("SELECT record FROM audit_record")]
    held = [one for one in records if one.action == "key.ceremony"]
    return [dict(one.about) for one in held if one.outcome == "done"]


class Disguised(Ceremony):
    """What says something else than it is."""

    def encode(self) -> str:
        return "bank-hk.example/hk-1\n7\n"


async def test_key_signs_only_a_completed_ceremony_that_made_it(scene: Scene) -> None:
    config = HsmConfig(MODULE, token_label="hk-1")
    create_keys(config, ORIGIN, scene.token.read_pin)
    signer = await open_signer(config, ORIGIN, scene.token.read_pin)
    fields = {one.name: getattr(ended(), one.name) for one in dataclasses.fields(Ceremony)}
    try:
        for bad, error in (
            (held("close"), ValueError),
            (held("token"), ValueError),
            (replace(ended(), end=End("aborted", TIME + 900, "no time")), ValueError),
            (ended(), ValueError),  # by a key in software
            (replace(ended(), place="a\nb"), MalformedError),
            (ended(held(by=[1])), RefusedError),
            (Disguised(**fields), TypeError),
            ("bank-hk.example/hk-1\n7\n", TypeError),
        ):
            with pytest.raises(error):
                await signer.sign_ceremony(bad)  # type: ignore[arg-type]
        assert signer.counts["ceremonies"] == 0
    finally:
        await signer.close()


OPTIONS = (
    *("--id", "hk-1", "--origin", ORIGIN, "--institution", "Bank of Hong Kong (example)"),
    *("--jurisdiction", "HK", "--module", MODULE, "--token-label", "hk-1", "--clock", "none"),
)


WITH_INTERRUPTS = """\
import signal
from chopmark.cli.main import run
signal.signal(signal.SIGINT, signal.default_int_handler)
run()
"""
"""The command, also where the tests themselves run in a shell's background, without SIGINT."""


class Terminal:
    """The command on a terminal of 80 columns; answers are typed when their question is there."""

    def __init__(self, arguments: Sequence[object], environment: dict[str, str]) -> None:
        self.shown = ""
        command = [sys.executable, "-c", WITH_INTERRUPTS, *map(str, arguments)]
        self.side, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
        self.process = subprocess.Popen(
            command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)

    def answer(self, question: str, text: str) -> None:
        self.wait_for(question)
        self.shown = ""
        os.write(self.side, text.encode() + b"\n")

    def wait_for(self, text: str) -> str:
        whole = self.shown
        while text not in " ".join(self.shown.split()):
            assert select.select([self.side], [], [], 60)[0], self.shown
            try:
                more = os.read(self.side, 4096).decode()
            except OSError:
                break
            self.shown += more
            whole += more
        assert text in " ".join(self.shown.split()), self.shown
        return whole

    def end(self) -> int:
        with contextlib.suppress(OSError):
            while data := os.read(self.side, 4096).decode():
                self.shown += data
        os.close(self.side)
        return self.process.wait(60)


@pytest.fixture
def open_terminal() -> Iterator[Callable[..., Terminal]]:
    """Opens terminals; what still runs in them after the test is killed."""
    opened: list[Terminal] = []

    def make(arguments: Sequence[object], environment: dict[str, str]) -> Terminal:
        opened.append(Terminal(arguments, environment))
        return opened[-1]

    yield make
    for one in opened:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def environ(scene: Scene, **more: str) -> dict[str, str]:
    left_out = ("CREDENTIALS_DIRECTORY", "CHOPMARK_CONFIG")
    there = {name: value for name, value in os.environ.items() if name not in left_out}
    config = str(scene.folder / "gateway.toml")
    return there | {"TERM": "dumb", "CHOPMARK_CONFIG": config, "COLUMNS": "80"} | more


def test_officers_are_led_through_it_on_a_terminal(
    scene: Scene, open_terminal: Callable[..., Terminal]
) -> None:
    """Nothing that is typed in secret is shown, and no line is wider than the terminal."""
    pin = scene.token.read_pin()
    state = ("--state", scene.folder / "state", "--protocol", scene.protocol, "--need", 2)
    officers = ("--officers", *scene.certificates())
    terminal = open_terminal(
        ("hsm", "ceremony", "init", *OPTIONS, *state, *officers), environ(scene)
    )
    shown = []
    for question, answer in _typed(scene, pin):
        shown.append(terminal.wait_for(question))
        text = answer() if callable(answer) else answer
        terminal.answer(question, text)
    assert terminal.end() == 0
    whole = "".join(shown) + terminal.shown
    assert pin not in whole
    assert PASSWORD not in whole
    assert "the ceremony is completed" in whole
    wide = [line for line in whole.replace("\r", "").split("\n") if len(line) > 80]
    assert [line for line in wide if "/" not in line] == [], "a path or a key is copied, and whole"
    assert scene.read().find("close")


def _typed(scene: Scene, pin: str) -> list[tuple[str, str | Callable[[], str]]]:
    def approve() -> list[tuple[str, str | Callable[[], str]]]:
        return [
            ("Chan Tai Man: file of your key", scene.sign_elsewhere),
            ("Lee Siu Ming: file of your key", str(scene.officers / "lee.key")),
            ("PIN of Lee Siu Ming's key", PASSWORD),
        ]

    names = [(f"officer {n} [{name}]", "") for n, name in enumerate(NAMES.values(), 1)]
    institutions = [(f"Institution of {name}", "") for name in NAMES.values()]
    both = [one for pair in zip(names, institutions, strict=True) for one in pair]
    here = [(f"{name} is present?", "yes") for name in NAMES.values()]
    read = [(f"{name} confirms", "yes") for name in NAMES.values()]
    return [
        ("Where is the ceremony held", "Data centre 2"),
        *both,
        *here,
        ("Anybody else", ""),
        ("the right token?", "yes"),
        *approve(),
        ("Ho Ka Yan: file of your key", ""),
        ("PIN of the token hk-1", pin),
        *read,
        *approve(),
        ("Ho Ka Yan: file of your key", ""),
        ("PIN of the token hk-1", pin),
        ("backed up", "no"),
        ("Why is there no backup?", "it comes next week"),
        ("PIN of the token hk-1", pin),
        ("backup token presented", "no"),
        ("Why not?", "it comes next week"),
        ("Remarks", ""),
        *approve(),
        ("Ho Ka Yan: file of your key", ""),
    ]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_ceremony_goes_on_after_its_process_ended(
    scene: Scene, how: signal.Signals, open_terminal: Callable[..., Terminal]
) -> None:
    where = ("--state", scene.folder / "state", "--protocol", scene.protocol, "--place", "here")
    officers = ("--officers", *scene.certificates())
    terminal = open_terminal(
        ("hsm", "ceremony", "init", *OPTIONS, *where, *officers), environ(scene)
    )
    typed = _typed(scene, "")[1:]
    for question, answer in typed[: typed.index(("the right token?", "yes"))]:
        assert isinstance(answer, str)
        terminal.answer(question, answer)
    terminal.wait_for("the right token?")
    terminal.process.send_signal(how)
    code = terminal.end()
    told = "--resume goes on with it" in " ".join(terminal.shown.split())
    assert (code, told) == {signal.SIGINT: (130, True), signal.SIGKILL: (-9, False)}[how]
    scene.hold(resumed=True)
    assert [one.name for one in scene.read().steps][:3] == ["presence", "resumed", "token"]


def write_script(officers: Path, path: Path, **more: str) -> Path:
    """Prepared answers, by officers' keys without PINs."""
    lines = {
        **{f"officer-{n}-name": name for n, name in enumerate(NAMES.values(), 1)},
        **{f"officer-{n}-institution": "Bank" for n in (1, 2, 3)},
        **{f"approve-{gate}-1": str(officers / "chan.key") for gate in GATES},
        **{f"approve-{gate}-3": str(officers / "ho.key") for gate in GATES},
        **{f"approve-{gate}-2": "-" for gate in GATES},
        **{f"confirmed-{n}": "yes" for n in (1, 2, 3)},
        **{f"officer-{n}-present": "yes" for n in (1, 2, 3)},
        "place": "here",
        "person-1": "-",
        "right-token": "yes",
        "remarks": "-",
        "backup-made": "no",
        "backup-declined": "a drill",
        "backup-token": "no",
        "no-backup-token": "a drill",
    } | {name.replace("_", "-"): text for name, text in more.items()}
    path.write_text("".join(f"{name} = {json.dumps(text)}\n" for name, text in lines.items()))
    return path


def run_rehearsal(scene: Scene, *more: object) -> subprocess.CompletedProcess[str]:
    """A rehearsal with prepared answers, and nobody at hand."""
    script = write_script(scene.officers, scene.folder / "answers.toml")
    command = [sys.executable, "-m", "chopmark.cli.main", "hsm", "ceremony", "init", *OPTIONS]
    where = ("--protocol", scene.protocol, "--script", script, "--rehearse", "--officers")
    return subprocess.run(
        [*map(str, (*command, *where, *scene.certificates(), *more))],
        env=environ(scene, TMPDIR=str(_temporary(scene))),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _temporary(scene: Scene) -> Path:
    folder = scene.folder / "tmp"
    folder.mkdir(exist_ok=True)
    return folder


def test_rehearsal_leaves_its_protocol_and_nothing_else(scene: Scene, run: Run) -> None:
    done = run_rehearsal(scene, "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == {"protocol", "sha256", "log_vkey", "cosigner_vkey"}
    assert scene.read().notice.startswith("REHEARSAL")
    assert (scene.keys(), scene.is_set_up()) == (0, False)
    assert not list(_temporary(scene).iterdir())
    checked = run("hsm", "ceremony", "check", scene.protocol, "--json").lines()[0]
    assert (checked["outcome"], checked["need"]) == ("completed", 2)
    assert checked["notice"].startswith("REHEARSAL")
    assert [one["name"] for one in checked["steps"] if one["approved_by"]] == sorted(
        GATES, key=["go-ahead", "read-aloud", "close"].index
    )


def test_unfinished_rehearsal_leaves_nothing(scene: Scene) -> None:
    done = run_rehearsal(scene, "--need", "3")
    assert done.returncode == 78, done.stderr
    assert "nobody is here to answer" in done.stderr
    assert not scene.unfinished.exists()
    assert not list(_temporary(scene).iterdir())


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that runs, alone."""
    made = Cluster(tmp_path_factory.mktemp("g"), (HONG_KONG,))
    try:
        yield made.start()["hk-1"]
    finally:
        made.stop()


def rotate(
    gateway: RunningGateway, officers: Path, role: str, protocol: Path, **answers: str
) -> subprocess.CompletedProcess[str]:
    script = write_script(officers, protocol.with_suffix(".toml"), **answers)
    crts = [str(officers / f"{name}.crt") for name in NAMES]
    where = ("--protocol", str(protocol), "--script", str(script), "--officers", *crts)
    return gateway.cli("hsm", "ceremony", "rotate", role, *where, "--json", check=False)


@pytest.mark.parametrize("role", ["log", "cosigner"])
def test_key_that_follows_is_made_before_officers_while_the_gateway_runs(
    gateway: RunningGateway, officers: Path, tmp_path: Path, role: str
) -> None:
    used = {one["role"]: one["vkey"] for one in listed(gateway) if one["in_use"]}
    before = [one["vkey"] for one in listed(gateway)]
    done = rotate(gateway, officers, role, tmp_path / "protocol")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    (new,) = [one for one in listed(gateway) if one["vkey"] not in before]
    assert (new["role"], new["in_use"]) == (role, False)
    other = "cosigner" if role == "log" else "log"
    assert answer[f"{role}_vkey"] == new["vkey"]
    assert answer[f"{other}_vkey"] == used[other]
    file = parse_file((tmp_path / "protocol").read_bytes())
    assert [one.encode() for one in check_file(file)] == [
        answer["log_vkey"],
        answer["cosigner_vkey"],
    ]
    assert file.ceremony.kind == f"rotate-{role}"
    assert answer["sha256"] in gateway.cli("audit", "show", "--json").stdout


def test_key_of_an_aborted_rotation_is_destroyed(
    gateway: RunningGateway, officers: Path, tmp_path: Path
) -> None:
    before = listed(gateway)
    answers = {"confirmed_3": "!abort", "destroy": "yes"}
    done = rotate(gateway, officers, "log", tmp_path / "protocol", **answers)
    assert json.loads(done.stderr.splitlines()[-1])["code"] == "ceremony-aborted"
    assert listed(gateway) == before
    noted = json.loads(gateway.cli("audit", "show", "--json").stdout)
    assert "ceremony-aborted" in json.dumps(noted)
    end = parse_file((tmp_path / "protocol").read_bytes()).ceremony.end
    assert end is not None
    assert end.reason.endswith("was destroyed")


def test_rotation_that_broke_off_goes_on_with_the_key_that_was_made(
    gateway: RunningGateway, officers: Path, tmp_path: Path
) -> None:
    before = len(listed(gateway))
    protocol = tmp_path / "protocol"
    done = rotate(gateway, officers, "log", protocol, confirmed_3="neither")
    assert done.returncode == 78, "nobody is here to say what was meant"
    working = tmp_path / "protocol.unfinished"
    script = write_script(officers, tmp_path / "s", resumed_by="Chan Tai Man")
    crts = [str(officers / f"{name}.crt") for name in NAMES]
    where = ("--resume", str(working), "--script", str(script), "--officers", *crts)
    assert gateway.cli("hsm", "ceremony", "rotate", "log", *where).returncode == 0
    assert len(listed(gateway)) == before + 1
    assert not working.exists()
    assert check_file(parse_file(protocol.read_bytes()))


def listed(gateway: RunningGateway) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(gateway.cli("hsm", "keys", "--json").stdout)
    return found
