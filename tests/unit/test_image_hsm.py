"""What an image has for a box's HSM, by its profile: drop-ins, groups, the console's module."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from chopmark.admin.settings import load_settings
from imagebuild.description import FOLDER, FOR_A_MODULE, Profile, load_profile
from imagebuild.hsm import CALLERS, files_of, groups_of, install_hsm, units_of
from leftout import leave_out

UNITS = FOLDER.parent / "systemd"
OPENSC = "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so"
SYSTEM = "etc/systemd/system"


def profile_with(folder: Path, hsm: str) -> Profile:
    path = folder / "x86-64.toml"
    text = (FOLDER / "profiles/x86-64.toml").read_text()
    path.write_text(f"{text}\n[hsm]\n{hsm}\n")
    return load_profile(path)


def settings_of(files: dict[str, str], folder: Path) -> Any:
    path = folder / "admin.toml"
    path.write_text(files["etc/chopmark/admin.toml"])
    return load_settings(path, needed=True)


def test_drop_ins_that_a_profile_may_name_are_all_but_those_that_are_no_modules() -> None:
    there = {path.name for path in UNITS.glob("chopmark.service.d/*.conf")}
    assert there - FOR_A_MODULE == {"isolation.conf", "sealed-pin.conf"}
    assert there > FOR_A_MODULE


@pytest.mark.parametrize(
    ("hsm", "message"),
    [
        (f'module = "{OPENSC}"\ndropins = ["pcsd.conf"]', r"pcsd\.conf.*pcscd\.conf"),
        (f'module = "{OPENSC}"\ndropins = ["sealed-pin.conf"]', r"sealed-pin\.conf"),
        (f'module = "{OPENSC}"\ndropin = ["pcscd.conf"]', "dropin"),
        ('module = "opensc-pkcs11.so"', "a path on the box"),
        (f'module = "{OPENSC}"\ndebs = ["vendor.deb"]', r"vendor\.deb.* are not in"),
        (f'module = "{OPENSC}"\ndropins = ["network-hsm.conf"]', "needs isolated"),
        (f'module = "{OPENSC}"\nenvironment = {{ A = \'b"c\' }}', "environment: A"),
        (f'module = "{OPENSC}"\nenvironment = {{ "A B" = "c" }}', "environment: A B"),
    ],
)
def test_profile_whose_hsm_cannot_work_is_refused(tmp_path: Path, hsm: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        profile_with(tmp_path, hsm)


def test_profile_without_an_hsm_changes_nothing() -> None:
    profile = load_profile(FOLDER / "profiles/x86-64.toml")
    assert files_of(profile) == {}
    assert units_of(profile) == []


def test_module_in_the_daemon_gets_its_drop_ins_in_all_who_open_the_token(tmp_path: Path) -> None:
    profile = profile_with(tmp_path, f'module = "{OPENSC}"\ndropins = ["pcscd.conf"]')
    files = files_of(profile)
    shipped = (UNITS / "chopmark.service.d/pcscd.conf").read_text()
    for unit in CALLERS:
        assert files[f"{SYSTEM}/{unit}.service.d/pcscd.conf"] == shipped
    assert not [place for place in files if "chopmark-hsm.service.d" in place]
    assert units_of(profile) == []
    assert groups_of(files) == ["chopmark-hsm"]
    assert settings_of(files, tmp_path).modules == {"hsm": Path(OPENSC)}


def test_module_kept_apart_gets_them_in_its_own_unit_which_is_on(tmp_path: Path) -> None:
    hsm = f'module = "{OPENSC}"\nisolated = true\ndropins = ["tpm.conf", "jit.conf"]'
    profile = profile_with(tmp_path, hsm)
    files = files_of(profile)
    own = f"{SYSTEM}/chopmark-hsm.service.d"
    assert files[f"{own}/tpm.conf"] == (UNITS / "chopmark-hsm.service.d/tpm.conf").read_text()
    assert files[f"{own}/jit.conf"] == (UNITS / "chopmark.service.d/jit.conf").read_text()
    assert f'Environment="MODULE={OPENSC}"' in files[f"{own}/vendor-module.conf"]
    isolation = (UNITS / "chopmark.service.d/isolation.conf").read_text()
    for unit in CALLERS:
        there = [place for place in files if f"/{unit}.service.d/" in place]
        assert there == [f"{SYSTEM}/{unit}.service.d/isolation.conf"]
        assert files[there[0]] == isolation
    assert units_of(profile) == ["chopmark-hsm.service"]
    assert groups_of(files) == ["chopmark-hsm"], "the TPM is the module's unit's alone"
    settings = settings_of(files, tmp_path)
    assert list(settings.modules) == ["kept-apart"]
    assert settings.modules["kept-apart"].name == "p11-kit-client.so"
    address = "unix:path=/run/chopmark-hsm/pkcs11.sock"
    assert settings.environment == {"P11_KIT_SERVER_ADDRESS": address}


def test_variables_of_a_module_reach_units_and_programs_of_root(tmp_path: Path) -> None:
    hsm = f'module = "{OPENSC}"\ndropins = ["tpm.conf"]\nenvironment = {{ A = "b c" }}'
    files = files_of(profile_with(tmp_path, hsm))
    last = f"{SYSTEM}/chopmark.service.d/vendor-module.conf"
    assert 'Environment="A=b c"' in files[last].splitlines()
    assert last == max(place for place in files if "/chopmark.service.d/" in place)
    environment = settings_of(files, tmp_path).environment
    assert environment == {"A": "b c", "TPM2_PKCS11_STORE": "/var/lib/chopmark/tpm2_pkcs11"}


def test_module_elsewhere_has_its_folder_in_the_drop_in(tmp_path: Path) -> None:
    hsm = 'module = "/opt/maker/lib/p11.so"\ndropins = ["module-path.conf"]'
    files = files_of(profile_with(tmp_path, hsm))
    text = files[f"{SYSTEM}/chopmark.service.d/module-path.conf"]
    assert "ExecPaths=/opt/maker/lib" in text.splitlines()


def test_module_that_no_package_brought_ends_the_build(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = profile_with(tmp_path, f'module = "{OPENSC}"')
    with pytest.raises(SystemExit):
        install_hsm(tmp_path, profile)
    assert OPENSC in capsys.readouterr().err
    assert not (tmp_path / SYSTEM).exists()


@pytest.mark.parametrize("isolated", ["false", "true"])
def test_units_with_all_drop_ins_of_a_profile_are_good(tmp_path: Path, isolated: str) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        leave_out("systemd-analyze is not installed (apt install systemd)")
    names = sorted(FOR_A_MODULE - ({"network-hsm.conf"} if isolated == "false" else set()))
    hsm = f'module = "{OPENSC}"\nisolated = {isolated}\ndropins = {names}\nenvironment.A = "b"'
    files = files_of(profile_with(tmp_path, hsm))
    folder = tmp_path / "system"
    folder.mkdir()
    for path in UNITS.glob("chopmark*.*"):
        if path.is_file():
            text = re.sub(r"/opt/chopmark/bin/\S+", "/bin/true", path.read_text())
            (folder / path.name).write_text(text)
    for place, text in files.items():
        if place.startswith(SYSTEM):
            path = folder / Path(place).relative_to(SYSTEM)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    for unit in (*CALLERS, "chopmark-hsm"):
        command = [program, "verify", "--man=no", folder / f"{unit}.service"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said = (done.stdout + done.stderr).splitlines()
        assert [line for line in said if "chopmark" in line] == []


def test_example_in_the_readme_is_a_profile_that_loads(tmp_path: Path) -> None:
    text = (FOLDER / "README.md").read_text().partition("## An image for an HSM")[2]
    example = text.partition("```toml\n")[2].partition("```")[0]
    table = tomllib.loads(example)
    assert {"opensc", "pcscd"} <= set(table["packages"])
    files = files_of(profile_with(tmp_path, example.partition("[hsm]\n")[2]))
    assert settings_of(files, tmp_path).modules
