"""Signing in with a browser: guests verify, people with accounts see what they may."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.pages import AXE, DEADLINE, LANGUAGES, card, choose, find_violations, messages
from browser.scene import Scene
from rig.gateway import Gateway

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def gateway(scene: Scene) -> Gateway:
    made = scene.shenzhen
    words = ("account", "add", "anna", "--role", "verifier", "--role", "issuer")
    command = [sys.executable, "-m", "chopmark.cli.main", *words]
    subprocess.run(command, env=made.environment(), input=f"{PASSWORD}\n", text=True, check=True)
    return made


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(ignore_https_errors=True, locale="en-GB")
    yield context.new_page()
    context.close()


def sign_in(page: Page, gateway: Gateway, name: str) -> None:
    page.goto(f"https://localhost:{gateway.page_port}/#/signin")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("You are signed in", timeout=DEADLINE)


def test_guest_verifies_and_who_signs_in_attests(
    page: Page, gateway: Gateway, tmp_path: Path
) -> None:
    document = tmp_path / "statement.pdf"
    document.write_bytes(b"%PDF a statement")
    page.goto(f"https://localhost:{gateway.page_port}/")
    expect(page.get_by_role("link", name="Sign in")).to_be_visible(timeout=DEADLINE)
    expect(page.locator(".ways a")).to_have_text(["Verify", "Trace", "Overview", "Ledger"])
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
    page.locator('main[data-ready="verify"]').wait_for()
    expect(page.locator("article")).to_have_count(0)  # what the guest saw is not for her
    choose(page, str(document))
    card(page, "valid")
    page.get_by_role("link", name="Overview").click()
    expect(page.locator(".part")).to_have_count(6, timeout=DEADLINE)


def test_guest_sees_how_fresh_peers_are_and_hears_what_is_not_for_guests(
    page: Page, gateway: Gateway, scene: Scene
) -> None:
    page.goto(f"https://localhost:{gateway.page_port}/")
    for language in LANGUAGES:
        words = messages(language)
        page.locator("#language").select_option(language)
        page.goto(f"https://localhost:{gateway.page_port}/#/overview")
        row = page.locator(".mesh tbody tr", has=page.get_by_role("rowheader", name="hk-1"))
        expect(row.locator("td").last).not_to_have_text(words["mesh.never"], timeout=DEADLINE)
        expect(row).to_contain_text(words["mesh.state.following"])
        for key in ("closed.mesh", "closed.rates"):
            expect(page.locator(".closed", has_text=words[key])).to_contain_text(
                words["way.signin"]
            )
        expect(page.locator(".map, .matrix, .chart")).to_have_count(0)
    page.locator("#language").select_option("en")
    page.goto(f"https://localhost:{gateway.page_port}/#/verify")
    choose(page, *scene.paths("valid.pdf"))
    page.get_by_text("The way from the document").click()
    expect(page.locator(".path")).to_have_text(messages("en")["path.closed"], timeout=DEADLINE)
    choose(page, *scene.paths("valid.pdf", "valid.pdf.tlog-proof"))
    page.get_by_text("The way from the document").click()
    expect(page.locator(".path-result")).to_contain_text("leads to the signed root")


def test_who_lacks_the_role_of_a_view_reads_which_and_whom_to_ask(
    page: Page, gateway: Gateway
) -> None:
    words = ("account", "add", "bert", "--role", "auditor")
    command = [sys.executable, "-m", "chopmark.cli.main", *words]
    subprocess.run(command, env=gateway.environment(), input=f"{PASSWORD}\n", text=True, check=True)
    sign_in(page, gateway, "bert")
    for language in LANGUAGES:
        table = messages(language)
        page.locator("#language").select_option(language)
        page.goto(f"https://localhost:{gateway.page_port}/#/attest")
        expect(page.locator("h1")).to_have_text(table["attest.title"])
        shown = page.locator(".denied")
        expect(shown.locator("code")).to_have_text("issuer")
        expect(shown).to_contain_text(table["denied.ask"].partition("{name}")[2])
        expect(page.locator("main :is(form, input, select)")).to_have_count(0)
        # On an open network whoever signs in may do what a guest may.
        page.goto(f"https://localhost:{gateway.page_port}/#/verify")
        expect(page.locator("h1")).to_have_text(table["verify.title"])
        expect(page.locator(".denied")).to_have_count(0)
        page.goto(f"https://localhost:{gateway.page_port}/#/attest")
        expect(shown.locator("code")).to_have_text("issuer")
    page.reload()
    expect(page.locator(".denied")).to_be_visible(timeout=DEADLINE)
    page.goto(f"https://localhost:{gateway.page_port}/#/ledger")
    expect(page.locator(".entries tbody tr")).not_to_have_count(0, timeout=DEADLINE)


def test_who_may_attest_some_kinds_is_offered_those(page: Page, gateway: Gateway) -> None:
    words = (
        "account",
        "add",
        "cora",
        "--role",
        "verifier",
        "--role",
        "issuer",
        "--kind",
        "diploma",
    )
    command = [sys.executable, "-m", "chopmark.cli.main", *words]
    subprocess.run(command, env=gateway.environment(), input=f"{PASSWORD}\n", text=True, check=True)
    sign_in(page, gateway, "cora")
    page.goto(f"https://localhost:{gateway.page_port}/#/attest")
    options = page.locator("select[required] option")
    expect(options).to_have_text(["Choose a kind", "Diploma"], timeout=DEADLINE)
    page.reload()
    expect(options).to_have_text(["Choose a kind", "Diploma"], timeout=DEADLINE)


def test_browser_with_a_client_certificate_has_nothing_to_sign_in_to(
    browser: Browser, gateway: Gateway, scene: Scene
) -> None:
    origin = f"https://localhost:{gateway.tls_port}"
    pair = scene.authority.issue("clerk")
    shown = {"origin": origin, "certPath": pair.certificate, "keyPath": pair.key}
    context = browser.new_context(ignore_https_errors=True, client_certificates=[shown])  # type: ignore[list-item]
    page = context.new_page()
    page.goto(f"{origin}/#/signin")
    expect(page.locator("h1")).to_have_text("You are known here", timeout=DEADLINE)
    expect(page.locator(".facts")).to_contain_text("cert auditing")
    expect(page.locator(".ways a")).to_have_text(["Verify", "Trace", "Overview", "Ledger"])
    page.get_by_role("link", name="Ledger").click()
    expect(page.locator(".entries tbody tr")).not_to_have_count(0, timeout=DEADLINE)
    page.get_by_role("link", name="Verify").click()
    choose(page, *scene.paths("valid.pdf"))
    card(page, "valid")
    context.close()


def test_browser_without_a_client_certificate_sees_nothing_there(
    page: Page, gateway: Gateway
) -> None:
    page.goto(f"https://localhost:{gateway.tls_port}/")
    page.locator("input[type=file]").wait_for(timeout=DEADLINE)
    status = page.evaluate("fetch('/v1/status').then((answer) => answer.status)")
    assert status in {401, 403}


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core here: `./setup.sh` installs it")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_serious_bars_anybody_from_signing_in(
    browser: Browser, gateway: Gateway, theme: str
) -> None:
    context = browser.new_context(ignore_https_errors=True, color_scheme=theme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"https://localhost:{gateway.page_port}/#/signin")
    page.get_by_label("Name").fill("anna")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").filter(has_text="password").wait_for(timeout=DEADLINE)
    found = find_violations(page)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("You are signed in", timeout=DEADLINE)
    found += find_violations(page)
    context.close()
    assert found == []
