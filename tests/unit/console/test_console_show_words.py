"""Words of `show` and `test`: equal keys and placeholders, and every key that is used is there."""

import re
from pathlib import Path

import chopmark.console
from chopmark.console.command import Command
from chopmark.console.commands import (
    bundle,
    show_box,
    show_gateway,
    show_log,
    show_status,
    show_versions,
    testing,
    testing_broker,
)
from chopmark.console.words import fields, show

TABLES = tuple(
    {**getattr(show, name), **getattr(fields, name)} for name in ("EN", "ZH_HANS", "ZH_HANT")
)
MODULES = (bundle, show_box, show_gateway, show_log, show_status, show_versions, testing)
COMMANDS: list[Command] = [one for each in (*MODULES, testing_broker) for one in each.COMMANDS]


def test_tables_have_equal_keys_and_placeholders() -> None:
    english = {key: sorted(re.findall(r"{(\w+)}", text)) for key, text in TABLES[0].items()}
    for table in TABLES[1:]:
        assert {key: sorted(re.findall(r"{(\w+)}", text)) for key, text in table.items()} == english


def test_every_key_that_is_named_is_there() -> None:
    root = Path(chopmark.console.__file__).parent
    text = "".join(path.read_text("utf-8") for path in root.rglob("*.py"))
    named = set(re.findall(r'\.t\(\s*f?"((?:show|test|bundle|mark)\.[a-z-]+)"', text))
    assert len(named) > 20
    assert named <= TABLES[0].keys()


def test_every_command_has_a_line_of_help() -> None:
    for one in COMMANDS:
        for key in (one.help, *(argument.help for argument in one.arguments)):
            assert key in TABLES[0], key
