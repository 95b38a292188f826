"""The other views, by keyboard and by screen reader too."""

import io
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.pages import (
    AXE,
    DEADLINE,
    LANGUAGES,
    card,
    choose,
    find_violations,
    go,
    messages,
    open_page,
)
from browser.scene import Scene, digests_of

VIEWS = ("verify", "overview", "ledger/hk-1", "ledger/hk-1/0", "attest")


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core here: `./setup.sh` installs it")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_serious_bars_anybody(browser: Browser, scene: Scene, theme: str) -> None:
    context = browser.new_context(color_scheme=theme)  # type: ignore[arg-type]
    page = open_page(context.new_page(), scene.shenzhen.port)
    assert page.locator("html").get_attribute("data-theme") == theme
    names = ("valid.pdf", "fraud.pdf", "never.pdf", "short.pdf", "both.pdf")
    choose(page, *scene.paths(*names))
    for button in page.get_by_role("button", name=re.compile("^Details")).all()[::-1]:
        button.click()
    page.get_by_text("The way from the document").last.click()
    page.locator(".tree").first.wait_for(timeout=DEADLINE)
    found = {view: violations for view in VIEWS if (violations := look_at(page, view, scene))}
    go(page, scene.shenzhen.port, "verify")
    for issuer in ("Bank of Shenzhen (example)", "Bank of Hong Kong (example)"):
        page.get_by_label("Issued by, as").select_option(issuer)
        page.locator('article[data-look="valid"]').first.wait_for(timeout=DEADLINE)
        page.locator(".row progress").first.wait_for(state="detached", timeout=DEADLINE)
        if violations := find_violations(page):
            found[issuer] = violations
    page.get_by_role("button", name="Read a paper slip").click()
    page.locator("dialog input").set_input_files(scene.paths("never.pdf"))
    page.locator("dialog .problem").wait_for(timeout=DEADLINE)
    if violations := find_violations(page):
        found["slip"] = violations
    context.close()
    assert found == {}


def look_at(page: Page, view: str, scene: Scene) -> list[tuple[str, str]]:
    if view != "verify":
        go(page, scene.shenzhen.port, view)
        page.locator("main table, main .facts, main form").first.wait_for(timeout=DEADLINE)
    return find_violations(page)


def test_image_without_words_would_be_found(page: Page, scene: Scene) -> None:
    """The check itself can fail."""
    open_page(page, scene.shenzhen.port)
    page.evaluate("document.querySelector('h1').append(new Image())")
    assert [rule for rule, _ in find_violations(page)] == ["image-alt"]


def test_page_is_used_by_keyboard_alone(page: Page, scene: Scene) -> None:
    open_page(page, scene.shenzhen.port)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "file"
    choose(page, *scene.paths("valid.pdf", "fraud.pdf"))
    page.get_by_role("button", name="Details of fraud.pdf").focus()
    page.keyboard.press("Enter")
    card(page, "revoked").locator(".facts").wait_for()
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    page.keyboard.press("Enter")
    expect(card(page, "revoked").locator(".facts")).to_have_count(0)


def test_keyboard_alone_leads_from_start_to_a_verdict(page: Page, scene: Scene) -> None:
    # Heard from the start: a browser that is told to hand choosers over only now may come too late.
    page.on("filechooser", lambda _: None)
    open_page(page, scene.shenzhen.port)
    press_until(page, "Tab", "document.activeElement.type === 'file'")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(scene.paths("valid.pdf"))
    shown = card(page, "valid")
    status = page.get_by_role("status").first
    expect(status).to_have_text(f"{messages('en')['verdict.undecided.title']} valid.pdf")
    press_until(page, "Tab", "document.activeElement.textContent === 'Yes, it is'")
    page.keyboard.press("Enter")
    expect(shown.locator(".answered")).to_contain_text("Bank of Hong Kong (example)")
    expect(shown.locator(".verdict-title")).to_be_focused()
    expect(status).to_have_text("Valid. valid.pdf")
    press_until(page, "Tab", "document.activeElement.matches('.path-fold > summary')")
    page.keyboard.press("Enter")
    expect(page.locator(".path-result")).to_contain_text("leads to the signed root")
    press_until(page, "Tab", "document.activeElement.type === 'range'")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".path-words h4")).to_have_text("The entry")
    press_until(page, "Shift+Tab", "document.activeElement.type === 'file'")


def press_until(page: Page, key: str, condition: str) -> None:
    """Press a key until what has the focus is what is looked for, and can be seen to have it."""
    for _ in range(40):
        page.keyboard.press(key)
        if page.evaluate(condition):
            assert page.evaluate("document.activeElement.matches(':focus-visible')")
            return
    raise AssertionError(condition)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_of_every_view_is_in_the_language(
    page: Page, scene: Scene, language: str
) -> None:
    keys = messages("en").keys()
    for view in VIEWS:
        open_page(page, scene.shenzhen.port, view, language)
        page.locator("main table, main .facts, main form, main .drop").first.wait_for()
        text = page.locator("body").inner_text()
        assert not [key for key in keys if "." in key and re.search(rf"\b{re.escape(key)}\b", text)]
        assert not re.search(r"\{\w+\}", text), view
        name = messages(language)[f"way.{view.partition('/')[0]}"]
        expect(page.locator('[aria-current="page"]')).to_have_text(name)


def test_page_fits_a_tablet_at_twice_the_size(browser: Browser, scene: Scene) -> None:
    context = browser.new_context(viewport={"width": 410, "height": 590})  # 820 at 200 %
    page = open_page(context.new_page(), scene.shenzhen.port)
    choose(page, *scene.paths("valid.pdf"))
    wide = {}
    for view in VIEWS:
        go(page, scene.shenzhen.port, view)
        page.locator("main table, main .facts, main form, main .verdict").first.wait_for()
        wide[view] = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert all(width <= 410 for width in wide.values()), wide


def test_tables_of_the_ledger_are_whole_on_a_tablet(browser: Browser, scene: Scene) -> None:
    context = browser.new_context(viewport={"width": 820, "height": 1180})
    page = open_page(context.new_page(), scene.shenzhen.port, "ledger/hk-1")
    digest = digests_of(scene.path("both.pdf").read_bytes())["sha256"]
    hidden = "(all) => all.map((one) => one.scrollWidth - one.clientWidth)"
    page.locator(".entries time").first.wait_for(timeout=DEADLINE)
    of_one = page.locator("main .scroll").evaluate_all(hidden)
    page.get_by_label(messages("en")["ledger.text"]).fill(digest)
    page.keyboard.press("Enter")
    page.get_by_role("columnheader", name=messages("en")["ledger.log"]).wait_for(timeout=DEADLINE)
    of_all = page.locator("main .scroll").evaluate_all(hidden)
    context.close()
    assert (of_one, of_all) == ([0], [0])


def test_overview_shows_parts_members_and_who_countersigned(page: Page, scene: Scene) -> None:
    open_page(page, scene.shenzhen.port, "overview")
    expect(page.locator(".banner h2")).to_have_text("All is well", timeout=DEADLINE)
    assert page.locator(".part").count() == 6
    expect(page.locator(".chart")).to_have_count(3)
    size = scene.hong_kong.get("/v1/status")["size"]
    row = page.locator(".matrix tbody tr", has=page.get_by_role("rowheader", name="hk-1"))
    expect(row).to_contain_text(str(size), timeout=DEADLINE)
    expect(row.locator("time")).to_have_count(1)
    expect(page.locator(".map-arrow.done")).not_to_have_count(0)


DAYS = {
    "en": r"\d{1,2} [A-Z][a-z]{2,3} \d{4}, \d\d:\d\d:\d\d",
    "zh-Hant": r"\d{4}年\d{1,2}月\d{1,2}日 \d\d:\d\d:\d\d",
    "zh-Hans": r"\d{4}年\d{1,2}月\d{1,2}日 \d\d:\d\d:\d\d",
}
BROKEN = """() => [...document.querySelectorAll("time, thead th, .matrix :is(th, td), .part-state")]
  .filter((one) => {
    const range = document.createRange();
    range.selectNodeContents(one);
    const boxes = [...range.getClientRects()].filter((box) => box.width > 1);
    const ends = boxes.map((box) => box.bottom);
    return Math.max(...ends) - Math.min(...ends) > 12;
  })
  .map((one) => one.textContent)"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_overview_and_ledger_tell_time_in_one_form_and_break_no_line_on_a_desk(
    browser: Browser, scene: Scene, language: str
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    page = open_page(context.new_page(), scene.shenzhen.port, "overview", language)
    page.locator(".matrix time").first.wait_for(timeout=DEADLINE)
    when = page.locator(".overview-when")
    expect(when).to_contain_text("UTC", timeout=DEADLINE)
    times = [*page.locator("time").all_inner_texts()]
    go(page, scene.shenzhen.port, "ledger/hk-1")
    page.locator(".entries time").first.wait_for(timeout=DEADLINE)
    times += page.locator("time").all_inner_texts()
    found = page.evaluate(BROKEN)
    go(page, scene.shenzhen.port, "overview")
    page.locator(".matrix time").first.wait_for(timeout=DEADLINE)
    found += page.evaluate(BROKEN)
    context.close()
    assert len(times) > 5
    assert [one for one in times if not re.fullmatch(DAYS[language], one)] == []
    assert found == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_refusal_is_told_in_the_language_and_the_gateways_words_are_marked(
    page: Page, scene: Scene, tmp_path: Path, language: str
) -> None:
    (tmp_path / "late.pdf").write_bytes(scene.write("late.pdf"))
    open_page(page, scene.shenzhen.port, "attest", language)
    page.locator("input[type=file]").set_input_files(str(tmp_path / "late.pdf"))
    page.locator("select[required]").select_option("document")
    page.locator("input[type=date]").fill("2020-01-01")
    page.locator(".attest-tools .main").click()
    problem = page.locator(".attest-row .problem")
    expect(problem.locator("strong")).to_have_text(
        messages(language)["problem.already-expired"], timeout=DEADLINE
    )
    own = problem.locator("details")
    expect(own.locator("summary")).to_have_text(messages(language)["verdict.own-words"])
    expect(own.locator("p[lang=en]")).to_contain_text("(already-expired)")
    assert own.get_attribute("open") == ("" if language == "en" else None)


def test_names_of_files_are_kept_from_turning_what_stands_around_them(
    page: Page, scene: Scene, tmp_path: Path
) -> None:
    name = "bill\u202efdp.exe"
    (tmp_path / name).write_bytes(b"x")
    open_page(page, scene.shenzhen.port, "attest")
    page.locator("input[type=file]").set_input_files(str(tmp_path / name))
    expect(page.locator(".row-name bdi")).to_have_text(name)
    button = page.get_by_role("button", name="Remove")
    assert button.first.get_attribute("aria-label") == "Remove \u2068billfdp.exe\u2069"


def test_overview_says_what_is_wrong_and_what_to_do(page: Page, scene: Scene) -> None:
    open_page(page, scene.shenzhen.port, "overview")
    expect(page.locator(".banner h2")).to_have_text("All is well", timeout=DEADLINE)
    with scene.shenzhen.client() as client:
        client.post("/v1/hsm/maintenance", json={"on": True}).raise_for_status()
        try:
            expect(page.locator(".banner h2")).to_have_text(
                "Nothing can be attested now", timeout=DEADLINE
            )
            expect(page.locator(".alarms")).to_contain_text("chopmark hsm maintenance off")
            go(page, scene.shenzhen.port, "verify")
            choose(page, *scene.paths("valid.pdf"))
            card(page, "valid")  # verification goes on
        finally:
            client.post("/v1/hsm/maintenance", json={"on": False}).raise_for_status()


def test_ledger_is_searched_by_digest_number_kind_and_time(page: Page, scene: Scene) -> None:
    digest = digests_of(scene.path("fraud.pdf").read_bytes())["sha256"]
    open_page(page, scene.shenzhen.port, "ledger/hk-1")
    rows = page.locator(".entries tbody tr")
    size = scene.hong_kong.get("/v1/status")["size"]
    expect(rows).to_have_count(size, timeout=DEADLINE)
    page.get_by_label("Digest of a file").fill(digest)
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("revoked")
    page.get_by_label("Digest of a file").fill("2")
    page.keyboard.press("Enter")
    expect(rows.get_by_role("link")).to_have_text("2")
    page.get_by_label("Digest of a file").fill("nonsense")
    page.keyboard.press("Enter")
    expect(page.get_by_text("neither a digest")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    page.get_by_label("Kind of document").select_option("diploma")
    expect(rows).to_have_count(1)
    page.get_by_label("Kind of document").select_option("")
    page.get_by_label("Made until").fill("2020-01-01T00:00")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("Nothing was found")).to_be_visible()


def test_entrys_life_is_told_in_order(page: Page, scene: Scene) -> None:
    digest = digests_of(scene.path("fraud.pdf").read_bytes())["sha256"]
    found = scene.shenzhen.get(f"/v1/documents/sha256/{digest}")["attestations"][0]
    open_page(page, scene.shenzhen.port, f"ledger/hk-1/{found['index']}")
    steps = page.locator(".life > li h3")
    expect(steps).to_have_text(
        ["Attested", "Signed", "Countersigned by enough institutions", "Revoked"], timeout=DEADLINE
    )
    page.locator(".life").get_by_role("link").click()
    expect(page.locator("h1")).to_have_text(f"Entry {found['revoked']['index']}")
    expect(page.locator(".life")).to_contain_text("It takes back")


def test_documents_are_attested_and_their_proofs_come_as_one_archive(
    page: Page, scene: Scene, tmp_path: Path
) -> None:
    names = ("first.pdf", "zweites Dokument.pdf", "第三.pdf")
    for name in names:
        (tmp_path / name).write_bytes(scene.write("made.pdf"))
    open_page(page, scene.shenzhen.port, "attest")
    page.locator("input[type=file]").set_input_files([str(tmp_path / name) for name in names])
    page.get_by_role("button", name="Attest 3 documents").click()
    assert page.locator('[data-state="sending"]').count() == 0  # no kind is chosen yet
    page.get_by_label("Kind of document").select_option("deposit-certificate")
    page.get_by_role("button", name="Attest 3 documents").click()
    page.get_by_role("button", name="Save 3 proofs").wait_for(timeout=DEADLINE)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save 3 proofs").click()
    archive = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
    assert archive.testzip() is None
    assert sorted(archive.namelist()) == sorted(f"{name}.tlog-proof" for name in names)
    archive.extractall(tmp_path)
    done = scene.shenzhen.cli("verify", str(tmp_path / names[2]), "--expect-issuer", "sz-1")
    assert "VALID" in done.stdout
