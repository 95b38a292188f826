"""Signing in with a browser: guests verify, people with accounts see what they may."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.pages import DEADLINE, card, choose
from rig.authority import Authority
from rig.gateway import HONG_KONG, Cluster, Gateway

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("s")
    cluster = Cluster(folder / "c", (HONG_KONG,))
    made = cluster["hk-1"]
    made.serve_page(Authority(folder), 'open_to = ["127.0.0.1/32"]')
    try:
        cluster.start()
        words = ("account", "add", "anna", "--role", "verifier", "--role", "issuer")
        command = [sys.executable, "-m", "chopmark.cli.main", *words]
        told, where = f"{PASSWORD}\n", made.environment()
        subprocess.run(command, env=where, input=told, text=True, check=True)
        yield made
    finally:
        cluster.stop()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(ignore_https_errors=True, locale="en-GB")
    yield context.new_page()
    context.close()


def test_guest_verifies_and_who_signs_in_attests(
    page: Page, gateway: Gateway, tmp_path: Path
) -> None:
    document = tmp_path / "statement.pdf"
    document.write_bytes(b"%PDF a statement")
    page.goto(f"https://localhost:{gateway.page_port}/")
    expect(page.get_by_role("link", name="Sign in")).to_be_visible(timeout=DEADLINE)
    expect(page.locator(".ways a")).to_have_text(["Verify", "Overview", "Ledger"])
    choose(page, str(document))
    card(page, "unknown")
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("You are signed in", timeout=DEADLINE)
    page.get_by_role("link", name="Attest").click()
    page.get_by_label("Kind of document").select_option("bank-statement")
    page.locator("input[type=file]").set_input_files(str(document))
    page.get_by_role("button", name="Attest 1 document").click()
    page.get_by_role("button", name="Save 1 proof").wait_for(timeout=DEADLINE)
    page.get_by_role("link", name="Verify").click()
    choose(page, str(document))
    card(page, "valid")
    page.get_by_role("link", name="Overview").click()
    expect(page.locator(".part")).to_have_count(6, timeout=DEADLINE)
