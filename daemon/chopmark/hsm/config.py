"""Which module, token and keys a gateway uses. No secret is in here."""

from dataclasses import dataclass

from chopmark.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class HsmConfig:
    """Where the keys are.

    Attributes:
        module: absolute path of the PKCS#11 module.
        token_label: CKA label of the token, or None when the serial alone names it.
        token_serial: serial number of the token, or None.
        log_label: CKA_LABEL of the log key.
        cosigner_label: CKA_LABEL of the cosigner key.
        witness_label: CKA_LABEL of the key that cosigns for logs of others; it need not be there.
        cosigner_name: name of the cosigner key, if it is not the origin and `/cosigner`.
        first_label: label of the first log key, if another has taken over: what belongs to the
            log, and not to one of its keys, is named after it.
        chain_label: CKA_LABEL of the key of the account on a chain; None if none is used.
        init_string: what the module wants to be told at its start, as NSS does, or None.
        usage_limit: signatures after which a key makes no more, or None.

    Raises:
        ConfigurationError: `malformed-hsm-config`.
    """

    module: str
    token_label: str | None = None
    token_serial: str | None = None
    log_label: str = "chopmark-log"
    cosigner_label: str = "chopmark-cosigner"
    witness_label: str = "chopmark-witness"
    cosigner_name: str | None = None
    first_label: str | None = None
    init_string: str | None = None
    usage_limit: int | None = None
    chain_label: str | None = None

    def __post_init__(self) -> None:
        if not self.module.startswith("/"):
            raise _malformed(f"the path of the module is not absolute: {self.module!r}")
        if not self.token_label and not self.token_serial:
            raise _malformed("neither the label nor the serial number of the token is given")
        labels = {self.log_label, self.cosigner_label, self.witness_label}
        if not all(labels):
            raise _malformed("a key label is empty")
        if len(labels) != 3:
            raise _malformed(
                "two of the log key, the cosigner key and the witness key have one label"
            )
        if self.chain_label in labels or self.chain_label == "":
            raise _malformed("the key of the chain account has the label of another key, or none")

    @property
    def token_name(self) -> str:
        """What messages call the token."""
        if self.token_label:
            return f"label {self.token_label!r}"
        return f"serial {self.token_serial!r}"


def _malformed(message: str) -> ConfigurationError:
    return ConfigurationError("malformed-hsm-config", message)
