"""The offline verifier in Chromium, opened from a disk: verdicts, languages, and that it is closed.

What a gateway has to do with it is tested in tests/integration/test_roster.py.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

import slips
import verdictvectors as made
from browser.pages import AXE, find_violations, messages
from chopmark.client.offline_page import Sealed, build_page
from chopmark.client.slip.facts import gather_facts
from chopmark.client.slip.page import make_page
from chopmark.core.digest import digest_stream
from chopmark.core.roster import Fingerprint, Roster
from chopmark.core.roster_text import encode_roster
from chopmark.core.slip_making import make_slip
from chromium import open_chromium
from rosters import ISSUED, founding

NOW = "2026-11-23T09:00:00Z"
DOCUMENT = b"a bank statement\n"
LARGE = bytes(range(256)) * 10_241
"""Two pieces and a half."""
LANGUAGES = {"en-GB": "en", "zh-HK": "zh-Hant", "zh-CN": "zh-Hans"}
GATEWAY = {
    "id": "sz-1",
    "origin": "bank-sz.example/sz-1",
    "institution": "Bank of SZ (example)",
    "jurisdiction": "CN",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_chromium() as chromium:
        yield chromium


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made_context = browser.new_context(locale="en-GB")
    yield made_context
    made_context.close()


def sealed(roster: Roster) -> Sealed:
    values: dict[str, Any] = made.sealed(roster, ())
    values |= {"version": "0.1.0", "made_at": "2026-11-22T13:00:00.000Z", "gateway": GATEWAY}
    return Sealed(roster, Fingerprint(encode_roster(roster)), values)


def write_page(folder: Path, roster: Roster) -> Path:
    path = folder / "verifier.html"
    path.write_bytes(build_page(sealed(roster)))
    return path


def open_page(context: BrowserContext, path: Path, now: str = NOW) -> Page:
    page = context.new_page()
    page.clock.set_fixed_time(now)
    page.goto(path.as_uri())
    return page


def put(folder: Path, name: str, document: bytes | None, proof: bytes | None) -> list[Path]:
    written: list[Path] = []
    for path, data in ((folder / name, document), (folder / f"{name}.tlog-proof", proof)):
        if data is not None:
            path.write_bytes(data)
            written.append(path)
    return written


def scenes() -> dict[str, tuple[bytes | None, bytes | None]]:
    """By file name, which says the word that is due: a document and its proof."""
    whole = made.Made().proof()
    digests = digest_stream([LARGE])[0]
    large = made.attested(sha256=digests.sha256, sm3=digests.sm3)
    absent = made.attested(sha256=bytes(32))
    return {
        "valid-as-of": (DOCUMENT, whole.encode()),
        "valid-as-of.blinded": (DOCUMENT, made.hidden().proof().encode()),
        "valid-as-of.large": (LARGE, large.proof().encode()),
        "mismatch": (b"another document\n", whole.encode()),
        "untrusted": (DOCUMENT, made.damaged(whole)["one bit of a cosignature"].encode()),
        "untrusted.stranger": (
            DOCUMENT,
            made.Made(log=made.log_key("x.example/y", 9)).proof().encode(),
        ),
        "expired": (DOCUMENT, made.attested(valid_until=made.NOW).proof().encode()),
        "unwitnessed": (
            DOCUMENT,
            made.Made(cosigned={made.SZ.cosigner: made.SECONDS}).proof().encode(),
        ),
        "attestation-only": (None, absent.proof().encode()),
        "unreadable": (b"one more", b"c2sp.org/tlog-proof@v1\njunk"),
        "needs-proof": (b"nobody has attested this", None),
    }


def words(page: Page) -> dict[str, str]:
    cards = page.locator(".verdict")
    return {
        str(card.locator(".verdict-file").text_content()).removesuffix(".tlog-proof"): str(
            card.get_attribute("data-word")
        )
        for card in cards.all()
    }


@pytest.mark.parametrize("locale", LANGUAGES)
def test_every_verdict_in_every_language_and_nothing_is_asked_for(
    browser: Browser, locale: str, tmp_path: Path
) -> None:
    context = browser.new_context(locale=locale)
    requests: list[str] = []
    context.on("request", lambda request: requests.append(request.url))
    path = write_page(tmp_path, founding())
    page = open_page(context, path)
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    given = [file for name, pair in scenes().items() for file in put(tmp_path, name, *pair)]
    page.set_input_files("#files", given)
    expect(page.locator(".verdict")).to_have_count(len(scenes()))
    assert words(page) == {name: name.partition(".")[0] for name in scenes()}
    text = str(page.locator("main").text_content())
    assert page.locator("html").get_attribute("lang") == LANGUAGES[locale]
    assert not re.search(r"\b(verdict|question|state|fact|problem|seal|path)\.[a-z]", text)
    assert not errors
    assert requests == [path.as_uri()]
    context.close()


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core here: `./setup.sh` installs it")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_serious_bars_anybody(browser: Browser, tmp_path: Path, theme: Any) -> None:
    context = browser.new_context(color_scheme=theme, bypass_csp=True)  # axe is run by eval
    page = open_page(context, write_page(tmp_path, founding()))
    given = [file for name, pair in scenes().items() for file in put(tmp_path, name, *pair)]
    page.set_input_files("#files", given)
    expect(page.locator(".verdict")).to_have_count(len(scenes()))
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    found = find_violations(page)
    refused = open_page(context, write_page(tmp_path, founding()), "2027-11-22T13:00:01Z")
    expect(refused.get_by_role("alert")).to_be_visible()
    found += find_violations(refused)
    context.close()
    assert found == []


def test_page_can_reach_nothing_though_it_wanted_to(
    context: BrowserContext, tmp_path: Path
) -> None:
    page = open_page(context, write_page(tmp_path, founding()))
    tried = page.evaluate(
        """async () => {
          const tries = [
            () => fetch("http://127.0.0.1:9/"),
            () => new Promise((good, bad) => {
              const image = new Image();
              image.onload = good;
              image.onerror = bad;
              image.src = "http://127.0.0.1:9/x.png";
            }),
            () => new Worker(URL.createObjectURL(new Blob([""]))),
            () => document.body.append(Object.assign(document.createElement("script"),
              { textContent: "window.broken = true" })),
          ];
          const ends = [];
          const violations = [];
          addEventListener("securitypolicyviolation", (e) => violations.push(e.effectiveDirective));
          for (const one of tries) await Promise.resolve().then(one).catch(() => {});
          await new Promise((go) => setTimeout(go, 50));
          return { violations, broken: window.broken === true };
        }"""
    )
    assert tried["broken"] is False
    assert {"connect-src", "img-src"} <= set(tried["violations"])


def test_proof_may_come_later_and_the_issuer_may_be_named(
    context: BrowserContext, tmp_path: Path
) -> None:
    page = open_page(context, write_page(tmp_path, founding()))
    card = page.locator(".verdict")
    [document, proof] = put(tmp_path, "a", *scenes()["valid-as-of.large"])
    page.set_input_files("#files", document)
    expect(card).to_have_attribute("data-word", "needs-proof")
    page.set_input_files("#files", proof)
    expect(card).to_have_attribute("data-word", "valid-as-of")
    page.select_option("#expectIssuer", "Bank of SZ (example)")
    expect(card).to_have_attribute("data-word", "mismatch")
    expect(card).not_to_contain_text("The date to rely on")
    page.select_option("#expectIssuer", "Bank of HK (example)")
    expect(card).to_have_attribute("data-word", "valid-as-of")
    expect(card).to_have_attribute("data-tone", "good")
    expect(card).to_contain_text("The date to rely on")
    page.select_option("#expectKind", "bank-statement")
    expect(card).to_have_attribute("data-word", "valid-as-of")


@pytest.mark.parametrize("locale", LANGUAGES)
def test_nothing_is_green_before_somebody_has_said_whose_document_it_is(
    browser: Browser, locale: str, tmp_path: Path
) -> None:
    words = messages(LANGUAGES[locale])
    context = browser.new_context(locale=locale)
    page = open_page(context, write_page(tmp_path, founding()))
    page.set_input_files("#files", put(tmp_path, "a", *scenes()["valid-as-of"]))
    card = page.locator(".verdict")
    title = card.locator(".verdict-title")
    for _ in range(2):
        expect(title).to_have_text(words["verdict.undecided.title"])
        expect(page.locator('[data-tone="good"]')).to_have_count(0)
        assert words["fact.existed-by.why"] not in card.inner_text()
        page.get_by_role("button", name=words["question.yes"]).click()
        expect(card).to_have_attribute("data-tone", "good")
        expect(title).to_be_focused()
        assert words["fact.existed-by.why"] in card.inner_text()
        page.get_by_role("button", name=words["question.change"]).click()
        expect(title).to_be_focused()
    context.close()


def slip_files(folder: Path) -> dict[str, Path]:
    """A slip in every form in which it can be given."""
    policy = made.POLICIES["two"]
    text = make_slip(made.Made().proof(), policy)
    forms = {name: folder / name for name in ("a.slip (1).pdf", "typed.txt", "photo.png")}
    pdf, typed, photo = forms.values()
    pdf.write_bytes(make_page(gather_facts(text, policy, {}), "zh-Hant"))
    typed.write_text(f"{text}\r\n")
    slips.render(pdf, 150).rotate(90, expand=True).save(photo)
    return forms


def test_slip_alone_is_never_more_than_an_attestation(
    context: BrowserContext, tmp_path: Path
) -> None:
    page = open_page(context, write_page(tmp_path, founding()))
    forms = slip_files(tmp_path)
    page.set_input_files("#slips", list(forms.values()))
    expect(page.locator(".verdict")).to_have_count(len(forms))
    assert words(page) == dict.fromkeys(forms, "attestation-only")


@pytest.mark.parametrize("form", ["a.slip (1).pdf", "typed.txt", "photo.png"])
def test_slip_stands_for_the_proof_of_its_document(
    context: BrowserContext, tmp_path: Path, form: str
) -> None:
    page = open_page(context, write_page(tmp_path, founding()))
    card = page.locator(".verdict")
    page.set_input_files("#slips", slip_files(tmp_path)[form])
    expect(card).to_have_attribute("data-word", "attestation-only")
    page.set_input_files("#files", put(tmp_path, "a", DOCUMENT, None))
    expect(card).to_have_attribute("data-word", "valid-as-of")
    expect(card.locator(".verdict-file")).to_have_text("a")
    page.get_by_role("button", name="Clear").click()
    page.set_input_files("#files", put(tmp_path, "other", b"another document\n", None))
    expect(card).to_have_attribute("data-word", "needs-proof")
    page.set_input_files("#slips", slip_files(tmp_path)[form])
    expect(card).to_have_attribute("data-word", "mismatch")


def test_slips_pdf_and_text_are_known_among_dropped_files_and_a_picture_is_a_document(
    context: BrowserContext, tmp_path: Path
) -> None:
    page = open_page(context, write_page(tmp_path, founding()))
    page.set_input_files("#files", list(slip_files(tmp_path).values()))
    expect(page.locator(".verdict")).to_have_count(3)
    assert words(page) == {
        "a.slip (1).pdf": "attestation-only",
        "typed.txt": "attestation-only",
        "photo.png": "needs-proof",
    }


def test_slip_that_cannot_be_read_says_why(context: BrowserContext, tmp_path: Path) -> None:
    page = open_page(context, write_page(tmp_path, founding()))
    blank, junk, cut = (tmp_path / name for name in ("blank.png", "junk.pdf", "cut.txt"))
    Image.new("L", (200, 200), 255).save(blank)
    junk.write_bytes(b"%PDF-1.7 a statement")
    cut.write_text(slip_files(tmp_path)["typed.txt"].read_text()[:-30])
    page.set_input_files("#slips", [blank, junk, cut])
    for path, reason in (
        (blank, "No code of a slip was found"),
        (junk, "This picture cannot be read here"),
        (cut, "could not be read as it was printed"),
    ):
        card = page.locator(".verdict", has_text=path.name)
        expect(card).to_have_attribute("data-word", "unread-slip")
        card.locator("summary").first.click()
        expect(card.locator(".problem")).to_contain_text(reason)


def test_name_of_a_file_is_kept_from_turning_what_stands_around_it(
    context: BrowserContext, tmp_path: Path
) -> None:
    page = open_page(context, write_page(tmp_path, founding()))
    name = "bill\u202efdp.exe"
    page.set_input_files("#files", put(tmp_path, name, DOCUMENT, None))
    expect(page.locator(".verdict-file bdi")).to_have_text(name)
    expect(page.get_by_role("status")).to_have_text(
        "\u2068billfdp.exe\u2069: Its proof file is needed"
    )


def test_page_says_whose_it_is_and_of_which_roster(context: BrowserContext, tmp_path: Path) -> None:
    page = open_page(context, write_page(tmp_path, founding()))
    seal = page.locator(".seal")
    expect(seal).to_contain_text("Use it only if you have it from your own institution.")
    expect(seal).to_contain_text(Fingerprint(encode_roster(founding())).words)
    expect(seal).to_contain_text("22 November 2027")


@pytest.mark.parametrize(
    ("why", "now"),
    [
        ("expired", "2027-11-22T13:00:01Z"),
        ("clock", "2026-11-20T13:00:00Z"),
        ("damaged", NOW),
    ],
)
def test_page_refuses_to_check(context: BrowserContext, tmp_path: Path, why: str, now: str) -> None:
    path = write_page(tmp_path, founding())
    if why == "damaged":
        whole = path.read_text("utf-8")
        path.write_text(whole.replace("version = 1", "version = 01"), "utf-8")
    page = open_page(context, path, now)
    expect(page.get_by_role("alert")).to_have_attribute("data-why", why)
    assert page.locator("#files").count() == 0


def test_page_refuses_once_its_roster_expires_while_it_is_open(
    context: BrowserContext, tmp_path: Path
) -> None:
    short = msgspec.structs.replace(founding(), expires=ISSUED + timedelta(days=1))
    page = open_page(context, write_page(tmp_path, short))
    page.clock.set_fixed_time("2026-11-24T09:00:00Z")
    page.set_input_files("#files", put(tmp_path, "a", *scenes()["valid-as-of"]))
    expect(page.get_by_role("alert")).to_have_attribute("data-why", "expired")
    assert page.locator(".verdict").count() == 0


def test_page_judges_nothing_anew_once_its_roster_has_expired(
    context: BrowserContext, tmp_path: Path
) -> None:
    short = msgspec.structs.replace(founding(), expires=ISSUED + timedelta(days=1))
    page = open_page(context, write_page(tmp_path, short))
    page.set_input_files("#files", put(tmp_path, "a", *scenes()["valid-as-of"]))
    expect(page.locator(".verdict")).to_have_attribute("data-word", "valid-as-of")
    page.clock.set_fixed_time("2026-11-24T09:00:00Z")
    page.select_option("#expectKind", "bank-statement")
    expect(page.get_by_role("alert")).to_have_attribute("data-why", "expired")
    assert page.locator(".verdict").count() == 0
