"""`chopmark hsm`: the keys in the token of a gateway: shown, made, taking over, destroyed."""

import base64
import sys
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter

from chopmark.cli.confirm import Doomed, ask_person, confirm
from chopmark.cli.context import Given, Options
from chopmark.cli.keyview import show_keys
from chopmark.cli.terminal import say, say_json, styled, warn
from chopmark.client.told.keys import Row, title
from chopmark.core.errors import MissingError, RefusedError, UnreachableError, UsageError

Offline = Annotated[bool, Parameter(negative="")]
Words = Annotated[str | None, Parameter(name="--yes-destroy")]
_ROLES: Final = ("log", "cosigner", "witness")
_LOSS: Final = {
    "log": "Nobody can sign heads of this log by it any more; what it has signed stays good.",
    "cosigner": "Nobody can cosign by it any more; what it has cosigned stays good.",
    None: "Whatever needs this key fails from now on.",
}


def keys(*, offline: Offline = False, options: Given) -> int:
    """Show the keys in the token: what each is for, what the roster says, and how it is kept.

    The fingerprint of a key is the SHA-256 of its SubjectPublicKeyInfo (DER), in hexadecimal and in
    words that can be read over a telephone. The attributes are what the token says of the private
    half; what is not as it must be is named. When the gateway does not run, the keys are read from
    ledger and token without a login, and so without attributes.

    Args:
        offline: Ask no gateway, but ledger and token themselves.
    """
    return _show(_read(options, offline=offline), options)


def generate(role: Literal["log", "cosigner"], /, *, options: Given) -> int:
    """Make a key in the token, and print its vkey. It signs nothing until it is activated.

    Args:
        role: What it is for: log or cosigner.
    """
    with options.connect() as gateway:
        made = gateway.generate_key(role)
    say_json(made) if options.json else say(made["vkey"])
    return 0


def activate(vkey: str, /, *, options: Given) -> int:
    """Let a key sign, and the one before it no more. The roster must name it.

    Args:
        vkey: The key, as `generate` printed it.
    """
    with options.connect() as gateway:
        return _show(gateway.activate_key(vkey), options)


def export(
    key: str,
    /,
    *,
    pem: Annotated[bool, Parameter(negative="")] = False,
    vkey: Annotated[bool, Parameter(negative="")] = False,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    offline: Offline = False,
    options: Given,
) -> int:
    """Print the public half of a key: as vkey, or as PEM for other tools.

    Args:
        key: log, cosigner or witness for the one in use; or a vkey, or a label in the token.
        pem: As SubjectPublicKeyInfo in PEM, which OpenSSL reads; all that a TLS key has.
        vkey: As vkey, which is the default.
        output: Where to write it; nothing is overwritten.
        offline: Ask no gateway, but ledger and token themselves.
    """
    if pem and vkey:
        raise UsageError("usage", "--pem and --vkey exclude each other")
    row = _find(_read(options, offline=offline), key)
    text = _encode_pem(row) if pem else row["vkey"]
    if text is None:
        message = f"{row['label']!r} signs no notes and has no vkey"
        raise MissingError("no-vkey", message, hint="--pem prints its public half")
    if output is not None:
        from chopmark.client.files import write_new

        write_new(output, f"{text}\n".encode())
    if options.json:
        say_json({**row, "pem": _encode_pem(row)})
    elif output is None:
        sys.stdout.write(f"{text}\n")
    return 0


def retire(vkey: str, /, *, words: Words = None, label: str | None = None, options: Given) -> int:
    """Destroy a key in the token, for good, after the roster has ended it.

    Two questions are asked on the terminal. Scripts give --yes-destroy and --label: what the key's
    fingerprint is, and what it is called, must both be known.

    Args:
        vkey: The key.
        words: The key's fingerprint, in words or hexadecimal.
        label: The key's label in the token.
    """
    row = _find(_ask(options), vkey)
    if row["in_use"] or row["roster"] == "active":
        hint = "activate another one, and have the roster end this one"
        raise RefusedError("key-in-use", "this key is in use", hint=hint)
    confirm(_doom(row, answers=(str(row["label"]),)), words, label, ask_person())
    with options.connect() as gateway:
        return _show(gateway.retire_key(vkey), options)


def destroy(label: str, /, *, words: Words = None, options: Given) -> int:
    """Destroy a leftover in the token: a key that is none of this gateway's, or of any member's.

    Such as one of a ceremony that broke off, or of a TLS certificate that has ended. Two questions
    are asked on the terminal; scripts give --yes-destroy.

    Args:
        label: The key's label in the token.
        words: The key's fingerprint, in words or hexadecimal.
    """
    row = _find([one for one in _ask(options) if one["label"] == label], label)
    if row["role"] is not None:
        hint = "`chopmark hsm retire` destroys it once the roster has ended it"
        raise RefusedError("key-in-use", f"{label!r} is a key of this gateway", hint=hint)
    if row["fingerprint"] is None:
        message = f"{label!r} has no public half that tells which key it is"
        raise RefusedError("unknown-key", message, hint="the vendor's tool destroys it")
    doomed = _doom(row)
    confirm(doomed, words, label, ask_person())
    with options.connect() as gateway:
        return _show(gateway.destroy_key(label, doomed.fingerprint), options)


def _ask(options: Options) -> list[dict[str, Any]]:
    """The keys, by a connection that does not wait for the person."""
    with options.connect() as gateway:
        return gateway.keys()


def _doom(row: Row, answers: tuple[str, ...] = ()) -> Doomed:
    what = f"to be destroyed: {title(row)}"
    loss = _LOSS.get(row["role"], _LOSS[None])
    return Doomed(what, row["label"], row["fingerprint"], row["words"], loss, answers)


def _read(options: Options, *, offline: bool) -> list[dict[str, Any]]:
    if offline:
        return _read_token(options)
    try:
        with options.connect_own() as gateway:
            return gateway.keys()
    except UnreachableError as error:
        if options.gateway is not None:
            raise
        warn(styled(f"note: {error.message}: asking the token", stream=sys.stderr))
        return _read_token(options)


def _read_token(options: Options) -> list[dict[str, Any]]:
    from chopmark.service.keylist import read_offline

    return read_offline(options.load_config())


def _find(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The one key that a vkey, a role or a label means."""
    if name in _ROLES:
        found = [row for row in rows if row["role"] == name and row["in_use"]]
    else:
        found = [row for row in rows if name in (row["vkey"], row["label"])]
    if len(found) == 1:
        return found[0]
    hint = "`chopmark hsm keys` lists what there is"
    if found:
        raise RefusedError("ambiguous-key", f"{len(found)} keys are {name!r}", hint=hint)
    raise MissingError("no-such-key", f"there is no key {name!r}", hint=hint)


def _encode_pem(row: Row) -> str | None:
    if row["public"] is None:
        return None
    lines = base64.encodebytes(base64.b64decode(row["public"])).decode().replace("\n", "")
    body = "\n".join(lines[at : at + 64] for at in range(0, len(lines), 64))
    return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----"


def _show(found: list[dict[str, Any]], options: Options) -> int:
    if options.json:
        say_json(found)
    else:
        show_keys(found)
    return 0
