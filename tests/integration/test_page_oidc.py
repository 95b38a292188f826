"""Signing in at an OpenID provider: a real one, and one that does everything wrong (a stand-in)."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey

from chopmark.api.refusals import Refusals, quieten
from chopmark.api.signin.cookies import SESSION
from chopmark.api.signin.desk import Known
from chopmark.api.signin.fetching import MAX_BODY
from chopmark.api.signin.lockout import FREE
from chopmark.api.signin.oidc import PAUSE, WITHIN, Oidc, OidcSettings
from chopmark.core.errors import ChopmarkError
from leftout import leave_out
from openidprovider import SECRET, Glewlwyd, is_there
from pageserver import Page
from rig.authority import Authority
from standinprovider import StandIn

CLERKS = {"clerks": (frozenset({"verifier"}), frozenset({"*"}))}
REDIRECT = "https://gateway.example:8444/v1/session/oidc/callback"


def settings(issuer: str, redirect: str = REDIRECT, secret: str | None = SECRET) -> OidcSettings:
    return OidcSettings(issuer, "chopmark", secret, redirect, "openid", "groups", CLERKS)  # type: ignore[arg-type]


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.path)


@pytest.fixture(scope="module")
def glewlwyd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Glewlwyd]:
    if not is_there():
        leave_out("glewlwyd is not installed: `./setup.sh` installs it")
    folder = tmp_path_factory.mktemp("oidc")
    provider = Glewlwyd(folder / "glewlwyd", Authority(folder), REDIRECT).start()
    try:
        yield provider
    finally:
        provider.stop()


@pytest.fixture
async def page(tmp_path: Path, glewlwyd: Glewlwyd) -> AsyncIterator[Page]:
    provider = Oidc(settings(glewlwyd.issuer), trusting(glewlwyd.authority))
    async with Page(tmp_path, provider=provider).serving() as made:
        yield made


def query_of(where: str) -> str:
    return urlsplit(where).query


async def test_person_signs_in_at_a_real_provider(page: Page, glewlwyd: Glewlwyd) -> None:
    async with page.browser() as browser:
        assert (await browser.get("/v1/session")).json()["methods"] == ["password", "oidc"]
        start = await browser.get("/v1/session/oidc")
        assert start.status_code == 303
        asked = parse_qs(query_of(start.headers["location"]))
        assert asked["code_challenge_method"] == ["S256"]
        assert "SameSite=Lax; Max-Age=600" in start.headers["set-cookie"]
        back = await asyncio.to_thread(glewlwyd.agree, start.headers["location"], "anna")
        assert back.startswith(REDIRECT)
        done = await browser.get(f"/v1/session/oidc/callback?{query_of(back)}")
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert "SameSite=Strict" in done.headers["set-cookie"]
        who = (await browser.get("/v1/session")).json()
        assert (who["by"], who["name"], who["roles"]) == ("oidc", "Anna of the bank", ["verifier"])
        assert who["client"].startswith("oidc ")
        assert (await browser.get("/v1/status")).status_code == 200
        again = await browser.get(f"/v1/session/oidc/callback?{query_of(back)}")
        assert again.headers["location"] == "/#/signin/oidc-refused"
    assert ("session.began", who["client"], "done") in page.noted.records


async def test_person_without_a_group_of_ours_has_no_role(page: Page, glewlwyd: Glewlwyd) -> None:
    async with page.browser() as browser:
        where = (await browser.get("/v1/session/oidc")).headers["location"]
        back = await asyncio.to_thread(glewlwyd.agree, where, "bert")
        done = await browser.get(f"/v1/session/oidc/callback?{query_of(back)}")
    assert done.headers["location"] == "/#/signin/no-role-here"
    assert SESSION not in browser.cookies


async def test_browser_is_sent_there_and_back_as_a_whole_page_only(
    page: Page, glewlwyd: Glewlwyd
) -> None:
    """The provider's page is another site's: it may lead here, and embed nothing of this."""
    whole = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    part = {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
    elsewhere = {"sec-fetch-site": "cross-site"}
    async with page.browser() as browser:
        del browser.headers["origin"]
        start = await browser.get("/v1/session/oidc", headers=elsewhere | whole)
        back = query_of(await asyncio.to_thread(glewlwyd.agree, start.headers["location"], "anna"))
        callback = f"/v1/session/oidc/callback?{back}"
        for how in (part, whole | {"sec-fetch-dest": "iframe"}, {}):
            for path in ("/v1/session/oidc", callback):
                answer = await browser.get(path, headers=elsewhere | how)
                assert (answer.status_code, answer.json()["code"]) == (403, "foreign-origin")
        done = await browser.get(callback, headers=elsewhere | whole)
        assert (done.status_code, done.headers["location"]) == (303, "/")


async def test_code_of_another_browser_is_refused(page: Page, glewlwyd: Glewlwyd) -> None:
    """Somebody would have others sign in as himself (login CSRF), or steal a code."""
    async with page.browser() as browser, page.browser() as victim:
        where = (await browser.get("/v1/session/oidc")).headers["location"]
        back = query_of(await asyncio.to_thread(glewlwyd.agree, where, "anna"))
        bare = await victim.get(f"/v1/session/oidc/callback?{back}")
        await victim.get("/v1/session/oidc")
        mixed = await victim.get(f"/v1/session/oidc/callback?{back}")
    assert {bare.headers["location"], mixed.headers["location"]} == {"/#/signin/oidc-refused"}
    assert not list(page.sessions)


async def test_wrong_secret_is_told_by_the_real_provider(glewlwyd: Glewlwyd) -> None:
    oidc = Oidc(settings(glewlwyd.issuer, secret="wrong"), trusting(glewlwyd.authority))
    where, pending = await oidc.start()
    back = query_of(await asyncio.to_thread(glewlwyd.agree, where, "anna"))
    assert await refusal(oidc, back, pending) == "oidc-refused"


@dataclass
class Desk:
    """The gateway's side, with a clock of its own, before a stand-in."""

    provider: StandIn
    ahead: float = 0.0

    def __post_init__(self) -> None:
        self.oidc = self.fresh(SECRET)

    def fresh(self, secret: str | None) -> Oidc:
        agreed = settings(self.provider.issuer, secret=secret)
        return Oidc(agreed, trusting(self.provider.authority), lambda: time.time() + self.ahead)

    async def come_back(self) -> tuple[str, str]:
        where, pending = await self.oidc.start()
        return self.provider.agree(where), pending

    async def sign_in(self) -> Known:
        query, pending = await self.come_back()
        return await self.oidc.finish(query, pending)


async def refusal(oidc: Oidc, query: str, pending: str | None) -> str:
    with pytest.raises(ChopmarkError) as caught:
        await oidc.finish(query, pending)
    return caught.value.code


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def desk(authority: Authority) -> Iterator[Desk]:
    provider = StandIn(authority)
    try:
        yield Desk(provider)
    finally:
        provider.stop()


async def test_stand_in_is_good_where_nothing_is_changed(desk: Desk) -> None:
    known = await desk.sign_in()
    assert known == ("4711", "anna", {"verifier"}, {"*"})
    (asked,) = desk.provider.asked
    assert asked["auth"].startswith("Basic ")
    assert len(asked["code_verifier"]) == 43


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another", "third"]},
        {"aud": ["chopmark", "another"]},
        {"aud": ["chopmark", "another"], "azp": "another"},
        {"aud": None},
        {"exp": int(time.time()) - 120},
        {"exp": None},
        {"exp": "soon"},
        {"iat": int(time.time()) + 30 * 86_400},
        {"iat": None},
        {"nbf": int(time.time()) + 30 * 86_400},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"sub": None},
        {"sub": ""},
        {"sub": 4711},
        {"sub": "a\nb"},
        {"sub": "x" * 256},
    ],
)
async def test_token_with_a_wrong_claim_is_refused(desk: Desk, claims: dict[str, Any]) -> None:
    desk.provider.claims = claims
    query, pending = await desk.come_back()
    assert await refusal(desk.oidc, query, pending) == "oidc-refused"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["chopmark"]},
        {"aud": ["chopmark", "another"], "azp": "chopmark"},
        {"exp": -30},  # seconds from now
        {"groups": "clerks"},
        {"groups": [{}, 1, None, "clerks"]},
        {"preferred_username": "a\u202eb\x07"},
    ],
)
async def test_token_that_is_unusual_and_good_is_taken(desk: Desk, claims: dict[str, Any]) -> None:
    if "exp" in claims:
        claims = {"exp": int(time.time()) + claims["exp"]}
    desk.provider.claims = claims
    known = await desk.sign_in()
    assert known.subject == "4711"
    assert known.name.isprintable()


@pytest.mark.parametrize("groups", [None, [], "others", ["others"], {"clerks": True}, 7])
async def test_groups_that_are_none_of_ours_give_nothing(desk: Desk, groups: object) -> None:
    desk.provider.claims = {"groups": groups}
    query, pending = await desk.come_back()
    assert await refusal(desk.oidc, query, pending) == "no-role-here"


@pytest.mark.parametrize("how", ["other-key", "none", "hmac", "other-kid", "flipped"])
async def test_token_that_is_not_signed_by_the_provider_is_refused(desk: Desk, how: str) -> None:
    provider = desk.provider
    if how == "other-key":
        provider.key = ECKey.generate_key("P-256", {"kid": "one"})
    if how == "other-kid":
        provider.header = {"kid": "two"}
    if how == "hmac":
        provider.header = {"alg": "HS256"}
    query, pending = await desk.come_back()
    if how in ("none", "flipped"):
        nonce = dict(provider.codes)
        tokens = provider.tokens({"code": "code-0"})
        provider.codes.update(nonce)
        head, body, seal = tokens["id_token"].split(".")
        other = "A" if seal[0] != "A" else "B"
        unsigned = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
        forged = f"{unsigned}.{body}." if how == "none" else f"{head}.{body}.{other}{seal[1:]}"
        text = b'{"id_token":"%s"}' % forged.encode()
        provider.answers["/token"] = text
    assert await refusal(desk.oidc, query, pending) == "oidc-refused"


async def test_keys_that_change_are_fetched_anew_but_not_for_each_wrong_token(desk: Desk) -> None:
    await desk.sign_in()
    desk.provider.key = ECKey.generate_key("P-256", {"kid": "two"})
    desk.provider.shown = [desk.provider.key]
    query, pending = await desk.come_back()
    assert await refusal(desk.oidc, query, pending) == "oidc-refused"  # it has just asked
    desk.ahead += PAUSE + 1
    await desk.sign_in()
    assert desk.provider.paths.count("/keys") == 2
    assert desk.provider.paths.count("/.well-known/openid-configuration") == 1


async def test_answer_of_the_provider_counts_once_for_one_browser_and_for_a_while(
    desk: Desk,
) -> None:
    oidc = desk.oidc
    query, pending = await desk.come_back()
    other, others = await desk.come_back()
    state, until, seal = pending.split(".")
    cases = [
        (query, None),
        (query, ""),
        (query, others),
        (other, pending),
        (query.replace("state=", "state=x"), pending),
        (query + "&state=twice", pending),
        ("", pending),
        (query, f"{state}.{int(until) + 600}.{seal}"),
        (query, f"{state}.{until}.{seal[:-2]}"),
        (query, f"{state}.{until}"),
    ]
    for given, cookie in cases:
        assert await refusal(oidc, given, cookie) == "oidc-refused", (given, cookie)
    assert await refusal(oidc, query + "&iss=https://evil.example", others) == "oidc-refused"
    assert not desk.provider.asked
    assert (await oidc.finish(query, pending)).subject == "4711"
    assert await refusal(oidc, query, pending) == "oidc-refused"
    desk.ahead += WITHIN + 1
    assert await refusal(oidc, other, others) == "oidc-refused"


async def test_provider_that_says_who_it_is_must_say_so(desk: Desk) -> None:
    desk.provider.metadata = {"authorization_response_iss_parameter_supported": True}
    query, pending = await desk.come_back()
    assert await refusal(desk.oidc, query, pending) == "oidc-refused"
    query, pending = await desk.come_back()
    known = await desk.oidc.finish(f"{query}&iss={desk.provider.issuer}", pending)
    assert known.subject == "4711"
    assert len(desk.provider.asked) == 1


async def test_stranger_has_the_provider_asked_about_some_codes_only(
    tmp_path: Path, desk: Desk
) -> None:
    """It may lock a client out that asks about codes which are none."""
    page = Page(tmp_path, provider=desk.oidc)
    async with page.serving(), page.browser() as browser:
        for _ in range(FREE["oidc"] + 3):
            await come(browser, "code=made-up&state=of-nobody")  # not counted: any page can do it
            where = (await browser.get("/v1/session/oidc")).headers["location"]
            state = parse_qs(query_of(where))["state"][0]
            back = await come(browser, f"code=made-up&state={state}")
        assert back == "/#/signin/locked-out"
        assert len(desk.provider.asked) == FREE["oidc"]
        page.now += 31
        where = (await browser.get("/v1/session/oidc")).headers["location"]
        assert await come(browser, desk.provider.agree(where)) == "/"
    assert not page.desk.lockouts.waiting()


async def come(browser: httpx.AsyncClient, query: str) -> str:
    answer = await browser.get(f"/v1/session/oidc/callback?{query}")
    return answer.headers["location"]


async def test_cookie_of_another_process_is_none(desk: Desk) -> None:
    query, pending = await desk.come_back()
    assert await refusal(desk.fresh(SECRET), query, pending) == "oidc-refused"


async def test_provider_that_says_no_is_quoted_and_nothing_is_asked(desk: Desk) -> None:
    query, pending = await desk.come_back()
    denied = query.replace("code=code-0", "error=access_denied")
    with pytest.raises(ChopmarkError, match="access_denied"):
        await desk.oidc.finish(denied, pending)
    assert not desk.provider.asked


async def test_public_client_sends_no_secret(desk: Desk) -> None:
    desk.oidc = desk.fresh(None)
    await desk.sign_in()
    (asked,) = desk.provider.asked
    assert asked["auth"] is None
    assert asked["client_id"] == "chopmark"


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://localhost/token"},
        {"authorization_endpoint": None},
        {"jwks_uri": 7},
    ],
)
async def test_provider_that_describes_itself_wrongly_is_not_used(
    desk: Desk, metadata: dict[str, Any]
) -> None:
    desk.provider.metadata = metadata
    with pytest.raises(ChopmarkError) as caught:
        await desk.oidc.start()
    assert caught.value.code == "oidc-unreachable"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b" " * (MAX_BODY + 1), b'{"keys":[{}]}', b"\xff"]
)
async def test_answers_that_are_none_are_bounded_and_refused(desk: Desk, body: bytes) -> None:
    desk.provider.answers["/keys"] = body
    query, pending = await desk.come_back()
    assert await refusal(desk.oidc, query, pending) == "oidc-unreachable"


async def test_provider_of_a_ca_that_is_not_trusted_is_not_used(desk: Desk, tmp_path: Path) -> None:
    agreed = settings(desk.provider.issuer)
    oidc = Oidc(agreed, trusting(Authority(tmp_path, "other CA")))
    with pytest.raises(ChopmarkError, match="certificate") as caught:
        await oidc.start()
    assert caught.value.code == "oidc-unreachable"


async def test_browser_is_told_by_the_page_when_the_provider_is_away(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Oidc(settings("https://localhost:9"), trusting(authority))
    page = Page(tmp_path, provider=provider)
    async with page.serving(), page.browser() as browser:
        with quieten(Refusals()):
            told = [await browser.get("/v1/session/oidc") for _ in range(3)]
    assert {one.headers["location"] for one in told} == {"/#/signin/oidc-unreachable"}
    (line,) = [one for one in caplog.records if "OpenID Connect failed" in one.message]
    assert line.exc_info is None


def test_secret_is_in_no_text() -> None:
    agreed = settings("https://localhost:9")
    assert SECRET not in repr(agreed)
