"""What the page says when parts are away, or a member has signed two histories."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Page, Route, expect

from browser.pages import DEADLINE, LANGUAGES, card, choose, filled, go, messages, open_page
from browser.scene import KINDS, digests_of
from rig.gateway import MACAO, SHENZHEN, Cluster, Gateway
from sample import make_statement

NAMES = ("common.pdf", "left.pdf", "right.pdf", "diploma.pdf")


class Trouble:
    """sz-1 shows the page; mo-1 is the member that there is trouble with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "documents"
        self.folder.mkdir()
        for name in NAMES:
            (self.folder / name).write_bytes(make_statement() + name.encode())
        self.cluster = Cluster(folder / "c", (SHENZHEN, MACAO))
        self.shenzhen, self.macao = self.cluster["sz-1"], self.cluster["mo-1"]
        with self.shenzhen.config.open("a") as file:
            file.write(KINDS)

    def fill(self) -> "Trouble":
        self.cluster.start()
        self.attest("diploma.pdf", kind="diploma")
        self.attest("common.pdf")
        self.shenzhen.wait_for_head(self.macao, 2)
        self.shenzhen.wait_for(lambda: self.verdict("common.pdf") == "valid", "to be up to date")
        return self

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def digests(self, name: str) -> dict[str, str]:
        return digests_of((self.folder / name).read_bytes())

    def attest(self, name: str, kind: str = "bank-statement") -> int:
        """Have mo-1 attest a document; gives its index."""
        body = {"digests": self.digests(name), "kind": kind}
        with self.macao.client() as client:
            answer = client.post("/v1/attestations", json=body).raise_for_status()
        return int(answer.json()["index"])

    def verdict(self, name: str) -> str:
        with self.shenzhen.client() as client:
            body = {"digests": self.digests(name)}
            return str(client.post("/v1/verifications", json=body).json()["verdict"])

    def fork(self) -> None:
        """Have mo-1 go on from a copy of itself: sz-1 sees one history, the other is kept away."""
        kept = self.folder.parent / "kept"
        self.macao.stop()
        copy(self.macao, kept)
        self.macao.start()
        self.attest("left.pdf")
        self.shenzhen.wait_for_head(self.macao, 3)
        self.macao.stop()
        for part in ("state", "hsm/tokens"):
            shutil.rmtree(self.macao.folder / part)
            shutil.copytree(kept / part, self.macao.folder / part)
        self.cluster.broker.stop()
        self.macao.start()
        index = self.attest("right.pdf")
        with self.macao.client() as client:
            proof = client.get(f"/v1/proofs/mo-1/{index}").raise_for_status().text
        (self.folder / "right.pdf.tlog-proof").write_text(proof)
        self.macao.stop()
        self.cluster.broker.start()


def copy(gateway: Gateway, target: Path) -> None:
    """What an attacker needs who has the machine: state and token."""
    for part in ("state", "hsm/tokens"):
        shutil.copytree(gateway.folder / part, target / part)


@pytest.fixture(scope="module")
def trouble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trouble]:
    made = Trouble(tmp_path_factory.mktemp("t"))
    try:
        yield made.fill()
    finally:
        made.cluster.stop()


LISTS = (
    ("verify", "**/v1/peers", "expect.issuer", 3),
    ("attest", "**/v1/export", "attest.kind", 8),
)
"""View, what it asks, the choice that is filled with it, and how many there are to choose from."""


@pytest.mark.parametrize(("view", "path", "label", "count"), LISTS)
def test_list_is_asked_for_again_when_there_was_too_much_at_once(
    page: Page, trouble: Trouble, view: str, path: str, label: str, count: int
) -> None:
    answers = [429]

    def answer(route: Route) -> None:
        if answers:
            headers = {"retry-after": "1"}
            route.fulfill(status=answers.pop(), json={"code": "rate-limited"}, headers=headers)
        else:
            route.continue_()

    page.route(path, answer)
    open_page(page, trouble.shenzhen.port, view)
    choice = page.get_by_label(messages("en")[label])
    expect(choice.locator("option")).to_have_count(count, timeout=DEADLINE)
    expect(page.get_by_text(messages("en")["expect.no-list"])).to_have_count(0)


@pytest.mark.parametrize(("view", "path", "label"), [one[:3] for one in LISTS])
@pytest.mark.parametrize("language", LANGUAGES)
def test_list_that_cannot_be_loaded_is_said_where_it_would_be(
    page: Page, trouble: Trouble, language: str, view: str, path: str, label: str
) -> None:
    page.route(path, lambda route: route.fulfill(status=503, json={"code": "overloaded"}))
    open_page(page, trouble.shenzhen.port, view, language)
    said = page.locator(".field", has_text=messages(language)[label])
    expect(said).to_contain_text(messages(language)["expect.no-list"], timeout=DEADLINE)
    expect(said.locator("option")).to_have_count(1)


def test_proof_that_cannot_be_fetched_leaves_its_document_attested(
    page: Page, trouble: Trouble, tmp_path: Path
) -> None:
    document = tmp_path / "ours.pdf"
    document.write_bytes(make_statement() + b"ours")
    answers = [(500, "internal-error"), (429, "rate-limited")]

    def recorded(route: Route) -> None:
        made = route.fetch().json()
        route.fulfill(json={**made, "proof": None})

    def proof(route: Route) -> None:
        if answers:
            status, code = answers.pop(0)
            route.fulfill(status=status, json={"code": code})
        else:
            route.continue_()

    page.route("**/v1/attestations", recorded)
    page.route("**/v1/proofs/**", proof)
    open_page(page, trouble.shenzhen.port, "attest")
    page.get_by_label("Kind of document").select_option("bank-statement")
    page.locator("input[type=file]").set_input_files(str(document))
    page.get_by_role("button", name="Attest 1 document").click()
    failed = page.locator('[data-state="failed"]')
    expect(failed).to_contain_text(messages("en")["attest.state.unproven"], timeout=DEADLINE)
    expect(failed).to_contain_text("bank-sz.example/sz-1#")
    page.get_by_role("button", name="Attest 1 document").click()
    expect(page.locator('[data-state="done"]')).to_be_visible(timeout=DEADLINE)
    assert not answers


def test_page_of_another_port_gets_nothing_of_the_api_and_links_to_the_page(
    page: Page, trouble: Trouble
) -> None:
    """Chromium keeps images of this machine from pages that are not of it: this one is."""
    here = f"http://127.0.0.1:{trouble.shenzhen.port}"
    before = refused(trouble.shenzhen)
    with serving(f'<img src="{here}/v1/status"><a href="{here}/">to the gateway</a>') as foreign:
        page.goto(foreign)
        trouble.shenzhen.wait_for(lambda: refused(trouble.shenzhen) == before + 1, "to refuse it")
        page.get_by_role("link").click()
        page.locator('main[data-ready="verify"] h1').wait_for(timeout=DEADLINE)
    assert refused(trouble.shenzhen) == before + 1


@contextmanager
def serving(html: str) -> Iterator[str]:
    """The address of a page of somebody else's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def refused(gateway: Gateway) -> float:
    """How many requests of foreign pages it has refused."""
    found = re.search(r'code="foreign-origin"\} (\S+)', gateway.metrics())
    return float(found[1]) if found else 0.0


def test_without_its_hsm_the_page_says_so_and_verifies_on(page: Page, trouble: Trouble) -> None:
    gateway = trouble.shenzhen
    tokens = gateway.folder / "hsm/tokens"
    away = tokens.with_name("away")
    tokens.rename(away)
    try:
        open_page(page, gateway.port, "attest")
        page.get_by_label("Kind of document").select_option("bank-statement")
        gateway.wait_for(lambda: notices(gateway), "to notice")
        page.locator("input[type=file]").set_input_files(trouble.path("common.pdf"))
        page.get_by_role("button", name="Attest 1 document").click()
        failed = page.locator('[data-state="failed"]')
        expect(failed).to_contain_text(messages("en")["problem.hsm-away"], timeout=DEADLINE)
        expect(page.get_by_role("button", name="Attest 1 document")).to_be_enabled()  # tries again
        for language in LANGUAGES:
            open_page(page, gateway.port, "overview", language)
            page.reload()
            words = messages(language)
            title = page.locator(".banner h2")
            expect(title).to_have_text(words["overview.down.title"], timeout=DEADLINE)
            expect(page.locator(".alarms")).to_contain_text(words["alarm.hsm-away"])
            expect(page.locator(".alarms")).to_contain_text(words["alarm.hsm-away.do"])
        open_page(page, gateway.port)
        choose(page, trouble.path("common.pdf"))
        card(page, "valid")
    finally:
        away.rename(tokens)
    gateway.wait_for(gateway.is_ready, "to heal")
    go(page, gateway.port, "overview")
    expect(page.locator(".banner h2")).not_to_have_text(
        messages("zh-Hans")["overview.down.title"], timeout=DEADLINE
    )


def notices(gateway: Gateway) -> bool:
    """Have it use its HSM, which is how it learns."""
    with gateway.client() as client:
        body = {"digests": {"sha256": "00" * 32}, "wait": 1}
        return client.post("/v1/attestations", json=body).status_code == 503


def test_stale_replica_answers_as_of_an_earlier_time(page: Page, trouble: Trouble) -> None:
    """A second is the oldest that an answer about a diploma may be; of a statement it is a day."""
    gateway, broker = trouble.shenzhen, trouble.cluster.broker
    broker.stop()
    try:
        gateway.wait_for(lambda: trouble.verdict("diploma.pdf") == "valid-as-of", "to be behind")
        as_of = gateway.peer(trouble.macao)["as_of"]
        for language in LANGUAGES:
            open_page(page, gateway.port, language=language)
            page.reload()
            choose(page, trouble.path("diploma.pdf"), trouble.path("common.pdf"))
            expected = page.get_by_label(messages(language)["expect.issuer"])
            expected.select_option(MACAO.institution)
            page.locator('article[data-look="valid"]').wait_for(timeout=DEADLINE)
            page.locator('article[data-look="valid-as-of"] [data-focus="fold"]').click()
            shown = card(page, "valid-as-of")
            advice = messages(language)["verdict.valid-as-of.advice"]
            expect(shown).to_contain_text(filled(advice, MACAO.institution))
            go(page, gateway.port, "overview")
            expect(page.locator(".overview-parts")).to_contain_text(
                messages(language)["broker.away"], timeout=DEADLINE
            )
            expect(page.locator(".alarms")).to_contain_text(
                messages(language)["alarm.broker-away.do"]
            )
            # Up to date is more than anybody knows while no broker is there.
            expect(page.locator(".mesh")).to_contain_text(messages(language)["mesh.unheard"])
        assert gateway.peer(trouble.macao)["as_of"] == as_of
    finally:
        broker.start()
    gateway.wait_for(lambda: gateway.peer(trouble.macao)["online"], "to be connected again")


def test_forked_log_is_told_of_and_only_what_was_before_it_is_relied_on(
    page: Page, trouble: Trouble
) -> None:
    gateway = trouble.shenzhen
    trouble.fork()
    open_page(page, gateway.port)
    choose(page, trouble.path("left.pdf"))
    card(page, "valid")  # the history that is known here, until the other one is brought
    choose(page, trouble.path("right.pdf"), trouble.path("right.pdf.tlog-proof"))
    expect(card(page, "untrusted")).to_contain_text("two", timeout=DEADLINE)
    for language in LANGUAGES:
        page.locator("#language").select_option(language)
        words = messages(language)
        choose(page, trouble.path("left.pdf"))
        for part in ("says", "advice"):
            said = filled(words[f"verdict.untrusted.fork.{part}"], MACAO.institution)
            expect(card(page, "untrusted")).to_contain_text(said)
        go(page, gateway.port, "overview")
        alarms = page.locator(".alarms")
        expect(alarms).to_contain_text(words["alarm.fork"], timeout=DEADLINE)
        expect(alarms).to_contain_text(words["alarm.fork.do"])
        go(page, gateway.port, "verify")
        choose(page, trouble.path("common.pdf"))
        told = filled(words["verdict.warning.fork"], MACAO.institution)
        expect(card(page, "valid").locator(".problem")).to_contain_text(told)
