"""What holds for every command: the options before or behind its name."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from chopmark.cli.progress import LineMeter, Meter

if TYPE_CHECKING:
    from chopmark.client.gateway import GatewayClient
    from chopmark.service.config import Config


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the whole command line.

    Attributes:
        json: print JSON for programs.
        gateway: address of the gateway, or None to look for it.
        config: path of the gateway's configuration, or None to look for it.
        ca: the CA of a gateway by HTTPS, or None to look for it, as for the next two.
        cert: the client's certificate.
        key: its private key.
        progress: whether to show progress; None does on a terminal.
    """

    json: bool = False
    gateway: str | None = None
    config: Path | None = None
    progress: bool | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @property
    def tells_programs(self) -> bool:
        """Whether a program wants to know how far the work is."""
        return self.json and bool(self.progress)

    def connect(self) -> "GatewayClient":
        """A client of the gateway; nothing is sent yet."""
        from chopmark.client.address import find_address
        from chopmark.client.credentials import Credentials
        from chopmark.client.gateway import GatewayClient

        shown = Credentials(self.ca, self.cert, self.key)
        return GatewayClient(find_address(self.gateway), shown, patience=0)

    def connect_own(self) -> "GatewayClient":
        """The same; if a configuration is named it is its gateway, and no other that runs here."""
        if self.gateway is not None or self.config is None:
            return self.connect()
        return replace(self, gateway=f"unix:{self.load_config().api.socket}").connect()

    def config_path(self) -> Path:
        """Where the configuration is, or is to be."""
        from chopmark.service.config import find_config

        return find_config(self.config)

    def load_config(self) -> "Config":
        """The gateway's configuration, checked."""
        from chopmark.service.config import load_config

        return load_config(self.config_path())

    def meter(self, label: str, total: int, *, unit: str) -> Meter:
        """Progress of long work, on standard error; as lines of JSON if programs ask for it."""
        if self.tells_programs:
            return LineMeter(label, total, unit=unit, shown=True)
        shown = sys.stderr.isatty() if self.progress is None else self.progress
        return Meter(label, total, unit=unit, shown=shown)


Given = Annotated[Options, Parameter(parse=False)]
"""Type of the parameter by which a command takes the options."""
