"""Users and groups whose numbers are the same in every build: what they own outlives an image.

Packages would number them in the order of their installation. So they are written down before any
package brings one; scripts of packages find them, and let them be. At the end all are compared.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

from imagebuild.description import Accounts
from imagebuild.tools import die


def essential_hook(accounts: Accounts) -> str:
    """For mmdebstrap: appends them once base-passwd has made the two files, and nothing else."""
    users = [
        f"{name}:*:{user.number}:{user.number}::{user.home}:/usr/sbin/nologin"
        for name, user in accounts.users.items()
    ]
    groups = [f"{name}:*:{number}:" for name, number in _groups(accounts).items()]
    return f"set -e; {_append('passwd', users)}; {_append('group', groups)}"


def check_accounts(root: Path, accounts: Accounts) -> None:
    """End where a root has an account of another number, one more, or one less."""
    if wrong := list(differences(root, accounts)):
        hint = "image.toml, [accounts]: a free number for who is new; who has one keeps it for good"
        die(f"numbers of users and groups: {'; '.join(wrong)}", hint)


def differences(root: Path, accounts: Accounts) -> Iterator[str]:
    """What a root has otherwise than Debian's fixed accounts, and ours."""
    users = {name: f"{one.number}:{one.number}" for name, one in accounts.users.items()}
    groups = {name: str(number) for name, number in _groups(accounts).items()}
    for kind, file, ours in (("user", "passwd", users), ("group", "group", groups)):
        wanted = _numbers(root / f"usr/share/base-passwd/{file}.master") | ours
        found = _numbers(root / f"etc/{file}")
        for name in sorted(wanted.keys() | found.keys()):
            if name not in wanted:
                yield f"the {kind} {name} ({found[name]}) is new"
            elif name not in found:
                yield f"the {kind} {name} is not there"
            elif found[name] != wanted[name]:
                yield f"the {kind} {name} is {found[name]}, not {wanted[name]}"


def _groups(accounts: Accounts) -> dict[str, int]:
    return {name: user.number for name, user in accounts.users.items()} | accounts.groups


def _append(file: str, lines: list[str]) -> str:
    return f'test -s "$1/etc/{file}"; printf "%s\\n" {shlex.join(lines)} >>"$1/etc/{file}"'


def _numbers(path: Path) -> dict[str, str]:
    """By name: UID and GID of `passwd`, GID of `group`."""
    rows = [line.split(":") for line in path.read_text().splitlines()]
    return {row[0]: ":".join(row[2 : 4 if len(row) > 4 else 3]) for row in rows}
