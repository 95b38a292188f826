"""`chopmark console open-bundle`: what head office does with a technician's bundle."""

from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from chopmark.cli.context import Given
from chopmark.cli.terminal import say, say_json
from chopmark.core.inert import clean

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey


def open_bundle(
    bundle: Path,
    /,
    *,
    private: Path,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    options: Given,
) -> int:
    """Open a support bundle that a technician has sent.

    Anyone who has the public key can make a bundle: what is in it proves nothing. Its texts are
    written as they came; look at them with a program that shows control characters as such.

    Args:
        bundle: The file.
        private: Head office's private X25519 key (PEM); its password is asked for on the terminal.
        output: Folder to be made for the texts; without it only their names and sizes are shown.
    """
    from chopmark.client.bundle import MAX_BUNDLE
    from chopmark.client.bundle import open_bundle as decrypt
    from chopmark.client.files import PRIVATE_MODE, check_creatable, read_bounded, write_new

    if output is not None:
        check_creatable(output)
    files = decrypt(read_bounded(bundle, MAX_BUNDLE), _read_key(private))
    if output is not None:
        output.mkdir(mode=0o700)
        for name, text in files.items():
            write_new(output / name, text.encode("utf-8", "replace"), PRIVATE_MODE)
    sizes = {name: len(text.encode("utf-8", "replace")) for name, text in files.items()}
    if options.json:
        say_json({"files": sizes, "folder": output and str(output)})
    else:
        for name, size in sizes.items():
            say(f"{size:>9,}  ", clean(name if output is None else output / name))
    return 0


def _read_key(path: Path) -> "X25519PrivateKey":
    """The key; a password is asked for only where it has one."""
    from chopmark.client.bundle import MAX_KEY, parse_private
    from chopmark.client.files import read_bounded

    data = read_bounded(path, MAX_KEY)
    secret = b"ENCRYPTED PRIVATE KEY" in data
    password = getpass(f"password of {clean(path)}: ").encode() if secret else None
    return parse_private(data, password)
