"""What must hold for a configuration beyond the types of its keys, checked before all else.

1. State, module and socket are absolute paths; the socket's fits into a socket address.
2. One token is named, by label or by serial number; the keys have different labels.
3. The PIN's credential is a plain file name; `pin_file` is an absolute path, and there where it is
   used.
4. `listen` is a loopback address and a port, for the API and for metrics; not the same twice.
5. Issuing stops above the alarm, and soon enough that there is room to sign what was appended.
6. What is over is kept for a day at least. There are 1 to 8 brokers, each once; the files of their
   TLS have absolute paths. A receiver of syslog has a name, and our certificate for it a key.
7. The tables under `kinds` are named by kinds.
8. `[anchor]` keeps the rules of `config_anchor`, `[firmware]` those of `config_firmware`. Who may
   do what keeps the rules of `config_api`.
9. This gateway and its peers keep the rules of `config_peers`, logs of others those of
   `config_witness`.
"""

import re
from typing import Final

from chopmark.core.member import check_kind
from chopmark.service.config_anchor import check_anchor
from chopmark.service.config_api import check_api
from chopmark.service.config_doors import check_absolute, check_host, is_loopback
from chopmark.service.config_firmware import check_firmware
from chopmark.service.config_model import (
    Broker,
    BrokerTls,
    Config,
    Hsm,
    Metrics,
    Retention,
    Storage,
    Syslog,
)
from chopmark.service.config_peers import check_foreign, check_names, check_peers
from chopmark.service.config_tree import apply_check, wrong_value
from chopmark.service.config_witness import check_witness_logs

MAX_STOP: Final = 0.99
MIN_RETENTION: Final = 86_400
MAX_RETENTION: Final = 3_155_760_000
MAX_TOKEN_LABEL: Final = 32
"""Bytes of a token's label in CK_TOKEN_INFO (PKCS#11)."""
MAX_TOKEN_SERIAL: Final = 16
MAX_KEY_LABEL: Final = 255
MAX_USER: Final = 255
MAX_BROKERS: Final = 8
"""Each costs a stream of its own, and up to 13 MB while the disk is slow."""
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)


def check_config(config: Config) -> None:
    """Apply every rule to a decoded configuration.

    Raises:
        ConfigurationError: `config-value`, naming the key.
    """
    check_names("gateway", config.gateway)
    check_absolute("gateway.state", config.gateway.state)
    _check_hsm(config.hsm)
    check_api(config.api)
    _check_metrics(config.metrics, config.api.listen)
    _check_storage(config.storage)
    _check_retention(config.retention)
    if config.backup is not None:
        check_absolute("backup.folder", config.backup.folder)
    if config.anchor is not None:
        check_anchor(config.anchor, config.hsm)
    if config.audit.syslog is not None:
        _check_syslog(config.audit.syslog)
    if config.firmware is not None:
        check_firmware(config.firmware)
    _check_brokers(config.broker)
    for kind in config.kinds:
        apply_check(f"kinds.{kind}", check_kind, kind)
    for where, peer in check_peers(config.peer):
        check_foreign(where, peer, config.gateway)
    check_witness_logs(config)


def _check_hsm(hsm: Hsm) -> None:
    check_absolute("hsm.module", hsm.module)
    if (hsm.token_label is None) == (hsm.token_serial is None):
        raise wrong_value("hsm", "name the token by token_label or token_serial, one of the two")
    if hsm.token_label is not None:
        _check_label("hsm.token_label", hsm.token_label, MAX_TOKEN_LABEL)
    if hsm.token_serial is not None:
        _check_label("hsm.token_serial", hsm.token_serial, MAX_TOKEN_SERIAL)
    _check_label("hsm.log_label", hsm.log_label, MAX_KEY_LABEL)
    _check_label("hsm.cosigner_label", hsm.cosigner_label, MAX_KEY_LABEL)
    _check_label("hsm.witness_label", hsm.witness_label, MAX_KEY_LABEL)
    if hsm.usage_limit is not None and hsm.usage_limit < 1:
        raise wrong_value("hsm.usage_limit", "it is 1 at least")
    if (hsm.pin_file is None) == (hsm.pin == "file"):
        raise wrong_value("hsm.pin_file", 'it goes with pin = "file", and only with that')
    if hsm.pin_file is not None:
        check_absolute("hsm.pin_file", hsm.pin_file)
    if hsm.log_label == hsm.cosigner_label:
        raise wrong_value("hsm.cosigner_label", "the same as log_label, of another key")
    if hsm.witness_label in (hsm.log_label, hsm.cosigner_label):
        raise wrong_value("hsm.witness_label", "the same as that of another key")
    if not _FILE_NAME.fullmatch(hsm.pin_credential):
        hint = "the name in LoadCredential= of the unit, such as hsm-pin; never the PIN itself"
        raise wrong_value("hsm.pin_credential", "not a plain file name", hint=hint)


def _check_metrics(metrics: Metrics, api: str | None) -> None:
    if metrics.listen and not is_loopback(metrics.listen):
        hint = 'such as 127.0.0.1:9464, or "" for none; no other machine may reach this port'
        raise wrong_value("metrics.listen", "not a loopback address with a port", hint=hint)
    if metrics.listen and metrics.listen == api:
        raise wrong_value("metrics.listen", "the same as api.listen; each needs its own port")


def _check_storage(storage: Storage) -> None:
    if storage.stop > MAX_STOP:
        hint = "what was appended must still be signed"
        raise wrong_value("storage.stop", f"more than {MAX_STOP}", hint=hint)
    if storage.alarm >= storage.stop:
        raise wrong_value("storage.alarm", "not below storage.stop")


def _check_retention(retention: Retention) -> None:
    if retention.after is not None and not MIN_RETENTION <= retention.after <= MAX_RETENTION:
        hint = f"{MIN_RETENTION} (a day) to {MAX_RETENTION} (100 years); without it, never"
        raise wrong_value("retention.after", "not a time after which to remove", hint=hint)


def _check_syslog(syslog: Syslog) -> None:
    for key, name in (("host", syslog.host), ("name", syslog.name)):
        if name is not None:
            check_host(f"audit.syslog.{key}", name)
    if (syslog.certificate is None) != (syslog.key is None):
        raise wrong_value("audit.syslog", "a certificate goes with its key: give both, or none")
    for key, path in (("ca", syslog.ca), ("certificate", syslog.certificate), ("key", syslog.key)):
        if path is not None:
            check_absolute(f"audit.syslog.{key}", path)


def _check_brokers(brokers: tuple[Broker, ...]) -> None:
    if not 1 <= len(brokers) <= MAX_BROKERS:
        message = f"{len(brokers)} [[broker]] blocks where 1 to {MAX_BROKERS} are due"
        raise wrong_value("broker", message)
    seen: set[tuple[str, int]] = set()
    for number, broker in enumerate(brokers, 1):
        check_host(f"broker[{number}].host", broker.host)
        ports = {broker.port, broker.publish_port or broker.port}
        addresses = {(broker.host.lower(), port) for port in ports}
        if addresses & seen:
            hint = "two connections of one gateway to one broker would cut each other off"
            raise wrong_value(f"broker[{number}]", "the same as one before it", hint=hint)
        seen |= addresses
        if broker.user is not None:
            _check_label(f"broker[{number}].user", broker.user, MAX_USER)
        if broker.tls is not None:
            _check_tls(f"broker[{number}].tls", broker.tls)


def _check_tls(where: str, tls: BrokerTls) -> None:
    for key in ("ca", "certificate", "key"):
        check_absolute(f"{where}.{key}", getattr(tls, key))
    if tls.name is not None:
        check_host(f"{where}.name", tls.name)


def _check_label(where: str, text: str, limit: int) -> None:
    if not text.strip() or not text.isprintable() or len(text.encode()) > limit:
        raise wrong_value(where, f"not 1 to {limit} bytes of printable text")
