"""What must hold for the members that a configuration names, each by itself and all together.

1. Ids, origins, kinds, institutions and jurisdictions are well-formed.
2. A log key is named as its origin, a cosigner key `<origin>/cosigner` (or `-2` …), and each has a
   type that fits its use; the two are different keys.
3. No two members share id, origin, a key's name or a raw public key, whatever it is used for.
4. No peer is this gateway itself.
"""

from collections.abc import Iterable, Sequence

from chopmark.core.checkpoint import check_origin
from chopmark.core.errors import MalformedError
from chopmark.core.keys import ECDSA_P256, ED25519, VerifierKey, parse_vkey
from chopmark.core.member import (
    Member,
    check_account,
    check_institution,
    check_jurisdiction,
    check_kinds,
    check_member_id,
    is_cosigner_name,
)
from chopmark.service.config_model import Gateway, Peer, cosigner_name, make_member
from chopmark.service.config_tree import apply_check, wrong_value

NamedMember = tuple[str, Member]
"""A member and the key of the file under which it stands, for messages."""


def check_names(where: str, section: Gateway | Peer) -> None:
    """Rule 1.

    Raises:
        ConfigurationError: `config-value`.
    """
    apply_check(f"{where}.id", check_member_id, section.id)
    apply_check(f"{where}.origin", check_origin, section.origin)
    apply_check(f"{where}.institution", check_institution, section.institution)
    apply_check(f"{where}.jurisdiction", check_jurisdiction, section.jurisdiction)
    apply_check(f"{where}.kinds", check_kinds, section.kinds)
    if isinstance(section, Peer) and section.chain is not None:
        apply_check(f"{where}.chain", check_account, section.chain)


def check_peers(peers: Sequence[Peer]) -> list[NamedMember]:
    """Rules 1 to 3 for the peers of a file; gives them as members.

    Raises:
        ConfigurationError: `config-value`.
    """
    members = []
    for position, peer in enumerate(peers, 1):
        where = f"peer[{position}]"
        check_names(where, peer)
        log = parse_key(f"{where}.log_vkey", peer.log_vkey)
        cosigner = parse_key(f"{where}.cosigner_vkey", peer.cosigner_vkey)
        members.append((where, make_member(peer, log, cosigner)))
    check_members(members)
    return members


def check_members(members: Iterable[NamedMember]) -> None:
    """Rules 2 and 3.

    Raises:
        ConfigurationError: `config-value`.
    """
    taken: dict[tuple[str, str | bytes], str] = {}
    for where, member in members:
        _check_keys(where, member)
        for thing in _own_things(member):
            before = taken.setdefault(thing, where)
            if before != where:
                raise wrong_value(where, f"has the same {thing[0]} as {before}")


def check_foreign(where: str, peer: Member, own: Gateway) -> None:
    """Rule 4.

    Raises:
        ConfigurationError: `config-value`.
    """
    if peer.id == own.id:
        raise wrong_value(f"{where}.id", f"{peer.id} is this gateway's own id")
    names = {peer.log_key.name, peer.cosigner_key.name}
    if names & {own.origin, cosigner_name(own.origin)}:
        message = f"{peer.origin} takes a name of this gateway's own log or cosigner"
        raise wrong_value(f"{where}.origin", message)


def _own_things(member: Member) -> list[tuple[str, str | bytes]]:
    return [
        ("id", member.id),
        ("name of a log or key", member.log_key.name),
        ("name of a log or key", member.cosigner_key.name),
        ("public key", member.log_key.public),
        ("public key", member.cosigner_key.public),
    ]


def _check_keys(where: str, member: Member) -> None:
    log, cosigner = member.log_key, member.cosigner_key
    if log.name != member.origin:
        message = f"its name is {log.name}, not the origin {member.origin}"
        raise wrong_value(f"{where}.log_vkey", message)
    if not is_cosigner_name(cosigner.name, member.origin):
        message = f"its name is {cosigner.name}, not {cosigner_name(member.origin)}"
        raise wrong_value(f"{where}.cosigner_vkey", message)
    if log.type not in (ED25519, ECDSA_P256):
        raise wrong_value(f"{where}.log_vkey", "a key of this type signs no checkpoints")
    if not cosigner.is_cosigner:
        raise wrong_value(f"{where}.cosigner_vkey", "a key of this type makes no cosignatures")
    if log.public == cosigner.public:
        raise wrong_value(where, "log key and cosigner key are one and the same key")


def parse_key(where: str, text: str) -> VerifierKey:
    """A vkey in the file.

    Raises:
        ConfigurationError: `config-value`.
    """
    try:
        return parse_vkey(text)
    except MalformedError as error:
        raise wrong_value(where, error.message, hint=error.hint) from error
