import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.cbor import MAX_DEPTH, MAX_UINT, decode_cbor, encode_cbor
from chopmark.core.errors import MalformedError
from mutations import is_canonical, mutated

INTEGERS = st.integers(-MAX_UINT - 1, MAX_UINT)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
KEYS = st.one_of(INTEGERS, TEXTS)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, st.binary(max_size=40), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)

# RFC 8949, appendix A: those of its examples that are in our profile, and all that are not.
EXAMPLES = [
    ("00", 0),
    ("17", 23),
    ("1818", 24),
    ("18ff", 255),
    ("190100", 256),
    ("1903e8", 1000),
    ("19ffff", 65535),
    ("1a00010000", 65536),
    ("1a000f4240", 1000000),
    ("1b000000e8d4a51000", 1000000000000),
    ("1bffffffffffffffff", 18446744073709551615),
    ("3bffffffffffffffff", -18446744073709551616),
    ("20", -1),
    ("3863", -100),
    ("3903e7", -1000),
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("40", b""),
    ("4401020304", b"\x01\x02\x03\x04"),
    ("60", ""),
    ("6449455446", "IETF"),
    ("62225c", '"\\'),
    ("62c3bc", "\u00fc"),
    ("64f0908591", "\U00010151"),
    ("80", []),
    ("83010203", [1, 2, 3]),
    ("8301820203820405", [1, [2, 3], [4, 5]]),
    ("a0", {}),
    ("a201020304", {1: 2, 3: 4}),
    ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ("826161a161626163", ["a", {"b": "c"}]),
]
REFUSED = {
    "nothing": "",
    "two items": "0000",
    "integer cut short": "18",
    "long form of 0": "1800",
    "long form of 23": "1817",
    "long form of 255": "1900ff",
    "long form of 65535": "1a0000ffff",
    "long form of 32 bits": "1b00000000ffffffff",
    "long form of a length": "580100",
    "reserved argument 28": "1c",
    "reserved argument 30": "1e",
    "indefinite integer": "1f",
    "bytes cut short": "4401",
    "bytes longer than memory": "5bffffffffffffffff",
    "array longer than memory": "9bffffffffffffffff",
    "map longer than memory": "bbffffffffffffffff",
    "indefinite bytes": "5f42010243030405ff",
    "indefinite text": "7f657374726561646d696e67ff",
    "indefinite array": "9fff",
    "indefinite map": "bfff",
    "lonely break": "ff",
    "half float": "f90000",
    "float": "fa47c35000",
    "double": "fb3ff199999999999a",
    "undefined": "f7",
    "simple value 16": "f0",
    "simple value 255": "f8ff",
    "simple value 21 in two bytes": "f815",
    "big number": "c249010000000000000000",
    "date": "c074323031332d30332d32315432303a30343a30305a",
    "time": "c11a514b67b0",
    "set": "d9010283010203",
    "shared value": "d81c80",
    "regular expression": "d823615b",
    "self-described": "d9d9f700",
    "text that is not UTF-8": "61ff",
    "text with a surrogate": "63eda080",
    "repeated key": "a200000001",
    "keys in the wrong order": "a201000000",
    "keys in the order of RFC 7049": "a3000020001903e800",
    "key that is bytes": "a1410000",
    "key that is a list": "a18000",
    "key that is null": "a1f600",
    "key that is true": "a1f500",
    "map without its last value": "a100",
}


@pytest.mark.parametrize(("encoded", "value"), EXAMPLES)
def test_cbor_reads_and_writes_examples_of_rfc_8949(encoded: str, value: object) -> None:
    data = bytes.fromhex(encoded)
    assert encode_cbor(value) == data
    assert decode_cbor(data) == value
    assert type(decode_cbor(data)) is type(value)


@pytest.mark.parametrize("encoded", REFUSED.values(), ids=REFUSED.keys())
def test_cbor_refuses(encoded: str) -> None:
    with pytest.raises(MalformedError) as caught:
        decode_cbor(bytes.fromhex(encoded))
    assert caught.value.code == "malformed-cbor"


def test_cbor_sorts_keys_by_their_bytes_not_by_length() -> None:
    assert encode_cbor({-1: 0, 1000: 0, 0: 0}).hex() == "a300001903e8002000"
    assert decode_cbor(bytes.fromhex("a300001903e8002000")) == {0: 0, 1000: 0, -1: 0}


@given(VALUES)
def test_cbor_round_trip(value: object) -> None:
    assert decode_cbor(encode_cbor(value)) == value


@given(VALUES)
def test_cbor_agrees_with_cbor2(value: object) -> None:
    assert cbor2.loads(encode_cbor(value)) == value


@given(VALUES.flatmap(lambda value: mutated(encode_cbor(value))))
def test_cbor_mutations_are_refused_or_canonical(data: bytes) -> None:
    assert is_canonical(data, decode_cbor, encode_cbor)


@given(st.binary(max_size=60))
def test_cbor_takes_nothing_that_cbor2_refuses(data: bytes) -> None:
    try:
        value = decode_cbor(data)
    except MalformedError:
        return
    assert cbor2.loads(data) == value


@pytest.mark.parametrize(
    "value",
    [
        2**64,
        -(2**64) - 1,
        1.0,
        (1,),
        {1},
        bytearray(b"x"),
        {True: 1},
        {None: 1},
        {b"x": 1},
        "\ud800",
        {"\udfff": 1},
        [frozenset()],
    ],
    ids=repr,
)
def test_cbor_does_not_encode(value: object) -> None:
    with pytest.raises(MalformedError) as caught:
        encode_cbor(value)
    assert caught.value.code == "malformed-cbor"


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {0: inner}])
def test_cbor_depth_ends_at_the_limit(wrap: type) -> None:
    value: object = 0
    for _ in range(MAX_DEPTH):
        value = wrap(value)
    assert decode_cbor(encode_cbor(value)) == value
    with pytest.raises(MalformedError):
        encode_cbor(wrap(value))
    first = b"\x81" if isinstance(value, list) else b"\xa1\x00"
    with pytest.raises(MalformedError):
        decode_cbor(first + encode_cbor(value))
    with pytest.raises(MalformedError):
        decode_cbor(first * 30000 + b"\x00")


def test_cbor_does_not_unfold_shared_references() -> None:
    """Forty references to forty references to...: cbor2 would take days for these 600 bytes."""
    level = b"\xd8\x1c\x98\x28" + b"\x00" * 40
    levels = [b"\xd8\x1c\x98\x28" + (b"\xd8\x1d" + bytes([index])) * 40 for index in range(10)]
    with pytest.raises(MalformedError):
        decode_cbor(b"\x8b" + level + b"".join(levels))
