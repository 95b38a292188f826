"""Files of a client for HTTPS: which are taken, what is wrong with them, what alerts mean."""

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from chopmark.client.credentials import Credentials, explain, find_credentials, make_context
from chopmark.client.gateway import GatewayClient
from chopmark.core.errors import ForbiddenError, UsageError
from rig.authority import Authority

A, B, C = Path("a"), Path("b"), Path("c")
ENVIRONMENT = {"CHOPMARK_CA": "x", "CHOPMARK_CERT": "y", "CHOPMARK_KEY": "z"}


@pytest.mark.parametrize(
    ("given", "environment", "found"),
    [
        (Credentials(A, B, C), ENVIRONMENT, Credentials(A, B, C)),
        (Credentials(), ENVIRONMENT, Credentials(Path("x"), Path("y"), Path("z"))),
        (Credentials(certificate=B), ENVIRONMENT, Credentials(Path("x"), B, None)),
        (Credentials(key=C), ENVIRONMENT, Credentials(Path("x"), Path("y"), C)),
        (None, {"CHOPMARK_CERT": ""}, Credentials()),
    ],
)
def test_credentials_come_from_options_and_then_from_the_environment(
    given: Credentials | None, environment: dict[str, str], found: Credentials
) -> None:
    assert find_credentials(given, environment) == found


def test_context_speaks_13_only_and_wants_the_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("x")
    context = make_context(Credentials(authority.path, pair.certificate, pair.key))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    both = tmp_path / "both.pem"
    both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    make_context(Credentials(authority.path, both))


def test_files_that_are_wrong_are_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    one, other, none = authority.issue("one"), authority.issue("other"), tmp_path / "none"
    text = tmp_path / "text"
    text.write_text("nothing")
    for bad, named in [
        (Credentials(none), none),
        (Credentials(text), text),
        (Credentials(authority.path, none), none),
        (Credentials(authority.path, one.certificate, none), none),
        (Credentials(authority.path, one.certificate, other.key), other.key),
        (Credentials(authority.path, text, one.key), text),
        (Credentials(authority.path, None, one.key), ""),
    ]:
        with pytest.raises(UsageError) as caught:
            make_context(bad)
        assert caught.value.code == "bad-credentials"
        assert str(named) in caught.value.message


@pytest.mark.parametrize(
    ("which", "option"), [("ca", "--ca"), ("certificate", "--cert"), ("key", "--key")]
)
def test_file_that_is_missing_is_named_with_its_option(
    tmp_path: Path, which: str, option: str
) -> None:
    authority = Authority(tmp_path)
    one = authority.issue("one")
    good = Credentials(authority.path, one.certificate, one.key)
    with pytest.raises(UsageError, match=r"cannot read .*nope\.pem: No such file") as caught:
        make_context(replace(good, **{which: tmp_path / "nope.pem"}))
    assert option in caught.value.hint
    assert "encrypted" not in caught.value.hint


def test_gateway_is_not_asked_with_files_that_are_wrong(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none"):
        GatewayClient("https://127.0.0.1:9", Credentials(tmp_path / "none"))


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "certificate-expired"),
        ("TLSV1_ALERT_UNKNOWN_CA", "certificate-unknown-ca"),
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", "certificate-revoked"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "certificate-refused"),
        ("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "certificate-refused"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "certificate-refused"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", None),
        ("CERTIFICATE_VERIFY_FAILED", None),
    ],
)
def test_alerts_are_put_into_words(reason: str, code: str | None) -> None:
    error = ssl.SSLError(1, "x")
    error.reason = reason
    told = explain(error, "https://g:1")
    assert (told.code if told else None) == code
    if told is not None:
        assert isinstance(told, ForbiddenError)
        assert "https://g:1" in told.message
        assert told.hint
