import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from chopmark.hsm.der import encode_ecdsa

EDGES = [0, 1, 0x7F, 0x80, 0xFF, 0x100, 2**247, 2**248 - 1, 2**248, 2**255 - 1, 2**255, 2**256 - 1]


def _to_raw(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.mark.parametrize("r", EDGES)
@pytest.mark.parametrize("s", EDGES)
def test_der_at_the_edges_is_as_the_reference_makes_it(r: int, s: int) -> None:
    assert encode_ecdsa(_to_raw(r, s)) == encode_dss_signature(r, s)


@given(st.integers(0, 2**256 - 1), st.integers(0, 2**256 - 1))
def test_der_is_as_the_reference_makes_it(r: int, s: int) -> None:
    assert encode_ecdsa(_to_raw(r, s)) == encode_dss_signature(r, s)


def test_der_pads_a_high_bit() -> None:
    raw = b"\x80" + bytes(31) + b"\x7f" + bytes(31)
    assert (
        encode_ecdsa(raw).hex() == "3045" + "022100" + "80" + "00" * 31 + "0220" + "7f" + "00" * 31
    )


def test_der_strips_zeros_and_keeps_one() -> None:
    assert encode_ecdsa(_to_raw(0, 1)).hex() == "3006020100020101"
    assert encode_ecdsa(_to_raw(0x80, 0x7F)).hex() == "300702020080" + "02017f"


@pytest.mark.parametrize("length", [0, 1, 63, 65, 70, 96])
def test_der_refuses_another_length(length: int) -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        encode_ecdsa(bytes(length))
