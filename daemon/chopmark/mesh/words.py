"""What a broker's refusals mean, and what to do: of OpenSSL, by alerts of TLS, by reason codes.

Alerts are those of RFC 8446, 6.2; reason codes those of MQTT 5, 3.2.2.2.
"""

from typing import Final

from chopmark.mesh.broker import Fault, Tls

_EXPIRED, _NOT_YET = 10, 9
_UNKNOWN_CA: Final = (2, 18, 19, 20, 21)
"""X509_V_ERR_…: no issuer's certificate, self-signed, or one signature only."""
_WRONG_NAME: Final = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH."""

_REFUSALS: Final = {
    0x84: "it has no MQTT 5: take another broker",
    0x85: "it refuses our client id, which is our member id (and the same with -TX)",
    0x86: "it wants a user name: let it take the CN of the certificate (use_identity_as_username)",
    0x87: "our name, or the CA of our certificate, means nothing to it: see its log",
    0x8A: "its operator has shut us out: ask why",
    0x97: "its quota is used up: ask its operator",
}
"""What to do, by the reason code of a CONNACK; others pass by themselves."""


def explain_refusal(code: int, name: str) -> Fault | None:
    """Why a broker does not let us in.

    Args:
        code: the reason code of its CONNACK.
        name: for people.
    """
    if (hint := _REFUSALS.get(code)) is None:
        return None
    return Fault("broker-refused", f"connection refused: {name}", hint)


def explain_takeover(*, one_port: bool) -> Fault:
    """Why a broker has ended a connection for another one (MQTT 5, 0x8E: Session taken over).

    Args:
        one_port: whether both connections of our link go to the same port.
    """
    ours = "set publish_port in the [[broker]] to the port where it does not (8884 is usual)"
    if not one_port:
        ours = "let it take another one at publish_port"
    hint = f"if it takes client ids from certificates, {ours}: docs/operations/brokers.md; "
    hint += "if not, a second gateway uses our member id: stop it"
    message = "the broker has ended our connection for another one with the same client id"
    return Fault("broker-same-id", message, hint)


def explain_silence() -> Fault:
    """Why a broker without TLS may have closed a connection before its first word."""
    hint = "if it wants TLS at this port, it needs a [broker.tls] table"
    return Fault("broker-silent", "connection lost before the broker's answer", hint)


def explain_verification(code: int, text: str, tls: Tls) -> Fault:
    """Why we do not take the broker's certificate.

    Args:
        code: X509_V_ERR_… of OpenSSL.
        text: OpenSSL's own words.
        tls: what was expected.
    """
    if code in _UNKNOWN_CA:
        hint = "put the certificate of the CA that issued it into that file; ask the operator"
        message = f"the broker's certificate is from a CA that is not in {tls.ca}"
        return Fault("tls-unknown-ca", message, hint)
    if code in _WRONG_NAME:
        hint = "is it the right host? if the certificate has another name, set tls.name to that"
        message = f"the broker's certificate is not for {tls.name}"
        return Fault("tls-wrong-name", message, hint)
    if code in (_EXPIRED, _NOT_YET):
        word = "has expired" if code == _EXPIRED else "does not hold yet"
        hint = "its operator must renew it; if it is good, our clock is wrong"
        return Fault("tls-broker-expired", f"the broker's certificate {word}", hint)
    message = f"the broker's certificate is not good: {text}"
    return Fault("tls-broker-certificate", message, "its operator must mend it")


def explain_alert(reason: str, tls: Tls, validity: str) -> Fault:
    """Why the broker does not take ours, or cannot talk to us at all.

    Args:
        reason: OpenSSL's name of it, such as `SSLV3_ALERT_CERTIFICATE_REVOKED`.
        tls: what we showed.
        validity: what is wrong with the dates of our certificate; empty if nothing is.
    """
    ours = f"our certificate {tls.certificate}"
    if "CERTIFICATE_REVOKED" in reason:
        hint = "ask the CA why; have a new certificate made for a new key, if it was no mistake"
        return Fault("tls-revoked", f"the broker refuses {ours}: it is revoked", hint)
    if validity and ("EXPIRED" in reason or "BAD_CERTIFICATE" in reason):
        hint = "have a new one made and put it there; no restart is needed"
        return Fault("tls-expired", f"the broker refuses {ours}: it {validity}", hint)
    if "EXPIRED" in reason:
        hint = "its operator must renew the list of revoked certificates; or a clock is wrong"
        message = f"the broker says that {ours} has expired, which by our clock it has not"
        return Fault("tls-crl-expired", message, hint)
    if "UNKNOWN_CA" in reason:
        hint = "have one made by a CA that the broker's operator has in its cafile"
        return Fault("tls-foreign-ca", f"the broker does not know the CA of {ours}", hint)
    if "UNSUPPORTED_CERTIFICATE" in reason:
        hint = "have one made with the extended key usage clientAuth"
        return Fault("tls-usage", f"the broker refuses {ours}: it is not one for clients", hint)
    return _explain_protocol(reason, ours)


def explain_cut() -> Fault:
    """Why somebody may close a connection in the middle of the handshake, or answer other bytes."""
    hint = "is it the right port? 8883 is usual; 1883 is without TLS"
    return Fault("tls-none", "what listens there does not speak TLS", hint)


def _explain_protocol(reason: str, ours: str) -> Fault:
    if "WRONG_VERSION_NUMBER" in reason or "RECORD_LAYER_FAILURE" in reason:
        return explain_cut()
    if "PROTOCOL_VERSION" in reason or "UNSUPPORTED_PROTOCOL" in reason:
        hint = "its operator must allow TLS 1.2 at least, better 1.3"
        return Fault("tls-version", "the broker speaks only TLS older than 1.2", hint)
    if "CERTIFICATE" in reason:
        hint = "ask its operator what stands in the broker's log"
        return Fault("tls-refused", f"the broker refuses {ours}: {reason}", hint)
    hint = "ask its operator what stands in the broker's log"
    return Fault("tls-failed", f"TLS with the broker failed: {reason}", hint)
