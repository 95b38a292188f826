"""The configuration tree: every key of gateway.toml, its type and what it means.

A description stands here once: it is the comment in the file that `chopmark init` writes, and
docs/configuration.md is tested against these names. Nothing in the tree is secret: the PIN comes
from a credential (see `credentials`).
"""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from chopmark.core.keys import VerifierKey, parse_vkey
from chopmark.core.member import Member
from chopmark.core.quorum import WitnessRule
from chopmark.core.syslog import EXAMPLE
from chopmark.core.text import parse_hash
from chopmark.service.config_model_api import Api, Kinds, split_address

Port = Annotated[int, Meta(ge=1, le=65535)]


class Gateway(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[gateway]`: who this gateway is."""

    id: Annotated[
        str, Meta(description="short name of this gateway, unique among its peers: [a-z0-9-]{1,20}")
    ]
    origin: Annotated[
        str, Meta(description="name of its log, never reused: a URL without scheme, [a-z0-9.-/]")
    ]
    institution: Annotated[str, Meta(description="the institution that owns it, for people")]
    jurisdiction: Annotated[str, Meta(description="ISO 3166 code of the place: HK, CN, CN-GD, MO")]
    kinds: Annotated[
        Kinds, Meta(description='kinds of document that it may attest; ["*"] stands for all')
    ] = ("*",)
    state: Annotated[
        Path, Meta(description="folder of the ledger, the replicas and their indices")
    ] = Path("/var/lib/chopmark")


class Hsm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[hsm]`: the token that holds the keys. The PIN never stands here."""

    module: Annotated[Path, Meta(description="the PKCS#11 module of the HSM's maker")]
    token_label: Annotated[
        str | None, Meta(description="which token: its label…", examples=["hk-1"])
    ] = None
    token_serial: Annotated[
        str | None, Meta(description="…or its serial number", examples=["a1b2c3d4e5f60718"])
    ] = None
    log_label: Annotated[str, Meta(description="CKA_LABEL of the key that signs our log")] = (
        "chopmark-log"
    )
    cosigner_label: Annotated[
        str, Meta(description="CKA_LABEL of the key that cosigns heads of logs")
    ] = "chopmark-cosigner"
    witness_label: Annotated[
        str, Meta(description="CKA_LABEL of the key for logs of others, if there is one")
    ] = "chopmark-witness"
    pin: Annotated[
        Literal["credential", "file", "pad", "socket"],
        Meta(description="where the PIN comes from: systemd, a file, the device, `hsm unlock`"),
    ] = "credential"
    pin_credential: Annotated[
        str, Meta(description="file name of the PIN in $CREDENTIALS_DIRECTORY")
    ] = "hsm-pin"
    pin_file: Annotated[
        Path | None,
        Meta(
            description='the file, for pin = "file"; its owner alone may open it',
            examples=["/etc/chopmark/hsm-pin"],
        ),
    ] = None
    unlock: Annotated[
        Literal["auto", "attended"],
        Meta(description='"attended": after a start of the box somebody gives the PIN; or "auto"'),
    ] = "auto"
    init_string: Annotated[
        str | None,
        Meta(
            description="what the module wants to be told at its start, as NSS does",
            examples=["configdir='sql:/var/lib/chopmark/nss'"],
        ),
    ] = None
    usage_limit: Annotated[
        int | None,
        Meta(
            description="signatures after which a key makes no more; none: no limit",
            examples=[1_000_000_000],
        ),
    ] = None

    @property
    def is_unattended(self) -> bool:
        """Whether the box signs after a loss of power with nobody there."""
        return self.unlock == "auto" and self.pin in ("credential", "file")


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[metrics]`: where metrics and health are served."""

    listen: Annotated[
        str, Meta(description='metrics and health: a loopback address and a port; "" for nowhere')
    ] = "127.0.0.1:9464"

    @property
    def listen_address(self) -> tuple[str, int] | None:
        """Host and port of `listen`, for a checked configuration; None if it is off."""
        return split_address(self.listen) if self.listen else None


class Storage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[storage]`: how full the disk with the state folder may become."""

    alarm: Annotated[
        float, Meta(gt=0, lt=1, description="part of the disk in use at which there is an alarm")
    ] = 0.90
    stop: Annotated[
        float, Meta(gt=0, lt=1, description="part of the disk in use at which issuing stops")
    ] = 0.97


class Clock(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[clock]`: what is asked of the system's clock."""

    require: Annotated[
        Literal["synchronised", "none"],
        Meta(description='"synchronised": nothing is issued while the clock is wrong; or "none"'),
    ] = "synchronised"


class WitnessLog(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[witness.log]]`: a log of others, no member's, that this gateway cosigns."""

    origin: Annotated[str, Meta(description="the log's origin, as its checkpoints name it")]
    vkey: Annotated[str, Meta(description="verifier key of the log")]
    size: Annotated[
        int | None, Meta(description="a size that is known to be right…", examples=[20852014])
    ] = None
    root: Annotated[
        str | None,
        Meta(
            description="…and the root hash there, in base64; without them the first one counts",
            examples=["CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="],
        ),
    ] = None

    @property
    def log_key(self) -> VerifierKey:
        """The log's key, for a checked configuration."""
        return parse_vkey(self.vkey)

    @property
    def pin(self) -> tuple[int, bytes] | None:
        """Size and root, for a checked configuration."""
        if self.size is None or self.root is None:
            return None
        return self.size, parse_hash(self.root, "the root")


class Witness(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[witness]`: whose countersignatures make an attestation witnessed."""

    rule: Annotated[
        Literal["jurisdictions", "none"],
        Meta(
            description="quorum: more than half of each jurisdiction's other institutions, or none"
        ),
    ] = "jurisdictions"
    log: tuple[WitnessLog, ...] = ()

    def parsed(self) -> WitnessRule | None:
        """The rule; None demands no quorum."""
        return None if self.rule == "none" else WitnessRule()


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[start]`: what must be known before anything is signed."""

    alone: Annotated[
        bool, Meta(description="sign without a peer's word on how far our log had come")
    ] = False


class Backup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[backup]`: copies of the ledger that `chopmark-backup.timer` makes."""

    folder: Annotated[
        Path, Meta(description="folder of the copies, best on another disk; it must be there")
    ]
    keep: Annotated[int, Meta(ge=1, le=1000, description="copies that stay, the newest")] = 7


class Syslog(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[audit.syslog]`: who else gets the audit log, as syslog over TLS."""

    host: Annotated[str, Meta(description="name or address of the receiver")]
    port: Annotated[Port, Meta(description="its TCP port")] = 6514
    ca: Annotated[Path, Meta(description="certificates of those who may vouch for it, PEM")]
    certificate: Annotated[
        Path | None,
        Meta(
            description="our certificate, PEM, where it asks for one…",
            examples=["/etc/chopmark/syslog.crt"],
        ),
    ] = None
    key: Annotated[
        Path | None,
        Meta(description="…and the key, not encrypted", examples=["/etc/chopmark/syslog.key"]),
    ] = None
    name: Annotated[
        str | None,
        Meta(description="the name in its certificate, if not `host`", examples=["siem.example"]),
    ] = None
    enterprise: Annotated[
        int,
        Meta(ge=1, le=2**32 - 1, description="IANA enterprise number that names the data"),
    ] = EXAMPLE


class Firmware(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[firmware]`: where the appliance gets a release from when a technician asks for it."""

    source: Annotated[
        str, Meta(description="folder with the release's note and bundle: an HTTPS URL with / last")
    ]
    ca: Annotated[
        Path | None,
        Meta(
            description="PEM file: CAs of its certificate; none: those of the system",
            examples=["/etc/chopmark/firmware-ca.pem"],
        ),
    ] = None
    certificate: Annotated[
        Path | None,
        Meta(
            description="PEM file: ours, where it asks for one; key: the credential firmware-key",
            examples=["/etc/chopmark/firmware.pem"],
        ),
    ] = None
    proxy: Annotated[
        str | None,
        Meta(
            description="HTTP proxy on the way there (CONNECT): its host and port",
            examples=["proxy.bank-hk.example:3128"],
        ),
    ] = None

    @property
    def source_address(self) -> tuple[str, int]:
        """Host and port of `source`, for a checked configuration."""
        parts = urlsplit(self.source)
        return parts.hostname or "", parts.port or 443

    @property
    def reached(self) -> tuple[str, int]:
        """Host and port that the box connects to: those of the proxy, if there is one."""
        return self.source_address if self.proxy is None else split_address(self.proxy)


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[audit]`: what becomes of the audit log, besides being kept."""

    syslog: Syslog | None = None


class Anchor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[anchor]`: anchoring heads on a FISCO BCOS chain, and following what others anchor there."""

    endpoints: Annotated[
        tuple[str, ...],
        Meta(description="Web3 JSON-RPC of nodes of the chain; the next one serves if one fails"),
    ]
    contract: Annotated[str, Meta(description="address of the contract, as all members have it")]
    chain_id: Annotated[int, Meta(ge=1, le=2**32, description="number of the chain")] = 20_200
    first_block: Annotated[
        int, Meta(ge=0, description="block of the contract: `chopmark anchor deploy` tells it")
    ] = 0
    publish: Annotated[
        bool, Meta(description="whether our own heads are anchored; others' are followed anyway")
    ] = True
    every: Annotated[
        int, Meta(ge=1, le=86_400, description="seconds between two anchors of our own log")
    ] = 600
    poll: Annotated[
        float, Meta(ge=0.1, le=3_600, description="seconds between two looks for new anchors")
    ] = 10.0
    key: Annotated[
        Literal["hsm", "file"],
        Meta(description='where the key of our account is: in the token, or in a "file"'),
    ] = "hsm"
    key_label: Annotated[str, Meta(description="its CKA_LABEL in the token")] = "chopmark-chain"
    key_file: Annotated[
        Path | None,
        Meta(
            description='the file, for key = "file"; its owner alone may open it',
            examples=["/etc/chopmark/chain.pem"],
        ),
    ] = None
    ca: Annotated[
        Path | None,
        Meta(
            description="PEM file: CAs of the nodes' certificates; none: those of the system",
            examples=["/etc/chopmark/chain-ca.pem"],
        ),
    ] = None


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[retention]`: how long replicas keep what is over."""

    after: Annotated[
        int | None,
        Meta(
            description="seconds after all validity has ended at which bodies go; none: never",
            examples=[31_536_000],
        ),
    ] = None


class BrokerTls(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[broker.tls]`, below its `[[broker]]`: mutual TLS. Read again for each connection."""

    ca: Annotated[
        Path,
        Meta(description="PEM: the CA, or CAs, that the broker's certificate may be from"),
    ]
    certificate: Annotated[
        Path,
        Meta(description="PEM: our certificate, whose CN is our id, and those of CAs between"),
    ]
    key: Annotated[
        Path,
        Meta(description="PEM: its private key; its owner alone may open the file"),
    ]
    name: Annotated[
        str | None,
        Meta(
            description="name that the broker's certificate must have, if it is not that of host",
            examples=["broker.bank-hk.example"],
        ),
    ] = None


class Broker(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[broker]]`: an MQTT 5 broker, 1 to 8 of them. None is trusted."""

    host: Annotated[str, Meta(description="name or address of the broker")]
    port: Annotated[
        Port, Meta(description="its TCP port; 1883 where none is given, and 8883 with tls")
    ] = 0
    publish_port: Annotated[
        Port | None,
        Meta(
            description="port for what we publish, of a broker that makes users client ids",
            examples=[8884],
        ),
    ] = None
    user: Annotated[
        str | None,
        Meta(
            description="user name, for a broker that does not take it from the certificate",
            examples=["hk-1"],
        ),
    ] = None
    tls: BrokerTls | None = None

    def __post_init__(self) -> None:
        """Give it the port that it has by default."""
        if self.port == 0:
            msgspec.structs.force_setattr(self, "port", 8883 if self.tls else 1883)


class Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[kinds.<kind>]`: what holds for documents of one kind."""

    max_age: Annotated[
        int, Meta(ge=1, description="seconds for which an answer about this kind counts as fresh")
    ] = 86_400


class Peer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[peer]]`: another gateway, as its `chopmark peers export` prints it."""

    id: Annotated[str, Meta(description="the peer's short name")]
    origin: Annotated[str, Meta(description="name of the peer's log")]
    log_vkey: Annotated[str, Meta(description="verifier key of its log; named as the origin")]
    cosigner_vkey: Annotated[
        str, Meta(description="verifier key of its cosigner; named <origin>/cosigner")
    ]
    institution: Annotated[str, Meta(description="the institution that owns it")]
    jurisdiction: Annotated[str, Meta(description="ISO 3166 code of its place")]
    kinds: Annotated[Kinds, Meta(description="kinds of document that it may attest")]
    chain: Annotated[
        str | None,
        Meta(description="its account on the chain, where its heads are anchored"),
    ] = None

    def member(self) -> Member:
        """The peer with its keys parsed, for a checked configuration."""
        return make_member(self, parse_vkey(self.log_vkey), parse_vkey(self.cosigner_vkey))


class PeerFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A text that holds `[[peer]]` blocks and nothing else."""

    peer: tuple[Peer, ...]


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file. Made by `load_config`, it has passed every check."""

    gateway: Gateway
    hsm: Hsm
    api: Api = Api()
    metrics: Metrics = Metrics()
    storage: Storage = Storage()
    clock: Clock = Clock()
    witness: Witness = Witness()
    start: Start = Start()
    retention: Retention = Retention()
    audit: Audit = Audit()
    firmware: Firmware | None = None
    backup: Backup | None = None
    anchor: Anchor | None = None
    broker: tuple[Broker, ...]
    kinds: dict[str, Kind] = {}
    peer: tuple[Peer, ...] = ()

    @property
    def peers(self) -> tuple[Member, ...]:
        """The peers as members."""
        return tuple(peer.member() for peer in self.peer)

    def max_age(self, kind: str) -> int:
        """Seconds for which an answer about documents of `kind` counts as fresh."""
        return self.kinds.get(kind, Kind()).max_age


def cosigner_name(origin: str) -> str:
    """Key name of the cosigner of the gateway whose log is `origin`."""
    return f"{origin}/cosigner"


def witness_name(origin: str) -> str:
    """Key name of the witness for logs of others; no policy may contain a key of this name."""
    return f"{origin}/witness"


def make_member(section: Gateway | Peer, log: VerifierKey, cosigner: VerifierKey) -> Member:
    """The member that a section of the file and two keys describe."""
    return Member(
        id=section.id,
        origin=section.origin,
        log_key=log,
        cosigner_key=cosigner,
        institution=section.institution,
        jurisdiction=section.jurisdiction,
        kinds=frozenset(section.kinds),
        chain=section.chain if isinstance(section, Peer) else None,
    )
