"""Which key in the token may be destroyed as a leftover: one that nobody has any claim to.

1. It is named by two facts that do not follow from each other: its label, and the fingerprint of
   its public half. A private half alone is not destroyed: nobody can say which key it is.
2. Its label is none that the configuration or the ledger gives to a key of ours.
3. Its public half is none that the ledger, the roster or the configuration names, for us or for
   another: two gateways may share a token.
"""

from collections.abc import Iterable, Sequence

from chopmark.core.errors import MissingError, RefusedError
from chopmark.core.keys import VerifierKey
from chopmark.core.member import Member
from chopmark.core.roster import Roster
from chopmark.hsm.attributes import TokenKey
from chopmark.service.keylist import KnownKey


def find_leftover(pairs: Iterable[TokenKey], label: str, fingerprint: str) -> VerifierKey:
    """The public half of the key that is meant (rule 1).

    Raises:
        MissingError: `no-such-key`.
        RefusedError: `ambiguous-key`.
    """
    found = [pair for pair in pairs if pair.label == label]
    if len(found) > 1 or any((pair.private or 0) > 1 for pair in found):
        hint = "the vendor's tool destroys one of them by its handle or id"
        raise RefusedError("ambiguous-key", f"several keys are called {label!r}", hint=hint)
    for pair in found:
        if pair.public and pair.fingerprint and pair.fingerprint.matches(fingerprint):
            return pair.public
    message = f"the token has no key {label!r} with this fingerprint"
    if any(pair.public is None for pair in found):
        message = f"{label!r} has no public half that we can read: nobody can say which key it is"
    hint = "`chopmark hsm keys` lists what there is"
    raise MissingError("no-such-key", message, hint=hint)


def refuse_ours(
    label: str, public: VerifierKey, configured: Iterable[str], known: Sequence[KnownKey]
) -> None:
    """Refuse a key that is, or was, ours (rules 2 and 3).

    Args:
        label: of the key.
        public: its public half.
        configured: labels that the configuration gives to keys of ours.
        known: those keys.

    Raises:
        RefusedError: `key-in-use`.
    """
    if label in {*configured, *(one.label for one in known)}:
        hint = "`chopmark hsm retire` destroys a key of ours once the roster has ended it"
        raise _in_use(f"{label!r} is the label of a key of this gateway", hint)
    if public.public in {one.key.public for one in known}:
        hint = "`chopmark hsm retire` destroys it once the roster has ended it"
        raise _in_use(f"{label!r} is a key of this gateway", hint)


def refuse_listed(
    label: str, public: VerifierKey, members: Iterable[Member], rosters: Iterable[Roster]
) -> None:
    """Refuse a key of some member, of now or of earlier (rule 3).

    Args:
        label: of the key.
        public: its public half.
        members: those that the configuration or the roster in force names.
        rosters: the versions of the roster that are held.

    Raises:
        RefusedError: `key-in-use`.
    """
    keys = [key for one in members for key in (*one.log_keys, *one.known_cosigner_keys)]
    listed = [member for roster in rosters for member in roster.member]
    keys += [one.key for member in listed for one in (*member.log_key, *member.cosigner_key)]
    if public.public in {key.public for key in keys}:
        hint = "is this another gateway's token, or one that two share?"
        raise _in_use(f"{label!r} is a key that the roster or the configuration names", hint)


def _in_use(message: str, hint: str) -> RefusedError:
    return RefusedError("key-in-use", message, hint=hint)
