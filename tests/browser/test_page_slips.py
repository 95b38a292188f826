"""Slips that come among files: photographs, and their PDF by whatever name."""

import hashlib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from playwright.sync_api import Page, expect

import slips
from browser.pages import LANGUAGES, Requests, card, choose, confirm, messages, open_page
from browser.scene import Scene


@pytest.fixture(scope="module")
def folder(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slip of `valid.pdf`: as PDF by another name, as PNG and as JPEG."""
    made = tmp_path_factory.mktemp("s")
    scene.shenzhen.cli("slip", str(scene.path("valid.pdf")), "-o", str(made / "download.pdf"))
    picture = slips.render(made / "download.pdf", 200)
    picture.save(made / "photo.png")
    picture.convert("RGB").save(made / "photo.jpg")
    Image.new("L", (300, 300), 255).save(made / "blank.png")
    return made


@pytest.mark.parametrize("language", LANGUAGES)
def test_picture_of_a_slip_is_read_and_is_never_valid(
    page: Page, scene: Scene, folder: Path, language: str
) -> None:
    words = messages(language)
    open_page(page, scene.shenzhen.port, language=language)
    choose(page, str(folder / "photo.png"))
    shown = card(page, "attestation-only")
    expect(shown).to_contain_text(words["slip.scanned"].replace("{name}", "photo.png"))
    expect(shown).to_contain_text(words["slip.next"])
    expect(shown).to_have_attribute("data-tone", "calm")
    choose(page, *scene.paths("changed.pdf"))
    card(page, "mismatch")


def test_slip_is_found_in_each_file_and_asked_about_without_digests(
    page: Page, scene: Scene, folder: Path, traffic: Requests
) -> None:
    open_page(page, scene.shenzhen.port)
    choose(page, *(str(folder / name) for name in ("download.pdf", "photo.png", "photo.jpg")))
    expect(page.locator('article[data-verdict="attestation-only"]')).to_have_count(3)
    asked = traffic.asked("/v1/verifications")
    assert [sorted(one) for one in asked if "proof" in one] == [["proof"]] * 3
    sums = {hashlib.sha256(one.read_bytes()).hexdigest() for one in folder.iterdir()}
    assert sum(one["digests"]["sha256"] in sums for one in asked if "digests" in one) == 3


def test_document_after_a_picture_of_its_slip_is_compared_with_it(
    page: Page, scene: Scene, folder: Path
) -> None:
    open_page(page, scene.shenzhen.port)
    choose(page, str(folder / "photo.jpg"))
    card(page, "attestation-only")
    choose(page, *scene.paths("valid.pdf"))
    confirm(page)
    expect(card(page, "valid")).to_contain_text("Compared with the slip")


def test_picture_that_is_attested_itself_is_judged_as_the_document(
    page: Page, scene: Scene, folder: Path
) -> None:
    made = BytesIO()
    note = PngImagePlugin.PngInfo()
    note.add_text("Title", "a document that shows a slip")
    Image.open(folder / "photo.png").save(made, "PNG", pnginfo=note)
    scene.write("shown.png", made.getvalue())
    scene.attest(scene.hong_kong, "shown.png")
    scene.shenzhen.wait_for(lambda: scene.verdict("shown.png") == "valid", "to hear of it")
    open_page(page, scene.shenzhen.port)
    choose(page, *scene.paths("shown.png"))
    expect(card(page, "valid")).not_to_contain_text("code of a slip")
    page.get_by_label("Issued by").select_option("Bank of Shenzhen (example)")
    expect(card(page, "unknown").locator(".verdict-says")).to_contain_text("Bank of Hong Kong")


def test_picture_without_a_slip_stays_an_unknown_document(
    page: Page, scene: Scene, folder: Path, tmp_path: Path
) -> None:
    head = (folder / "blank.png").read_bytes()
    huge = tmp_path / "huge.png"
    huge.write_bytes(head[:16] + (60_000).to_bytes(4) * 2 + head[24:])
    text = slips.slip_of()
    forged = tmp_path / "forged.pdf"
    forged.write_bytes(b"%PDF-1.7\n% " + text[:200].encode() + b"\n")
    open_page(page, scene.shenzhen.port)
    for path in (folder / "blank.png", huge):
        choose(page, str(path))
        expect(card(page, "unknown").locator(".answered")).to_have_count(0)
    choose(page, str(forged))
    unread = messages("en")["slip.scanned.malformed"]
    expect(card(page, "unknown")).to_contain_text(unread)
