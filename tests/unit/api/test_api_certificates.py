"""The files of the TLS door: what is wrong with them is said before anybody connects."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from chopmark.api.certificates import TlsFiles, read_certificate, read_material
from chopmark.api.trust import Trust
from chopmark.core.errors import ConfigurationError
from rig.authority import DAY, Authority

NOW = 1_800_000_000.0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def files(authority: Authority) -> TlsFiles:
    pair = authority.issue("gateway")
    return TlsFiles(pair.certificate, pair.key, authority.path, authority.revoke())


def refuse(files: TlsFiles) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        read_material(files)
    return caught.value


def test_material_knows_what_is_revoked_and_until_when(
    files: TlsFiles, authority: Authority
) -> None:
    pair = authority.issue("client")
    authority.revoke([pair])
    material = read_material(files)
    seen = read_certificate(pair.x509.public_bytes(Encoding.DER))
    assert material.revoked == {seen.serial}
    assert (seen.name, seen.subject) == ("client", "CN=client")
    assert f"{pair.x509.serial_number:x}" in str(seen)
    assert material.own.name == "gateway"
    assert material.lists_due is not None
    begin, end = material.lists_due
    assert end - begin == pytest.approx(2 * 86_400, abs=2), "a quarter of eight days"
    assert len(material.authorities) == 1


def test_lists_are_not_needed(files: TlsFiles) -> None:
    material = read_material(TlsFiles(files.certificate, files.key, files.client_ca))
    assert not material.revoked
    assert material.lists_due is None


@pytest.mark.parametrize("name", ["certificate", "key", "client_ca", "crl"])
def test_file_that_is_not_there_or_says_nothing_is_named(files: TlsFiles, name: str) -> None:
    path: Path = getattr(files, name)
    mode = path.stat().st_mode
    for text in ("nothing", "", "-----BEGIN THING-----\nAA==\n-----END THING-----\n"):
        path.write_text(text)
        error = refuse(files)
        assert (error.code, str(path) in error.message) == ("tls-malformed", True)
        assert error.hint
        assert "cryptography" not in str(error), "who reads it is no programmer"
    assert "THING" in error.message
    path.unlink()
    error = refuse(files)
    assert (error.code, str(path) in error.message) == ("tls-missing", True)
    path.mkdir(mode=mode)
    assert refuse(files).code == "tls-missing"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o440])
def test_key_that_others_may_read_is_refused(files: TlsFiles, mode: int) -> None:
    files.key.chmod(mode)
    error = refuse(files)
    assert error.code == "tls-exposed"
    assert "chmod 0400" in error.hint


def test_key_of_another_certificate_is_refused(files: TlsFiles, authority: Authority) -> None:
    other = authority.issue("other")
    error = refuse(TlsFiles(files.certificate, other.key, files.client_ca))
    assert (error.code, "CN=gateway" in error.message) == ("tls-mismatch", True)


def test_key_that_is_encrypted_is_refused_and_nothing_of_it_is_told(files: TlsFiles) -> None:
    key = load_pem_private_key(files.key.read_bytes(), None)
    forms = (Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    files.key.write_bytes(key.private_bytes(*forms))  # type: ignore[arg-type]
    error = refuse(files)
    assert error.code == "tls-malformed"
    assert error.__cause__ is None
    assert "it is encrypted" in error.message


def test_alarms_come_before_a_certificate_and_a_list_end(authority: Authority) -> None:
    pair = authority.issue("gateway", 40 * DAY)
    crl = authority.revoke(life=7 * DAY)
    now = [pair.x509.not_valid_before_utc.timestamp()]
    trust = Trust(TlsFiles(pair.certificate, pair.key, authority.path, crl), lambda: now[0])
    ends = pair.x509.not_valid_after_utc.timestamp()
    codes = []
    for before in (timedelta(35), timedelta(33.5), timedelta(29), timedelta(0)):
        now[0] = ends - before.total_seconds() + 1
        codes.append({alarm["code"] for alarm in trust.alarms()})
        assert all(alarm["hint"] for alarm in trust.alarms())
    both = {"tls-certificate-expiring", "tls-crl-expiring"}
    assert codes == [{"tls-crl-expiring"}, {"tls-crl-expiring"}, both, both]
    words = " ".join(alarm["message"] for alarm in trust.alarms())
    assert "has expired at" in words
    assert "out of date since" in words
