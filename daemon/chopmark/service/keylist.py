"""The keys of a gateway in one list: what the ledger, the roster and the token say of each.

First those that the ledger has as ours, in use or not, then the witness key, then whatever else
lies in the token: keys for TLS, of another gateway, or left over.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

from chopmark.core.fingerprint import Fingerprint, encode_public
from chopmark.core.keys import COSIGNATURE, VerifierKey, parse_vkey
from chopmark.core.member import Member
from chopmark.core.roster import Roster
from chopmark.core.text import encode_base64
from chopmark.hsm.attributes import TokenKey
from chopmark.hsm.keys import witness_name
from chopmark.hsm.listing import list_pairs
from chopmark.ledger.rotation import list_keys
from chopmark.ledger.schema import connect, damage_named
from chopmark.ledger.store import read_keys
from chopmark.service.config import Config
from chopmark.service.config_model import Hsm
from chopmark.service.membership import find_own, read_membership
from chopmark.service.places import log_path
from chopmark.service.token import hsm_config

Made = Literal["log", "cosigner"]
Role = Literal["log", "cosigner", "witness"]


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that is ours.

    Attributes:
        key: its public half, under the name that it signs by.
        role: what it is for.
        label: under which it is, or was, in the token; None for one that may be gone.
        in_use: it signs now.
    """

    key: VerifierKey
    role: Role
    label: str | None
    in_use: bool


def know_keys(
    own: Member,
    hsm: Hsm,
    made: Iterable[tuple[VerifierKey, Made, str]],
    witness: VerifierKey | None,
) -> list[KnownKey]:
    """The keys that are ours; the first ones also after others took over from them.

    Args:
        own: this gateway, with the keys that sign now, and those that did once.
        hsm: the configuration, which has the labels of the first keys.
        made: those that were made after the first ones, with their labels.
        witness: the key that cosigns logs of others, if there is one.
    """
    labels = {key: label for key, _, label in made}
    log, cosigner = own.log_key, own.cosigner_key
    used = [
        KnownKey(log, "log", labels.get(log, hsm.log_label), in_use=True),
        KnownKey(cosigner, "cosigner", labels.get(cosigner, hsm.cosigner_label), in_use=True),
    ]
    found = {one.key: one for one in used}
    for key, role, label in made:
        found.setdefault(key, KnownKey(key, role, label, in_use=False))
    for key in (*own.log_keys, *own.known_cosigner_keys):
        before: Role = "cosigner" if key.is_cosigner else "log"
        found.setdefault(key, KnownKey(key, before, None, in_use=False))
    if witness is not None:
        found[witness] = KnownKey(witness, "witness", hsm.witness_label, in_use=True)
    return list(found.values())


def list_made(db: sqlite3.Connection) -> list[tuple[VerifierKey, Made, str]]:
    """The keys that were made after the first ones, with role and label, from our own ledger."""
    return [(parse_vkey(vkey), role, label) for vkey, role, label in list_keys(db)]


def describe_keys(
    known: Sequence[KnownKey],
    token: Sequence[TokenKey] | None,
    state: Callable[[str], str | None],
) -> list[dict[str, Any]]:
    """The list, as the API gives it (docs/api.md).

    Args:
        known: keys that are ours; of those without a label only such as the token has are listed.
        token: the keys in the token, or None if it does not answer.
        state: what the roster says of a vkey.
    """
    left = list(token or ())
    rows = []
    for one in known:
        pair = _take(one, left)
        if one.label is None and pair is None:
            continue
        said = state(one.key.encode())
        rows.append(_describe_known(one, pair, said, answered=token is not None))
    return rows + [_describe_other(pair) for pair in left]


def read_offline(config: Config) -> list[dict[str, Any]]:
    """The list from what lies on the disk and from the token's public halves, without a login.

    The daemon may run, or not.

    Raises:
        MissingError: `no-ledger`.
        ConfigurationError: the token is not there.
        TryAgainError: `hsm-away`.
    """
    path = log_path(config.gateway.state)
    membership = read_membership(config, *read_keys(path))
    with closing(connect(path, read_only=True)) as db, damage_named(path):
        made = list_made(db)
    token = list_pairs(hsm_config(config))
    witness = find_witness(token, config.hsm.witness_label, config.gateway.origin)
    known = know_keys(membership.own, config.hsm, made, witness)
    signed = membership.signed
    roster = None if signed is None else signed.roster
    return describe_keys(known, token, lambda vkey: roster_state(roster, membership.own, vkey))


def find_witness(token: Iterable[TokenKey], label: str, origin: str) -> VerifierKey | None:
    """The witness key among the keys in a token, by its label."""
    for pair in token:
        if pair.label == label and pair.public is not None:
            return VerifierKey(witness_name(origin), COSIGNATURE, pair.public.public)
    return None


def roster_state(roster: Roster | None, own: Member, vkey: str) -> str | None:
    """What the roster says of a key of ours."""
    listed = None if roster is None else find_own(roster, own)
    keys = () if listed is None else (*listed.log_key, *listed.cosigner_key)
    return next((one.state for one in keys if one.vkey == vkey), None)


def _take(known: KnownKey, left: list[TokenKey]) -> TokenKey | None:
    """The pair of a key that is ours; the rest stays."""
    for at, pair in enumerate(left):
        if pair.public is not None and pair.public.public == known.key.public:
            return left.pop(at)
    return None


def _describe_known(
    one: KnownKey, pair: TokenKey | None, roster: str | None, *, answered: bool
) -> dict[str, Any]:
    row = {
        "vkey": one.key.encode(),
        "role": one.role,
        "in_use": one.in_use,
        "roster": roster,
        "label": pair.label if pair is not None else one.label,
        "type": "p256" if one.key.is_p256 else "ed25519",
        **_describe_public(encode_public(one.key)),
    }
    if pair is not None:
        return row | _describe_attributes(pair)
    wrong = ["not in the token"] if answered else []
    return row | {"in_token": False if answered else None, **_NOT_READ, "wrong": wrong}


def _describe_other(pair: TokenKey) -> dict[str, Any]:
    return {
        "vkey": None,
        "role": None,
        "in_use": False,
        "roster": None,
        "label": pair.label,
        "type": pair.type,
        **_describe_public(pair.spki),
        **_describe_attributes(pair),
    }


_NOT_READ: dict[str, Any] = {"attributes": None, "mechanisms": None}


def _describe_public(spki: bytes | None) -> dict[str, Any]:
    if spki is None:
        return {"public": None, "fingerprint": None, "words": None}
    made = Fingerprint(spki)
    return {"public": encode_base64(spki), "fingerprint": made.hex, "words": made.words}


def _describe_attributes(pair: TokenKey) -> dict[str, Any]:
    return {
        "in_token": True,
        "attributes": {name.lower(): value for name, value in pair.flags.items()} or None,
        "mechanisms": None if pair.mechanisms is None else list(pair.mechanisms),
        "wrong": list(pair.wrong),
    }
