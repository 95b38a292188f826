"""A real Chromium in front of real gateways, which all tests of this folder share."""

from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from browser.pages import DEADLINE, Requests
from browser.scene import Scene
from leftout import pytest_runtest_makereport  # noqa: F401 - a hook

CHROMIUM = which("chromium")
# The library's own five seconds are not enough beside other tests.
expect.set_options(timeout=DEADLINE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser nothing here can run."""
    for item in items:
        if CHROMIUM is None and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="no chromium here: `./setup.sh` installs it"))


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("b"))
    try:
        yield made.fill()
    finally:
        made.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not of the session: other modules start a browser of their own, and there may be one loop."""
    with sync_playwright() as playwright:
        # A container has no user namespaces for the sandbox, and nothing foreign is shown here.
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a user who has never been here; an error in it fails the test."""
    context = browser.new_context(locale="en-GB", timezone_id="Asia/Hong_Kong")
    context.set_default_timeout(60_000)
    made = context.new_page()
    errors: list[str] = []
    made.on("pageerror", lambda error: errors.append(str(error)))
    made.on("console", lambda said: errors.append(said.text) if is_wrong(said.text) else None)
    yield made
    context.close()
    assert not errors


def is_wrong(text: str) -> bool:
    """Whether the browser says that the page broke its own policy."""
    return "Content Security Policy" in text or "Refused to" in text


@pytest.fixture
def traffic(page: Page) -> Requests:
    return Requests(page)
