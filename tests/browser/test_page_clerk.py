"""What a clerk is told where a plain word would mislead: another's document, an open question."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from browser.pages import (
    LANGUAGES,
    Requests,
    card,
    choose,
    confirm,
    filled,
    messages,
    open_page,
)
from browser.scene import Scene, digests_of

HONG_KONG = "Bank of Hong Kong (example)"
SHENZHEN = "Bank of Shenzhen (example)"


def expect_issuer(page: Page, language: str, name: str) -> None:
    page.get_by_label(messages(language)["expect.issuer"]).select_option(name)


def has_green(page: Page) -> bool:
    return page.locator('main [data-tone="good"]').count() > 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_fraud_told_by_another_than_expected_is_said_and_stays_unknown(
    page: Page, scene: Scene, language: str
) -> None:
    words = messages(language)
    open_page(page, scene.shenzhen.port, language=language)
    choose(page, *scene.paths("fraud.pdf"))
    expect_issuer(page, language, SHENZHEN)
    shown = card(page, "unknown")
    expect(shown.locator(".verdict-title")).to_have_text(words["verdict.elsewhere.title"])
    expect(shown.locator(".verdict-says")).to_contain_text(HONG_KONG)
    expect(shown.locator(".taken-back")).to_contain_text(words["reason.4"])
    expect(shown.locator(".advice")).to_contain_text(words["verdict.revoked.grave.advice"])
    assert words["verdict.unknown.says"] not in shown.inner_text()
    assert not has_green(page)
    choose(page, *scene.paths("fraud.pdf", "never.pdf"))
    row = page.get_by_role("article", name=re.compile("^fraud.pdf"))
    expect(row.locator(".taken-back")).to_contain_text(words["reason.4"])
    other = page.get_by_role("article", name=re.compile("^never.pdf"))
    expect(other.locator(".verdict-title")).to_have_text(words["verdict.unknown.title"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_document_of_another_institution_is_named_and_is_not_green(
    page: Page, scene: Scene, language: str
) -> None:
    words = messages(language)
    open_page(page, scene.shenzhen.port, language=language)
    choose(page, *scene.paths("valid.pdf"))
    expect_issuer(page, language, SHENZHEN)
    shown = card(page, "unknown")
    says = shown.locator(".verdict-says")
    expect(says).to_contain_text(HONG_KONG)
    expect(says).to_contain_text(SHENZHEN)
    expect(shown.locator(".others")).to_contain_text(words["others.attested"])
    assert not has_green(page)
    expect_issuer(page, language, "")
    page.get_by_label(words["expect.kind"]).select_option("diploma")
    expected = words["verdict.elsewhere.otherwise.says"].partition("{")[0]
    expect(says).to_contain_text(expected)
    expect(says).to_contain_text(words["kind.bank-statement"])


def test_fraud_is_told_beside_a_proof_of_another_issuer_than_expected(
    page: Page, scene: Scene
) -> None:
    made = scene.attest(scene.hong_kong, "forged.pdf")
    scene.keep_proof("forged.pdf", made)
    with scene.hong_kong.client() as client:
        body = {"index": made["index"], "reason": 4}
        client.post("/v1/revocations", json=body).raise_for_status()
    scene.shenzhen.wait_for(lambda: scene.verdict("forged.pdf") == "revoked", "to hear of it")
    open_page(page, scene.shenzhen.port)
    choose(page, *scene.paths("forged.pdf", "forged.pdf.tlog-proof"))
    expect_issuer(page, "en", SHENZHEN)
    shown = card(page, "mismatch")
    expect(shown.locator(".verdict-title")).to_have_text("Another institution’s document")
    expect(shown.locator(".taken-back")).to_contain_text("fraud")
    expect(shown.locator(".facts")).not_to_contain_text("date to rely on")
    choose(page, *scene.paths("changed.pdf", "changed.pdf.tlog-proof"))
    expect(card(page, "mismatch").locator(".verdict-title")).to_have_text("Not the same document")


def test_sm3_is_computed_where_attestations_beside_the_verdict_lack_it(
    page: Page, scene: Scene, traffic: Requests
) -> None:
    open_page(page, scene.shenzhen.port)
    choose(page, *scene.paths("both.pdf"))
    shown = card(page, "ambiguous")
    given = [one["digests"] for one in traffic.asked("/v1/verifications")]
    both = digests_of(scene.path("both.pdf").read_bytes())
    assert given == [{"sha256": both["sha256"]}, both]
    expect(shown.locator(".others")).to_contain_text("Attested")
    expect(shown).not_to_contain_text(messages("en")["verdict.mismatch.title"])
    assert not has_green(page)
    shown.get_by_role("button", name=HONG_KONG).click()
    expect(card(page, "valid").locator(".verdict-title")).to_be_focused()
    page.get_by_role("button", name="Change the answer").click()
    expect(card(page, "ambiguous").locator(".question")).to_be_visible()


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_green_until_the_clerk_has_said_whose_document_it_is(
    page: Page, scene: Scene, language: str
) -> None:
    words = messages(language)
    open_page(page, scene.shenzhen.port, language=language)
    choose(page, *scene.paths("valid.pdf"))
    shown, status = card(page, "valid"), page.get_by_role("status").first
    title = shown.locator(".verdict-title")
    expect(title).to_have_text(words["verdict.undecided.title"])
    expect(shown).to_have_attribute("data-tone", "ask")
    assert words["verdict.valid.title"] not in shown.locator(".verdict-head").inner_text().split()
    assert words["fact.existed-by.why"] not in shown.inner_text()
    page.get_by_text(words["path.title"]).click()
    expect(page.locator(".path-result")).to_have_text(words["path.reaches"])
    assert not has_green(page)
    confirm(page, language)
    expect(title).to_have_text(words["verdict.valid.title"])
    expect(title).to_be_focused()
    expect(shown).to_have_attribute("data-tone", "good")
    expect(status).to_have_text(f"{words['verdict.valid.title']}. valid.pdf")
    assert words["fact.existed-by.why"] in shown.inner_text()
    page.get_by_role("button", name=words["question.change"]).click()
    expect(title).to_have_text(words["verdict.undecided.title"])
    expect(title).to_be_focused()
    page.get_by_role("button", name=words["question.no"], exact=True).click()
    title = card(page, "mismatch").locator(".verdict-title")
    expect(title).to_have_text(words["verdict.other-issuer.title"])
    expect(title).to_be_focused()
    expect(status).to_have_text(f"{words['verdict.other-issuer.title']}. valid.pdf")


def test_rows_of_a_list_are_not_green_until_their_question_is_answered(
    page: Page, scene: Scene
) -> None:
    open_page(page, scene.shenzhen.port)
    choose(page, *scene.paths("valid.pdf", "replacement.pdf"))
    expect(page.get_by_role("status").first).to_contain_text("2 need your attention")
    assert not has_green(page)
    page.get_by_role("button", name="Details of replacement.pdf").click()
    confirm(page)
    answered = page.get_by_role("article", name="replacement.pdf: Valid")
    expect(answered.locator(".verdict-title")).to_be_focused()
    expect(page.get_by_role("status").first).to_have_text("Valid. replacement.pdf")
    tones = [one.get_attribute("data-tone") for one in page.locator("article").all()]
    assert tones == ["ask", "good"]
    expect_issuer(page, "en", HONG_KONG)
    expect(page.locator('article[data-tone="good"]')).to_have_count(2)


def test_date_is_to_rely_on_only_where_there_is_something_to_rely_on(
    page: Page, scene: Scene
) -> None:
    why = messages("en")["fact.existed-by.why"]
    open_page(page, scene.shenzhen.port)
    for names, verdict in (
        (["fraud.pdf"], "revoked"),
        (["withdrawn.pdf"], "revoked"),
        (["changed.pdf", "changed.pdf.tlog-proof"], "mismatch"),
        (["untrusted.pdf", "untrusted.pdf.tlog-proof"], "untrusted"),
    ):
        choose(page, *scene.paths(*names))
        assert why not in card(page, verdict).inner_text(), names
    choose(page, *scene.paths("replaced.pdf"))
    assert why in card(page, "superseded").inner_text()


def test_cosignatures_of_a_newer_head_are_said_to_be_that(page: Page, scene: Scene) -> None:
    """Without a proof those of the newest head are shown, beside the time of the first quorum."""
    asked = {"digests": digests_of(scene.path("valid.pdf").read_bytes())}

    def is_later() -> bool:
        scene.attest(scene.hong_kong, "growing.pdf")
        with scene.shenzhen.client() as client:
            answer = client.post("/v1/verifications", json=asked).json()
        found = answer["attestations"][0]
        return bool(max(one["time"] for one in found["witnesses"]) > found["existed_by"])

    scene.shenzhen.wait_for(is_later, "to have a head that is countersigned later")
    later = messages("en")["fact.witnesses.later"]
    open_page(page, scene.shenzhen.port)
    choose(page, *scene.paths("valid.pdf"))
    expect(card(page, "valid").locator(".facts")).to_contain_text(later)
    choose(page, *scene.paths("valid.pdf", "valid.pdf.tlog-proof"))
    expect(card(page, "valid").locator(".witnesses")).to_be_visible()
    expect(card(page, "valid").locator(".facts")).not_to_contain_text(later)
    expect(card(page, "valid").locator(".facts")).not_to_contain_text("false")
    scene.write("no-proof.pdf", scene.path("valid.pdf").read_bytes())
    told = scene.shenzhen.cli("verify", *scene.paths("no-proof.pdf")).stdout
    assert "or a newer head" in told


def test_printed_list_names_time_entry_and_fingerprint_of_each_file(
    page: Page, scene: Scene
) -> None:
    open_page(page, scene.shenzhen.port)
    choose(page, *scene.paths("valid.pdf", "never.pdf", "fraud.pdf"))
    notes = page.locator(".on-paper")
    expect(notes.first).not_to_be_visible()
    page.emulate_media(media="print")
    assert notes.count() == 3
    for name in ("valid.pdf", "never.pdf", "fraud.pdf"):
        note = page.get_by_role("article", name=re.compile(f"^{name}")).locator(".on-paper")
        expect(note).to_be_visible()
        digest = digests_of(scene.path(name).read_bytes())["sha256"]
        expect(note).to_contain_text(f"SHA-256 {digest[:16]}…")
        expect(note).to_contain_text(re.compile("Answered by this gateway on .*20[0-9]{2}"))
        entry = note.get_by_text("bank-hk.example/hk-1#")
        expect(entry).to_have_count(0 if name == "never.pdf" else 1)
        expect(note).not_to_contain_text("Expected:")
    page.emulate_media(media="screen")
    expect_issuer(page, "en", SHENZHEN)
    expect(page.locator(".on-paper", has_text=f"Expected: {SHENZHEN}")).to_have_count(3)


def test_answer_to_what_is_expected_no_more_is_not_shown(page: Page, scene: Scene) -> None:
    open_page(page, scene.shenzhen.port)
    choose(page, *scene.paths("valid.pdf"))
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/v1/verifications", hold, times=1)
    with page.expect_request("**/v1/verifications"):
        page.get_by_role("button", name="Yes, it is").click()
    expect(page.locator("article[aria-busy]")).to_be_visible()
    expect_issuer(page, "en", SHENZHEN)
    held[0].continue_()
    title = messages("en")["verdict.elsewhere.title"]
    expect(card(page, "unknown").locator(".verdict-title")).to_have_text(title)
    assert not has_green(page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_facts_say_whose_they_are_where_several_institutions_attested(
    page: Page, scene: Scene, language: str
) -> None:
    title = messages(language)["evidence.title.of"]
    open_page(page, scene.shenzhen.port, language=language)
    choose(page, *scene.paths("both.pdf"))
    evidence = card(page, "ambiguous").locator(".evidence")
    issuer = evidence.locator(".facts strong").first.inner_text()
    expect(evidence.locator("h3")).to_have_text(filled(title, issuer))


def test_revocation_later_than_all_is_known_is_said_to_be_later_news(
    page: Page, scene: Scene
) -> None:
    words, as_of = messages("en"), ["2020-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z"]

    def answer(route: Route) -> None:
        given = route.fetch()
        found = given.json()
        for one in found.get("attestations", []):  # of the first question, which lacks SM3, none
            one["as_of"] = as_of[0]
        route.fulfill(response=given, json=found)

    page.route("**/v1/verifications", answer)
    open_page(page, scene.shenzhen.port)
    for key in ("fact.as-of.later", "fact.as-of.why"):
        choose(page, *scene.paths("fraud.pdf"))
        note = card(page, "revoked").locator(".facts p", has_text="All revocations up to then")
        expect(note).to_have_text(words[key])
        as_of.pop(0)


def test_proof_that_is_refused_as_a_whole_has_no_facts_but_its_claim(
    page: Page, scene: Scene
) -> None:
    words = messages("en")
    open_page(page, scene.shenzhen.port)
    choose(page, *scene.paths("untrusted.pdf", "untrusted.pdf.tlog-proof"))
    facts = card(page, "untrusted").locator(".facts")
    expect(facts).to_contain_text(words["fact.issuer.claimed"])
    expect(facts).to_contain_text("is not good")
    for key in ("issuer", "existed-by", "as-of", "witnesses"):
        expect(facts).not_to_contain_text(words[f"fact.{key}"])
    expect(page.get_by_text(words["path.title"])).to_have_count(0)
