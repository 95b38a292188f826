"""The page's files: what they are served with, and to whom."""

import re
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from chopmark.api.app import create_app
from chopmark.api.identity import CALLER, Barred, Caller
from chopmark.api.page import make_page_routes
from chopmark.api.page_files import FOLDER, load_page
from chopmark.service.alarms import CODES
from fakegateway import FakeGateway
from oneapi import as_anybody

FILES = load_page()
LANGUAGES = ("en", "zh-Hant", "zh-Hans")
_MESSAGE = re.compile(r'^  "?([\w.@/-]+)"?: "((?:[^"\\]|\\.)*)",$', re.MULTILINE)
_PLURAL = re.compile(r"\.(one|other)$")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(FakeGateway(), more=make_page_routes(FILES))
    transport = httpx.ASGITransport(as_anybody(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as made:
        yield made


@pytest.fixture
def _barred() -> Iterator[None]:
    why = Barred("unknown-client", "nobody knows you", "ask an operator")
    stranger = Caller("unknown", frozenset(), frozenset(), machine=True, door="tls", barred=why)
    token = CALLER.set(stranger)
    yield
    CALLER.reset(token)


async def test_page_is_served_with_a_strict_policy(client: httpx.AsyncClient) -> None:
    for path in ("/", "/page/js/main.js", "/page/js/hash/worker.js", "/page/style/base.css"):
        answer = await client.get(path)
        assert answer.status_code == 200, path
        policy = answer.headers["content-security-policy"].split("; ")
        assert "default-src 'none'" in policy
        assert "script-src 'self' 'wasm-unsafe-eval'" in policy
        assert "frame-ancestors 'none'" in policy
        assert not [one for one in policy if "unsafe-inline" in one or "unsafe-eval'" in one[:-6]]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"


async def test_every_file_that_the_page_names_is_there(client: httpx.AsyncClient) -> None:
    text = (await client.get("/")).text
    named = re.findall(r'(?:src|href)="(/[^"]+)"', text)
    assert len(named) > 10
    for path in named:
        answer = await client.head(path)
        assert answer.status_code == 200, path
        assert answer.content == b""
        assert int(answer.headers["content-length"]) > 0


async def test_file_that_is_kept_is_not_sent_again(client: httpx.AsyncClient) -> None:
    first = await client.get("/page/js/main.js")
    kept = {"if-none-match": f'"other", {first.headers["etag"]}'}
    again = await client.get("/page/js/main.js", headers=kept)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    other = await client.get("/page/js/dom.js", headers=kept)
    assert other.status_code == 200


async def test_file_is_compressed_for_who_takes_it(client: httpx.AsyncClient) -> None:
    packed = await client.get("/page/style/base.css", headers={"accept-encoding": "gzip"})
    plain = await client.get("/page/style/base.css", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content == (FOLDER / "style/base.css").read_bytes()


@pytest.mark.parametrize(
    "path",
    ["/page", "/page/", "/page/index.html", "/page/js/../main.js", "/page/js/%2e%2e/x", "/x"],
)
async def test_what_is_no_file_of_the_page_is_404(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(httpx.URL("http://localhost:8080", raw_path=path.encode()))
    assert answer.status_code == 404
    assert answer.json()["code"] == "no-such-route"


async def test_page_is_only_read(client: httpx.AsyncClient) -> None:
    answer = await client.post("/page/js/main.js", content=b"x")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_page_asks_its_own_gateway_and_a_foreign_page_does_not(
    client: httpx.AsyncClient,
) -> None:
    own = await client.get("/v1/export", headers={"origin": "http://localhost:8080"})
    assert own.status_code == 200
    foreign = await client.get("/", headers={"origin": "http://evil.example"})
    assert foreign.json()["code"] == "foreign-origin"
    rebound = await client.get("/", headers={"host": "evil.example"})
    assert rebound.json()["code"] == "foreign-host"


@pytest.mark.parametrize("path", ["/", "/?from=portal", "/page/js/main.js"])
async def test_link_of_another_site_leads_to_the_page(client: httpx.AsyncClient, path: str) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    answer = await client.get(path, headers=headers | {"sec-fetch-dest": "document"})
    assert answer.status_code == 200


@pytest.mark.usefixtures("_barred")
async def test_who_may_do_nothing_gets_the_files_and_nothing_else(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/")).status_code == 200
    assert (await client.get("/page/js/main.js")).status_code == 200
    refused = await client.get("/v1/status")
    assert refused.json()["code"] == "unknown-client"


async def test_page_is_served_where_it_is_asked_for_only() -> None:
    transport = httpx.ASGITransport(as_anybody(create_app(FakeGateway())))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
        assert (await client.get("/")).status_code == 404
        assert (await client.get("/page/js/main.js")).status_code == 404


def test_nothing_runs_or_is_styled_in_the_markup() -> None:
    text = (FOLDER / "index.html").read_text()
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", text)
    assert not re.search(r"https?://", text)


def test_every_language_has_the_same_messages() -> None:
    tables = {name: read_table(name) for name in LANGUAGES}
    # Chinese has one form where English has two.
    keys = {name: {_PLURAL.sub("", key) for key in table} for name, table in tables.items()}
    assert keys["en"] == keys["zh-Hant"] == keys["zh-Hans"]
    assert len(keys["en"]) > 300
    for name in ("zh-Hant", "zh-Hans"):
        for key, text in tables[name].items():
            assert placeholders(text) <= placeholders(tables["en"][key]) | {"count", "size"}, key
            assert text.strip()


def test_every_alarm_has_its_words_and_what_to_do() -> None:
    table = read_table("en")
    assert [code for code in CODES if f"alarm.{code}" not in table] == []
    assert [code for code in CODES if f"alarm.{code}.do" not in table] == []


def read_table(language: str) -> dict[str, str]:
    paths = (FOLDER / f"js/i18n/{name}{language}.js" for name in ("shared-", ""))
    return dict(_MESSAGE.findall("".join(path.read_text() for path in paths)))


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))
