"""Which commands there are, by name, and the error for one that there is not."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import takewhile
from typing import Final

from chopmark.core.errors import UsageError

COMMANDS: Final = {
    "init": "initialise:initialise",
    "attest": "attest:attest",
    "verify": "verify:verify",
    "proof": "proof:proof",
    "slip": "slip:slip",
    "revoke": "revoke:revoke",
    "scenarios": "scenarios:scenarios",
    "consent": "consent:consent",
    "withdraw": "consent:withdraw",
    "use": "use:use",
    "trace": "trace:trace",
    "status": "status:status",
    "doctor": "doctor:doctor",
    "health": "health:health",
    "fsck": "fsck:fsck",
    "recover": "recover:recover",
    "backup": "backup:backup",
    "export-verifier": "export_verifier:export_verifier",
    "completion": "completion:completion",
}
GROUPS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "audit": (
        "Look into the audit log: who did what at this gateway.",
        {
            "show": "audit:show",
            "check": "audit:check",
            "prove": "audit:prove",
            "prune": "audit:prune",
        },
    ),
    "peers": (
        "Show the other gateways that this one knows (list), and tell them of this one.",
        {"list": "peers:list_peers", "export": "peers:export", "policy": "peers:policy"},
    ),
    "evidence": (
        "Evidence that a log was forked: show and check it; release what it has frozen.",
        {
            "show": "evidence:show",
            "check": "evidence:check",
            "release": "release:release",
            "sign": "release:sign",
        },
    ),
    "roster": (
        "Who the members are, and what it takes to change that.",
        {
            "show": "roster:show",
            "propose": "roster_propose:propose",
            "sign": "roster:sign",
            "publish": "roster:publish",
            "check": "roster:check",
            "pin": "roster:pin",
            "export-policy": "roster:export_policy",
            "export-acl": "roster_acl:export_acl",
            "emergency-key": "roster:emergency_key",
            "suspension": "roster:suspension",
        },
    ),
    "hsm": (
        "The HSM: how it is, its PIN, and the keys in its token.",
        {
            "keys": "hsm:keys",
            "generate": "hsm:generate",
            "activate": "hsm:activate",
            "export": "hsm:export",
            "retire": "hsm:retire",
            "status": "hsm_state:status",
            "unlock": "hsm_state:unlock",
            "unlatch": "hsm_state:unlatch",
            "maintenance": "hsm_state:maintenance",
            "errors": "hsm_state:errors",
            "destroy": "hsm:destroy",
            "csr": "hsm_csr:csr",
            "doctor": "hsm_doctor:doctor",
        },
    ),
    "hsm ceremony": (
        "Make keys before officers, step by step, with a protocol that they sign.",
        {"init": "ceremony:initialise", "rotate": "ceremony:rotate", "check": "ceremony:check"},
    ),
    "account": (
        "People who sign in at the gateway's page: their accounts and sessions.",
        {
            "list": "account:list_accounts",
            "add": "account:add",
            "password": "account:password",
            "unlock": "account:unlock",
            "remove": "account:remove",
            "sessions": "account:sessions",
            "sign-out": "account:sign_out",
        },
    ),
    "console": (
        "Head office's part of the serial consoles of boxes: who signs in, what support reads.",
        {
            "key": "console:key",
            "technician": "console:technician",
            "enrol": "console:enrol",
            "open-bundle": "console_bundle:open_bundle",
            "armour": "armour:armour",
            "unarmour": "armour:unarmour",
        },
    ),
    "witness": (
        "Cosign logs that are no member's, for anybody (C2SP tlog-witness).",
        {"init": "witness:initialise", "floor": "witness:floor"},
    ),
    "anchor": (
        "Heads on a FISCO BCOS chain: this gateway's account, and what all members anchor.",
        {
            "status": "anchor:status",
            "list": "anchor:list_anchors",
            "check": "anchor:check",
            "init": "anchor:initialise",
            "deploy": "anchor:deploy",
            "forget": "anchor:forget",
        },
    ),
    "log": ("Look into a ledger.", {"show": "log:show", "follow": "follow:follow"}),
    "config": ("Look at the configuration.", {"check": "config:check"}),
}
_VALUED: Final = frozenset({"--gateway", "--ca", "--cert", "--key", "--config"})
"""Options that may stand before a command, with a value behind them."""


def names_in(group: str = "") -> list[str]:
    """What may follow a group of commands; by default the program's own name."""
    own = GROUPS[group][1] if group else COMMANDS
    below = [name.rpartition(" ") for name in GROUPS]
    return [*own, *(last for above, _, last in below if above == group)]


def find_words(arguments: Sequence[str]) -> list[str]:
    """The words of a command line, without options before the `--`."""
    return list(_words(takewhile(lambda one: one != "--", arguments)))


def _words(arguments: Iterator[str]) -> Iterator[str]:
    for argument in arguments:
        if argument in _VALUED:
            next(arguments, None)
        elif not argument.startswith("-"):
            yield argument


def refuse_unknown(arguments: Sequence[str]) -> None:
    """See that the command exists, so that `--help` does not explain another one.

    Raises:
        UsageError: `usage`, with the nearest name and all that there are.
    """
    group = ""
    for word in find_words(arguments):
        known = names_in(group)
        if word not in known:
            raise _unknown(group, word, known)
        group = f"{group} {word}".strip()
        if group not in GROUPS:
            return


def _unknown(group: str, word: str, known: Sequence[str]) -> UsageError:
    near = get_close_matches(word, known, n=1)
    meant = f"did you mean `{near[0]}`? " if near else ""
    place = " ".join(filter(None, ("chopmark", group)))
    hint = f"{meant}`{place}` has: {', '.join(known)}; `{place} --help` explains them"
    return UsageError(
        "usage", f"not a command: {' '.join(filter(None, (group, word)))!r}", hint=hint
    )
