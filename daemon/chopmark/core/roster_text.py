"""Reading and writing the text of a roster: TOML in one canonical spelling.

What was read is written again and compared: comments, another order of keys, other spellings of a
number or a text are refused, so that a text has one meaning and a meaning has one text.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Final

import msgspec

from chopmark.core.errors import MalformedError
from chopmark.core.note import MAX_NOTE
from chopmark.core.roster import HEADER, Roster

_PATH: Final = re.compile(r" - at `\$\.?(.*)`")


def encode_roster(roster: Roster) -> str:
    """The text of a roster."""
    return HEADER + "\n" + "\n".join(_table(roster, "")) + "\n"


def parse_roster(text: str) -> Roster:
    """Read the text of a roster; its rules are not checked yet (`check_roster`).

    Raises:
        MalformedError: `malformed-roster`.
    """
    roster = read_draft(text)
    if encode_roster(roster) != text:
        hint = "`chopmark roster propose` writes the canonical spelling"
        raise _malformed("a roster is not in its canonical spelling", hint)
    return roster


def read_draft(text: str) -> Roster:
    """Read a roster in any spelling of TOML, as a person writes it; raises as `parse_roster`."""
    first, _, body = text.partition("\n")
    if first != HEADER:
        raise _malformed(f"the first line of a roster is not {HEADER}")
    if len(text.encode()) > MAX_NOTE:
        raise _malformed("a roster is too large")
    try:
        roster = msgspec.convert(tomllib.loads(body), Roster)
        encode_roster(roster)
    except tomllib.TOMLDecodeError as error:
        raise _malformed(f"a roster is not TOML below its first line: {error}") from error
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        found = _PATH.search(str(error))
        where = f"`{found[1]}`: " if found else ""
        raise _malformed(f"a roster: {where}{_PATH.sub('', str(error))}") from error
    return roster


def _malformed(message: str, hint: str = "") -> MalformedError:
    return MalformedError("malformed-roster", message, hint=hint)


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


def _table(part: msgspec.Struct, name: str) -> Iterator[str]:
    """Lines of a table: values first, then the tables in it, each after a blank line."""
    tables: list[tuple[str, str, msgspec.Struct]] = []
    for field in _fields(type(part)):
        value = getattr(part, field.name)
        path = f"{name}.{field.name}".lstrip(".")
        if isinstance(value, msgspec.Struct):
            tables.append(("[{}]", path, value))
        elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
            tables += [("[[{}]]", path, one) for one in value]
        elif value is not None and value != field.default:
            yield f"{field.name} = {_value(value)}"
    for heading, path, value in tables:
        if not _is_bare(value):
            yield ""
            yield heading.format(path)
        yield from _table(value, path)


def _is_bare(part: msgspec.Struct) -> bool:
    """Whether a table holds nothing but tables, which say where they are themselves."""
    values = [getattr(part, field.name) for field in _fields(type(part))]
    return all(isinstance(v, tuple) and v and isinstance(v[0], msgspec.Struct) for v in values)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    # Within what rules let through, a JSON string is a basic string of TOML.
    return json.dumps(value, ensure_ascii=False)
