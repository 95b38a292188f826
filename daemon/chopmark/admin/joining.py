"""What a gateway that was set up needs to meet the others: a certificate for brokers, first peers.

1. The key for brokers is made here, for the daemon's user alone; its request names the member id,
   and nothing else. As long as there is a request it is the same one, and the same key.
2. A certificate is put in place only if it is for that key and that id, and was issued by the CA
   that is in place.
3. Peers are pinned where the configuration names none, by a fingerprint of the text; afterwards
   nobody changes from here whom the gateway believes.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from chopmark.admin.candidate import CONFIG_MODE
from chopmark.admin.programs import Programs
from chopmark.admin.requests import Certificates, Peers
from chopmark.client.files import make_folder, read_bounded, replace_file
from chopmark.core.errors import (
    ExistsError,
    MalformedError,
    MissingError,
    RefusedError,
)
from chopmark.core.fingerprint import Fingerprint
from chopmark.service.config import MAX_CONFIG, parse_config
from chopmark.service.config_model import Config, PeerFile
from chopmark.service.config_tree import convert_tree, parse_toml

_MAX_PEM: Final = 8192
_KEY_MODE: Final = 0o400
_OPEN_MODE: Final = 0o644


@dataclass(frozen=True, slots=True)
class Joining:
    """Works on the files of one gateway."""

    programs: Programs

    def look(self) -> dict[str, Any]:
        """The request, and what is in place for brokers."""
        settings = self.programs.settings
        if not settings.config.exists():
            return {"request": None, "ca": False, "certificate": False}
        request, ca, certificate = (
            self._path(name) for name in (f"{self._id}.csr", "ca.pem", f"{self._id}.pem")
        )
        return {
            "request": read_bounded(request, _MAX_PEM).decode() if request.exists() else None,
            "ca": ca.exists(),
            "certificate": certificate.exists(),
        }

    async def identity(self) -> Any:
        """What other gateways must know of this one; raises as `read_identity`."""
        return await self.programs.beside("identity")

    async def attest_first(self, kind: str) -> Any:
        """Have the gateway make its first attestation; raises what it says."""
        return await self.programs.beside("attest-first", kind=kind)

    def request(self) -> str:
        """The request for a certificate, as PEM; rule 1.

        Raises:
            ExistsError: `file-exists`: there is a key for brokers that was not made here.
        """
        there, key = self._path(f"{self._id}.csr"), self._path(f"{self._id}.key")
        if there.exists():
            return read_bounded(there, _MAX_PEM).decode()
        if key.exists() and self._path(f"{self._id}.pem").exists():
            hint = "docs/operations/brokers.md says how it is renewed"
            raise ExistsError("file-exists", f"{key} is in use already", hint=hint)
        private = generate_private_key(SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._id)])
        request = x509.CertificateSigningRequestBuilder().subject_name(name)
        pem = request.sign(private, SHA256()).public_bytes(Encoding.PEM)
        forms = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        make_folder(self._folder, 0o755)
        replace_file(key, private.private_bytes(*forms), _KEY_MODE)
        daemon = self.programs.daemon
        os.chown(key, daemon.uid, daemon.gid, follow_symlinks=False)
        replace_file(there, pem, _OPEN_MODE)  # last: with it, there is the key
        return pem.decode()

    def put(self, asked: Certificates) -> dict[str, Any]:
        """Put CA, certificate or both in place; rule 2.

        Raises:
            MalformedError: `malformed-certificate`.
            MissingError: `no-request`, `no-ca`.
            RefusedError: `tls-key-mismatch`, `tls-wrong-cn`, `tls-unknown-ca`.
        """
        if asked.ca is not None:
            parse_certificates(asked.ca)
            make_folder(self._folder, 0o755)
            replace_file(self._path("ca.pem"), asked.ca.encode(), _OPEN_MODE)
        if asked.certificate is not None:
            self._check(parse_certificates(asked.certificate)[0])
            replace_file(self._path(f"{self._id}.pem"), asked.certificate.encode(), _OPEN_MODE)
        return self.look()

    def pin(self, asked: Peers) -> dict[str, Any]:
        """Name the first peers; rule 3.

        Raises:
            RefusedError: `wrong-fingerprint`.
            ExistsError: `peers-there`.
            ConfigurationError: the blocks do not hold.
        """
        text, data = read_bounded(self._config, MAX_CONFIG).decode(), asked.blocks.encode()
        if parse_config(text.encode()).peer:
            hint = "others are added by the roster, or on the box: docs/operations/roster.md"
            raise ExistsError("peers-there", "the configuration names peers already", hint=hint)
        if not Fingerprint(data).matches(asked.fingerprint):
            hint = "have it read out again, by somebody who has the text from its source"
            raise RefusedError("wrong-fingerprint", "the fingerprint is another one", hint=hint)
        peers = convert_tree(parse_toml(data), PeerFile).peer
        new = f"{text.rstrip()}\n\n{asked.blocks.strip()}\n"
        after = parse_config(new.encode())
        if after != msgspec.structs.replace(parse_config(text.encode()), peer=peers):
            raise MalformedError("malformed-request", "the blocks change more than the peers")
        replace_file(self._config, new.encode(), CONFIG_MODE)
        return {"peers": [one.id for one in peers]}

    @property
    def _config(self) -> Path:
        return self.programs.settings.config

    @property
    def _id(self) -> str:
        config: Config = parse_config(read_bounded(self._config, MAX_CONFIG))
        return config.gateway.id

    @property
    def _folder(self) -> Path:
        return self.programs.settings.broker

    def _path(self, name: str) -> Path:
        return self._folder / name

    def _check(self, certificate: x509.Certificate) -> None:
        there = self._path(f"{self._id}.csr")
        if not there.exists():
            raise MissingError("no-request", "no request was made here", hint="make it first")
        request = x509.load_pem_x509_csr(read_bounded(there, _MAX_PEM))
        if _public(certificate) != _public(request):
            hint = "have the newest request signed: `commission` shows it"
            raise RefusedError("tls-key-mismatch", "the certificate is for another key", hint=hint)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if [one.value for one in names] != [self._id]:
            hint = f"the CA must issue it for CN={self._id}"
            raise RefusedError("tls-wrong-cn", "the certificate has another CN", hint=hint)
        if not any(_issued(certificate, one) for one in self._authorities()):
            hint = "send the CA's certificate that belongs to it, too"
            raise RefusedError("tls-unknown-ca", "the CA in place has not issued it", hint=hint)

    def _authorities(self) -> list[x509.Certificate]:
        path = self._path("ca.pem")
        if not path.exists():
            hint = "send the certificate of the broker's CA first"
            raise MissingError("no-ca", "no CA is in place", hint=hint)
        return parse_certificates(read_bounded(path, _MAX_PEM).decode())


def parse_certificates(pem: str) -> list[x509.Certificate]:
    """The certificates of a file, one at least.

    Raises:
        MalformedError: `malformed-certificate`.
    """
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        hint = "send it as PEM, from BEGIN CERTIFICATE to END CERTIFICATE"
        raise MalformedError("malformed-certificate", "this is no certificate", hint=hint) from None


def _public(holder: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return holder.public_key().public_bytes(*form)


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
