"""The appliance's description and the configuration of the box: form and sense, without a box."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from threading import Event
from types import ModuleType, SimpleNamespace

import pytest

from chopmark.service.config import parse_config
from configs import BASE
from imagebuild.base import packages_of
from imagebuild.description import FOLDER, load_description, load_profile
from imagebuild.disk import FACTORY, partitions
from imagebuild.sbom import python as python_components
from imagebuild.tools import remove_tree
from leftout import leave_out

ROOT = FOLDER / "root"
PROFILES = sorted(FOLDER.glob("profiles/*.toml"))
TOP = FOLDER.parent


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_profile_is_well_formed(path: Path) -> None:
    profile = load_profile(path)
    assert profile.built is (profile.name == "x86-64")
    assert any(name.startswith("linux-image-") for name in profile.packages)


def test_profile_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x86-64.toml"
    path.write_text(PROFILES[-1].read_text() + "\nwifi = true\n")
    with pytest.raises(ValueError, match="wifi"):
        load_profile(path)


def test_profile_whose_kernel_writes_to_the_technicians_port_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x86-64.toml"
    text = (FOLDER / "profiles/x86-64.toml").read_text()
    path.write_text(text.replace('kernel = ["tty0"]', 'kernel = ["ttyS0"]'))
    with pytest.raises(ValueError, match="ttyS0"):
        load_profile(path)


def test_description_names_no_package_twice() -> None:
    groups = [name for group in load_description().packages.values() for name in group]
    assert sorted(groups) == sorted(set(groups))


def test_slots_are_alike_and_the_data_partition_is_last() -> None:
    sizes = {name: size for name, size, _ in partitions(load_description().layout)}
    assert sizes["boot-a"] == sizes["boot-b"]
    assert sizes["system-a"] == sizes["system-b"]
    assert list(sizes)[-1] == "data"


def test_factory_starts_slot_a_and_has_every_variable_of_the_boot_loader() -> None:
    text = (FOLDER / "boot/grub.cfg").read_text()
    saved = re.search(r"^save_env (.*)$", text, re.MULTILINE)
    assert saved is not None
    assert set(saved[1].split()) == set(FACTORY)
    assert (FACTORY["ORDER"], FACTORY["A_OK"], FACTORY["B_OK"]) == ("A B", "1", "0")


def test_kernel_is_given_no_word_that_switches_sysrq_on() -> None:
    """`sysrq_always_enabled` does so whatever stands behind it, and no sysctl undoes it."""
    line = " ".join(load_description().kernel.arguments)
    assert "sysrq" not in line


def test_boot_loader_lets_nobody_edit() -> None:
    text = (FOLDER / "boot/grub.cfg").read_text()
    assert 'set superusers="nobody"' in text
    assert "password" not in text.replace("it has no password", "")
    assert text.count("menuentry ") == text.count("--unrestricted {")


def test_boot_loaders_configuration_parses() -> None:
    program = shutil.which("grub-script-check")
    if program is None:
        leave_out("grub-script-check is not installed (./setup.sh image)")
    subprocess.run([program, FOLDER / "boot/grub.cfg"], check=True)


@pytest.mark.parametrize("name", ["data-up", "data-key", "stage", "make-token"])
def test_script_parses(name: str) -> None:
    subprocess.run(["sh", "-n", ROOT / "usr/lib/chopmark" / name], check=True)


@pytest.fixture
def firewall(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program that opens the packet filter."""
    loader = SourceFileLoader("firewall", str(ROOT / "usr/lib/chopmark/firewall"))
    made = module_from_spec(spec_from_loader("firewall", loader) or pytest.fail("no module"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(made)
    return made


def test_firewall_lets_out_to_what_the_configuration_names(firewall: ModuleType) -> None:
    text = BASE.replace('"127.0.0.1"', '"192.0.2.7"\nport = 8883\npublish_port = 8884')
    more = '[audit.syslog]\nhost = "192.0.2.9"\nca = "/ca.pem"\n'
    more += '[firmware]\nsource = "https://192.0.2.11/chopmark/"\n'
    ends = set(firewall.find_ends(parse_config(f"{text}\n{more}".encode())))
    named = {("192.0.2.7", 8883), ("192.0.2.7", 8884), ("192.0.2.9", 6514)}
    assert ends == named | {("192.0.2.11", 443)}
    more += 'proxy = "192.0.2.13:3128"\n'
    ends = set(firewall.find_ends(parse_config(f"{text}\n{more}".encode())))
    assert ends == named | {("192.0.2.13", 3128)}
    lines = [*firewall.open_to("192.0.2.7", [8883]), *firewall.open_to("2001:db8::7", [8883])]
    assert lines[0] == "add element inet chopmark brokers { 192.0.2.7 . 8883 timeout 1h }"
    assert lines[3].startswith("add element inet chopmark brokers6 { 2001:db8::7 . 8883 ")
    _check_with_kernel("\n".join(lines))


def test_firewall_lets_out_to_every_host_of_the_openid_provider(firewall: ModuleType) -> None:
    pages = '[api.page]\nlisten = "0.0.0.0:8444"\ncertificate = "/a.pem"\nkey = "/a.key"\n'
    provider = '[api.oidc]\nissuer = "https://login.example"\nclient_id = "chopmark"\n'
    provider += 'address = "https://gateway.example"\nhosts = ["keys.example", "t.example:8443"]\n'
    group = '[[api.oidc.group]]\nname = "clerks"\nroles = ["verifier"]\n'
    ends = set(firewall.find_ends(parse_config(f"{BASE}\n{pages}{provider}{group}".encode())))
    assert {("login.example", 443), ("keys.example", 443), ("t.example", 8443)} <= ends


class Opened:
    """What the firewall's program has nft do, in an order with other things that happen."""

    def __init__(
        self, firewall: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.end = Event()
        self.seen: list[str] = []
        self.asked: list[str] = []
        self.answers: dict[str, list[str]] = {}
        monkeypatch.setattr(firewall, "apply", self._apply)
        monkeypatch.setattr(firewall, "notify_ready", lambda _status: self.seen.append("ready"))
        monkeypatch.setattr(firewall, "look_up", self._look_up)
        monkeypatch.setattr(firewall, "CONFIG", tmp_path / "gateway.toml")
        hosts = ("slow.example", "192.0.2.7", "quick.example")
        brokers = [f'[[broker]]\nhost = "{one}"\npublish_port = 1884\n' for one in hosts]
        text = re.sub(r"(?ms)^\[\[broker\]\].*?(?=^\[|\Z)", "", BASE)
        (tmp_path / "gateway.toml").write_text(text + "\n".join(brokers))

    def _apply(self, lines: Iterable[str]) -> bool:
        found = re.findall(r"brokers6? \{ (\S+ \. \d+) timeout", "\n".join(lines))
        self.seen += sorted(set(found))
        return True

    def _look_up(self, host: str) -> list[str]:
        self.asked.append(host)
        if host in self.answers:
            return self.answers[host]
        self.end.wait()  # a name server that is dead
        return []


def test_firewall_opens_addresses_before_any_name_is_looked_up(
    firewall: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway starts as soon as it is ready: no name server that is dead holds that up."""
    opened = Opened(firewall, tmp_path, monkeypatch)
    opened.answers["quick.example"] = ["192.0.2.9", "2001:db8::9"]
    late = SimpleNamespace(monotonic=lambda: 1e9 if "192.0.2.9 . 1883" in opened.seen else 0.0)
    monkeypatch.setattr(firewall, "time", late)
    assert firewall.main() == 0
    opened.end.set()
    assert opened.seen[:3] == ["192.0.2.7 . 1883", "192.0.2.7 . 1884", "ready"]
    assert {"192.0.2.9 . 1883", "192.0.2.9 . 1884"} <= set(opened.seen[3:])
    assert {"2001:db8::9 . 1883", "2001:db8::9 . 1884"} <= set(opened.seen[3:])
    assert sorted(opened.asked) == ["quick.example", "slow.example"], "each once, for both ports"


def test_firewall_without_a_configuration_is_ready_and_opens_nothing(
    firewall: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Opened(firewall, tmp_path, monkeypatch)
    (tmp_path / "gateway.toml").unlink()
    assert firewall.main() == 0
    assert opened.seen == ["ready"]


def test_firewall_tells_of_a_name_without_an_address_and_goes_on(
    firewall: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(firewall.socket, "getaddrinfo", fail)
    assert list(firewall.look_up_all({"none.example"})) == [("none.example", [])]
    assert "none.example: Name or service not known" in capsys.readouterr().err


def test_gateway_waits_for_addresses_and_for_no_name() -> None:
    unit = (ROOT / "usr/lib/systemd/system/chopmark-firewall.service").read_text()
    assert "\nBefore=chopmark.service\n" in unit
    assert "\nType=notify\n" in unit, "started by READY=1, which is said before names are looked up"


def test_packet_filter_is_taken_by_the_kernel() -> None:
    _check_with_kernel("")


def _check_with_kernel(more: str) -> None:
    """The rules, and commands behind them, in a network namespace of their own."""
    program = shutil.which("nft", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or os.geteuid() != 0:
        leave_out("nft needs root, and nftables")
    text = (ROOT / "etc/nftables.conf").read_text() + more + "\n"
    command = ["unshare", "--net", program, "--file", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_packet_filter_drops_what_it_does_not_name() -> None:
    text = (ROOT / "etc/nftables.conf").read_text()
    for chain in ("input", "forward", "output"):
        assert re.search(rf"hook {chain} priority filter; policy drop;", text)


def test_sysctl_settings_are_set_once_each() -> None:
    lines = (ROOT / "etc/sysctl.d/90-chopmark.conf").read_text().splitlines()
    names = []
    for line in lines:
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([a-z0-9_.]+) = (\S.*)", line)
            assert match is not None, line
            names.append(match[1])
    assert sorted(names) == sorted(set(names))
    assert "kernel.sysrq" in names


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("etc/udev/rules.d/*")), ids=lambda path: path.name
)
def test_udev_rules_have_their_labels_and_only_known_keys(path: Path) -> None:
    """`udevadm verify` came with systemd 254; where it is not, this much is looked at."""
    text = path.read_text()
    labels = set(re.findall(r'LABEL="(\w+)"', text))
    assert set(re.findall(r'GOTO="(\w+)"', text)) <= labels
    known = (
        r"(ACTION|SUBSYSTEMS?|KERNEL|ENV\{\w+\}|ATTRS?\{\w+\}|GOTO|LABEL|GROUP|MODE|SYMLINK|TAG)"
    )
    for line in text.splitlines():
        if line and not line.startswith("#"):
            for word in re.split(r",\s*", line):
                assert re.fullmatch(rf'{known}(==|!=|\+=|=)"[^"]*"', word), word


def test_list_of_contents_has_each_python_package_with_its_hashes() -> None:
    lock = (TOP / "locks/run.txt").read_text()
    found = python_components(lock)
    assert len(found) == len(re.findall(r"^[a-z0-9][^ ]*==", lock, re.MULTILINE))
    assert all(one["properties"][0]["value"] for one in found)


def test_every_package_that_is_asked_for_is_in_the_list_of_versions() -> None:
    for path in PROFILES:
        profile = load_profile(path)
        if profile.built:
            lock = path.with_suffix(".lock").read_text().split()
            names = {line.partition("=")[0] for line in lock}
            assert set(packages_of(load_description(), profile)) <= names


def test_units_of_the_box_are_good(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        leave_out("systemd-analyze is not installed (apt install systemd)")
    for path in sorted(ROOT.glob("usr/lib/systemd/system/chopmark-*")):
        text = re.sub(r"(?m)^(Exec\w+=)\S+.*", r"\1/bin/true", path.read_text())
        (tmp_path / path.name.replace("@.", "@look.")).write_text(text)
    for path in sorted(tmp_path.iterdir()):
        command = [program, "verify", "--man=no", path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert [line for line in said.splitlines() if "chopmark" in line] == []


def test_building_is_refused_for_a_profile_that_is_data_only(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "imagebuild.main", "--profile", "arm64-rockpro64"]
    more = ["--package", tmp_path / "none.deb", "--output", tmp_path / "out"]
    environment = {**os.environ, "PYTHONPATH": str(FOLDER)}
    done = subprocess.run(
        [*command, *more], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode != 0
    assert (
        "data only" in done.stderr or "needs root" in done.stderr or "not installed" in done.stderr
    )


def test_mkosi_has_the_same_packages() -> None:
    text = (FOLDER / "mkosi/mkosi.conf").read_text()
    listed = text.partition("Packages=\n")[2].split()
    assert listed == packages_of(load_description(), load_profile(FOLDER / "profiles/x86-64.toml"))


def test_nothing_is_removed_through_what_is_mounted_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A build that was killed could leave this machine's own /dev mounted in its folder."""
    if os.geteuid() != 0:
        leave_out("mounting needs root")
    folder, other = tmp_path / "root", tmp_path / "other"
    for one in (folder / "dev", other):
        one.mkdir(parents=True)
    (other / "precious").touch()
    subprocess.run(["mount", "--bind", other, folder / "dev"], check=True)
    try:
        with pytest.raises(SystemExit):
            remove_tree(folder)
    finally:
        subprocess.run(["umount", folder / "dev"], check=True)
    assert (other / "precious").exists()
    assert f"mounted in {folder}" in capsys.readouterr().err
    remove_tree(folder)
    assert not folder.exists()


def test_console_starts_with_its_port_however_late_that_comes() -> None:
    """A start so slow that systemd had given the port up left the box without a console."""
    rules = (ROOT / "etc/udev/rules.d/70-chopmark-console.rules").read_text()
    own = next(line for line in rules.splitlines() if line.startswith('KERNEL=="@PORT@"'))
    assert 'ENV{SYSTEMD_WANTS}+="chopmark-console@$kernel.service"' in own
    assert 'TAG+="systemd"' in own
    assert rules.index(own) < rules.index('KERNEL!="ttyUSB*"')


def test_broker_of_the_box_is_on_and_held_back_where_it_is_not_set_up() -> None:
    """Nobody could enable it on the box: what was started by hand is gone after a reboot."""
    units = load_description().units.enable
    assert {"mosquitto.service", "chopmark-mosquitto-crl.path"} <= set(units)
    drop_in = ROOT / "etc/systemd/system/mosquitto.service.d/chopmark.conf"
    held = re.findall(r"^ConditionPathExists=(\S+)$", drop_in.read_text(), re.MULTILINE)
    needed = (FOLDER / "mosquitto/chopmark.conf").read_text()
    assert held
    assert all(f" {path}\n" in needed for path in held), "what the broker's configuration names"


def test_broker_of_the_box_logs_to_the_journal_and_reads_our_configuration() -> None:
    """A file would grow until the disk is full: no logrotate is on the image."""
    lines = (ROOT / "etc/mosquitto/mosquitto.conf").read_text().splitlines()
    assert [line for line in lines if line.startswith("log_dest")] == ["log_dest stderr"]
    assert "include_dir /etc/mosquitto/conf.d" in lines


def test_ports_that_the_documents_speak_of_are_open_for_callers() -> None:
    text = (ROOT / "etc/nftables.conf").read_text()
    found = re.search(r"tcp dport \{ ([0-9, ]+) \} ct state new jump doors", text)
    assert found is not None
    assert found[1].split(", ") == ["8443", "8444", "8883", "8884"]
