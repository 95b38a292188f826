"""The table of PKCS#11 errors: whole, and read as it stands."""

import re
import tomllib
from importlib.resources import files

import pytest
from pkcs11 import exceptions as ck

from chopmark.core.errors import MissingError
from chopmark.hsm.errors import (
    LoggedOutError,
    TokenFaultError,
    advise,
    describe,
    is_pin_error,
    name_of,
    rung_of,
)
from chopmark.hsm.faults import Rung, error_of, fault_of, faults

TABLE = tomllib.loads(files("chopmark.hsm").joinpath("faults.toml").read_text())
NO_CALL_OF_OURS = {
    *("EncryptedDataInvalid", "EncryptedDataLenRange", "KeyIndigestible", "KeyNeeded"),
    *("KeyNotNeeded", "KeyNotWrappable", "KeyUnextractable", "NoEvent", "PinTooWeak"),
    *("PublicKeyInvalid", "RandomSeedNotSupported", "SessionReadWriteSOExists"),
    *("SignatureLenRange", "ExceededMaxIterations"),
    *("UnwrappingKeyHandleInvalid", "UnwrappingKeySizeRange", "UnwrappingKeyTypeInconsistent"),
    *("WrappedKeyInvalid", "WrappedKeyLenRange", "WrappingKeyHandleInvalid"),
    *("WrappingKeySizeRange", "WrappingKeyTypeInconsistent"),
    *("MultipleObjectsReturned", "MultipleTokensReturned", "NoSuchKey", "NoSuchToken"),
}
"""Errors of calls that a gateway never makes, or of the library's own."""


def classes() -> set[str]:
    found = (one for one in vars(ck).values() if isinstance(one, type))
    return {one.__name__ for one in found if issubclass(one, ck.PKCS11Error)} - {"PKCS11Error"}


def test_table_has_every_error_that_a_call_of_ours_may_give() -> None:
    known = {row["class"] for row in TABLE.values() if "class" in row}
    assert classes() - known == NO_CALL_OF_OURS


@pytest.mark.parametrize("name", TABLE)
def test_row_is_whole_and_written_for_people(name: str) -> None:
    row = TABLE[name]
    assert set(row) - {"class"} == {"code", "sort", "rung", "meaning", "action"}
    assert row["sort"] in ("transient", "permanent", "fatal", "pin")
    for text in (row["meaning"], row["action"]):
        assert re.fullmatch(r"[a-z`].{8,110}[a-zM`]", text), text
        assert "\n" not in text
    assert len([one for one in TABLE.values() if one["code"] == row["code"]]) == 1


@pytest.mark.parametrize("name", TABLE)
def test_error_is_found_by_its_class_and_by_its_number(name: str) -> None:
    fault = faults()[f"CKR_{name}"]
    assert fault_of(error_of(fault.code)) == fault
    assert fault_of(ck.PKCS11Error(f"Unmapped error code {fault.code:#x}")) == fault


def test_errors_are_listed_in_the_order_of_their_numbers() -> None:
    codes = [fault.code for fault in faults().values()]
    assert codes == sorted(codes)


def test_number_of_a_maker_is_named_after_its_own_beginning() -> None:
    fault = fault_of(ck.PKCS11Error("Unmapped error code 0x80000123"))
    assert fault is not None
    assert fault.name == "CKR_VENDOR_DEFINED+0x123"


@pytest.mark.parametrize("text", ["", "Unmapped error code 0x7fff", "OS exception"])
def test_error_that_nobody_knows_is_told_as_such(text: str) -> None:
    fault = fault_of(ck.PKCS11Error(text))
    assert fault is not None
    assert (fault.name, fault.sort, fault.rung) == ("CKR_UNKNOWN", "transient", Rung.MODULE)


def test_errors_that_are_not_pkcs11_have_no_row() -> None:
    assert fault_of(ValueError("x")) is None
    assert describe(ValueError("secret")) == "ValueError"
    assert advise(ValueError("secret"))


@pytest.mark.parametrize(
    ("error", "rung"),
    [
        (ck.SessionHandleInvalid(), Rung.SESSION),
        (ck.OperationActive(), Rung.SESSION),
        (ck.UserNotLoggedIn(), Rung.LOGIN),
        (LoggedOutError(), Rung.LOGIN),
        (ck.DeviceError(), Rung.MODULE),
        (ck.GeneralError(), Rung.MODULE),
        (TokenFaultError("a signature of 5 bytes"), Rung.MODULE),
        (MissingError("no-such-key", "no key"), Rung.MODULE),
    ],
)
def test_healing_begins_where_the_error_says(error: Exception, rung: Rung) -> None:
    assert rung_of(error) is rung


@pytest.mark.parametrize("error", [ck.PinIncorrect(), ck.PinLocked(), ck.PinLenRange()])
def test_login_is_not_repeated_after_an_error_of_the_pin(error: Exception) -> None:
    assert is_pin_error(error)


@pytest.mark.parametrize(
    "error", [ck.DeviceError(), ck.UserPinNotInitialized(), TokenFaultError("x"), ValueError("x")]
)
def test_other_errors_say_nothing_about_the_pin(error: Exception) -> None:
    assert not is_pin_error(error)


def test_counters_name_errors_by_the_standard_or_by_our_code() -> None:
    assert name_of(ck.DeviceError()) == "CKR_DEVICE_ERROR"
    assert name_of(TokenFaultError("anything")) == "token-fault"
    assert name_of(MissingError("no-such-key", "no key")) == "no-such-key"
