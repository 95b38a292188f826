"""Strict decoding of TOML into a tree of structs, with errors that name the exact key.

msgspec says "unknown field" without the nearest known one and cannot name the key of a mapping,
so tables are converted from the innermost outwards: the table that fails first is the one to name.
"""

import difflib
import re
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from chopmark.core.errors import ConfigurationError, MalformedError

Value = TypeVar("Value")
Tree = TypeVar("Tree", bound=msgspec.Struct)
_TURN = threading.RLock()
"""msgspec 0.22 learns a struct when it is first converted to; two threads that have it do so at
once end the process by a segmentation fault (the console reads the configuration on two)."""


def parse_toml(data: bytes) -> dict[str, Any]:
    """Decode TOML 1.0.

    Raises:
        ConfigurationError: `config-syntax`, with line and column.
    """
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8 (at line {line})"
        raise ConfigurationError("config-syntax", message) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError("config-syntax", f"not TOML: {error}") from error


def convert_tree(table: Mapping[str, Any], kind: type[Tree], path: str = "") -> Tree:
    """Turn decoded TOML into a struct.

    Raises:
        ConfigurationError: `config-unknown-key` or `config-type`, naming the key.
    """
    known = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for name, value in table.items():
        if name not in known:
            raise _unknown_key(f"{path}{name}", name, list(known))
        for inner_path, inner, inner_kind in _inner(f"{path}{name}", value, known[name]):
            convert_tree(inner, inner_kind, f"{inner_path}.")
    try:
        with _TURN:
            return msgspec.convert(table, kind, dec_hook=_decode_path)
    except msgspec.ValidationError as error:
        raise _wrong_type(path, str(error), known) from error


def wrong_value(where: str, message: str, hint: str = "") -> ConfigurationError:
    """The error for a value of the right type that cannot be."""
    return ConfigurationError("config-value", f"{where}: {message}", hint=hint)


def apply_check(where: str, check: Callable[[Value], object], value: Value) -> None:
    """Apply one of the core's checks to the value of the key `where`.

    Raises:
        ConfigurationError: `config-value`.
    """
    try:
        check(value)
    except MalformedError as error:
        raise wrong_value(where, error.message, hint=error.hint) from error


def _inner(
    path: str, value: object, kind: Any
) -> Iterator[tuple[str, dict[str, Any], type[msgspec.Struct]]]:
    """The tables in `value` that structs stand for, with their paths."""
    if get_origin(kind) is UnionType:  # `| None`: a table that may be left out
        kind = get_args(kind)[0]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if isinstance(value, dict):
            yield path, value, kind
    elif isinstance(value, list) and get_origin(kind) is tuple:
        for position, item in enumerate(value, 1):
            yield from _inner(f"{path}[{position}]", item, get_args(kind)[0])
    elif isinstance(value, dict) and get_origin(kind) is dict:
        for name, item in value.items():
            yield from _inner(f"{path}.{name}", item, get_args(kind)[1])


def _unknown_key(path: str, name: str, known: list[str]) -> ConfigurationError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
    return ConfigurationError("config-unknown-key", f"unknown key `{path}`", hint=hint)


def _wrong_type(path: str, message: str, known: Mapping[str, Any]) -> ConfigurationError:
    """Put our path before msgspec's, which begins at the table it was given and counts from 0."""
    what, _, inner = message.partition(" - at `$.")
    counted = re.sub(r"\[([0-9]+)\]", lambda found: f"[{int(found[1]) + 1}]", inner.rstrip("`"))
    where = path + counted if inner else path.rstrip(".")
    field = re.match(r"\w+", inner)
    allowed = _allowed(known.get(field[0])) if field and "enum value" in what else []
    hint = f"it is one of {', '.join(allowed)}" if allowed else ""
    return ConfigurationError("config-type", f"{where}: {what}" if where else what, hint=hint)


def _allowed(kind: Any) -> list[str]:
    """The words that a key may have, alone or in a list."""
    if get_origin(kind) is Literal:
        return [f'"{one}"' for one in get_args(kind)]
    return [one for inner in get_args(kind) for one in _allowed(inner)]


def _decode_path(kind: type, value: object) -> object:
    if kind is not Path or not isinstance(value, str):
        raise TypeError(f"Expected `str`, got `{type(value).__name__}`")
    return Path(value)
