"""What the tests do with a page, and what they know of its languages."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, Request

ROOT = Path(__file__).parents[2]
I18N = ROOT / "daemon/chopmark/api/web/js/i18n"
AXE = ROOT / "page/node_modules/axe-core/axe.min.js"
LANGUAGES = ("en", "zh-Hant", "zh-Hans")
DEADLINE = 60_000
"""Milliseconds: the machine may be busy with other tests."""
SERIOUS = {"serious", "critical"}
_MESSAGE = re.compile(r'^  "?([\w.@/-]+)"?: ("(?:[^"\\]|\\.)*"),$', re.MULTILINE)


@cache
def messages(language: str) -> Mapping[str, str]:
    """The table of a language."""
    paths = (I18N / f"{name}{language}.js" for name in ("shared-", ""))
    text = "".join(path.read_text() for path in paths)
    return {key: json.loads(value) for key, value in _MESSAGE.findall(text)}


def filled(text: str, issuer: str) -> str:
    """A message about an issuer, whose name in Latin letters is set off from Chinese."""
    spaced = re.sub(
        r"(?<=[\u3400-\u9fff])(?=\{issuer\})|(?<=\{issuer\})(?=[\u3400-\u9fff])", " ", text
    )
    return spaced.replace("{issuer}", issuer)


def open_page(page: Page, port: int, view: str = "verify", language: str = "en") -> Page:
    """Open a view in a language."""
    page.add_init_script(f"localStorage.setItem('chopmark.lang', '{language}')")
    go(page, port, view)
    return page


def go(page: Page, port: int, view: str) -> None:
    """Go to a view, which takes no load where the page is there; the view before is gone then."""
    page.goto(f"http://127.0.0.1:{port}/#/{view}")
    page.locator(f'main[data-ready="{view.partition("/")[0]}"] h1').wait_for(timeout=DEADLINE)


def choose(page: Page, *paths: str) -> None:
    """Give files, and wait until all are judged."""
    page.locator("input[type=file]").set_input_files(list(paths))
    page.locator("article.verdict").first.wait_for(timeout=DEADLINE)
    page.locator(".row progress").first.wait_for(state="detached", timeout=DEADLINE)


def card(page: Page, verdict: str) -> Locator:
    """The card with this verdict, once it is there."""
    found = page.locator(f'article[data-verdict="{verdict}"]')
    found.wait_for(timeout=DEADLINE)
    return found


def confirm(page: Page, language: str = "en") -> None:
    """Say that the issuer is the institution that the customer names, and wait for the verdict."""
    page.get_by_role("button", name=messages(language)["question.yes"]).click()
    page.locator('article.open:not([data-look="undecided"])').wait_for(timeout=DEADLINE)


def find_violations(page: Page) -> list[tuple[str, str]]:
    """What axe-core finds that is serious: rule, and where."""
    # What is just fading in has less contrast than it will have.
    page.evaluate("Promise.allSettled(document.getAnimations().map((one) => one.finished))")
    page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate(
        "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
    )
    return [
        (one["id"], str(node["target"]))
        for one in found
        for node in one["nodes"]
        if one["impact"] in SERIOUS
    ]


class Requests:
    """Everything that a page asks for."""

    def __init__(self, page: Page) -> None:
        self.made: list[Request] = []
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        self.made.append(request)

    def bodies(self) -> list[bytes]:
        return [one.post_data_buffer or b"" for one in self.made]

    def asked(self, path: str) -> list[dict[str, Any]]:
        """Bodies of what was posted there."""
        return [json.loads(one.post_data or "{}") for one in self.made if one.url.endswith(path)]
