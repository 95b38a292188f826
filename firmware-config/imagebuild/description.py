"""What an image is made of: `image.toml` and a device profile, each key known and of its type."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec

FOLDER: Final = Path(__file__).parents[1]
NUMBERS: Final = range(810, 850)
"""Of accounts on the image: Debian hands out up from 100 and down from 999."""
FOR_A_MODULE: Final = frozenset(
    ("jit.conf", "module-path.conf", "network-hsm.conf", "pcscd.conf", "tpm.conf", "usb-hsm.conf")
)
"""Of the drop-ins in `systemd/chopmark.service.d` those that a maker's module may need."""
S = TypeVar("S", bound="Strict")


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table whose unknown keys are errors."""


class Image(Strict):
    """Which Debian, and from where."""

    suite: str
    mirror: str
    security: str


class Layout(Strict):
    """Sizes of the partitions, in MiB."""

    esp: int
    boot: int
    system: int
    data: int


class Exclude(Strict):
    """Paths of packages that are left out."""

    paths: list[str]


class Units(Strict):
    """What is on, and what can never be."""

    enable: list[str]
    mask: list[str]


class Kernel(Strict):
    """The kernel's command line."""

    arguments: list[str]


class User(Strict):
    """A user with a group of its name and number."""

    number: int
    home: str


class Accounts(Strict):
    """Who has the same number in every build: users, and groups without one."""

    users: dict[str, User]
    groups: dict[str, int]

    @property
    def numbers(self) -> list[int]:
        """All that are given."""
        return [*(user.number for user in self.users.values()), *self.groups.values()]


class Description(Strict):
    """The image, whatever the device."""

    image: Image
    layout: Layout
    packages: dict[str, list[str]]
    accounts: Accounts
    exclude: Exclude
    units: Units
    kernel: Kernel


class Boot(Strict):
    """The boot loader: its GRUB target, and where firmware looks for it on the ESP."""

    loader: Literal["grub-efi"]
    target: Literal["x86_64-efi", "arm64-efi"]
    file: str


class Consoles(Strict):
    """Where the kernel writes, and the technicians' ports; never the same."""

    kernel: list[str]
    technician: list[str]


class Initrd(Strict):
    """Kernel modules without which there is no root file system."""

    modules: list[str]


class Hardware(Strict):
    """What the device has."""

    watchdog_seconds: int
    tpm: Literal["none", "optional", "required"]


class Hsm(Strict):
    """The HSM of a device.

    Attributes:
        module: path of its PKCS#11 module on the box.
        isolated: whether that runs in a process of its own, `chopmark-hsm.service`.
        dropins: files of `systemd/chopmark.service.d` that it needs.
        environment: variables that the module wants; nothing secret.
        debs: packages that are not Debian's, as files beside the profile.
    """

    module: str
    isolated: bool = False
    dropins: list[str] = []
    environment: dict[str, str] = {}
    debs: list[str] = []


class Profile(Strict):
    """One sort of device.

    Attributes:
        built: false is data only, which nobody has ever started.
        hsm: none is a box for trials, with an emulated token.
    """

    name: str
    describes: str
    architecture: Literal["amd64", "arm64"]
    built: bool
    packages: list[str]
    boot: Boot
    consoles: Consoles
    initrd: Initrd
    hardware: Hardware
    hsm: Hsm | None = None


def load_description(path: Path = FOLDER / "image.toml") -> Description:
    """Read it.

    Raises:
        ValueError: a key is unknown, missing or of a wrong type; an account has a number that
            another one has, or that is not in `NUMBERS`.
    """
    description = _load(path, Description)
    numbers = description.accounts.numbers
    if twice := sorted({one for one in numbers if numbers.count(one) > 1}):
        raise ValueError(f"{path}: [accounts] gives {twice} twice")
    if other := sorted(set(numbers) - set(NUMBERS)):
        raise ValueError(f"{path}: [accounts] gives {other}, not {NUMBERS[0]} to {NUMBERS[-1]}")
    return description


def load_profile(path: Path) -> Profile:
    """Read it.

    Raises:
        ValueError: of its form; or the kernel would write to the technicians' port; or `[hsm]`
            names what there is not.
    """
    profile = _load(path, Profile)
    if profile.hsm is not None:
        _check_hsm(path, profile.hsm)
    if both := set(profile.consoles.kernel) & set(profile.consoles.technician):
        raise ValueError(f"{path}: the kernel writes to the technicians' {sorted(both)}")
    if profile.name != path.stem:
        raise ValueError(f"{path}: is named {profile.name}")
    return profile


def _check_hsm(path: Path, hsm: Hsm) -> None:
    if not hsm.module.startswith("/"):
        raise ValueError(f"{path}: [hsm] module is a path on the box, not {hsm.module!r}")
    if unknown := sorted(set(hsm.dropins) - FOR_A_MODULE):
        there = " ".join(sorted(FOR_A_MODULE))
        raise ValueError(f"{path}: [hsm] dropins: there is no {unknown} for a module, only {there}")
    if "network-hsm.conf" in hsm.dropins and not hsm.isolated:
        # Of the units that open the token only the daemon's has a network.
        raise ValueError(f"{path}: [hsm] network-hsm.conf needs isolated = true")
    for name, value in hsm.environment.items():
        if not re.fullmatch(r"[A-Za-z_]\w*", name) or re.search(r'["\\%\n]', value):
            raise ValueError(f"{path}: [hsm] environment: {name} is nothing for a unit")
    if missing := [name for name in hsm.debs if not (path.parent / name).is_file()]:
        raise ValueError(f"{path}: [hsm] debs: {missing} are not in {path.parent}")


def _load(path: Path, kind: type[S]) -> S:
    table: dict[str, Any] = tomllib.loads(path.read_text())
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"{path}: {error}") from None
