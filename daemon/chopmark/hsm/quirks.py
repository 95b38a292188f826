"""What single PKCS#11 modules do otherwise than the rest: one table, and only what was seen.

A module is known by the manufacturer that it names itself (C_GetInfo). Each entry says what it is
for; docs/operations/hsm-modules.md says how it was seen, and with which version.
"""

from dataclasses import dataclass
from typing import Final

from pkcs11.constants import Attribute


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How to treat a module.

    Attributes:
        maker: what its manufacturer's name begins with; empty for all that are not in the table.
        unsaid: usages of a public half that are not said when a key pair is made, because the
            module makes no key then. It is the private half whose usages count: what a public one
            may do, anybody can do without a token.
        binds: it takes CKA_ALLOWED_MECHANISMS, or says by its error that it does not know it.
        marks_local: it says of a key that it made that it made it (CKA_LOCAL).
        tells_tries: it says by a flag of the token whether a wrong PIN was tried lately.
        on_disk: its objects are files on the machine's disk, or may be: whoever restores that disk
            restores the token with it.
    """

    maker: str = ""
    unsaid: frozenset[Attribute] = frozenset()
    binds: bool = True
    marks_local: bool = True
    tells_tries: bool = True
    on_disk: bool = False


ANY: Final = Profile()
"""A module that does as PKCS#11 says."""

PROFILES: Final = (
    # Keys are files, encrypted under the PIN.
    Profile(maker="SoftHSM", on_disk=True),
    # A TPM's key has one flag for signing and one for decrypting, which the module derives from the
    # usages of both halves: ENCRYPT=False of the public half takes the flag for signing away ("tpm:
    # parameter(2): inconsistent attributes"), and VERIFY=True does not go with a private half that
    # must not decrypt ("User specified and TPM specified attr mismatch: 0x10a"). Its objects are
    # rows of an SQLite file; what the TPM protects is the keys in them.
    Profile(
        maker="tpm2-software",
        # Its flags stay what they are until the TPM locks.
        tells_tries=False,
        unsaid=frozenset({Attribute.ENCRYPT, Attribute.VERIFY}),
        on_disk=True,
    ),
    # NSS's softokn makes no key in the token with CKA_ALLOWED_MECHANISMS (CKR_GENERAL_ERROR), only
    # one in a session. CKA_LOCAL is false of its own keys too; one that came from elsewhere has
    # NEVER_EXTRACTABLE false all the same.
    Profile(
        maker="Mozilla Foundation",
        binds=False,
        marks_local=False,
        tells_tries=False,
        on_disk=True,
    ),
    # `p11-kit server` with a token's URI, or p11-kit-proxy: which module is behind it is not told,
    # so it may be one of those above.
    Profile(maker="PKCS#11 Kit", on_disk=True),
)

P11_KIT_CLIENT: Final = "p11-kit-client.so"
"""Name of p11-kit's RPC client (0.24.1). A C_Initialize that fails once it is connected leaves that
connection open for good, one for each try, unless the library is unloaded."""

UNCONNECTED: Final = "p11-kit (no connection)"
"""What its library description says when nobody listens at $P11_KIT_SERVER_ADDRESS: it
starts all the same, without an error, and has no slot."""


def find_profile(manufacturer: str) -> Profile:
    """The profile of a module by the manufacturer that it, or its token, names."""
    known = (one for one in PROFILES if manufacturer.startswith(one.maker))
    return next(known, ANY)
