"""Requests for certificates of TLS keys in the gateway's token; the daemon may run beside this."""

from contextlib import ExitStack, closing

from chopmark.core.keys import VerifierKey
from chopmark.hsm.pin import Source
from chopmark.ledger.schema import connect, damage_named
from chopmark.ledger.store import read_keys
from chopmark.service.audit_local import noting
from chopmark.service.config import Config
from chopmark.service.keylist import list_made
from chopmark.service.membership import read_membership
from chopmark.service.places import log_path
from chopmark.service.token import hsm_config


def request_certificate(
    config: Config,
    common_name: str,
    dns: tuple[str, ...],
    label: str,
    pin: Source,
    *,
    new: bool,
) -> bytes:
    """A certificate request, as PEM, for a TLS key in the gateway's token; see `make_request`.

    Raises:
        MissingError: `no-ledger`: only the ledger tells which keys must not sign it.
    """
    from chopmark.hsm.csr import Request, make_request  # noqa: PLC0415 - loads PKCS#11 and ASN.1

    request = Request(common_name, dns)
    ours = read_ours(config)
    with ExitStack() as stack:
        if new:
            path = log_path(config.gateway.state)
            stack.enter_context(noting(path, "key.generated", role="transport", label=label))
        return make_request(hsm_config(config), request, label, pin, ours=ours, new=new)


def read_ours(config: Config) -> frozenset[bytes]:
    """Public halves of every key that signs, signed or may sign for our log, from the ledger."""
    path = log_path(config.gateway.state)
    membership = read_membership(config, *read_keys(path))
    with closing(connect(path, read_only=True)) as db, damage_named(path):
        made = [key for key, _, _ in list_made(db)]
    members = (membership.own, *membership.peers)
    keys: list[VerifierKey] = [key for one in members for key in one.log_keys]
    keys += [key for one in members for key in one.known_cosigner_keys]
    return frozenset(key.public for key in (*keys, *made))
