import ast
import builtins
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from string import Formatter

import pytest

import chopmark.console
from chopmark.console import words
from chopmark.console.commands import load_commands
from chopmark.console.showing import Screen
from chopmark.console.words import TABLES, find_text, t
from chopmark.console.words.explain import explain, find_meaning, find_remedy
from chopmark.console.words.numbers import NUMBERS, number
from chopmark.core.errors import TryAgainError, UsageError
from consoledesk import MemoryDesk

PARTS = [one.name for one in iter_modules(words.__path__) if one.name not in ("numbers", "explain")]
CONSOLE = Path(chopmark.console.__file__).parent


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("part", PARTS)
def test_all_languages_say_the_same_with_the_same_values(part: str) -> None:
    module = import_module(f"chopmark.console.words.{part}")
    english, hans, hant = module.EN, module.ZH_HANS, module.ZH_HANT
    # errors speak English themselves
    assert {key for key in hans if not key.startswith("error.")} <= english.keys() <= hans.keys()
    assert hans.keys() == hant.keys()
    for key, text in hans.items():
        assert fields(hant[key]) == fields(english.get(key, text)) == fields(text), key


def test_no_key_stands_in_two_parts() -> None:
    modules = [import_module(f"chopmark.console.words.{part}") for part in PARTS]
    keys = [key for module in modules for key in module.ZH_HANS]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("language", TABLES)
def test_each_command_each_argument_and_each_group_has_its_line_of_help(
    language: words.Language,
) -> None:
    table = load_commands()
    paths = {one.path for one in table}
    beginnings = {path[:depth] for path in paths for depth in range(1, len(path))}
    keys = {f"group.{'-'.join(one)}" for one in beginnings - paths}
    keys |= {one.help for one in table} | {one.help for it in table for one in it.arguments}
    assert [key for key in sorted(keys) if not find_text(language, key)] == []


def test_no_command_stands_twice() -> None:
    paths = [one.path for one in load_commands()]
    assert len(paths) == len(set(paths))


def test_numbers_are_given_once() -> None:
    assert len(set(NUMBERS.values())) == len(NUMBERS)
    assert min(NUMBERS.values()) >= 1000


def test_numbers_that_are_printed_somewhere_stay() -> None:
    assert NUMBERS["pin-latched"] == 1042
    assert NUMBERS["not-on-this-platform"] == 1900
    assert NUMBERS["gateway-unreachable"] == 1400


def test_each_error_of_the_console_has_a_number() -> None:
    quiet = {"interrupted", "hung-up", "nobody-reads", "idle", "logged-out", "port-away"}
    quiet |= {"sign-in-late", "seat-taken"}  # told by words of their own
    for path in CONSOLE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and not hasattr(builtins, node.func.id)
            ):
                code = node.args[0] if node.func.id.endswith("Error") and node.args else None
                if isinstance(code, ast.Constant) and code.value not in quiet:
                    assert code.value in NUMBERS, f"{path.name}: {code.value}"


def test_error_is_number_message_and_what_to_do() -> None:
    error = TryAgainError("hsm-busy", "the HSM is busy", hint="wait")
    assert explain("en", error) == "E-1011: the HSM is busy; do: wait"
    assert explain("zh-Hant", error) == (
        "E-1011: HSM 正忙。請：`show hsm` 與 `test hsm` 說明原因\n  (the HSM is busy; do: wait)"
    )


@pytest.mark.parametrize("language", ["zh-Hans", "zh-Hant"])
def test_each_number_has_a_meaning_and_what_to_do_in_each_language(
    language: words.Language,
) -> None:
    meanings = {code: find_meaning(language, code) for code in NUMBERS}
    assert [code for code, text in meanings.items() if not text or text.isascii()] == []
    english = [code for code in NUMBERS if find_remedy(language, code, "wait") == "wait"]
    assert english == []


@pytest.mark.parametrize("language", ["zh-Hans", "zh-Hant"])
def test_problem_of_the_api_that_the_page_has_words_for_is_told_in_them(
    language: words.Language,
) -> None:
    error = UsageError("csrf-token-wrong", "the token is another")
    told = explain(language, error)
    assert told.startswith("E-1000 (csrf-token-wrong): 此")
    assert told.endswith("\n  (the token is another)")


def test_error_that_has_no_words_in_another_language_is_told_in_english() -> None:
    assert explain("zh-Hans", UsageError("brand-new", "never seen", hint="call")) == (
        "E-1000 (brand-new): never seen; do: call"
    )


def test_error_has_a_sentence_of_its_own_in_another_language() -> None:
    error = TryAgainError("pin-latched", "the PIN is latched")
    assert explain("zh-Hans", error).startswith("E-1042: HSM 拒绝了 PIN，")
    assert explain("zh-Hans", error).endswith("\n  (the PIN is latched)")
    assert explain("en", error) == "E-1042: the PIN is latched"


def test_error_without_a_number_is_shown_with_its_code() -> None:
    assert number("brand-new") == "E-1000 (brand-new)"
    assert explain("en", UsageError("brand-new", "never seen")) == "E-1000 (brand-new): never seen"


@pytest.mark.parametrize("language", TABLES)
def test_text_that_is_nowhere_is_its_key(language: words.Language) -> None:
    assert t(language, "no.such-key") == "no.such-key"


def test_what_is_put_in_is_no_format() -> None:
    assert "{x.__class__}" in t("en", "session.welcome", who="{x.__class__}")


def test_error_that_was_said_in_the_language_of_the_person_is_not_said_twice() -> None:
    code, hint = "not-on-this-platform", t("zh-Hans", "do.not-on-this-platform")
    error = UsageError(code, "温度：本平台不支持", hint=hint)
    assert explain("zh-Hans", error) == f"E-1900: 温度：本平台不支持。请：{hint}"


async def test_what_to_do_keeps_the_english_where_only_its_kind_is_known() -> None:
    desk = MemoryDesk(language="zh-Hans")
    screen = Screen(desk)
    assert screen.remedy("hsm-token", "see `token_label`").endswith(" (see `token_label`)")
    assert screen.remedy("hsm-away", "look") == t("zh-Hans", "do.hsm-away")
    await screen.fields([("synchronised", False)])
    assert desk.said == ["  已同步  否"]
