"""What attackers try at the page's listener, beyond what `test_page_door` shows."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import pytest

from apiserver import SHA, until
from chopmark.api.roles import SIGN_IN, TABLE
from chopmark.api.signin.cookies import SESSION
from chopmark.api.signin.desk import NOTED
from chopmark.api.signin.passwords import QUEUE, Cost, Hasher
from pageserver import PASSWORD, Page, connect, session_id
from rig.patience import PATIENCE

BODY = b'{"digests":{"sha256":"%s"}}' % SHA.encode()
WRONG = "wrong horse battery staple"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    made = Page(tmp_path)
    await made.add("anna", "verifier", "issuer")
    async with made.serving():
        yield made


class Begun:
    """A request whose head is sent, and whose body is not all there."""

    def __init__(self, page: Page, path: str, **headers: str) -> None:
        self.page, self.path, self.headers = page, path, headers

    async def __aenter__(self) -> Self:
        async with self.page.browser() as client:
            await self.page.sign_in(client, "anna")
            self.page.now += 1
            self.headers |= {
                "host": f"localhost:{self.page.port}",
                "cookie": f"{SESSION}={session_id(client)}",
                "x-chopmark-csrf": client.headers["x-chopmark-csrf"],
            }
        lines = [f"POST {self.path} HTTP/1.1", *(f"{k}: {v}" for k, v in self.headers.items())]
        self.reader, self.writer = await connect(self.page)
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        await until(lambda: any(one.seen == self.page.now for one in self.page.sessions))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()


async def test_request_whose_body_comes_after_the_end_of_its_session_does_nothing(
    page: Page,
) -> None:
    async with Begun(page, "/v1/attestations", **{"content-length": str(len(BODY))}) as begun:
        page.desk.end_sessions("user anna")
        begun.writer.write(BODY)
        answer = await begun.reader.readuntil(b"}")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b'"session-ended"' in answer
    assert not page.gateway.leaves


async def test_lines_that_come_after_the_end_of_a_session_are_not_recorded(page: Page) -> None:
    line = b'{"sha256":"%s"}\n' % SHA.encode()
    async with Begun(page, "/v1/attestations:batch", **{"transfer-encoding": "chunked"}) as begun:
        begun.writer.write(b"%x\r\n%s\r\n" % (len(line), line))
        await begun.reader.readuntil(b'"index":0')
        page.desk.end_sessions("user anna")
        begun.writer.write(b"%x\r\n%s\r\n" % (len(line), line.replace(b"0a", b"0b")))
        async with asyncio.timeout(PATIENCE):
            assert b"index" not in await begun.reader.read()
    assert len(page.gateway.leaves) == 1


async def test_request_with_two_hosts_is_no_page_of_ours(page: Page) -> None:
    """Whatever stands in front may go by one of them, and we by the other."""
    lines = ["GET /v1/session HTTP/1.1", "host: evil.example", f"host: localhost:{page.port}"]
    reader, writer = await connect(page)
    writer.write("\r\n".join([*lines, "origin: https://evil.example", "", ""]).encode())
    assert b"foreign-origin" in await reader.readuntil(b"}")
    writer.transport.abort()


async def test_alarm_does_not_tell_guests_which_names_are_accounts(page: Page) -> None:
    told = []
    async with page.browser() as client:
        for name in ("anna", "nobody"):
            for _ in range(5):
                await page.sign_in(client, name, WRONG)
            (alarm,) = page.desk.alarms()
            told.append(alarm)
            assert await page.desk.unlock(name)
    assert told[0] == told[1]
    assert "anna" not in str(told)


class Held:
    """The thread that hashes, held back while the block runs."""

    def __init__(self, page: Page) -> None:
        self._gate = threading.Event()
        page.desk.hasher._thread.submit(self._gate.wait)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._gate.set()


async def test_guesser_keeps_nobody_out_of_a_browser_that_colleagues_share(page: Page) -> None:
    await page.add("bert")
    async with page.browser() as shared, page.browser() as guesser:
        for name in ("anna", "bert"):
            await page.sign_in(shared, name)
            await shared.delete("/v1/session")
            shared.headers.pop("x-chopmark-csrf")
        for _ in range(6):
            await page.sign_in(guesser, "anna", WRONG)
        assert (await page.sign_in(shared, "anna")).status_code == 201


async def test_crowd_of_strangers_does_not_keep_a_known_browser_out(page: Page) -> None:
    hasher = page.desk.hasher
    async with page.browser() as client, page.browser() as crowd:
        await page.sign_in(client, "anna")
        await client.delete("/v1/session")
        client.headers.pop("x-chopmark-csrf")
        with Held(page):
            tries = [page.sign_in(crowd, f"name-{number}", WRONG) for number in range(QUEUE)]
            waiting = asyncio.gather(*tries)
            await until(lambda: hasher._waiting == QUEUE)
            assert (await page.sign_in(crowd, "anna", WRONG)).json()["code"] == "overloaded"
            known = asyncio.create_task(page.sign_in(client, "anna"))
            await until(lambda: hasher._waiting == QUEUE + 1 or known.done())
        await waiting
        assert (await known).status_code == 201


async def test_password_that_an_operator_gives_is_not_undone_by_one_that_was_being_changed(
    page: Page,
) -> None:
    stolen, given = "the thief's own words", "an operator's four words"
    async with page.browser() as thief:
        await page.sign_in(thief, "anna")
        body, hasher = {"old": PASSWORD, "new": stolen}, page.desk.hasher
        with Held(page):
            await until(lambda: hasher._thread._work_queue.qsize() == 0)
            changing = asyncio.create_task(thief.post("/v1/session/password", json=body))
            await until(lambda: hasher._waiting == 1)
            giving = asyncio.create_task(page.desk.set_password("anna", given))
            await until(lambda: hasher._waiting == 2)
        await giving
        assert (await changing).json()["code"] == "wrong-credentials"
    assert await hasher.check(page.desk.accounts.get("anna").hash, given)
    assert not list(page.sessions)


async def test_password_that_an_operator_gives_is_not_undone_by_a_newer_hash_of_the_old(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = "an operator's four words"
    hasher = page.desk.hasher = Hasher(Cost(passes=2, memory=64))
    make = hasher.make

    async def late(password: str) -> str:
        if password == PASSWORD:
            await page.desk.set_password("anna", given)
        return await make(password)

    monkeypatch.setattr(hasher, "make", late)
    async with page.browser() as client:
        answer = await page.sign_in(client, "anna")
    assert answer.json()["code"] == "wrong-credentials"
    assert await hasher.check(page.desk.accounts.get("anna").hash, given)
    assert not list(page.sessions)


async def test_guesser_keeps_nobody_who_is_signed_in_from_another_password(page: Page) -> None:
    body = {"old": PASSWORD, "new": "four new words indeed"}
    async with page.browser() as client, page.browser() as guesser:
        await page.sign_in(client, "anna")
        for _ in range(6):
            await page.sign_in(guesser, "anna", WRONG)
        assert (await client.post("/v1/session/password", json=body)).status_code == 200


async def test_guesses_in_a_stolen_session_are_bounded_and_noted(page: Page) -> None:
    body = {"old": WRONG, "new": "four new words indeed"}
    async with page.browser() as thief:
        await page.sign_in(thief, "anna")
        told = [
            (await thief.post("/v1/session/password", json=body)).status_code for _ in range(12)
        ]
    assert told == [401] * 10 + [429] * 2
    assert page.noted.records.count(("session.refused", "user anna", "wrong-credentials")) == 10


async def test_stolen_session_ends_when_its_person_takes_another_password(page: Page) -> None:
    body = {"old": PASSWORD, "new": "four new words indeed"}
    async with page.browser() as client, page.browser() as thief:
        await page.sign_in(client, "anna")
        stolen = {"cookie": f"{SESSION}={session_id(client)}"}
        assert (await thief.get("/v1/status", headers=stolen)).status_code == 200
        assert (await client.post("/v1/session/password", json=body)).status_code == 200
        assert (await thief.get("/v1/status", headers=stolen)).status_code == 401
        assert (await client.get("/v1/status")).status_code == 200


async def test_machine_hides_no_others_refusals_among_its_own(page: Page) -> None:
    """The audit log bounds what it takes of a kind in a minute."""
    async with page.browser() as client:
        for _ in range(40):
            await client.get("/v1/session/oidc/callback?code=x&state=y")
        noted = [one for one in page.noted.records if one[0] == "session.refused"]
        assert len(noted) == NOTED
        page.now += 60
        await page.sign_in(client, "anna", WRONG)
    assert page.noted.records[-1] == ("session.refused", "user anna", "wrong-credentials")


async def test_who_ends_anothers_session_is_noted(page: Page) -> None:
    await page.add("olga", "operator")
    async with page.browser() as client, page.browser() as olga:
        await page.sign_in(client, "anna")
        await page.sign_in(olga, "olga")
        await olga.post("/v1/sessions/end", json={"client": "user anna"})
    assert page.noted.records[-1] == ("session.ended", "user anna", "done")
    assert page.noted.about == {"address": "127.0.0.1", "why": "operator", "operator": "user olga"}


async def test_stranger_finds_no_route_open_but_those_to_sign_in_by(page: Page) -> None:
    async with page.browser() as client:
        for path in TABLE.keys() - SIGN_IN:
            named = re.sub(r"\{\w+\}", "0", path)
            answers = [await client.get(named), await client.post(named, json={})]
            codes = {answer.json()["code"] for answer in answers}
            assert codes <= {"sign-in-needed", "method-not-allowed", "no-such-route"}, path


async def test_operator_at_the_page_does_nothing_that_is_for_the_unix_socket(page: Page) -> None:
    await page.add("olga", "operator", "auditor", "issuer", "verifier")
    paths = [f"/v1/hsm/{name}" for name in ("pin", "unlatch", "maintenance")]
    paths += [f"/v1/keys/{name}" for name in ("retire", "destroy")]
    paths += [f"/v1/accounts/{name}" for name in ("add", "password", "remove", "unlock")]
    async with page.browser() as olga:
        await page.sign_in(olga, "olga")
        for path in [*paths, "/v1/hsm/%70in"]:
            answer = await olga.post(path, json={})
            assert (answer.status_code, answer.json()["code"]) == (403, "unix-only"), path
