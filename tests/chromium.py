"""Debian's Chromium, driven by Playwright, for tests of pages."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

PROGRAM = "/usr/bin/chromium"


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """A browser without a window; where tests run as root its sandbox cannot."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, chromium_sandbox=False)
        try:
            yield browser
        finally:
            browser.close()
