"""What OpenSSL, alerts and reason codes are called for people."""

from pathlib import Path

import pytest

from chopmark.mesh.broker import Tls
from chopmark.mesh.words import explain_alert, explain_refusal, explain_verification

TLS = Tls(Path("/ca.pem"), Path("/hk-1.pem"), Path("/hk-1.key"), "broker.example", "hk-1")


@pytest.mark.parametrize(
    ("reason", "validity", "code"),
    [
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", "", "tls-revoked"),
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", "has expired at noon", "tls-revoked"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "has expired at noon", "tls-expired"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "", "tls-crl-expired"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "begins to hold at noon", "tls-expired"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "", "tls-refused"),
        ("SSLV3_ALERT_CERTIFICATE_UNKNOWN", "", "tls-refused"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "", "tls-refused"),
        ("TLSV1_ALERT_UNKNOWN_CA", "", "tls-foreign-ca"),
        ("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "", "tls-usage"),
        ("WRONG_VERSION_NUMBER", "", "tls-none"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "", "tls-version"),
        ("UNSUPPORTED_PROTOCOL", "", "tls-version"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "", "tls-failed"),
    ],
)
def test_alert_is_told_by_its_cause(reason: str, validity: str, code: str) -> None:
    fault = explain_alert(reason, TLS, validity)
    assert fault.code == code
    assert fault.hint
    assert validity in fault.message or code == "tls-revoked"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (2, "tls-unknown-ca"),
        (18, "tls-unknown-ca"),
        (20, "tls-unknown-ca"),
        (62, "tls-wrong-name"),
        (64, "tls-wrong-name"),
        (9, "tls-broker-expired"),
        (10, "tls-broker-expired"),
        (26, "tls-broker-certificate"),
    ],
)
def test_verification_is_told_by_its_cause(number: int, code: str) -> None:
    fault = explain_verification(number, "in OpenSSL's words", TLS)
    assert fault.code == code
    assert ("in OpenSSL's words" in fault.message) == (code == "tls-broker-certificate")


def test_refusal_that_passes_by_itself_is_no_fault() -> None:
    assert explain_refusal(0x89, "Server busy (0x89)") is None
    fault = explain_refusal(0x87, "Not authorized (0x87)")
    assert fault is not None
    assert str(fault).startswith("connection refused: Not authorized (0x87); ")
