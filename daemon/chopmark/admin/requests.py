"""What may be asked, with the narrow types of each value. Unknown names and values are refused."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Host = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9:][A-Za-z0-9.:_-]{0,252}\Z")]
Port = Annotated[int, Meta(ge=1, le=65_535)]
Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\A[^\x00-\x1f\x7f-\x9f]+\Z")]
Place = Annotated[str, Meta(pattern=r"\A[A-Z]{2}(-[A-Z0-9]{1,3})?\Z")]
MemberId = Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,20}\Z")]
Origin = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9./-]{0,63}\Z")]
Label = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f-\x9f-][^\x00-\x1f\x7f-\x9f]{0,31}\Z")]
Word = Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,32}\Z")]
Kind = Annotated[str, Meta(pattern=r"\A[a-z0-9.-]{1,32}\Z")]
Address = Annotated[str, Meta(pattern=r"\A[0-9a-fA-F.:]{2,45}(/[0-9]{1,3})?\Z")]
Seconds = Annotated[int, Meta(ge=1, le=3600)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Pem = Annotated[
    str,
    Meta(min_length=1, max_length=6000, pattern=r"\A[A-Za-z0-9+/= :\r\n-]+\Z"),
]
Blocks = Annotated[
    str,
    Meta(min_length=1, max_length=7000, pattern=r"\A[^\x00-\x09\x0b-\x1f\x7f-\x9f]+\Z"),
]
Fingerprint = Annotated[str, Meta(pattern=r"\A[0-9A-Za-z -]{1,100}\Z")]

Check = Literal[
    "folders",
    "access",
    "ledger",
    "disk",
    "clock",
    "pin",
    "hsm",
    "doors",
    "entrance",
    "running",
    "theft",
]
"""Checks of `chopmark doctor` but those that need a network."""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every request may say.

    Attributes:
        who: the technicians, as the console says; it is written down, and nothing rests on it.
    """

    who: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9.+_-]{0,80}\Z")] = ""


class Nothing(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A verb that needs no more."""


class Doctor(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Checks of `chopmark doctor`; all of these where none is named.

    Attributes:
        checks: their names.
        offline: the gateway hangs, and is not asked.
    """

    checks: Annotated[tuple[Check, ...], Meta(max_length=16)] = ()
    offline: bool = False


class Unit(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of the units, by our name for it."""

    unit: Literal["gateway", "hsm", "broker"]


class Broker(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A broker; its certificates lie where the configuration, or the installation, has them."""

    host: Host
    port: Port
    publish_port: Port | None = None
    tls: bool
    name: Host | None = None


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where releases come from; its CA lies where `firmware-ca` puts it."""

    url: Annotated[str, Meta(pattern=r"\Ahttps://[!-~]{1,500}\Z")]
    proxy: tuple[Host, Port] | None = None


class Change(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the candidate is to have otherwise; what is not named stays."""

    institution: Line | None = None
    jurisdiction: Place | None = None
    add_broker: Broker | None = None
    remove_broker: Annotated[tuple[Host, Port], Meta()] | None = None
    firmware: Source | Literal["none"] | None = None


class Commit(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Apply the candidate; after so many seconds it is taken back unless it is confirmed."""

    seconds: Seconds


class Network(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the box's network is to have otherwise; what is not named stays, and VLAN 0 is none."""

    method: Literal["dhcp", "static"] | None = None
    address: Address | None = None
    gateway: Address | None = None
    vlan: Annotated[int, Meta(ge=0, le=4094)] | None = None
    dns: Annotated[tuple[Address, ...], Meta(max_length=3)] | None = None
    ntp: Annotated[tuple[Host, ...], Meta(max_length=4)] | None = None
    proxy: Annotated[tuple[Host, Port], Meta()] | None = None
    seconds: Seconds


class Init(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who the gateway is to be."""

    member: MemberId
    origin: Origin
    institution: Line
    jurisdiction: Place
    module: Word
    token_label: Label
    cosigner_key: Literal["ed25519", "p256"] = "ed25519"
    broker: tuple[Host, Port]


class Pin(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The PIN of the HSM's token."""

    pin: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[^\x00-\x1f\x7f-\x9f]+\Z")]

    def __repr__(self) -> str:
        return "Pin()"


class Token(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A token, by the name of its module and its own label."""

    module: Word
    token_label: Label


class Certificates(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What came back for the request: the broker's CA, our certificate, or both."""

    ca: Pem | None = None
    certificate: Pem | None = None


class Peers(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first peers: `[[peer]]` blocks, and the fingerprint that somebody has read out.

    Attributes:
        blocks: the text.
        fingerprint: of its bytes, in hexadecimal or in words.
    """

    blocks: Blocks
    fingerprint: Fingerprint


class FirstAttestation(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first attestation, of a kind that this gateway may issue; its text is fixed."""

    kind: Kind


class FirmwareCa(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The CAs that the certificate of the source of releases may be from."""

    ca: Pem


class Slot(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A slot of the firmware."""

    slot: Literal["a", "b"]


class Unwitnessed(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A page of entries, from this index on."""

    start: Count


class Wipe(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Take everything off the box.

    Attributes:
        origin: of the log that ends; it must be the one that is here, unless that is unreadable.
        ledger: whether configuration and ledger must be looked at, or are known to be unreadable:
            nobody knows then what is lost.
        scope: the state and configuration; or, once these are gone, all that the box has on its
            disk.
        audit: whether the last day of the audit log must be in the ledger, or cannot be.
        keys: whether they must be destroyed in the HSM, or may be left in one that is away.
    """

    origin: Origin | None = None
    ledger: Literal["looked-at", "unreadable"] = "looked-at"
    scope: Literal["state", "disk"]
    audit: Literal["published", "impossible"] = "published"
    keys: Literal["destroyed", "left"] = "destroyed"
