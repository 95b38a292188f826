"""Files that cannot be used are faults in words, and no errors that would end the daemon."""

import ssl
import subprocess
from pathlib import Path

import pytest

from chopmark.mesh import tls as module
from chopmark.mesh.broker import Broker, Tls
from chopmark.mesh.tls import TlsFaultError, explain, open_context, probe
from rig.authority import Authority


@pytest.fixture
def files(tmp_path: Path) -> Tls:
    """A set that is good."""
    authority = Authority(tmp_path, "ca")
    pair = authority.issue("hk-1")
    return Tls(authority.path, pair.certificate, pair.key, "broker.example", "hk-1")


def put_odd(files: Tls, curve: str, *, key: bool) -> None:
    """Put a certificate, and perhaps its key, of a curve there that `cryptography` has not."""
    folder = files.key.parent
    made = folder / "odd.key"
    new = ["genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-out", made]
    own = ["req", "-x509", "-new", "-key", made, "-subj", "/CN=hk-1", "-out", files.certificate]
    for command in (new, own):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    if key:
        files.key.write_bytes(made.read_bytes())


def test_good_files_are_taken(files: Tls) -> None:
    assert open_context(files).name == "broker.example"


@pytest.mark.parametrize("gone", ["ca", "certificate", "key"])
def test_file_that_goes_after_it_was_checked_is_a_fault(
    files: Tls, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = module.check_files

    def checked_and_gone(tls: Tls) -> object:
        found = check(tls)
        getattr(tls, gone).unlink()
        return found

    monkeypatch.setattr(module, "check_files", checked_and_gone)
    with pytest.raises(TlsFaultError) as caught:
        open_context(files)
    assert caught.value.fault.code == "tls-file"
    assert caught.value.fault.message.endswith("No such file or directory")


@pytest.mark.parametrize("curve", ["SM2", "brainpoolP224r1"])
@pytest.mark.parametrize("key", [True, False], ids=["key", "certificate"])
def test_unknown_curve_is_a_fault_wherever_files_are_read(
    files: Tls, curve: str, *, key: bool
) -> None:
    put_odd(files, curve, key=key)
    odd = files.key if key else files.certificate
    found = probe(Broker("127.0.0.1", 1), files, 1, 1.0)
    assert found is not None
    assert (found.code, found.hint) == ("tls-file", "use P-256")
    assert found.message.endswith(f"{odd} is of a kind that is not supported")
    refusal = ssl.SSLError(1, "alert")
    refusal.reason = "SSLV3_ALERT_BAD_CERTIFICATE"
    told = explain(refusal, files)
    assert told is not None
    assert told.code == "tls-refused"
