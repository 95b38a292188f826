"""One word for one thing in each Chinese script: page, offline verifier, slip, sign-in, console."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pytest

from chopmark.api.page_files import FOLDER
from chopmark.client.slip.wording import KINDS, WORDS, Words
from chopmark.console import words as console_words

SCRIPTS: Final = ("zh-Hant", "zh-Hans")
_GLOSSARY: Final = Path(__file__).parents[2] / "docs/page.md"
_MESSAGE: Final = re.compile(r'^\s+"?([\w.@/-]+)"?: "((?:[^"\\]|\\.)*)",$', re.MULTILINE)
_NOT_THE_WORD: Final = re.compile("憑(?=證明)|凭(?=证明)|证书吊销列表")
"""By means of a proof is no certificate; the list's name stands in the glossary."""


class Term(NamedTuple):
    """A row of the glossary, for one script."""

    english: str
    chosen: list[str]
    others: list[str]


def read_glossary(script: str) -> list[Term]:
    section = _GLOSSARY.read_text().partition("\n## Words in Chinese")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in row.split("|")[1:-1]]
        for row in section.splitlines()
        if row.startswith("| ")
    ]
    at = SCRIPTS.index(script)
    return [Term(row[0], row[1 + at].split("、"), row[3 + at].split("、")) for row in rows[2:]]


def read_messages(name: str) -> Mapping[str, str]:
    return dict(_MESSAGE.findall((FOLDER / f"js/i18n/{name}.js").read_text()))


def read_signing_in(script: str) -> Mapping[str, str]:
    text = (FOLDER / "js/views/signin.js").read_text()
    block = text.partition(f'\n  "{script}": {{\n')[2].partition("\n  },")[0] + "\n"
    return dict(_MESSAGE.findall(block))


def read_dealings(script: str) -> Mapping[str, str]:
    text = (FOLDER / "js/deal/words.js").read_text()
    block = text.partition(f'\n  "{script}": {{\n')[2].partition("\n  },")[0] + "\n"
    return dict(_MESSAGE.findall(block))


def slip_words(script: str) -> Mapping[str, str]:
    words: Words = WORDS[script]  # type: ignore[index]
    return {name: str(value) for name, value in msgspec.to_builtins(words).items()}


def console_texts(script: str) -> Mapping[str, str]:
    return console_words.all_texts(next(one for one in console_words.TABLES if one == script))


def all_texts(script: str) -> Mapping[str, str]:
    places = {
        "page": read_messages(script),
        "shared": read_messages(f"shared-{script}"),
        "offline": read_messages(f"offline-{script}"),
        "sign-in": read_signing_in(script),
        "dealings": read_dealings(script),
        "slip": slip_words(script),
        "console": console_texts(script),
    }
    assert all(len(found) > 15 for found in places.values())
    return {
        f"{place} {key}": text for place, found in places.items() for key, text in found.items()
    }


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_other_word_stands_for_a_term(script: str) -> None:
    texts = {key: _NOT_THE_WORD.sub("", text) for key, text in all_texts(script).items()}
    terms = read_glossary(script)
    assert len(terms) > 20
    found = [
        (key, word)
        for term in terms
        for word in term.others
        for key, text in texts.items()
        if word in text
    ]
    assert found == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_word_of_the_glossary_is_used(script: str) -> None:
    together = "\n".join(all_texts(script).values())
    assert [
        term.english
        for term in read_glossary(script)
        if not any(word in together for word in term.chosen)
    ] == []


@pytest.mark.parametrize("table", ["en", *SCRIPTS])
def test_page_and_offline_verifier_say_nothing_alike_by_two_tables(table: str) -> None:
    page, offline = read_messages(table), read_messages(f"offline-{table}")
    shared = read_messages(f"shared-{table}")
    assert len(shared) > 40
    assert not shared.keys() & (page.keys() | offline.keys())
    assert [key for key in page.keys() & offline.keys() if page[key] == offline[key]] == []
    names = re.compile(r"(kind|place)\.[A-Za-z-]+")
    assert [key for key in page.keys() | offline.keys() if names.fullmatch(key)] == []


@pytest.mark.parametrize("table", ["en", *SCRIPTS])
def test_slip_names_kinds_as_the_page_does(table: str) -> None:
    kinds = read_messages(f"shared-{table}")
    assert dict(KINDS[table]) == {  # type: ignore[index]
        key.removeprefix("kind."): text for key, text in kinds.items() if key.startswith("kind.")
    }
