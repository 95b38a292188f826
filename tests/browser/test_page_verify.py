"""Verifying in a browser: every verdict, in every language, and what leaves the computer."""

import hashlib
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from browser.pages import (
    DEADLINE,
    LANGUAGES,
    Requests,
    card,
    choose,
    confirm,
    go,
    messages,
    open_page,
)
from browser.scene import Scene, digests_of, sm3
from chopmark.client.canonical.pdf_pages import digest_pdf
from chopmark.core.canonical import PDF_PAGES
from chopmark.core.proof import parse_proof
from chopmark.core.slip import encode_slip
from pdfs import SAME

FILES = {
    "valid": ("valid.pdf", "valid.pdf.tlog-proof"),
    "valid-as-of": ("diploma.pdf",),
    "revoked": ("fraud.pdf",),
    "superseded": ("replaced.pdf",),
    "expired": ("short.pdf",),
    "unknown": ("never.pdf",),
    "mismatch": ("changed.pdf", "changed.pdf.tlog-proof"),
    "untrusted": ("untrusted.pdf", "untrusted.pdf.tlog-proof"),
    "attestation-only": ("alone.tlog-proof",),
    "ambiguous": ("both.pdf",),
}
"""By verdict, what the customer brings; `unwitnessed` needs a gateway whose peer is away."""
DETAILS = {"revoked": "revoked.grave"}
"""Verdicts of which a finer explanation is due."""


def said(language: str, key: str) -> str:
    """A message up to its first value."""
    return messages(language)[key].partition("{")[0]


def judge(page: Page, verdict: str, *paths: str, language: str = "en") -> None:
    """Give files; again, where a heartbeat has just come and the answer is not old yet."""
    while True:
        choose(page, *paths)
        if verdict.startswith("valid"):
            confirm(page, language)
        if verdict != "valid-as-of" or page.locator('article[data-verdict="valid"]').count() == 0:
            return


def test_pdf_that_was_saved_again_is_a_mismatch_with_advice(
    page: Page, scene: Scene, traffic: Requests
) -> None:
    """The page cannot tell that the content is the same: it says who can, and what to ask for."""
    scene.write("issued.pdf", SAME["as issued"])
    scene.write("resaved.pdf", SAME["objects renumbered"])
    canonical = {PDF_PAGES: digest_pdf(SAME["as issued"]).hex()}
    digests = digests_of(SAME["as issued"])
    made = scene.attest(scene.hong_kong, "issued.pdf", digests=digests | {"canonical": canonical})
    scene.keep_proof("issued.pdf", made)
    scene.keep_proof("resaved.pdf", made)
    asked = scene.shenzhen.cli("verify", *scene.paths("resaved.pdf"), check=False)
    assert "saved again" in asked.stdout
    for language in LANGUAGES:
        open_page(page, scene.shenzhen.port, language=language)
        page.reload()
        choose(page, *scene.paths("issued.pdf", "issued.pdf.tlog-proof"))
        card(page, "valid")
        choose(page, *scene.paths("resaved.pdf", "resaved.pdf.tlog-proof"))
        shown = card(page, "mismatch").locator(".advice")
        expect(shown).to_contain_text(said(language, "verdict.mismatch.advice"))
        expect(shown.locator("code")).to_have_text("chopmark verify")
    assert all("canonical" not in one["digests"] for one in traffic.asked("/v1/verifications"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_verdict_is_said_explained_and_advised_on(
    page: Page, scene: Scene, language: str
) -> None:
    open_page(page, scene.shenzhen.port, language=language)
    assert page.locator("html").get_attribute("lang") == language
    for verdict, names in FILES.items():
        judge(page, verdict, *scene.paths(*names), language=language)
        shown = card(page, verdict)
        key = DETAILS.get(verdict, verdict)
        title = "valid-as-of.when" if verdict == "valid-as-of" else f"{verdict}.title"
        expect(shown.locator(".verdict-title")).to_contain_text(said(language, f"verdict.{title}"))
        assert said(language, f"verdict.{key}.says") in shown.inner_text()
        assert said(language, f"verdict.{key}.advice") in shown.inner_text(), verdict


def test_issuers_name_is_a_question_until_the_clerk_has_answered(
    page: Page, scene: Scene, traffic: Requests
) -> None:
    open_page(page, scene.shenzhen.port)
    choose(page, *scene.paths("valid.pdf"))
    question = page.locator(".question")
    expect(question).to_contain_text("Bank of Hong Kong (example)")
    question.get_by_role("button", name="No").click()
    expect(card(page, "mismatch").locator(".verdict-says")).to_contain_text(
        "you say", ignore_case=True
    )
    page.get_by_role("button", name="Change the answer").click()
    question.get_by_role("button", name="Yes, it is").click()
    expect(card(page, "valid").locator(".answered")).to_be_visible()
    assert traffic.asked("/v1/verifications")[-1]["expect_issuer"] == "Bank of Hong Kong (example)"


def test_expected_issuer_and_kind_are_asked_for(
    page: Page, scene: Scene, traffic: Requests
) -> None:
    open_page(page, scene.shenzhen.port)
    choose(page, *scene.paths("valid.pdf", "valid.pdf.tlog-proof"))
    page.get_by_label("Issued by").select_option("Bank of Shenzhen (example)")
    shown = card(page, "mismatch")
    expect(shown).to_contain_text("not what you expect: Bank of Shenzhen (example)")
    page.get_by_label("Issued by").select_option("Bank of Hong Kong (example)")
    expect(card(page, "valid").locator(".question")).to_have_count(0)
    page.get_by_label("Kind of document").select_option("diploma")
    card(page, "mismatch")
    assert traffic.asked("/v1/verifications")[-1]["expect_kind"] == "diploma"


def test_ambiguous_document_is_judged_once_an_institution_is_chosen(
    page: Page, scene: Scene
) -> None:
    open_page(page, scene.shenzhen.port)
    choose(page, *scene.paths("both.pdf"))
    question = card(page, "ambiguous").locator(".question")
    question.get_by_role("button", name="Bank of Hong Kong (example)").click()
    expect(card(page, "valid").locator(".facts")).to_contain_text("bank-hk.example/hk-1#")


def test_blinded_document_is_found_by_its_proof_only(page: Page, scene: Scene) -> None:
    open_page(page, scene.shenzhen.port)
    choose(page, *scene.paths("blinded.pdf"))
    expect(card(page, "unknown")).to_contain_text("proof file")
    choose(page, *scene.paths("blinded.pdf", "blinded.pdf.tlog-proof"))
    card(page, "valid")


def test_several_files_give_a_list_with_the_worst_first(page: Page, scene: Scene) -> None:
    open_page(page, scene.shenzhen.port)
    names = [name for one in ("valid", "unknown", "revoked", "mismatch") for name in FILES[one]]
    choose(page, *scene.paths(*names))
    words = [one.get_attribute("data-verdict") for one in page.locator("article").all()]
    assert words == ["mismatch", "revoked", "unknown", "valid"]
    expect(page.get_by_role("heading", name="4 documents checked")).to_be_visible()
    page.get_by_role("button", name="Details of fraud.pdf").click()
    expect(card(page, "revoked").get_by_text("fraud", exact=False).first).to_be_visible()
    assert page.locator("article.open").count() == 1


def test_evidence_names_witnesses_by_place_and_the_path_can_be_stepped_through(
    page: Page, scene: Scene
) -> None:
    open_page(page, scene.shenzhen.port)
    judge(page, "valid-as-of", *scene.paths("diploma.pdf"))
    facts = card(page, "valid-as-of").locator(".facts")
    expect(facts).to_contain_text("Bank of Shenzhen (example)")
    expect(facts.locator(".witnesses")).to_contain_text("Mainland China")
    page.get_by_text("The way from the document").click()
    result = page.locator(".path-result")
    expect(result).to_contain_text("leads to the signed root", timeout=DEADLINE)
    words = page.locator(".path-words")
    expect(words).to_contain_text("The document")
    for _ in range(20):
        if page.get_by_role("button", name="Up").is_disabled():
            break
        page.get_by_role("button", name="Up").click()
    expect(words).to_contain_text("bank-sz.example/sz-1/cosigner")
    assert page.locator(".tree .passed").count() > 5


def test_document_that_the_entry_does_not_name_has_no_part_in_its_way(
    page: Page, scene: Scene
) -> None:
    open_page(page, scene.shenzhen.port)
    for name, key, first in (("valid", "reaches", "document"), ("changed", "elsewhere", "leaf")):
        choose(page, *scene.paths(f"{name}.pdf", f"{name}.pdf.tlog-proof"))
        page.get_by_text("The way from the document").click()
        expect(page.locator(".path-result")).to_have_text(messages("en")[f"path.{key}"])
        expect(page.locator(".path-words h4")).to_have_text(messages("en")[f"path.{first}.title"])


def test_sm3_is_computed_where_the_attestation_names_it(
    page: Page, scene: Scene, traffic: Requests
) -> None:
    data = scene.path("valid.pdf").read_bytes()
    open_page(page, scene.shenzhen.port)
    choose(page, *scene.paths("valid.pdf"))
    card(page, "valid")
    digests = [one["digests"] for one in traffic.asked("/v1/verifications")]
    assert digests[0] == {"sha256": hashlib.sha256(data).hexdigest()}
    assert digests[-1]["sm3"] == sm3(data)


def test_no_byte_of_a_document_leaves_the_browser(
    page: Page, scene: Scene, traffic: Requests
) -> None:
    secret = os.urandom(16).hex().encode()
    scene.write("secret.txt", secret * 40_000)
    open_page(page, scene.shenzhen.port)
    page.get_by_label("Also compute SM3").check()
    choose(page, *scene.paths("secret.txt", "changed.pdf", "changed.pdf.tlog-proof"))
    go(page, scene.shenzhen.port, "attest")
    page.get_by_label("Kind of document").select_option("diploma")
    page.locator("input[type=file]").set_input_files(scene.paths("secret.txt"))
    page.get_by_role("button", name="Attest 1 document").click()
    page.locator('[data-state="done"]').wait_for(timeout=DEADLINE)
    own = f"127.0.0.1:{scene.shenzhen.port}"
    assert {urlsplit(one.url).netloc for one in traffic.made} <= {own, ""}  # blob: has none
    sent = b"\n".join([*traffic.bodies(), *(one.url.encode() for one in traffic.made)])
    assert hashlib.sha256(secret * 40_000).hexdigest().encode() in sent
    for form in (secret[:12], secret[:12].hex().encode()):
        assert form not in sent
    assert b"%PDF" not in sent
    posted = [(urlsplit(one.url).path, one.post_data_json) for one in traffic.made if one.post_data]
    known = {"digests", "proof", "expect_issuer", "expect_kind", "kind", "wait"}
    assert {path for path, _ in posted} == {"/v1/verifications", "/v1/attestations"}
    assert all(body.keys() <= known for _, body in posted)
    assert all(len(digest) == 64 for _, body in posted for digest in body["digests"].values())
    assert page.evaluate("navigator.serviceWorker.controller") is None


def test_file_of_a_gibibyte_is_hashed_in_the_browser_and_found(
    page: Page, scene: Scene, traffic: Requests, tmp_path: Path
) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate((1 << 30) - 16)  # sparse: it takes no room
        file.seek(0, os.SEEK_END)
        file.write(os.urandom(16))
    with large.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    made = scene.attest(scene.hong_kong, "large.bin", digests={"sha256": digest})
    scene.shenzhen.wait_for_head(scene.hong_kong, made["index"] + 1)
    open_page(page, scene.shenzhen.port)
    page.locator("input[type=file]").set_input_files(str(large))
    page.locator(".row progress").wait_for(timeout=DEADLINE)
    expect(card(page, "valid")).to_contain_text("large.bin")
    assert [one["digests"] for one in traffic.asked("/v1/verifications")] == [{"sha256": digest}]


def test_hashing_is_cancelled_in_the_middle(page: Page, scene: Scene, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(2_000_000_000)  # sparse: it takes no room
    open_page(page, scene.shenzhen.port)
    page.locator("input[type=file]").set_input_files(str(large))
    page.get_by_role("button", name="Cancel large.bin").click(timeout=DEADLINE)
    expect(page.locator('.row[data-state="cancelled"]')).to_contain_text("Cancelled")
    choose(page, *scene.paths("valid.pdf"))
    card(page, "valid")


def test_file_that_cannot_be_verified_says_so_and_is_no_verdict(
    page: Page, scene: Scene, tmp_path: Path
) -> None:
    broken = tmp_path / "valid.pdf.tlog-proof"
    broken.write_text("no proof at all")
    (tmp_path / "empty.pdf").touch()
    open_page(page, scene.shenzhen.port)
    choose(page, str(tmp_path / "empty.pdf"))
    expect(card(page, "failed")).to_contain_text("The file is empty")
    choose(page, *scene.paths("valid.pdf"), str(broken))
    expect(card(page, "failed")).to_contain_text("The proof file cannot be read")
    assert page.locator('article[data-verdict="valid"]').count() == 0


@pytest.mark.parametrize("algorithms", [["sha256"], ["sm3"]])  # as a whole, and as a stream
def test_file_that_was_changed_since_it_was_chosen_has_no_digest(
    page: Page, scene: Scene, tmp_path: Path, algorithms: list[str]
) -> None:
    changing = tmp_path / "changing.pdf"
    changing.write_bytes(bytes(3_000_000))
    open_page(page, scene.shenzhen.port)
    hashing = """async ([input, algorithms]) => {
      const { pool } = await import("/page/js/hash/pool.js");
      return pool.hash(input.files[0], algorithms)
        .then(({ digests }) => digests, (error) => error.message);
    }"""
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('input'),"
        " {type: 'file', id: 'raw'}))"
    )
    page.locator("#raw").set_input_files(str(changing))
    raw = page.locator("#raw").element_handle()
    digest = hashlib.new(algorithms[0], bytes(3_000_000)).hexdigest()
    assert page.evaluate(hashing, [raw, algorithms]) == {algorithms[0]: digest}
    changing.write_bytes(b"another")
    assert page.evaluate(hashing, [raw, algorithms]) == "NotReadableError"


def test_dropped_files_are_taken_like_chosen_ones(page: Page, scene: Scene) -> None:
    open_page(page, scene.shenzhen.port)
    text = scene.path("valid.pdf").read_text("latin-1")
    page.evaluate(
        """(text) => {
          const bytes = Uint8Array.from(text, (one) => one.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "dropped.pdf"));
          for (const name of ["dragenter", "dragover", "drop"]) {
            document.body.dispatchEvent(
              new DragEvent(name, { dataTransfer: transfer, bubbles: true, cancelable: true }));
          }
        }""",
        text,
    )
    expect(card(page, "valid")).to_contain_text("dropped.pdf")


def test_verdict_is_announced_and_stays_when_the_language_changes(page: Page, scene: Scene) -> None:
    open_page(page, scene.shenzhen.port)
    choose(page, *scene.paths("fraud.pdf"))
    expect(page.get_by_role("status").first).to_contain_text("Revoked. fraud.pdf")
    page.get_by_label("Language").select_option("zh-Hans")
    expect(card(page, "revoked").locator(".verdict-title")).to_have_text("已撤销")
    assert page.evaluate("document.activeElement.id") == "language"
    page.reload()
    expect(page.locator("h1")).to_have_text("Verify a document")  # the init script's language


def test_page_is_interactive_before_anything_else_has_come(page: Page, scene: Scene) -> None:
    page.route("**/v1/**", lambda route: route.abort())
    open_page(page, scene.shenzhen.port)
    page.locator("input[type=file]").set_input_files(scene.paths("never.pdf"))
    expect(card(page, "failed")).to_contain_text("cannot be reached")


def test_unwitnessed_is_said_in_every_language_where_the_peer_is_away(
    page: Page, scene: Scene
) -> None:
    data = scene.write("unwitnessed.pdf")
    body = {"digests": digests_of(data), "until": "signed"}
    scene.shenzhen.stop()
    try:
        with scene.hong_kong.client() as client:
            client.post("/v1/attestations", json=body).raise_for_status()
        open_page(page, scene.hong_kong.port)
        choose(page, *scene.paths("unwitnessed.pdf"))
        for language in LANGUAGES:
            page.locator("#language").select_option(language)
            shown = card(page, "unwitnessed")
            title = messages(language)["verdict.unwitnessed.title"]
            expect(shown.locator(".verdict-title")).to_have_text(title)
            assert messages(language)["verdict.unwitnessed.advice"] in shown.inner_text()
    finally:
        scene.shenzhen.start()


def test_slip_without_its_document_is_never_valid_and_the_file_after_it_is_compared(
    page: Page, scene: Scene, tmp_path: Path
) -> None:
    proof = scene.path("valid.pdf.tlog-proof").read_bytes()
    (tmp_path / "slip.txt").write_text(encode_slip(parse_proof(proof)))
    open_page(page, scene.shenzhen.port)
    read_slip(page, tmp_path / "slip.txt")
    shown = card(page, "attestation-only")
    expect(shown.locator(".verdict-title")).to_have_text("The document itself was not checked")
    expect(shown).to_contain_text("drop the file itself")
    # A genuine code on a false statement: the file that goes with it is another one.
    choose(page, *scene.paths("changed.pdf"))
    card(page, "mismatch")
    read_slip(page, tmp_path / "slip.txt")
    card(page, "attestation-only")
    choose(page, *scene.paths("valid.pdf"))
    expect(card(page, "valid")).to_contain_text("Compared with the slip")
    # The next customer's document has nothing to do with it.
    choose(page, *scene.paths("fraud.pdf"))
    expect(card(page, "revoked")).not_to_contain_text("Compared with the slip")
    # And the other way round: the file first, then the slip.
    choose(page, *scene.paths("valid.pdf"))
    card(page, "valid")
    read_slip(page, tmp_path / "slip.txt")
    expect(card(page, "valid")).to_contain_text("Compared with the slip")


def test_slip_as_a_file_goes_with_its_document_by_its_name(
    page: Page, scene: Scene, tmp_path: Path
) -> None:
    written = tmp_path / "valid.pdf.slip.pdf"
    scene.shenzhen.cli("slip", str(scene.path("valid.pdf")), "-o", str(written))
    open_page(page, scene.shenzhen.port)
    choose(page, str(written))
    card(page, "attestation-only")
    choose(page, *scene.paths("valid.pdf"), str(written))
    card(page, "valid")
    choose(page, *scene.paths("changed.pdf"), str(written))
    card(page, "mismatch")


@pytest.mark.parametrize("address", ["__proto__", "constructor", "ledger/%E0%A4%A"])
def test_address_that_names_nothing_leaves_no_empty_page(
    page: Page, scene: Scene, address: str
) -> None:
    open_page(page, scene.shenzhen.port)
    page.evaluate("address => { location.hash = `#/${address}`; location.reload(); }", address)
    expect(page.locator("main h1")).to_be_visible()


def test_what_is_no_slip_is_said_to_be_none(page: Page, scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "no-slip.txt").write_text("CHOPMARK1:NOT ONE")
    open_page(page, scene.shenzhen.port)
    page.get_by_role("button", name="Read a paper slip").click()
    page.locator("dialog input").set_input_files(str(tmp_path / "no-slip.txt"))
    expect(page.locator("dialog .problem")).to_contain_text("could not be read")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)


def read_slip(page: Page, path: Path) -> None:
    page.get_by_role("button", name="Read a paper slip").click()
    page.locator("dialog input").set_input_files(str(path))
    page.locator("dialog").wait_for(state="detached", timeout=DEADLINE)
