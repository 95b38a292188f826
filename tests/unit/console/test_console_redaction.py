"""What is taken out of a bundle: secrets that were planted wherever text can be."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import configs
from chopmark.console.redaction import GONE, Redactor, read_secrets

PIN = "738164"
PASSWORD = "correct-horse7"
TOKEN = "c2VjcmV0LXRva2VuLTEyMzQ1"
KEY = "MC4CAQAwBQYDK2VuBCIEIHcRy5+planted+private+key+material+0123456="
PEM = f"-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----"
PLANTED = (PIN, PASSWORD, TOKEN, KEY)


@pytest.mark.parametrize(
    "line",
    [
        f"hsm: the PIN {PIN} was refused",
        f"pin={PIN}",
        f"PIN: {PIN}",
        f"so-pin = '{PIN}'",
        f'{{"pin": "{PIN}"}}',
        f'{{\\"pin\\": \\"{PIN}\\"}}',
        f"--pin {PIN}",
        f"password: {PASSWORD}",
        f"the password is {PASSWORD}, it said",
        f"passphrase={PASSWORD}",
        f"passphrase: correct horse {PASSWORD}",
        f"secret=abc;{TOKEN}",
        f'db_password="{PASSWORD}"',
        f"Authorization: Bearer {TOKEN}",
        f"Bearer {TOKEN}",
        f"access_token={TOKEN}&scope=x",
        f'"refresh-token": "{TOKEN}"',
        f"api_key={TOKEN}",
        f"client_secret: {TOKEN}",
        f"Cookie: __Host-chopmark-session={TOKEN}; x=y",
        f"https://user:{PASSWORD}@proxy.example/",
        f"mqtts://gw:{PASSWORD}@broker.example:8883",
        f"otpauth://totp/x?secret={TOKEN}",
        f"eyJhbGciOiJub25lIn0.{TOKEN}.{TOKEN}",
        PEM,
        PEM.replace("\n", "\\n"),
        PEM.replace("PRIVATE KEY", "EC PRIVATE KEY"),
        PEM.partition("-----END")[0],
    ],
)
def test_secret_in_a_line_is_taken_out(line: str) -> None:
    redactor = Redactor()
    kept = redactor.text(f"before\n{line}")
    assert not [one for one in PLANTED if one in kept]
    assert GONE in kept
    assert kept.startswith("before\n")
    assert redactor.count >= 1


@pytest.mark.parametrize(
    "line",
    [
        "the PIN was refused and is latched",
        "HSM away: CKR_TOKEN_NOT_PRESENT (token hk-1)",
        "bank-hk.example/hk-1+160a672c+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEbw",
        "-----BEGIN CERTIFICATE-----",
        "https://127.0.0.1:8443 is served",
        "pinned roster version 3",
        "E-1042: exit code 10; status code 503",
        '{"code": "hsm-away", "status": 503}',
        "code: hsm-away",
        "security codes are asked for",
        "the one-time code was not typed",
        "log.db 123456 bytes, root key of the roster 3",
        'pin = "credential"',
        "2026-11-30T17:25:17.427Z INFO chopmark.mesh: connected to broker 127.0.0.1:17163",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    redactor = Redactor()
    assert redactor.text(line) == line
    assert redactor.count == 0


NAMES = (
    "otp",
    "OTP",
    "totp",
    "hotp_code",
    "user_otp",
    "one-time code",
    "one time password",
    "commissioning code",
    "Commissioning-Code",
    "commissioning_code",
    "unlock code",
    "activation code",
    "recovery key",
    "verification code",
    "auth code",
    "login_code",
    "2fa code",
    "PIN",
    "PIN code",
    "so pin",
    "password",
    "secret",
    "验证码",
    "开通码",
    "動態碼（按時間）",
)
digits = st.from_regex(r"\A[0-9]{6,8}\Z")
in_threes = st.from_regex(r"\A[0-9]{3} [0-9]{3}\Z")
groups = st.from_regex(r"\A[A-Z2-7]{4}(-[A-Z2-7]{4}){3}\Z")
spaced = st.from_regex(r"\A[A-Z2-7]{4}( [A-Z2-7]{4}){3}\Z")
words = st.from_regex(r"\A[a-z]{3,8}[0-9]{2,6}[a-z]{0,4}\Z")
NOISE = st.sampled_from(("", "chan types ", "hsm: the ", "(", "x=1 ", "\n", "提示："))


@given(
    before=NOISE,
    name=st.sampled_from(NAMES),
    between=st.sampled_from(("=", ": ", " = ", ' = "', "='", " is ", " was ", " ", '": "')),
    value=st.one_of(digits, groups, words),
    after=st.sampled_from(("", " refused", ", again", "\nnext", '"', ")")),
)
def test_whatever_stands_behind_the_name_of_a_secret_goes(
    before: str, name: str, between: str, value: str, after: str
) -> None:
    kept = Redactor().text(f"{before}{name}{between}{value}{after}")
    assert value not in kept, kept
    assert ("next" in kept) == ("next" in after), "a line more than its own is gone"


@given(
    name=st.sampled_from(
        [one for one in NAMES if "code" in one or "otp" in one.lower() or not one.isascii()]
    ),
    between=st.sampled_from(("=", ": ", " ", " is ")),
    value=st.one_of(in_threes, groups, spaced),
)
def test_no_group_of_a_code_is_left(name: str, between: str, value: str) -> None:
    kept = Redactor().text(f"{name}{between}{value} was typed")
    rest = kept.removeprefix(name)
    assert not [one for one in re.split("[- ]", value) if one in rest], kept
    assert rest.endswith("was typed")


@given(name=st.sampled_from(NAMES), value=st.one_of(digits, in_threes, groups, spaced, words))
def test_field_of_json_that_is_called_like_a_secret_has_no_value(name: str, value: str) -> None:
    kept = json.dumps(Redactor().json({name: value, "reason": f"{name}={value}"}))
    assert value not in kept


def test_known_secret_goes_wherever_it_stands() -> None:
    redactor = Redactor([PIN, "ab"])
    assert redactor.text(f"x {PIN} y ab 1{PIN}") == f"x {GONE} y ab 1{PIN}"


def test_json_keeps_its_shape_and_loses_secrets() -> None:
    value = {
        "token": "hk-1",
        "pin": PIN,
        "nested": [{"password": {"text": PASSWORD}}, f"pin={PIN}", 7, None, True],
        "reason": f"login with PIN {PIN} failed",
        f"token={TOKEN}": 1,
        "has_pin": True,
        "pin_tries": 3,
        "user_pin": int("9" * 6),
    }
    kept = Redactor().json(value)
    text = json.dumps(kept)
    assert not [one for one in PLANTED if one in text]
    assert kept["token"] == "hk-1"
    assert kept["pin_tries"] == 3
    assert kept["user_pin"] == GONE
    assert kept["nested"][2:] == [7, None, True]


def test_configuration_is_made_anew_without_its_comments() -> None:
    text = f"# the PIN is {PIN}\n{configs.BASE}\n# {PASSWORD}\n"
    kept = Redactor().config(text.encode())
    assert not [one for one in PLANTED if one in kept]
    assert 'id = "hk-1"' in kept


def test_broken_configuration_keeps_sections_and_names_only() -> None:
    text = (
        f'[hsm]\npin = "{PIN}"\nmodule = "/usr/lib/{PASSWORD}.so"\n{PASSWORD}\n[[broker]]\nhost = '
    )
    kept = Redactor().config(text.encode())
    assert not [one for one in PLANTED if one in kept]
    assert "[hsm]" in kept
    assert "module = …" in kept
    assert "[[broker]]" in kept


def test_secrets_of_folders_and_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "hsm-pin").write_text(f"{PIN}\n")
    (tmp_path / "folder").mkdir()
    other = tmp_path / "folder" / "oidc"
    other.write_text(PASSWORD)
    assert set(read_secrets([tmp_path, tmp_path / "none"], [other])) == {PIN, PASSWORD}


@pytest.mark.parametrize(
    "piece", ["a_", "a.", "eyJ-", "pin ", 'pin="', "-----BEGIN PRIVATE KEY-----"]
)
def test_no_text_takes_long(piece: str) -> None:
    """What is quadratic would take minutes here, and run into the time limit of tests."""
    Redactor().text(piece * (300_000 // len(piece)))
