from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.console.command import Argument, Command, Role, Surroundings
from chopmark.console.grammar import parse
from chopmark.console.offers import complete, expect
from chopmark.core.errors import UsageError


async def _nothing(_: Surroundings, __: Mapping[str, str]) -> None:
    pass


def _command(path: str, *arguments: Argument, role: Role = Role.OBSERVE) -> Command:
    return Command(tuple(path.split()), f"help of {path}", role, _nothing, arguments)


FILE = Argument("FILE", "which file")
STATE = Argument("STATE", "on or off", ("on", "off"))
TABLE = (
    _command("show hsm"),
    _command("show log", Argument("SINCE", "how far back", optional=True)),
    _command("show log follow"),
    _command("show logins"),
    _command("test hsm"),
    _command("terminal plain", STATE),
    _command("transfer send", FILE),
    _command("factory reset", role=Role.DUAL),
    _command("factory report"),
    _command("language", Argument("LANGUAGE", "which", ("en", "zh-Hans", "zh-Hant"))),
)


def found(line: str) -> tuple[str, dict[str, str]]:
    match = parse(line, TABLE)
    assert match is not None
    return " ".join(match.command.path), dict(match.arguments)


@pytest.mark.parametrize(
    ("line", "path", "arguments"),
    [
        ("show hsm", "show hsm", {}),
        ("sh hs", "show hsm", {}),
        ("  SHOW   Hsm ", "show hsm", {}),
        ("sh log", "show log", {}),
        ("sh log f", "show log follow", {}),
        ("sh log 2h", "show log", {"SINCE": "2h"}),
        ("sh logi", "show logins", {}),
        ("tr s a.bin", "transfer send", {"FILE": "a.bin"}),
        ('tr s "my file"', "transfer send", {"FILE": "my file"}),
        ("term plain of", "terminal plain", {"STATE": "off"}),
        ("lang zh-hant", "language", {"LANGUAGE": "zh-Hant"}),
        ("fac res", "factory reset", {}),
    ],
)
def test_line_is_understood(line: str, path: str, arguments: dict[str, str]) -> None:
    assert found(line) == (path, arguments)


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("t hsm", "console-ambiguous", "test, terminal, transfer"),
        ("factory re", "console-ambiguous", "reset, report"),
        ("lang zh", "console-choice", "zh-Hans, zh-Hant"),
        ("sho what", "console-unknown-word", "hsm, log, logins"),
        ("nonsense", "console-unknown-word", "`?`"),
        ("shwo hsm", "console-unknown-word", "did you mean `show`?"),
        ("show hms", "console-unknown-word", "did you mean `hsm`? one of hsm"),
        ("show", "console-missing-word", "hsm, log, logins"),
        ("transfer send", "console-missing-argument", "FILE"),
        ("transfer send a b", "console-extra-word", "'b'"),
        ("show hsm now", "console-extra-word", "'now'"),
        ("terminal plain maybe", "console-choice", "on, off"),
        ('transfer send "a', "console-quote", '"'),
        ("show hsm | grep x", "console-pipe", "no-more"),
        ("show hsm |", "console-pipe", "include TEXT"),
        ("| no-more", "console-missing-word", "show"),
    ],
)
def test_line_that_is_not_understood_says_what_would_do(line: str, code: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line, TABLE)
    assert caught.value.code == code
    assert told in str(caught.value)


def test_empty_line_is_nothing() -> None:
    assert parse("   ", TABLE) is None


def test_output_is_piped() -> None:
    match = parse('sh hs|inc "a | b"', TABLE)
    assert match is not None
    assert (match.include, match.paged) == ("a | b", True)
    match = parse("sh hs | no", TABLE)
    assert match is not None
    assert (match.include, match.paged) == ("", False)


@pytest.mark.parametrize(
    ("line", "made", "fitting"),
    [
        ("sh", "show ", ()),
        ("show h", "show hsm ", ()),
        ("show l", "show log", ("log", "logins")),
        ("SH", "show ", ()),
        ("t", "t", ("test", "terminal", "transfer")),
        ("terminal plain o", "terminal plain o", ("on", "off")),
        ("terminal plain of", "terminal plain off ", ()),
        ("language ZH", "language zh-Han", ("zh-Hans", "zh-Hant")),
        ("transfer send ", "transfer send ", ()),
        ("show hsm ", "show hsm ", ()),
        ("show hsm | n", "show hsm | no-more ", ()),
        ("nonsense h", "nonsense h", ()),
        ("show logins x", "show logins x", ()),
    ],
)
def test_tab_completes(line: str, made: str, fitting: tuple[str, ...]) -> None:
    assert complete(line, TABLE) == (made, fitting)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", ["show", "test", "terminal", "transfer", "factory", "language"]),
        ("te", ["test", "terminal"]),
        ("show ", ["hsm", "log", "logins"]),
        ("show log ", ["follow", "SINCE", "<Enter>", "|"]),
        ("show hsm ", ["<Enter>", "|"]),
        ("transfer send ", ["FILE"]),
        ("transfer send a", ["FILE"]),
        ("transfer send a ", ["<Enter>", "|"]),
        ("terminal plain ", ["on", "off"]),
        ("show hsm | ", ["no-more", "include"]),
        ("show hsm | include ", ["TEXT"]),
    ],
)
def test_what_may_follow_is_listed(line: str, words: list[str]) -> None:
    assert [one.word for one in expect(line, TABLE)] == words


def test_what_a_role_may_not_is_listed_with_the_role_it_takes() -> None:
    roles = {one.word: one.role for one in expect("factory ", TABLE)}
    assert roles == {"reset": Role.DUAL, "report": Role.OBSERVE}
    assert {one.word: one.role for one in expect("", TABLE)}["factory"] is Role.OBSERVE


def test_help_behind_words_that_are_wrong_says_what_is_wrong() -> None:
    with pytest.raises(UsageError):
        expect("nonsense ", TABLE)


@given(st.text(st.sampled_from("showhsmlgterminalpi \"|-x'")))
def test_any_line_is_understood_or_refused(line: str) -> None:
    complete(line, TABLE)
    for ask in (parse, expect):
        with suppress(UsageError):
            ask(line, TABLE)
