"""Setting a gateway up: its keys, its ledger, its configuration; nothing is ever overwritten.

1. Everything that can be known to stand in the way is checked before anything is made.
2. The keys are made in the token: both or neither (`hsm.ceremony`).
3. Their public halves are noted in `<state>/init.pending`.
4. The empty ledger is made under another name, then renamed.
5. The configuration is written, last: a daemon cannot start without it.
6. The note is removed.

If that breaks off after 3, the next try finds the note and goes on with the keys that were made:
they have signed nothing yet. The note says which ceremony made them: neither does a ceremony go on
with keys that no officer approved, nor anything else with those of a ceremony. Without the note
keys in the token are never taken for new ones, since a second ledger under a key that has signed
another would be a fork.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chopmark.client.files import check_creatable, make_folder, read_bounded, sync_folder, write_new
from chopmark.core.errors import ExistsError, InternalError
from chopmark.core.keys import VerifierKey, parse_vkey
from chopmark.ledger.store import create_store, read_keys
from chopmark.service.config import own_member, parse_config
from chopmark.service.config_model import Config
from chopmark.service.config_text import render_config
from chopmark.service.places import log_path, pending_path

Keys = tuple[VerifierKey, VerifierKey]
"""Log key and cosigner key."""
STATE_MODE: Final = 0o700
CONFIG_MODE: Final = 0o644
"""No secret is in it; whoever may write it decides whom this gateway believes."""
_MAX_PENDING: Final = 4096
_NOTED: Final = 8
"""Origin, module, label and serial of the token, labels of the keys, and both vkeys; a ceremony's
name may follow."""
_REMOVE: Final = "remove it, and the two keys that the broken-off `init` made in the token"
_GO_ON: Final = (
    "go on with what made them (`chopmark init`, or the ceremony by --resume), or "
    "remove the note, and destroy the two keys by the vendor's tool"
)


@dataclass(frozen=True, slots=True)
class Initialised:
    """What was made: the configuration's path, and the public keys."""

    path: Path
    log_key: VerifierKey
    cosigner_key: VerifierKey


def initialise(
    path: Path, config: Config, make_keys: Callable[[], Keys], ceremony: str = ""
) -> Initialised:
    """Set a gateway up.

    Args:
        path: where its configuration is to be.
        config: the configuration.
        make_keys: makes both keys in the token, or neither; not called when an earlier try
            broke off after that.
        ceremony: names the key ceremony that this belongs to; empty: none.

    Raises:
        ExistsError: `file-exists`, `ledger-exists`, `init-pending`, `key-exists`; nothing was made.
        ConfigurationError: the configuration cannot be.
        ChopmarkError: what `make_keys` raises, and errors of the file system.
    """
    text = render_config(config).encode()
    config = parse_config(text)
    keys = prepare(path, config, make_keys, ceremony)
    own_member(config, *keys)
    _create_ledger(config, keys)
    write_new(path, text, CONFIG_MODE)
    forget(config)
    return Initialised(path, *keys)


def prepare(path: Path, config: Config, make_keys: Callable[[], Keys], ceremony: str = "") -> Keys:
    """Steps 1 to 3 alone; `initialise` goes on from there. Arguments and errors are the same."""
    pending = read_prepared(config, ceremony)
    _check_absent(path, config, resumed=pending is not None)
    return pending or _create_keys(config, make_keys, ceremony)


def forget(config: Config) -> None:
    """Remove the note of the keys that were made, which nobody will go on with."""
    pending_path(config.gateway.state).unlink()
    sync_folder(config.gateway.state)


def is_prepared(config: Config) -> bool:
    """Whether keys were made that `initialise` would go on with."""
    return pending_path(config.gateway.state).exists()


def check_ready(path: Path, config: Config) -> None:
    """Step 1 alone: refuse what stands in the way, keys that were made already too.

    Raises:
        ExistsError, ConfigurationError: as `initialise`.
    """
    if is_prepared(config):
        raise _other_keys(pending_path(config.gateway.state))
    _check_absent(path, config, resumed=False)


def _check_absent(path: Path, config: Config, *, resumed: bool) -> None:
    ledger = log_path(config.gateway.state)
    if resumed and path.exists() and ledger.exists():
        pending_path(config.gateway.state).unlink()  # only step 6 was missing
    make_folder(path.parent, 0o755)
    check_creatable(path)
    if ledger.exists() and not resumed:
        hint = "this gateway was set up before; another one needs another --state"
        raise ExistsError("ledger-exists", f"there is a ledger at {ledger} already", hint=hint)
    make_folder(config.gateway.state, STATE_MODE)
    if not resumed:
        check_creatable(pending_path(config.gateway.state))


def _create_keys(config: Config, make_keys: Callable[[], Keys], ceremony: str) -> Keys:
    keys = make_keys()
    note = [config.gateway.origin, *_token(config), *(key.encode() for key in keys)]
    note += [ceremony] if ceremony else []
    write_new(pending_path(config.gateway.state), json.dumps(note).encode(), 0o600)
    return keys


def read_prepared(config: Config, ceremony: str) -> Keys | None:
    """The keys that an earlier try made, if it broke off then.

    Raises:
        ExistsError: `init-pending`: something else made them.
        InternalError: `bad-pending`.
    """
    path = pending_path(config.gateway.state)
    if not path.exists():
        return None
    try:
        note = json.loads(read_bounded(path, _MAX_PENDING))
    except ValueError:
        note = None
    if not isinstance(note, list) or len(note) not in (_NOTED, _NOTED + 1):
        raise InternalError("bad-pending", f"{path} is damaged", hint=_REMOVE)
    *place, log_vkey, cosigner_vkey = note[:_NOTED]
    if place != [config.gateway.origin, *_token(config)]:
        message = f"setting up {place[0]} broke off here, and these options are for another gateway"
        hint = f"give the same --origin, --module and --token-label again, or remove {path}"
        raise ExistsError("init-pending", message, hint=hint)
    if note[_NOTED:] != ([ceremony] if ceremony else []):
        raise _other_keys(path)
    return parse_vkey(log_vkey), parse_vkey(cosigner_vkey)


def _other_keys(path: Path) -> ExistsError:
    message = f"by {path}, keys were made here already, and not by this"
    return ExistsError("init-pending", message, hint=_GO_ON)


def _create_ledger(config: Config, keys: Keys) -> None:
    path = log_path(config.gateway.state)
    if path.exists():
        if read_keys(path) != keys:
            raise ExistsError("ledger-exists", f"the ledger at {path} is of another gateway")
        return
    new = path.with_name("log.db.new")
    new.unlink(missing_ok=True)
    create_store(new, *keys)
    new.rename(path)
    sync_folder(path.parent)


def _token(config: Config) -> list[str | None]:
    hsm = config.hsm
    return [str(hsm.module), hsm.token_label, hsm.token_serial, hsm.log_label, hsm.cosigner_label]
