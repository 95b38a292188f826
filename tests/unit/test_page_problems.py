"""The page has words of its own, in each language, for whatever the gateway may refuse it."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import pytest

from chopmark.api.page_files import FOLDER
from chopmark.api.spec.build import build

LANGUAGES: Final = ("en", "zh-Hant", "zh-Hans")
_ASKED: Final = re.compile(r'["`](/(?:v1|log)/[^"`?]*)')
_MESSAGE: Final = re.compile(r'^\s+"([\w.-]+)": "((?:[^"\\]|\\.)*)",$', re.MULTILINE)
_HOLE: Final = re.compile(r"\$\{(?!query)[^}]*\}|\{[^}]*\}")


def plain(path: str) -> str:
    """A path without the names of what is put into it."""
    return _HOLE.sub("*", path.partition("${query")[0])


@cache
def asked() -> frozenset[str]:
    """The routes that the scripts of the page name."""
    scripts = (path.read_text() for path in (FOLDER / "js").rglob("*.js"))
    return frozenset(plain(path) for script in scripts for path in _ASKED.findall(script))


@cache
def described() -> dict[str, Any]:
    paths: dict[str, Any] = build()["paths"]
    return {plain(path): operations for path, operations in paths.items()}


def codes_of(operations: dict[str, Any]) -> Iterator[str]:
    for operation in operations.values():
        for answer in operation["responses"].values():
            told = answer["description"].partition("Problems: ")[2]
            yield from re.findall(r"`([a-z0-9-]+)`", told)


def words(language: str) -> dict[str, str]:
    return dict(_MESSAGE.findall((FOLDER / f"js/i18n/{language}.js").read_text()))


def words_of_signing_in(language: str) -> dict[str, str]:
    text = (FOLDER / "js/views/signin.js").read_text()
    tag = language if language.isalpha() else f'"{language}"'
    return dict(
        _MESSAGE.findall(text.partition(f"\n  {tag}: {{\n")[2].partition("\n  },")[0] + "\n")
    )


def test_page_asks_only_what_is_described() -> None:
    assert len(asked()) > 12
    assert asked() - described().keys() == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_that_may_reach_the_page_has_its_words(language: str) -> None:
    table = words(language)
    signing_in = table | {
        key.removeprefix("signin."): text for key, text in words_of_signing_in(language).items()
    }
    found = [
        (route, code, f"problem.{code}" in (signing_in if "/session" in route else table))
        for route in sorted(asked())
        for code in codes_of(described()[route])
    ]
    assert len({code for _, code, _ in found}) > 60
    assert sorted({(code, route) for route, code, has_words in found if not has_words}) == []
