"""The vectors of docs/formats/enrolment.md.

Sealing makes something else each time (HPKE draws a key), so that what is sealed here was made
once: `python tests/enrolmentvectors.py` seals anew, after a change of what stands above it.
"""

import base64
from dataclasses import replace
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from chopmark.core.boxkey import box_key_of
from chopmark.core.enrolment import Enrolment, make_enrolment
from chopmark.core.note import Note, Signature
from technicians import HASH, PEOPLE, authority, heading, office, secret

SEED = b"\x07" * 32
PRIVATE = X25519PrivateKey.from_private_bytes(SEED)
BOX = box_key_of("SN-0001", PRIVATE)
HEADING = heading(BOX, 3)
SEALED: Final = (
    "Xq56JCL8PKjWH7W0NRRvauXyv4P8OsSVEmScbyq1AkWt90MhTna2wkuRxXrl6+XSwIQ3pOvOA/La6fdSC6qUDWxWKN"
    "7RMHUgBUziBKNGvOKEy8+BOYiukGtboIzG90noCH6t1A6b6wVg5Ux3vp7eRgy0JsZGnLz3TSKU1eJfMHdUcwtrHTwM"
    "DkMBo8PXiIjWJxYExgopfxHNew2bWOArMeQCJ+Cs9BU2VcE0FX1EN6/h8d8qZQa7obL4RVVs6ZLpla/iGIxSu1Z7u9"
    "TLWiRuBzkoKg8rMNTT/eHJOiNuc0w3T4FINWgGmygsDMpHI0o0jScaxHzDvM+w7erU1vSstusoep36BpbpMhWcnNAi"
    "hsTG3qUd8vGVSHjqpt2lsnXDFmuRHamPz0nxTE6oXrKu1kQn1iGZOzyJUPJcwbz8h3i44cBJMrpDS/lP1ZyHBk6ZFv"
    "KtrbNu73Ytv7rjagIpAhzzcOiB1D2VdYCDT4hd8vWqzVzY75uchk8fRwbiN0tzDNBEoR5uPCzXZWRuabuPUEN2jFVb"
    "sB4kRN0XEN/fVFvstXGMaicapPaoQ1L9UGB/hK8Sg86XIbSlnutZbUFfR9CA3SwE9wUBVQahJhaw5F8kepvTHlKY5A"
    "2y5Xl2Mg=="
)


def enrolment() -> dict[str, Any]:
    made = Enrolment(HEADING, base64.b64decode(SEALED))
    good = _sign(made.encode())
    text = made.encode()
    bad = {
        "signed by another key": (_sign(text, 2), "no-known-signature"),
        "text altered": (good.replace("lee service", "lee observe", 1), "bad-signature"),
        "another version of the format": (_sign(text.replace("/v1", "/v2", 1)), _BAD),
        "number 0": (_sign(text.replace("version 3", "version 0")), _BAD),
        "number with a zero in front": (
            _sign(text.replace("version 3", "version 03")),
            "malformed-number",
        ),
        "more than 400 days": (_sign(text.replace("expires 2027", "expires 2028")), _BAD),
        "nobody of the role service": (_sign(text.replace("service", "observe")), _BAD),
        "technicians out of order": (
            _sign(replace(made, heading=replace(HEADING, people=PEOPLE[::-1])).encode()),
            _BAD,
        ),
        "a role that there is not": (_sign(text.replace("ho observe", "ho root")), _BAD),
        "hash of the box's key wrong": (
            _sign(text.replace("SN-0001+", "SN-0002+")),
            "malformed-box-key",
        ),
        "two pieces on one line": (_sign(text[::-1].replace("\nsealed "[::-1], "", 1)[::-1]), _BAD),
        "carriage returns": (good.replace("\n", "\r\n"), "malformed-note"),
    }
    return {
        "box_private": SEED.hex(),
        "authority": authority().encode(),
        "good": [
            {
                "name": "three technicians",
                "enrolment": good,
                "box": BOX.encode(),
                "version": HEADING.version,
                "issued": HEADING.issued,
                "expires": HEADING.expires,
                "technicians": [_describe(one.id, one.duty) for one in PEOPLE],
            }
        ],
        "bad": [{"name": n, "enrolment": made, "code": code} for n, (made, code) in bad.items()],
    }


_BAD: Final = "malformed-enrolment"


def _describe(name: str, duty: str) -> dict[str, Any]:
    one = secret(name, HASH)
    told = {"id": name, "role": duty, "hash": one.hash, "counter": one.counter}
    return told | {"totp": one.totp.hex(), "hotp": one.hotp.hex()}


def _sign(text: str, seed: int = 1) -> str:
    key = authority(seed)
    line = Signature(key.name, key.key_id, office(seed).sign(text.encode()))
    return Note(text, (line,)).encode().decode()


if __name__ == "__main__":
    fresh = make_enrolment(HEADING, [secret(one.id, HASH) for one in PEOPLE]).sealed
    print(base64.b64encode(fresh).decode())  # noqa: T201
