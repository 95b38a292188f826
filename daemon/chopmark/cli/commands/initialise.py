"""`chopmark init`: set a gateway up."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from chopmark.cli.context import Given
from chopmark.cli.pin import pin_source
from chopmark.cli.terminal import say, say_fields, say_json, say_prose, styled
from chopmark.core.errors import UsageError
from chopmark.service.config_model import Broker, Clock, Config, Gateway, Hsm, Metrics
from chopmark.service.config_model_api import Api
from chopmark.service.initialise import Initialised
from chopmark.service.initialise import initialise as set_up
from chopmark.service.token import create_token_keys
from chopmark.service.unlocking import open_unlocked


@dataclass(frozen=True, kw_only=True)
class NewGateway:
    """What a gateway that is set up shall be.

    Attributes:
        member: Short name of the gateway, unique among its peers, such as hk-1.
        origin: Name of its log, never used before, such as bank-hk.example/hk-1.
        institution: The institution that owns it, for people.
        jurisdiction: ISO 3166 code of the place, such as HK.
        module: PKCS#11 module of the HSM's maker, an absolute path.
        token_label: Label of the token; it must have been initialised by the vendor's tool.
        init_string: What the module wants to be told at its start, as NSS does.
        unlock: After a start of the box somebody gives the PIN (attended), or it takes the one in
            place by itself (auto): a stolen one, too.
        log_label: Label in the token of the key that signs the log.
        cosigner_label: Label in the token of the key that cosigns heads.
        cosigner_key: Type of that key; p256 is for a token that has no Ed25519.
        state: Folder of the ledger and the replicas.
        socket: Unix socket of the API.
        listen: Also serve the API here: a loopback address and a port.
        metrics: Serve metrics and health here: a loopback address and a port; "" for nowhere.
        broker: The MQTT broker, as HOST:PORT.
        clock: What is asked of the system's clock; none is for demonstrations and tests.
        kind: A kind of document that it may attest; repeat it for several. All by default.
    """

    member: Annotated[str, Parameter(name="--id")]
    origin: str
    institution: str
    jurisdiction: str
    module: Path
    token_label: str
    init_string: str | None = None
    unlock: Literal["attended", "auto"] = "attended"
    log_label: str = "chopmark-log"
    cosigner_label: str = "chopmark-cosigner"
    cosigner_key: Literal["ed25519", "p256"] = "ed25519"
    state: Path = Path("/var/lib/chopmark")
    socket: Path = Path("/run/chopmark/api.sock")
    listen: str | None = None
    metrics: str = "127.0.0.1:9464"
    broker: str = "127.0.0.1:1883"
    clock: Literal["synchronised", "none"] = "synchronised"
    kind: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = ("*",)

    def config(self) -> Config:
        """The configuration of such a gateway."""
        return Config(
            gateway=Gateway(
                id=self.member,
                origin=self.origin,
                institution=self.institution,
                jurisdiction=self.jurisdiction,
                kinds=self.kind,
                state=self.state.absolute(),
            ),
            hsm=Hsm(
                module=self.module,
                token_label=self.token_label,
                init_string=self.init_string,
                unlock=self.unlock,
                log_label=self.log_label,
                cosigner_label=self.cosigner_label,
            ),
            api=Api(socket=self.socket.absolute(), listen=self.listen),
            metrics=Metrics(listen=self.metrics),
            clock=Clock(require=self.clock),
            broker=(_read_broker(self.broker),),
        )


def initialise(*, new: Annotated[NewGateway, Parameter(name="*")], options: Given) -> int:
    """Set a gateway up: keys in its token, an empty ledger, and a configuration file.

    Nothing is overwritten: if the configuration, the ledger or keys of these labels exist, nothing
    is made. First the keys are made in the token, both or neither; then the ledger in the state
    folder; the configuration comes last. If this breaks off after the keys were made, call it again
    with the same options: it finds STATE/init.pending and goes on with these keys.

    The PIN of the token is read from $CREDENTIALS_DIRECTORY/hsm-pin, or asked for on the terminal.
    The configuration is written to --config, or else CHOPMARK_CONFIG or /etc/chopmark/gateway.toml.
    """
    config = new.config()
    path = options.config_path().absolute()
    pin = pin_source(config)
    made = set_up(path, config, lambda: create_token_keys(config, pin, new.cosigner_key))
    if config.api.socket.parent.is_dir():  # the PIN was given just now: the first start asks nobody
        open_unlocked(config).write()
    _show(made, config, options)
    return 0


def _read_broker(text: str) -> Broker:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise UsageError("bad-broker", f"not HOST:PORT: {text!r}", hint="such as 127.0.0.1:1883")
    return Broker(host=host.strip("[]"), port=int(port))


def _show(made: Initialised, config: Config, options: Given) -> None:
    state = config.gateway.state
    keys = {"log_vkey": made.log_key.encode(), "cosigner_vkey": made.cosigner_key.encode()}
    if options.json:
        say_json({"config": str(made.path), "state": str(state), **keys})
        return
    say(styled(config.gateway.id, "bold"), " is set up")
    say_fields([("configuration", made.path), ("ledger", state), *keys.items()])
    say_next(made.path, state)


def say_next(path: Path, state: Path) -> None:
    """What to do once a gateway is set up."""
    say()
    say("next:")
    steps = [
        "give its peers what `chopmark peers export` prints",
        "append their [[peer]] blocks to the configuration, then `chopmark config check`",
        f"start it: systemctl start chopmark, or chopmarkd --config {path}",
    ]
    if os.geteuid() == 0:
        steps.insert(0, f"if the daemon runs as user chopmark: chown -R chopmark: {state}")
    for number, step in enumerate(steps, 1):
        say_prose(f"{number}. {step}")
