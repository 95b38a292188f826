"""What an image has for a box's HSM, by the profile's `[hsm]`.

That is drop-ins of units, groups, and the module that the console may name. A box has no other way
to them: they lie on the root file system, which nobody changes.
"""

import json
import os
import re
from pathlib import Path
from typing import Final

from imagebuild.description import FOLDER, Hsm, Profile
from imagebuild.tools import die, run

APART: Final = "chopmark-hsm.service"
CALLERS: Final = ("chopmark", "chopmark-admin", "chopmark-health", "chopmark-recover")
"""Services that open the token, by the module itself or by p11-kit's client."""
_LAST: Final = "vendor-module.conf"
"""Behind all others in the order in which systemd reads them."""
_SYSTEM: Final = "etc/systemd/system"
_UNITS: Final = FOLDER.parent / "systemd"
_TRIPLET: Final = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_SAID: Final = "# Of the profile's [hsm], when the image was built.\n"
_VARIABLE: Final = re.compile(r'^Environment="?(\w+)=([^"\n]*)"?$', re.MULTILINE)
_GROUP: Final = re.compile(r"^SupplementaryGroups=(\S+)$", re.MULTILINE)


def units_of(profile: Profile) -> list[str]:
    """Units that are on for it."""
    return [APART] if profile.hsm is not None and profile.hsm.isolated else []


def files_of(profile: Profile) -> dict[str, str]:
    """Texts by their places in the root: drop-ins, and what the console may name (`admin.toml`)."""
    hsm = profile.hsm
    if hsm is None:
        return {}
    files, callers = _apart(hsm) if hsm.isolated else ({}, _beside(hsm))
    for unit in CALLERS:
        files |= {f"{_SYSTEM}/{unit}.service.d/{name}": text for name, text in callers.items()}
    files["etc/chopmark/admin.toml"] = _settings(profile, hsm, "\n".join(callers.values()))
    return files


def groups_of(files: dict[str, str]) -> list[str]:
    """Groups that the daemon's user must be in: root's service, too, runs programs as that user."""
    daemon = [text for place, text in files.items() if "/chopmark.service.d/" in place]
    return sorted(set(_GROUP.findall("\n".join(daemon))))


def install_hsm(root: Path, profile: Profile) -> None:
    """Put all of it into a root that has its packages; ends where the module is not there."""
    if profile.hsm is not None and not os.path.lexists(root / profile.hsm.module[1:]):
        hint = "the profile's `packages` or `[hsm] debs` bring it"
        die(f"the module {profile.hsm.module} is not in the image", hint)
    files = files_of(profile)
    for place, text in files.items():
        path = root / place
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(text)
    for group in groups_of(files):
        run("chroot", root, "usermod", "--append", "--groups", group, "chopmark")


def _apart(hsm: Hsm) -> tuple[dict[str, str], dict[str, str]]:
    """Files of the module's own unit; drop-ins of those who reach it by p11-kit's client."""
    own = {name: _drop_in(hsm, name) for name in hsm.dropins}
    # A file on the box still counts, and need not be there.
    lines = ["EnvironmentFile=", "EnvironmentFile=-/etc/chopmark/hsm.env"]
    own[_LAST] = _service(lines, {"MODULE": hsm.module} | hsm.environment)
    callers = {"isolation.conf": (_UNITS / "chopmark.service.d/isolation.conf").read_text()}
    return {f"{_SYSTEM}/{APART}.d/{name}": text for name, text in own.items()}, callers


def _beside(hsm: Hsm) -> dict[str, str]:
    """Drop-ins of those who load the module themselves."""
    files = {name: _drop_in(hsm, name) for name in hsm.dropins}
    return files | {_LAST: _service([], hsm.environment)}


def _drop_in(hsm: Hsm, name: str) -> str:
    """As it is shipped; kept apart, some differ."""
    own = _UNITS / f"{APART}.d" / name
    path = own if hsm.isolated and own.exists() else _UNITS / "chopmark.service.d" / name
    return path.read_text().replace("/opt/vendor", str(Path(hsm.module).parent))


def _service(lines: list[str], environment: dict[str, str]) -> str:
    variables = [f'Environment="{key}={value}"' for key, value in environment.items()]
    return _SAID + "\n".join(["[Service]", *lines, *variables]) + "\n"


def _settings(profile: Profile, hsm: Hsm, drop_ins: str) -> str:
    """`admin.toml`: the one module of this box, and what programs need that load it."""
    client = f"/usr/lib/{_TRIPLET[profile.architecture]}/pkcs11/p11-kit-client.so"
    module = {"kept-apart": client} if hsm.isolated else {"hsm": hsm.module}
    lines: list[str] = []
    for name, table in (("modules", module), ("environment", dict(_VARIABLE.findall(drop_ins)))):
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return _SAID + "\n".join(lines) + "\n"
