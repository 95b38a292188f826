"""What a machine must have for two boxes in containers; None, or what is missing."""

import os
import shutil
from functools import cache

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "dh_builddeb": "debhelper",
    "ip": "iproute2",
    "unshare": "util-linux",
}


@cache
def containers() -> str | None:
    """What two boxes need."""
    if os.geteuid() != 0:
        return "needs root for containers (systemd-nspawn) and network namespaces"
    for program, package in PROGRAMS.items():
        if shutil.which(program, path=PATH) is None:
            return f"{program} is not installed (apt install {package})"
    return None
