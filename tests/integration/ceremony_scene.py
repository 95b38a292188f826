"""A key ceremony's people, token and answers, for tests."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chopmark.core.ceremony import Ceremony
from chopmark.core.ceremony_rules import GATES, check_file
from chopmark.core.ceremony_text import parse_file
from chopmark.hsm import HsmConfig
from chopmark.hsm.listing import list_keys
from chopmark.service.ceremony_desk import AbortedError
from chopmark.service.ceremony_hold import Held, Plan, hold
from chopmark.service.config_model import Broker, Clock, Config, Gateway, Hsm
from rig.token import MODULE, Token

ORIGIN = "bank-hk.example/hk-1"
NAMES = {"chan": "Chan Tai Man", "lee": "Lee Siu Ming", "ho": "Ho Ka Yan"}
PASSWORD = "open sesame"


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


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
