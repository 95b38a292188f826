"""The brokers that the configuration names, as the mesh wants them."""

from chopmark.mesh.broker import Broker, Tls
from chopmark.service.config_model import BrokerTls, Config


def make_brokers(config: Config) -> list[Broker]:
    """The brokers in the order of the file; each link's certificate must name this gateway."""
    member = config.gateway.id
    return [
        Broker(one.host, one.port, one.publish_port, _make_tls(one.tls, one.host, member), one.user)
        for one in config.broker
    ]


def _make_tls(tls: BrokerTls | None, host: str, member: str) -> Tls | None:
    if tls is None:
        return None
    return Tls(tls.ca, tls.certificate, tls.key, tls.name or host, member)
