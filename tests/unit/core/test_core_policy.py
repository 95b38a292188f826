"""Every rule of C2SP tlog-policy with a failing twin, and quorums against brute force."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.errors import MalformedError
from chopmark.core.keys import ECDSA_P256, VerifierKey
from chopmark.core.note import Verified
from chopmark.core.policy import MAX_POLICY, Policy, parse_policy
from mutations import is_canonical, mutated
from softkeys import SoftKey, cosigner, ed25519_key, log_key

LOG = log_key("bank-a.example/sz-1").vkey
OTHER_LOG = ed25519_key("bank-a.example/sz-2", 2).vkey
WITNESSES = [cosigner(f"w{number}.example", 10 + number).vkey for number in range(6)]
A, B, C = (key.encode() for key in WITNESSES[:3])
LOG_LINE = f"log {LOG.encode()}\n"
THREE = f"witness A {A}\nwitness B {B}\nwitness C {C}\n"


def encode(policy: Policy) -> bytes:
    return policy.encode().encode("utf-8", "surrogateescape")


def parse(text: str) -> Policy:
    return parse_policy(text.encode("utf-8", "surrogateescape"))


NOTARY = "# chopmark/notary/v1"

GOOD = {
    "quorum alone": "quorum none\n",
    "log": LOG_LINE + "quorum none\n",
    "log with a URL": f"log {LOG.encode()} https://a.example/\nquorum none\n",
    "two logs": LOG_LINE + f"log {OTHER_LOG.encode()}\nquorum none\n",
    "two keys of one log": LOG_LINE + f"log {log_key(LOG.name, 9).vkey.encode()}\nquorum none\n",
    "witness as quorum": THREE + "quorum B\n",
    "witness with a URL": f"witness A {A} https://a.example/\nquorum A\n",
    "group of one": THREE + "group g 1 A\nquorum g\n",
    "any": THREE + "group g any A B C\nquorum g\n",
    "all": THREE + "group g all A B C\nquorum g\n",
    "threshold": THREE + "group g 2 A B C\nquorum g\n",
    "group of groups": THREE + "group g any A B\ngroup h all g C\nquorum h\n",
    "group without use": THREE + "group g any A B\nquorum none\n",
    "lines in another order": THREE + "group g any A B\nquorum g\n" + LOG_LINE,
    "witness after the quorum": "quorum none\n" + THREE,
    "tabs and spaces": f" \twitness\t A  {A}\t \n\tquorum \t A\n",
    "comments and empty lines": "# one\n\n \t\n  # two é\n#three\nquorum none\n",
    "name of other octets": f"witness \udcff\udc80 {A}\nquorum \udcff\udc80\n",
    "name in Chinese": f"witness 匯豐 {A}\nquorum 匯豐\n",
    "name that looks like a word": f"witness all {A}\nwitness 2 {B}\n"
    "group any 2 all 2\nquorum any\n",
    "name with a no-break space": f"witness a\u00a0b {A}\nquorum a\u00a0b\n",
    "name with a line separator": f"witness a\u2028b\u0085 {A}\nquorum a\u2028b\u0085\n",
    "notaries": THREE + f"group g any A B\n{NOTARY} diploma 1 C\nquorum g\n",
    "notaries that vote in the quorum": THREE + f"group g any A B\n{NOTARY} k 2 A g\nquorum g\n",
    "more notaries than there are": THREE + f"{NOTARY} k 2 A\n{NOTARY} l 1\nquorum A\n",
    "notaries after the quorum": THREE + "quorum none\n#\tchopmark/notary/v1 k  1 A\n",
    "comments that are nearly of notaries": "#chopmark/notary/v1 k\n# chopmark/notary/v2 k\n"
    "# a chopmark/notary/v1 k 1\nquorum none\n",
    "K and the Kelvin sign": f"witness K {A}\nwitness \u212a {B}\nquorum K\n",
}
BAD = {
    "nothing": "",
    "no quorum": LOG_LINE,
    "two quorums": "quorum none\nquorum none\n",
    "quorum without a name": "quorum\n",
    "quorum of two names": THREE + "quorum A B\n",
    "quorum of a name that is not defined": "quorum A\n",
    "quorum of a name that is defined later": f"quorum A\nwitness A {A}\n",
    "quorum of a log's name": LOG_LINE + f"quorum {LOG.name}\n",
    "last line without its end": "quorum none",
    "carriage return": "quorum none\r\n",
    "null": "# \0\nquorum none\n",
    "escape": "# \x1b\nquorum none\n",
    "delete": "# \x7f\nquorum none\n",
    "form feed": "quorum\fnone\n",
    "unknown word": "witnesses A\nquorum none\n",
    "word in capitals": "Quorum none\n",
    "word with a byte order mark": "\ufeffquorum none\n",
    "no-break space as a space": "quorum\u00a0none\n",
    "comment after a line": "quorum none # really\n",
    "log without a key": "log\nquorum none\n",
    "log with too much": f"log {LOG.encode()} https://a.example/ more\nquorum none\n",
    "log with a broken key": f"log {LOG.encode()[:-4]}\nquorum none\n",
    "log with a cosigner's key": f"log {A}\nquorum none\n",
    "log twice": LOG_LINE * 2 + "quorum none\n",
    "log twice by another name": LOG_LINE
    + f"log {VerifierKey('x.example', ECDSA_P256, LOG.public).encode()}\nquorum none\n",
    "witness without a key": "witness A\nquorum none\n",
    "witness with too much": f"witness A {A} https://a.example/ more\nquorum none\n",
    "witness with a log's key": f"witness A {LOG.encode()}\nquorum none\n",
    "witness with an Ed25519 log key": f"witness A {OTHER_LOG.encode()}\nquorum none\n",
    "witness called none": f"witness none {A}\nquorum none\n",
    "name twice": f"witness A {A}\nwitness A {B}\nquorum none\n",
    "witness twice": f"witness A {A}\nwitness B {A}\nquorum none\n",
    "witness twice by another name": f"witness A {A}\n"
    f"witness B {SoftKey('other.example', 4, 10).vkey.encode()}\nquorum none\n",
    "group of nothing": "group g any\nquorum none\n",
    "group without a threshold": THREE + "group g\nquorum none\n",
    "group called none": THREE + "group none any A\nquorum none\n",
    "group called as a witness": THREE + "group A any B\nquorum none\n",
    "group twice": THREE + "group g any A\ngroup g any B\nquorum none\n",
    "group with itself": THREE + "group g any A g\nquorum none\n",
    "group with a member not defined": THREE + "group g any D\nquorum none\n",
    "group with a member defined later": f"group g any A\nwitness A {A}\nquorum none\n",
    "group with none": THREE + "group g any none\nquorum none\n",
    "member twice": THREE + "group g any A A\nquorum none\n",
    "member of two groups": THREE + "group g any A\ngroup h any A B\nquorum none\n",
    "threshold 0": THREE + "group g 0 A B\nquorum none\n",
    "threshold beyond the members": THREE + "group g 3 A B\nquorum none\n",
    "threshold with a sign": THREE + "group g +1 A B\nquorum none\n",
    "threshold with a zero in front": THREE + "group g 01 A B\nquorum none\n",
    "threshold in other digits": THREE + "group g ٢ A B\nquorum none\n",
    "threshold in words": THREE + "group g most A B\nquorum none\n",
    "threshold in capitals": THREE + "group g ANY A B\nquorum none\n",
    "key with octets": f"witness A \udcff{A}\nquorum none\n",
    "key name with octets": "log a\udcff+00000000+AQ==\nquorum none\n",
    "notaries of no kind": THREE + f"{NOTARY}\nquorum A\n",
    "notaries without a number": THREE + f"{NOTARY} k\nquorum A\n",
    "notaries of what is no kind": THREE + f"{NOTARY} K 1 A\nquorum A\n",
    "notaries twice": THREE + f"{NOTARY} k 1 A\n{NOTARY} k 1 B\nquorum A\n",
    "notary twice": THREE + f"{NOTARY} k 1 A A\nquorum A\n",
    "notary not defined": THREE + f"{NOTARY} k 1 D\nquorum A\n",
    "no notaries due": THREE + f"{NOTARY} k 0 A\nquorum A\n",
    "notaries due in words": THREE + f"{NOTARY} k any A\nquorum A\n",
    "notaries that are no comment": THREE + "chopmark/notary/v1 k 1 A\nquorum A\n",
    "larger than the most": "#" * MAX_POLICY + "\nquorum none\n",
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_policy_takes(text: str) -> None:
    policy = parse(text)
    assert parse_policy(encode(policy)) == policy


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_policy_refuses(text: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse(text)
    assert caught.value.code == "malformed-policy"
    assert caught.value.message.encode()


def test_policy_error_names_the_line() -> None:
    with pytest.raises(MalformedError, match="policy line 3: expected 'Z' defined before"):
        parse(LOG_LINE + "\nquorum Z\n")


NOTARISED = parse(THREE + f"group g 2 A B\n{NOTARY} diploma 1 B C\nquorum g\n")


def test_kind_with_notaries_needs_them_besides_the_quorum() -> None:
    a, b, c = WITNESSES[:3]
    full = NOTARISED.for_kind("diploma")
    assert not full.is_satisfied([a])
    assert not full.is_satisfied([b, c])
    assert full.is_satisfied([a, b]), "who votes in the quorum may be a notary too"
    apart = parse(THREE + f"group g any A B\n{NOTARY} diploma 1 C\nquorum g\n")
    assert apart.is_satisfied([a, b])
    assert not apart.for_kind("diploma").is_satisfied([a, b])
    assert apart.for_kind("diploma").is_satisfied([a, c])
    assert (apart.notarised([a, b]), apart.notarised([a, c])) == ((), ("diploma",))
    assert apart.describe_notaries("diploma") == "1 of C"


def test_other_kinds_need_the_quorum_only() -> None:
    assert NOTARISED.for_kind("letter") is NOTARISED
    assert NOTARISED.is_satisfied(WITNESSES[:2])


def test_notaries_are_needed_where_no_quorum_is() -> None:
    policy = parse(THREE + f"{NOTARY} diploma 1 C\nquorum none\n")
    assert not policy.for_kind("diploma").is_satisfied(WITNESSES[:2])
    assert policy.for_kind("diploma").is_satisfied(WITNESSES[2:3])


def test_notaries_of_whom_there_are_too_few_are_never_there() -> None:
    policy = parse(THREE + f"{NOTARY} diploma 2 C\nquorum A\n")
    assert policy.notarised(WITNESSES) == ()
    nobody = parse(f"{NOTARY} diploma 1\nquorum none\n")
    assert nobody.describe_notaries("diploma") == "1 of nobody"


@given(mutated((LOG_LINE + THREE + "group g 2 A B C\nquorum g\n").encode()))
def test_policy_mutations_are_refused_or_mean_what_they_encode_to(data: bytes) -> None:
    try:
        policy = parse_policy(data)
    except MalformedError as error:
        assert error.code == "malformed-policy"  # noqa: PT017 - many inputs are good
        return
    assert is_canonical(encode(policy), parse_policy, encode)
    assert parse_policy(encode(policy)) == policy


def test_policy_takes_more_than_32_of_each() -> None:
    seeds = range(1, 41)
    logs = [f"log {ed25519_key(f'log{seed}', seed).vkey.encode()}" for seed in seeds]
    witnesses = [f"witness w{s} {cosigner(f'w{s}', 50 + s).vkey.encode()}" for s in seeds]
    groups = [f"group g{seed} all w{seed}" for seed in seeds]
    top = "group top 20 " + " ".join(f"g{seed}" for seed in seeds)
    policy = parse("\n".join([*logs, *witnesses, *groups, top, "quorum top", ""]))
    keys = list(policy.witnesses.values())
    assert len(policy.logs) == len(keys) == 40
    assert policy.is_satisfied(keys[:20])
    assert not policy.is_satisfied(keys[:19])


def test_policy_knows_its_logs_by_origin() -> None:
    policy = parse(GOOD["two logs"])
    assert policy.log_key(LOG.name) == LOG
    assert policy.log_key(OTHER_LOG.name) == OTHER_LOG
    assert policy.log_key("unknown.example") is None


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Six witnesses in groups of groups; each name is a member once at most."""
    free = [f"w{number}" for number in range(6)]
    witnesses = dict(zip(free, WITNESSES, strict=True))
    groups: dict[str, tuple[int, tuple[str, ...]]] = {}
    for number in range(draw(st.integers(0, 4))):
        members = draw(st.lists(st.sampled_from(free), min_size=1, max_size=4, unique=True))
        groups[f"g{number}"] = draw(st.integers(1, len(members))), tuple(members)
        free = [name for name in free if name not in members] + [f"g{number}"]
    quorum = draw(st.sampled_from(["none", *witnesses, *groups]))
    return Policy((LOG,), witnesses, groups, quorum)


def has_witnessed(policy: Policy, name: str, cosigners: set[VerifierKey]) -> bool:
    """The specification's words, from the top down."""
    if name in policy.witnesses:
        return policy.witnesses[name] in cosigners
    threshold, members = policy.groups[name]
    return sum(has_witnessed(policy, member, cosigners) for member in members) >= threshold


@given(policies())
def test_quorum_is_that_of_brute_force(policy: Policy) -> None:
    assert parse_policy(encode(policy)) == policy
    for count in range(7):
        for some in combinations(WITNESSES, count):
            cosigners = {*some, cosigner("stranger", 99).vkey, LOG}
            expected = policy.quorum == "none" or has_witnessed(policy, policy.quorum, cosigners)
            assert policy.is_satisfied(cosigners) is expected


TIMES = st.lists(
    st.tuples(st.sampled_from([*WITNESSES, cosigner("stranger", 99).vkey]), st.integers(1, 9)),
    max_size=8,
)


@given(policies(), TIMES)
def test_existed_by_is_the_first_time_at_which_the_quorum_had_cosigned(
    policy: Policy, signed: list[tuple[VerifierKey, int]]
) -> None:
    verified = [Verified(LOG, 0), *(Verified(key, time) for key, time in signed)]
    if policy.quorum == "none":
        assert policy.existed_by(verified) is None
        return
    by_then = (time for time in range(10) if has_quorum(policy, signed, time))
    assert policy.existed_by(verified) == next(by_then, None)


def has_quorum(policy: Policy, signed: list[tuple[VerifierKey, int]], time: int) -> bool:
    return has_witnessed(policy, policy.quorum, {key for key, when in signed if when <= time})


def test_existed_by_takes_two_cosignatures_of_one_key_in_one_second() -> None:
    policy = parse(THREE + "group g 2 A B C\nquorum g\n")
    twice = [Verified(WITNESSES[0], 5), Verified(WITNESSES[0], 5)]
    assert policy.existed_by(twice) is None
    assert policy.existed_by([*twice, Verified(WITNESSES[1], 7)]) == 7
