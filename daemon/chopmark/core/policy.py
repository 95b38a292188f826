"""Trust policies (C2SP tlog-policy): which logs, which witnesses, and what quorum of them.

Ours may also demand notaries for some kinds of documents, in lines that are comments to others.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from chopmark.core.entry import KIND
from chopmark.core.errors import MalformedError
from chopmark.core.keys import VerifierKey, parse_vkey
from chopmark.core.note import Verified
from chopmark.core.text import parse_decimal

MAX_POLICY: Final = 64 * 1024
NONE: Final = "none"
NOTARY: Final = "chopmark/notary/v1"
"""What a comment says that is a line of ours: the notaries of a kind."""
_NOTARY_LINE: Final = f"# {NOTARY}"
_NOTARIES, _BOTH = "notaries of the kind", "quorum and notaries"  # no policy names a group so
_ALLOWED: Final = frozenset({0x09, 0x0A, *range(0x20, 0x7F), *range(0x80, 0x100)})


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy.

    Attributes:
        logs: keys of the accepted logs; a key's name is the log's origin.
        witnesses: cosigner keys by their name in the policy.
        groups: threshold and member names by group name.
        quorum: name of the witness or group that must have cosigned, or `none`.
        notaries: by kind, how many of these witnesses and groups must have cosigned besides.
        ended: times (seconds since the epoch) after which cosignatures by some witnesses count no
            more. The text has no place for them.
    """

    logs: tuple[VerifierKey, ...]
    witnesses: Mapping[str, VerifierKey] = field(default_factory=dict)
    groups: Mapping[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    quorum: str = NONE
    notaries: Mapping[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    ended: Mapping[VerifierKey, int] = field(default_factory=dict, compare=False)

    def encode(self) -> str:
        """The policy's text; octets that are not UTF-8 are surrogates (`surrogateescape`)."""
        lines = [f"log {key.encode()}" for key in self.logs]
        lines += [f"witness {name} {key.encode()}" for name, key in self.witnesses.items()]
        lines += [f"group {name} {k} {' '.join(of)}" for name, (k, of) in self.groups.items()]
        lines += [
            " ".join((_NOTARY_LINE, kind, str(k), *of)) for kind, (k, of) in self.notaries.items()
        ]
        return "\n".join([*lines, f"quorum {self.quorum}", ""])

    def for_kind(self, kind: str) -> "Policy":
        """The policy for documents of a kind: with its notaries besides the quorum, if it has any.

        An institution may count in the quorum and as a notary: this policy has no text.
        """
        if kind not in self.notaries:
            return self
        groups = {**self.groups, _NOTARIES: self.notaries[kind]}
        if self.quorum != NONE:
            groups[_BOTH] = (2, (self.quorum, _NOTARIES))
        quorum = _NOTARIES if self.quorum == NONE else _BOTH
        return replace(self, groups=groups, quorum=quorum, notaries={})

    def notarised(self, cosigners: Iterable[VerifierKey]) -> tuple[str, ...]:
        """The kinds of which these keys' cosignatures are the quorum and the notaries."""
        keys = set(cosigners)
        return tuple(kind for kind in self.notaries if self.for_kind(kind).is_satisfied(keys))

    def describe_notaries(self, kind: str) -> str:
        """The notaries of a kind, for people."""
        threshold, names = self.notaries[kind]
        called = ", ".join(name.removesuffix("/cosigner") for name in names)
        return f"{threshold} of {called or 'nobody'}"

    def log_key(self, origin: str) -> VerifierKey | None:
        """The key of the log with this origin."""
        return next((key for key in self.logs if key.name == origin), None)

    def is_satisfied(self, cosigners: Iterable[VerifierKey]) -> bool:
        """Whether these keys' cosignatures are the quorum."""
        keys = set(cosigners)
        met = {name for name, key in self.witnesses.items() if key in keys}
        for name, (threshold, members) in self.groups.items():
            if sum(member in met for member in members) >= threshold:
                met.add(name)
        return self.quorum == NONE or self.quorum in met

    def counting(self, verified: Iterable[Verified]) -> tuple[Verified, ...]:
        """The signatures that count: all but cosignatures dated after their key had ended."""
        return tuple(v for v in verified if v.time <= self.ended.get(v.key, v.time))

    def existed_by(self, verified: Iterable[Verified]) -> int | None:
        """The earliest signed time (seconds) by which the quorum had cosigned; None without."""
        if self.quorum == NONE:
            return None
        witnesses = set(self.witnesses.values())
        counting = (v for v in self.counting(verified) if v.key in witnesses)
        cosigned = sorted(counting, key=lambda v: v.time)
        seen: set[VerifierKey] = set()
        for one in cosigned:
            seen.add(one.key)
            if self.is_satisfied(seen):
                return one.time
        return None


@dataclass(slots=True)
class _Builder:
    """Reads lines in order; a name can only be used after the line that defines it."""

    logs: list[VerifierKey] = field(default_factory=list)
    witnesses: dict[str, VerifierKey] = field(default_factory=dict)
    groups: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    quorum: str | None = None
    notaries: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)

    def add_log(self, words: list[str]) -> None:
        _demand(len(words) in (1, 2), "log <vkey> [<url>]")
        key = parse_vkey(words[0])
        _demand(not key.is_cosigner, "a log whose key signs checkpoints")
        _demand(all(key.public != other.public for other in self.logs), "each log once")
        self.logs.append(key)

    def add_witness(self, words: list[str]) -> None:
        _demand(len(words) in (2, 3), "witness <name> <vkey> [<url>]")
        key = parse_vkey(words[1])
        _demand(key.is_cosigner, f"a cosigner key (type 0x04, or ours) for {words[0]!r}")
        known = (other.public for other in self.witnesses.values())
        _demand(key.public not in known, "each witness once")
        self.witnesses[self._new_name(words[0])] = key

    def add_group(self, words: list[str]) -> None:
        _demand(len(words) >= 3, "group <name> all|any|<k> <name>...")
        members = tuple(words[2:])
        for member in members:
            self._use(member)
        named = {"all": len(members), "any": 1}
        threshold = named.get(words[1]) or parse_decimal(words[1], "the threshold of a group")
        _demand(1 <= threshold <= len(members), f"a threshold of 1 to {len(members)}")
        self.groups[self._new_name(words[0])] = (threshold, members)

    def add_notaries(self, words: list[str]) -> None:
        _demand(len(words) >= 2, f"{_NOTARY_LINE} <kind> <k> <name>...")
        kind, names = words[0], tuple(words[2:])
        _demand(KIND.fullmatch(kind) is not None, f"a kind in place of {kind[:40]!r}")
        _demand(kind not in self.notaries, f"the notaries of {kind} once")
        for name in names:
            _demand(self._is_defined(name), f"{name!r} defined before it is used")
        _demand(len(set(names)) == len(names), "each notary once")
        # More than there are is no fault: then nobody can be trusted with this kind now.
        threshold = parse_decimal(words[1], "the number of notaries")
        _demand(threshold >= 1, "1 notary or more")
        self.notaries[kind] = (threshold, names)

    def set_quorum(self, words: list[str]) -> None:
        _demand(len(words) == 1 and self.quorum is None, "one line quorum <name>|none")
        _demand(words[0] == NONE or self._is_defined(words[0]), f"{words[0]!r} defined before")
        self.quorum = words[0]

    def _is_defined(self, name: str) -> bool:
        return name in self.witnesses or name in self.groups

    def _new_name(self, name: str) -> str:
        _demand(name != NONE and not self._is_defined(name), f"a new name in place of {name!r}")
        return name

    def _use(self, name: str) -> None:
        _demand(self._is_defined(name), f"{name!r} defined before it is used")
        _demand(name not in self.used, f"{name!r} a member of one group only, once")
        self.used.add(name)


def parse_policy(data: bytes) -> Policy:
    """Read a policy file.

    Raises:
        MalformedError: `malformed-policy`, with the line.
    """
    if len(data) > MAX_POLICY or not _ALLOWED.issuperset(data):
        raise MalformedError("malformed-policy", "a policy is too large or has control characters")
    if data and not data.endswith(b"\n"):
        raise MalformedError("malformed-policy", "the last line of a policy does not end")
    builder = _Builder()
    for number, line in enumerate(data.split(b"\n"), 1):
        # Names are opaque octets: surrogates keep whatever is not UTF-8.
        words = line.decode("utf-8", "surrogateescape").replace("\t", " ").split(" ")
        _read_line(builder, number, [word for word in words if word])
    if builder.quorum is None:
        raise MalformedError("malformed-policy", "a policy has no quorum line")
    return Policy(
        tuple(builder.logs), builder.witnesses, builder.groups, builder.quorum, builder.notaries
    )


def _read_line(builder: _Builder, number: int, words: list[str]) -> None:
    if words[:2] == ["#", NOTARY]:
        words = [_NOTARY_LINE, *words[2:]]
    elif not words or words[0].startswith("#"):
        return
    readers: dict[str, Callable[[list[str]], None]] = {
        "log": builder.add_log,
        "witness": builder.add_witness,
        "group": builder.add_group,
        _NOTARY_LINE: builder.add_notaries,
        "quorum": builder.set_quorum,
    }
    try:
        _demand(words[0] in readers, "log, witness, group or quorum")
        readers[words[0]](words[1:])
    except MalformedError as error:
        raise MalformedError(
            "malformed-policy", f"policy line {number}: {error.message}"
        ) from error


def _demand(condition: bool, expected: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not condition:
        raise MalformedError("malformed-policy", f"expected {expected}")
