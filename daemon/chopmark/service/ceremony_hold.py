"""Beginning a key ceremony, or going on with one: what it is about, and who may approve."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from cryptography.x509 import Certificate, NameOID

import chopmark
from chopmark.client.officers import read_certificate
from chopmark.core.ceremony import Ceremony, Kind, PresentOfficer
from chopmark.core.ceremony_rules import KEYS, check_ceremony
from chopmark.core.ceremony_text import parse_ceremony
from chopmark.core.errors import RefusedError, UsageError
from chopmark.core.officers import open_certificate
from chopmark.service.ceremony import describe_officers
from chopmark.service.ceremony_desk import AbortedError, Book, Desk, unfinished_path
from chopmark.service.ceremony_init import InitSteps
from chopmark.service.ceremony_rotate import Gateway, RotateSteps
from chopmark.service.ceremony_steps import Steps
from chopmark.service.ceremony_token import Pins
from chopmark.service.config_model import Config
from chopmark.service.initialise import check_ready
from chopmark.service.token import hsm_config, present_hsm_config

_INTRODUCTION: Final = (
    "Each step is written down as soon as it is done. !abort at any question ends the ceremony; "
    "Ctrl-C breaks it off, and --resume goes on."
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line says.

    Attributes:
        path: where the gateway's configuration is, or is to be.
        config: that configuration.
        cosigner: type of the cosigner key, of first keys.
        officers: files of certificates.
        need: how many must approve.
        place: where it is held; None: asked for.
        protocol: where the protocol is to be; of one that goes on: the unfinished one.
        resumed: whether it goes on.
        notice: what every reader of the protocol must know; or empty.
        gateway: the running gateway, where a key is to follow one in use; None: first keys.
        role: which key is to be followed.
        drill: PIN of a throw-away token.
    """

    path: Path
    config: Config
    officers: Sequence[Path]
    need: int
    place: str | None
    protocol: Path
    cosigner: Literal["ed25519", "p256"] = "ed25519"
    gateway: Gateway | None = None
    role: Literal["log", "cosigner"] = "log"
    resumed: bool = False
    notice: str = ""
    drill: str | None = field(default=None, repr=False)

    @property
    def kind(self) -> Kind:
        """What for."""
        if self.gateway is None:
            return "init"
        return "rotate-log" if self.role == "log" else "rotate-cosigner"

    @property
    def unfinished(self) -> Path:
        """Where the protocol is until the ceremony has ended."""
        return self.protocol if self.resumed else unfinished_path(self.protocol)


@dataclass(frozen=True, slots=True)
class Held:
    """A ceremony that was completed: its protocol, SHA-256 of that, and the keys."""

    path: Path
    digest: str
    log_key: str
    cosigner_key: str


def hold(plan: Plan, desk: Desk) -> Held:
    """Hold a ceremony, from its beginning or from where it broke off.

    Raises:
        RefusedError: `ceremony-aborted`; `ceremony-changed`: another one is to go on.
        ChopmarkError: it cannot begin, or broke off.
    """
    book = _reopen(plan) if plan.resumed else _begin(plan, desk)
    desk.say()
    desk.say(f"Key ceremony of {book.ceremony.origin}", "bold")
    if book.ceremony.notice:
        desk.say(book.ceremony.notice, "yellow")
    desk.fields(
        [
            ("place", book.ceremony.place),
            *describe_officers(book.ceremony),
            ("needed", f"{book.ceremony.need} of them"),
            ("protocol", book.path),
        ]
    )
    desk.say(_INTRODUCTION)
    digest = _make_steps(plan, desk, book).run(resumed=plan.resumed)
    keys = book.ceremony.find("keys")
    log, cosigner = (keys.fact(f"{role}-key") if keys else "" for role in KEYS)
    return Held(book.final, digest, log, cosigner)


def _make_steps(plan: Plan, desk: Desk, book: Book) -> Steps:
    pins = Pins(desk, plan.config, plan.drill)
    if plan.gateway is None:
        hsm = hsm_config(plan.config)
        return InitSteps(plan.config, desk, book, pins, hsm, plan.path, plan.cosigner)
    hsm = present_hsm_config(plan.config)
    return RotateSteps(plan.config, desk, book, pins, hsm, plan.role, plan.gateway)


def _begin(plan: Plan, desk: Desk) -> Book:
    certificates = [read_certificate(path) for path in plan.officers]
    if not 0 < plan.need <= len(certificates):
        message = f"{plan.need} of {len(certificates)} officers cannot approve"
        raise UsageError("usage", message, hint="see --officers and --need")
    if plan.gateway is None:
        check_ready(plan.path, plan.config)
    try:
        place = plan.place or desk.ask("place", "Where is the ceremony held")
        officers = tuple(
            _ask_officer(desk, number, certificate)
            for number, certificate in enumerate(certificates, 1)
        )
    except AbortedError as aborted:
        raise RefusedError("ceremony-aborted", "the ceremony did not begin") from aborted
    gateway = plan.config.gateway
    ceremony = Ceremony(
        origin=gateway.origin,
        kind=plan.kind,
        gateway=gateway.id,
        institution=gateway.institution,
        place=place,
        software=f"chopmark {chopmark.__version__}",
        need=plan.need,
        officers=officers,
        notice=plan.notice,
    )
    check_ceremony(parse_ceremony(ceremony.encode()))
    return Book.begin(plan.protocol, ceremony)


def _ask_officer(desk: Desk, number: int, certificate: bytes) -> PresentOfficer:
    opened = open_certificate(certificate)
    name = desk.ask(
        f"officer-{number}-name", f"Name of officer {number}", _say(opened, NameOID.COMMON_NAME)
    )
    institution = desk.ask(
        f"officer-{number}-institution",
        f"Institution of {name}",
        _say(opened, NameOID.ORGANIZATION_NAME),
    )
    return PresentOfficer(name, institution, certificate)


def _reopen(plan: Plan) -> Book:
    book = Book.open(plan.protocol)
    ceremony, gateway = book.ceremony, plan.config.gateway
    certificates = [read_certificate(path) for path in plan.officers]
    same = (
        (ceremony.kind, ceremony.origin, ceremony.gateway, ceremony.need)
        == (plan.kind, gateway.origin, gateway.id, plan.need)
        and [one.certificate for one in ceremony.officers] == certificates
        and not ceremony.notice
    )
    if not same:
        hint = "give the same options as when it began"
        message = f"{plan.protocol} is the protocol of another ceremony"
        raise RefusedError("ceremony-changed", message, hint=hint)
    return book


def _say(certificate: Certificate, what: object) -> str:
    found = certificate.subject.get_attributes_for_oid(what)  # type: ignore[arg-type]
    value = found[0].value if found else ""
    return value.strip() if isinstance(value, str) else ""
