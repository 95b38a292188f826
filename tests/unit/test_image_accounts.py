"""Users and groups of the image: the same numbers in every build, and nobody without one."""

import re
import shutil
import subprocess
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from imagebuild import root as rootfs
from imagebuild.accounts import check_accounts, differences, essential_hook
from imagebuild.base import base_path
from imagebuild.description import FOLDER, NUMBERS, Accounts, load_description, load_profile
from leftout import leave_out

TOP = FOLDER.parent
ACCOUNTS = load_description().accounts
PASSWD = "root:*:0:0:root:/root:/bin/bash\nnobody:*:65534:65534:nobody:/nonexistent:/bin/false\n"
GROUP = "root:*:0:\nusers:*:100:\nnogroup:*:65534:\n"


@dataclass(frozen=True)
class Root:
    """A root as base-passwd leaves it, with no other package."""

    folder: Path

    def text(self, name: str) -> str:
        return (self.folder / "etc" / name).read_text()

    def add(self, name: str, line: str) -> None:
        path = self.folder / "etc" / name
        path.write_text(f"{path.read_text()}{line}\n")

    def replace(self, name: str, old: str, new: str) -> None:
        path = self.folder / "etc" / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    folder = tmp_path / "debian"
    (folder / "etc").mkdir(parents=True)
    (folder / "usr/share/base-passwd").mkdir(parents=True)
    for name, text in (("passwd", PASSWD), ("group", GROUP)):
        (folder / "etc" / name).write_text(text)
        (folder / f"usr/share/base-passwd/{name}.master").write_text(text)
    return Root(folder)


@pytest.fixture
def filled(root: Root) -> Root:
    """After the hook, which mmdebstrap runs like this."""
    subprocess.run(["sh", "-c", essential_hook(ACCOUNTS), "exec", root.folder], check=True)
    return root


def test_root_with_the_accounts_of_the_description_is_taken(filled: Root) -> None:
    check_accounts(filled.folder, ACCOUNTS)
    assert "chopmark:*:810:810::/var/lib/chopmark:/usr/sbin/nologin\n" in filled.text("passwd")
    assert filled.text("passwd").startswith(PASSWD)
    assert filled.text("group").startswith(GROUP)
    assert "systemd-journal:*:830:\n" in filled.text("group")


def test_hook_fails_where_base_passwd_has_made_nothing(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    command = ["sh", "-c", essential_hook(ACCOUNTS), "exec", tmp_path]
    assert subprocess.run(command, check=False).returncode != 0
    assert not (tmp_path / "etc/passwd").exists()


def test_user_with_another_number_ends_the_build(
    filled: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    filled.replace("passwd", "mosquitto:*:820:820:", "mosquitto:x:102:820:")
    with pytest.raises(SystemExit):
        check_accounts(filled.folder, ACCOUNTS)
    said = capsys.readouterr().err
    assert "the user mosquitto is 102:820, not 820:820" in said
    assert "[accounts]" in said


def test_user_whose_group_has_another_number_is_found(filled: Root) -> None:
    filled.replace("group", "tss:*:821:", "tss:x:106:")
    filled.replace("passwd", "tss:*:821:821:", "tss:x:821:106:")
    assert list(differences(filled.folder, ACCOUNTS)) == [
        "the user tss is 821:106, not 821:821",
        "the group tss is 106, not 821",
    ]


def test_accounts_that_nobody_listed_are_found(filled: Root) -> None:
    """Whatever their number: one that a package has taken below 100 is no better."""
    filled.add("passwd", "polkitd:x:103:108::/nonexistent:/usr/sbin/nologin")
    filled.add("group", "polkitd:x:108:")
    filled.add("group", "vendor:x:77:")
    assert list(differences(filled.folder, ACCOUNTS)) == [
        "the user polkitd (103:108) is new",
        "the group polkitd (108) is new",
        "the group vendor (77) is new",
    ]


def test_account_that_is_gone_is_found(filled: Root) -> None:
    filled.replace("group", "softhsm:*:831:\n", "")
    assert list(differences(filled.folder, ACCOUNTS)) == ["the group softhsm is not there"]


def test_members_of_a_group_change_nothing(filled: Root) -> None:
    filled.replace("group", "systemd-journal:*:830:", "systemd-journal:x:830:chopmark-console")
    assert list(differences(filled.folder, ACCOUNTS)) == []


def test_sysusers_leaves_the_numbers_as_they_are(filled: Root) -> None:
    """As a package's script calls it, with our files: they name no number."""
    program = shutil.which("systemd-sysusers")
    if program is None:
        leave_out("systemd-sysusers is not installed (apt install systemd)")
    filled.add("group", "dialout:*:20:")
    files = sorted(TOP.glob("systemd/sysusers.d/*.conf"))
    subprocess.run([program, f"--root={filled.folder}", *files], check=True, capture_output=True)
    assert list(differences(filled.folder, ACCOUNTS)) == ["the group dialout (20) is new"]
    assert re.search(r"^chopmark:\*:810:.*chopmark-console", filled.text("group"), re.MULTILINE)


def test_sysusers_of_a_root_without_the_hook_is_found(root: Root) -> None:
    """What is guarded against: numbers in the order of installation."""
    program = shutil.which("systemd-sysusers")
    if program is None:
        leave_out("systemd-sysusers is not installed (apt install systemd)")
    files = sorted(TOP.glob("systemd/sysusers.d/*.conf"))
    subprocess.run([program, f"--root={root.folder}", *files], check=True, capture_output=True)
    found = list(differences(root.folder, ACCOUNTS))
    assert any(re.fullmatch(r"the user chopmark is 9\d\d:9\d\d, not 810:810", one) for one in found)


def test_every_user_of_the_package_has_its_number_and_home_on_the_image() -> None:
    """The package itself gives none: on other machines numbers are the machine's own."""
    for path in TOP.glob("systemd/sysusers.d/*.conf"):
        for kind, name, number, rest in re.findall(
            r"^([ug]) (\S+) (\S+)(.*)$", path.read_text(), re.MULTILINE
        ):
            assert number == "-", f"{path.name}: {name}"
            assert kind == "u"
            assert ACCOUNTS.users[name].home == rest.split()[-1]


def test_every_user_and_group_of_units_and_rules_is_one_of_the_image() -> None:
    """But for root, dialout and tty, which are Debian's own, and those that systemd makes up."""
    known = {*ACCOUNTS.users, *ACCOUNTS.groups, "root", "dialout", "tty"}
    named = set()
    for folder in (TOP / "systemd", FOLDER / "root"):
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix in {".service", ".socket", ".conf", ".rules"}:
                said = (
                    r'^(?:User|Group|SocketUser|SocketGroup|SupplementaryGroups|GROUP)="?([\w-]+)'
                )
                named |= set(re.findall(said, path.read_text(), re.MULTILINE))
    assert {"chopmark", "chopmark-hsm", "chopmark-console", "tss"} <= named
    assert named <= known


def changed(**groups: int) -> Accounts:
    return msgspec.structs.replace(ACCOUNTS, groups=ACCOUNTS.groups | groups)


def test_other_numbers_make_another_base(tmp_path: Path) -> None:
    """One that is kept has the old numbers in it."""
    description = load_description()
    profile = load_profile(FOLDER / "profiles/x86-64.toml")
    other = msgspec.structs.replace(description, accounts=changed(softhsm=840))
    assert base_path(description, profile, tmp_path) == base_path(description, profile, tmp_path)
    assert base_path(other, profile, tmp_path) != base_path(description, profile, tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("softhsm = 810", "810.* twice"),
        ("softhsm = 999", "999.*810 to 849"),
        ("softhsm = '8'", "int"),
    ],
)
def test_number_that_cannot_be_given_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "image.toml"
    path.write_text((FOLDER / "image.toml").read_text().replace("softhsm = 831", line))
    with pytest.raises(ValueError, match=message):
        load_description(path)


def test_numbers_are_where_nobody_else_gives_any() -> None:
    """adduser counts up from 100, sysusers and useradd down from 999."""
    assert set(ACCOUNTS.numbers) <= set(NUMBERS)
    assert min(NUMBERS) > 300
    assert max(NUMBERS) < 950


def test_root_is_compared_once_all_packages_are_in_and_before_it_is_finished(
    filled: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package of a maker's brings its user as others do. What needs root is left out."""
    new, steps = Root(tmp_path / "root"), []

    def install(_root: Path, package: Path) -> None:
        steps.append(package.name)
        if package.name == "maker.deb":
            new.add("passwd", "maker:x:104:104::/:/bin/sh")

    def unpack(*_words: object) -> None:
        shutil.copytree(filled.folder, new.folder, dirs_exist_ok=True)

    for name in ("set_times", "_copy_files", "_copy_one", "install_hsm", "_set_units", "_compile"):
        monkeypatch.setattr(rootfs, name, lambda *_given, name=name: steps.append(name))
    monkeypatch.setattr(rootfs, "run", unpack)
    monkeypatch.setattr(rootfs, "_programs_of", lambda _root: nullcontext())
    monkeypatch.setattr(rootfs, "_install", install)
    monkeypatch.setattr(rootfs, "_finish", lambda _root: steps.append("_finish"))
    (tmp_path / "maker.deb").touch()
    path = tmp_path / "x86-64.toml"
    hsm = '[hsm]\nmodule = "/usr/lib/p11.so"\ndebs = ["maker.deb"]\n'
    path.write_text((FOLDER / "profiles/x86-64.toml").read_text() + hsm)
    parts = rootfs.Parts(tmp_path / "base.tar", tmp_path / "chopmark.deb", tmp_path)
    given = (parts, load_description(), load_profile(path), new.folder)
    with pytest.raises(SystemExit):
        rootfs.make_root(*given)
    assert steps[:4] == ["chopmark.deb", "maker.deb", "_copy_files", "install_hsm"]
    assert "_finish" not in steps
    monkeypatch.setattr(rootfs, "_install", lambda *_given: None)
    rootfs.make_root(*given)
    assert steps[-2:] == ["_finish", "set_times"]
