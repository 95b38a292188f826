"""The box's own network at `chopmark-admin`: files of networkd, for a time, and taken back."""

import configparser
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from chopmark.admin.netfiles import NETDEV, NETWORK, PARENT, Chosen, render
from chopmark.admin.network import Networks
from chopmark.admin.requests import Network
from chopmark.core.errors import ChopmarkError, InternalError

STATIC = Network(method="static", address="192.0.2.10/24", gateway="192.0.2.1", seconds=60)


def read(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # their case counts
    parser.read_string(text)
    return parser


def make(folder: Path, restart: Callable[[], Awaitable[None]] | None = None) -> Networks:
    """A box with two interfaces, of which one has a cable, and a loopback."""
    for name, carrier in (("enp1s0", "0"), ("enp2s0", "1")):
        (folder / "net" / name / "device").mkdir(parents=True, exist_ok=True)
        (folder / "net" / name / "carrier").write_text(carrier)
    (folder / "net/lo").mkdir(exist_ok=True)
    (folder / "files").mkdir(exist_ok=True)

    async def nothing() -> None:
        with (folder / "restarts").open("a") as file:
            file.write("x")

    return Networks(folder / "files", folder / "own", restart or nothing, folder / "net")


def files(networks: Networks) -> dict[str, str]:
    return {one.name: one.read_text() for one in networks.files.iterdir()}


def test_nothing_chosen_is_no_file() -> None:
    assert render(Chosen(link="enp1s0")) == {}


def test_fixed_address_is_written_for_one_interface() -> None:
    chosen = Chosen("static", "192.0.2.10/24", "192.0.2.1", link="enp1s0")
    chosen = msgspec.structs.replace(chosen, dns=("192.0.2.53",), ntp=("t.example",))
    made = read(render(chosen)[NETWORK])
    assert dict(made["Match"]) == {"Name": "enp1s0"}
    assert made["Network"]["Address"] == "192.0.2.10/24"
    assert made["Network"]["Gateway"] == "192.0.2.1"
    assert made["Network"]["DHCP"] == "no"
    assert made["DHCPv4"]["UseDNS"] == "no"


def test_servers_beside_dhcp_take_the_place_of_its_own() -> None:
    made = read(render(Chosen(ntp=("192.0.2.1",), link="enp1s0"))[NETWORK])
    assert made["Network"]["DHCP"] == "yes"
    assert (made["DHCPv4"]["UseNTP"], made["DHCPv4"]["UseDNS"]) == ("no", "yes")


def test_vlan_has_a_device_of_its_own_on_the_interface() -> None:
    made = render(Chosen(vlan=120, link="enp1s0"))
    assert read(made[NETDEV])["VLAN"]["Id"] == "120"
    assert read(made[PARENT])["Network"]["VLAN"] == "vlan120"
    assert read(made[PARENT])["Match"]["Name"] == "enp1s0"
    assert read(made[NETWORK])["Match"]["Name"] == "vlan120"


def test_fixed_address_without_its_networks_size_is_refused() -> None:
    with pytest.raises(ChopmarkError) as caught:
        render(Chosen("static", "192.0.2.10", "192.0.2.1", link="enp1s0"))
    assert caught.value.code == "console-value"


async def test_change_is_applied_at_the_interface_with_a_cable(tmp_path: Path) -> None:
    networks = make(tmp_path)
    await networks.apply(STATIC)
    assert read(files(networks)[NETWORK])["Match"]["Name"] == "enp2s0"
    assert networks.state()["confirmed"] is False
    assert (tmp_path / "restarts").read_text() == "x"


async def test_change_that_is_taken_back_leaves_what_was_confirmed_before(tmp_path: Path) -> None:
    networks = make(tmp_path)
    await networks.apply(STATIC)
    networks.confirm()
    before = files(networks)
    await networks.apply(Network(vlan=120, seconds=60))
    assert set(files(networks)) == {NETWORK, PARENT, NETDEV}
    await networks.take_back()
    assert files(networks) == before
    assert networks.state()["address"] == "192.0.2.10/24"


def set_cables(folder: Path, **cables: str) -> None:
    for name, carrier in cables.items():
        (folder / "net" / name / "carrier").write_text(carrier)


async def test_change_is_taken_back_for_the_interface_that_it_was_chosen_for(
    tmp_path: Path,
) -> None:
    """When the box starts no interface has a cable yet; the first by name is another."""
    networks = make(tmp_path)
    await networks.apply(STATIC)
    networks.confirm()
    before = files(networks)
    await networks.apply(Network(vlan=120, seconds=60))
    set_cables(tmp_path, enp2s0="0")
    await networks.take_back()
    assert files(networks) == before
    assert networks.state()["link"] == "enp2s0"


async def test_change_is_taken_back_where_no_interface_is_there_yet(tmp_path: Path) -> None:
    networks = make(tmp_path)
    await networks.apply(STATIC)
    early = Networks(networks.files, networks.folder, networks.restart, tmp_path / "none")
    await early.take_back()
    assert files(networks) == {}
    assert early.applied is None


async def test_note_that_names_no_interface_is_for_one_with_a_cable(tmp_path: Path) -> None:
    networks = make(tmp_path)
    networks.folder.mkdir()
    older = {"method": "static", "address": "192.0.2.10/24", "gateway": "192.0.2.1"}
    (networks.folder / "network.json").write_bytes(msgspec.json.encode(older))
    assert networks.state()["address"] == "192.0.2.10/24"
    await networks.apply(Network(vlan=120, seconds=60))
    set_cables(tmp_path, enp2s0="0")
    await networks.take_back()
    assert read(files(networks)[NETWORK])["Match"]["Name"] == "enp2s0"


async def test_second_cable_moves_nothing_and_another_port_takes_it_along(tmp_path: Path) -> None:
    networks = make(tmp_path)
    await networks.apply(STATIC)
    networks.confirm()
    set_cables(tmp_path, enp1s0="1")
    await networks.apply(Network(ntp=("192.0.2.123",), seconds=60))
    assert read(files(networks)[NETWORK])["Match"]["Name"] == "enp2s0"
    networks.confirm()
    set_cables(tmp_path, enp2s0="0")
    await networks.apply(STATIC)
    assert read(files(networks)[NETWORK])["Match"]["Name"] == "enp1s0"


async def test_files_of_others_stay(tmp_path: Path) -> None:
    networks = make(tmp_path)
    (networks.files / "20-own.network").write_text("[Match]\n")
    await networks.apply(STATIC)
    await networks.take_back()
    assert set(files(networks)) == {"20-own.network"}


async def test_dhcp_forgets_the_address(tmp_path: Path) -> None:
    networks = make(tmp_path)
    await networks.apply(STATIC)
    networks.confirm()
    await networks.apply(Network(method="dhcp", seconds=60))
    assert files(networks) == {}


async def test_change_that_networkd_does_not_start_with_is_taken_back(tmp_path: Path) -> None:
    failures = iter([True])

    async def restart() -> None:
        if next(failures, False):
            raise InternalError("unit-failed", "restart systemd-networkd.service: exit 1")

    networks = make(tmp_path, restart)
    with pytest.raises(InternalError):
        await networks.apply(STATIC)
    assert files(networks) == {}
    assert networks.applied is None


async def test_nothing_to_confirm_is_told(tmp_path: Path) -> None:
    networks = make(tmp_path)
    with pytest.raises(ChopmarkError) as caught:
        networks.confirm()
    assert caught.value.code == "nothing-to-confirm"
    with pytest.raises(ChopmarkError) as again:
        await networks.take_back()
    assert again.value.code == "nothing-to-confirm"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (Network(proxy=("proxy.example", 3128), seconds=60), "not-on-this-platform"),
        (Network(method="dhcp", seconds=60), "no-candidate"),
    ],
)
async def test_change_that_cannot_be_is_refused(tmp_path: Path, asked: Network, code: str) -> None:
    networks = make(tmp_path)
    with pytest.raises(ChopmarkError) as caught:
        await networks.apply(asked)
    assert caught.value.code == code
    assert files(networks) == {}


async def test_second_change_waits_for_the_first_to_be_confirmed(tmp_path: Path) -> None:
    networks = make(tmp_path)
    await networks.apply(STATIC)
    with pytest.raises(ChopmarkError) as caught:
        await networks.apply(Network(vlan=120, seconds=60))
    assert caught.value.code == "commit-pending"


async def test_box_without_an_interface_changes_nothing(tmp_path: Path) -> None:
    networks = make(tmp_path)
    lonely = Networks(networks.files, networks.folder, networks.restart, tmp_path / "none")
    with pytest.raises(ChopmarkError) as caught:
        await lonely.apply(STATIC)
    assert caught.value.code == "no-such-link"
    assert networks.applied is None


async def test_damaged_note_of_a_change_keeps_nobody_from_starting(tmp_path: Path) -> None:
    networks = make(tmp_path)
    await networks.apply(STATIC)
    note = networks.folder / "network.before"
    note.write_bytes(note.read_bytes()[:10])
    assert networks.applied is None
    assert (networks.folder / "network.damaged").exists()
