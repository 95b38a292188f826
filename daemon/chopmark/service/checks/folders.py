"""The state folder and the configuration: there, ours, and closed to others.

Codes: `state-missing`, `state-not-ours`, `state-mixed-owners`, `state-open`, `config-writable`.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chopmark.service.checks.finding import Finding, Scene
from chopmark.service.places import log_path, token_folder

_OTHERS: Final = stat.S_IRWXO
_MOST: Final = 1000
"""Files that are looked at: a folder of hsm, replicas and indices has fewer."""


def check_folders(scene: Scene) -> Iterator[Finding]:
    """Look at owners and modes."""
    state = scene.config.gateway.state
    try:
        found = state.stat()
    except PermissionError as error:
        yield scene.barred(f"{state}: {error.strerror}")
    except OSError as error:
        hint = "`chopmark init` makes it; is its disk mounted?"
        yield Finding("state-missing", f"no state folder at {state}: {error.strerror}", hint)
    else:
        yield from _check_owner(scene, state, found)
        yield from _check_files(state, found.st_uid)
        yield from _check_closed(state, found)
    yield from _check_config(scene.path)


def _check_owner(scene: Scene, state: Path, found: os.stat_result) -> Iterator[Finding]:
    if scene.uid not in (0, found.st_uid):
        finding = f"{state} belongs to user {found.st_uid}, and this is user {scene.uid}"
        remedy = "run this as the daemon's user or as root, or it sees less than the daemon does"
        yield Finding("state-not-ours", finding, remedy, "warning")


def _check_files(state: Path, owner: int) -> Iterator[Finding]:
    """Who has run `chopmark` as root leaves files that the daemon cannot write."""
    for path in _some_files(state):
        try:
            other = path.lstat().st_uid
        except OSError:
            continue
        if other != owner:
            finding = f"{path} belongs to user {other}, its folder {state} to user {owner}"
            remedy = f"stop the gateway, then: chown -R {owner} {state}"
            yield Finding("state-mixed-owners", finding, remedy)
            return


def _some_files(state: Path) -> Iterator[Path]:
    try:
        for number, path in enumerate(state.rglob("*")):
            if number >= _MOST:
                return
            yield path
    except OSError:
        return


def _check_closed(state: Path, found: os.stat_result) -> Iterator[Finding]:
    if not found.st_mode & _OTHERS:
        return
    for path in (log_path(state), token_folder(state)):
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        if mode & _OTHERS:
            finding = f"others may open {path} (mode {stat.S_IMODE(mode):04o})"
            remedy = f"chmod 0750 {state}"
            yield Finding("state-open", finding, remedy)
            return


def _check_config(path: Path) -> Iterator[Finding]:
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        finding = f"others than its owner may write {path} (mode {stat.S_IMODE(mode):04o})"
        remedy = f"chmod 0640 {path}: who writes it chooses the module that gets the PIN"
        yield Finding("config-writable", finding, remedy)
