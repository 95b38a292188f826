"""Files that the configuration names: whether the daemon's user may read them.

Root sees everything, and so misses what keeps the daemon out. Where this is root it looks as the
owner of the state folder does; anybody else than these two cannot know.

Codes: `not-readable`, `module-writable`.
"""

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chopmark.service.checks.finding import Finding, Scene, name_user
from chopmark.service.config_model import Config


def check_access(scene: Scene) -> Iterator[Finding]:
    """Look at each file that is there."""
    yield from _check_module(scene.config.hsm.module)
    owner = scene.owner
    if owner is None:
        yield Finding.unseen(
            "without a state folder nobody knows who the daemon's user is",
            "`folders` says why there is none",
        )
    elif not scene.sees_all:
        yield scene.barred(f"whether {name_user(owner)} may read certificates, keys and PIN")
    else:
        with acting_as(owner):
            barred = [path for path in _named(scene.config) if _is_barred(path)]
        for path in barred:
            finding = f"the daemon's user {name_user(owner)} may not read {path}"
            remedy = f"chown {name_user(owner)} {path}, and see to the folders above it"
            yield Finding("not-readable", finding, remedy)


def _check_module(module: Path) -> Iterator[Finding]:
    try:
        mode = module.stat().st_mode
    except OSError:
        return  # `check_hsm` says so
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        finding = f"others than its owner may write {module} (mode {stat.S_IMODE(mode):04o})"
        remedy = f"chmod 0755 {module}, after a look at where it came from: it gets the PIN"
        yield Finding("module-writable", finding, remedy)


@contextmanager
def acting_as(uid: int) -> Iterator[None]:
    """Have root act as a user in the block; whoever else runs this goes on as himself."""
    if os.geteuid() != 0 or uid == 0:
        yield
        return
    gid, groups = _gid(uid), os.getgroups()
    try:
        os.setgroups(os.getgrouplist(name_user(uid), gid))
        os.setegid(gid)
        os.seteuid(uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def _is_barred(path: Path) -> bool:
    """Whether it may not be read, where it is known to be there."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False  # the check that reads it says so
    return not os.access(path, os.R_OK, effective_ids=True)


def _named(config: Config) -> Iterator[Path]:
    """The files that the daemon reads besides its own."""
    tls, syslog = config.api.tls, config.audit.syslog
    found = [config.hsm.module, config.hsm.pin_file]
    for broker in config.broker:
        if broker.tls is not None:
            found += [broker.tls.ca, broker.tls.certificate, broker.tls.key]
    if tls is not None:
        found += [tls.certificate, tls.key, tls.client_ca, tls.crl]
    if syslog is not None:
        found += [syslog.ca, syslog.certificate, syslog.key]
    yield from dict.fromkeys(path for path in found if path is not None)


def _gid(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid
