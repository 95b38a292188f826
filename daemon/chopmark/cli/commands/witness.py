"""`chopmark witness`: cosigning logs of others."""

from pathlib import Path
from typing import Final

from chopmark.cli.context import Given, Options
from chopmark.cli.pin import pin_source
from chopmark.cli.terminal import say, say_fields, say_json, styled
from chopmark.client.files import read_bounded
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import UsageError
from chopmark.core.inert import clean
from chopmark.core.merkle import EMPTY_ROOT
from chopmark.core.text import MAX_INT, encode_base64, parse_hash
from chopmark.service.token import create_token_witness_key

_MAX_NOTE: Final = 64 * 1024


def initialise(*, options: Given) -> int:
    """Make the key in the token by which logs of others are cosigned; once for each gateway.

    It is another key than the one that policies name, and no policy may contain it: for logs of
    others a gateway vouches for what it was shown only. The gateway uses it from its next start
    on, for the logs in the [[witness.log]] blocks of its configuration.

    The PIN of the token is read from $CREDENTIALS_DIRECTORY/hsm-pin, or asked for on the terminal.
    """
    config = options.load_config()
    key = create_token_witness_key(config, pin_source(config))
    if options.json:
        say_json({"witness_vkey": key.encode()})
        return 0
    say("made in the token: ", styled(config.hsm.witness_label, "bold"))
    say_fields([("witness_vkey", key.encode())])
    say()
    say("next: add [[witness.log]] blocks to the configuration, and start the gateway again")
    return 0


def floor(
    origin: str,
    /,
    *,
    checkpoint: Path | None = None,
    size: int | None = None,
    root: str | None = None,
    options: Given,
) -> int:
    """Say from which head on a log of others is cosigned again, after the ledger was recovered.

    How far such a log was cosigned stands in the lost ledger and nowhere else. A head below it must
    not be cosigned, so none is until you name one that is certainly the newest that this gateway
    can have cosigned: ask the log's operator, or another witness of it. For a log that was never
    cosigned here give --size 0. The gateway may be running. Until something is cosigned from there,
    a floor can be corrected by the same command.

    Args:
        origin: The log, as its [[witness.log]] block names it.
        checkpoint: A file with the log's newest checkpoint, signed by the log.
        size: In place of a checkpoint: the size of that head...
        root: ...and its root hash, in base64; not needed for size 0.
    """
    from chopmark.service.floors import confirm_floor

    config = options.load_config()
    head = _read_head(options, origin, checkpoint, size, root)
    confirm_floor(config, head)
    if options.json:
        say_json({"origin": origin, "size": head.size, "root": encode_base64(head.root)})
        return 0
    say(styled(clean(origin), "bold"), f" is cosigned again, from {head.size} entries on")
    return 0


def _read_head(
    options: Options, origin: str, file: Path | None, size: int | None, root: str | None
) -> Checkpoint:
    from chopmark.service.floors import find_log, read_newest

    if (file is None) == (size is None) or (file is not None and root is not None):
        raise UsageError("usage", "give either --checkpoint, or --size and --root")
    if file is not None:
        log = find_log(options.load_config(), origin)
        return read_newest(log, read_bounded(file, _MAX_NOTE))
    if root is None and size:
        raise UsageError("usage", "--size goes with --root")
    if size is None or not 0 <= size <= MAX_INT:
        raise UsageError("usage", f"not a size: {size}")
    return Checkpoint(origin, size, EMPTY_ROOT if root is None else parse_hash(root, "the root"))
