"""The page's listener: what strangers, guests of a branch and people who sign in may do."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from apiserver import SHA, until
from chopmark.api.roles import OPEN, SIGN_IN, TABLE
from chopmark.api.signin.cookies import DEVICE, SESSION
from chopmark.api.signin.passwords import QUEUE, Cost, Hasher
from pageserver import PASSWORD, Page, connect, session_id
from rig.patience import PATIENCE

BODY = {"digests": {"sha256": SHA}}
WRONG = "wrong horse battery staple"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    made = Page(tmp_path)
    await made.add("anna", "verifier", "issuer")
    async with made.serving():
        yield made


def code(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json().get("code")


async def test_stranger_hears_what_to_do(page: Page) -> None:
    async with page.browser() as client:
        asked = [await client.post("/v1/verifications", json=BODY)]
        asked += [await client.get(path) for path in ("/v1/status", "/v1/entries", "/healthz")]
        asked.append(await client.post("/v1/attestations", json=BODY))
        assert {code(answer) for answer in asked} == {(401, "sign-in-needed")}
        assert "sign in at the page" in asked[0].json()["hint"]
        who = (await client.get("/v1/session")).json()
    assert (who["signed_in"], who["reason"], who["methods"]) == (
        *(False, "sign-in-needed"),
        ["password"],
    )
    assert not page.gateway.asked
    assert not page.gateway.leaves


async def test_browser_comes_back_by_https_only_but_not_to_localhost(page: Page) -> None:
    async with page.browser() as client:
        for host in ("gateway.bank.example:8444", "10.1.2.3"):
            answer = await client.get(
                "/v1/session", headers={"host": host, "origin": f"https://{host}"}
            )
            assert answer.headers["strict-transport-security"] == "max-age=31536000", host
        refused = await client.get("/v1/status", headers={"host": "gateway.bank.example"})
        assert (refused.status_code, "strict-transport-security" in refused.headers) == (403, True)
        for host in ("localhost", "page.localhost:8444", "127.0.0.2:8444", "[::1]:8444"):
            answer = await client.get(
                "/v1/session", headers={"host": host, "origin": f"https://{host}"}
            )
            assert answer.status_code == 200
            assert "strict-transport-security" not in answer.headers, host


async def test_person_signs_in_works_and_signs_out(page: Page) -> None:
    async with page.browser() as client:
        made = await page.sign_in(client, "anna")
        assert made.status_code == 201
        assert made.json()["roles"] == ["issuer", "verifier"]
        assert (await client.post("/v1/attestations", json=BODY)).status_code == 201
        assert page.gateway.askings[-1].client == "user anna"
        found = (await client.post("/v1/verifications", json=BODY)).json()
        assert found["verdict"] == "valid"
        assert "issuer_unchecked" not in found
        assert code(await client.get("/v1/keys")) == (403, "role-missing")
        out = await client.delete("/v1/session")
        assert (out.status_code, out.json()["signed_in"]) == (200, False)
        assert code(await client.get("/v1/status")) == (401, "sign-in-needed")
    assert [one[0] for one in page.noted.records] == [
        "account.added",
        "session.began",
        "session.ended",
    ]


async def test_cookie_is_for_this_host_alone_and_no_script_reads_it(page: Page) -> None:
    async with page.browser() as client:
        made = await page.sign_in(client, "anna")
    lines = made.headers.get_list("set-cookie")
    (line,) = [line for line in lines if line.startswith(f"{SESSION}=")]
    assert line.partition("; ")[2] == "Path=/; Secure; HttpOnly; SameSite=Strict"
    token = line.partition(";")[0].partition("=")[2]
    assert len(token) == 43
    assert all(session.key != token.encode() for session in page.sessions)


async def test_id_that_somebody_brings_along_is_never_taken_up(page: Page) -> None:
    async with page.browser() as client:
        client.cookies.set(SESSION, "A" * 43, domain="localhost.local")
        await page.sign_in(client, "anna")
        first = session_id(client)
        assert first != "A" * 43
        await page.sign_in(client, "anna")
        assert session_id(client) != first
    async with page.browser() as thief:
        for stale in ("A" * 43, first):
            headers = {"cookie": f"{SESSION}={stale}"}
            assert code(await thief.get("/v1/status", headers=headers)) == (401, "session-ended")


async def test_tampered_and_doubled_cookies_are_nobodys(page: Page) -> None:
    async with page.browser() as client, page.browser() as other:
        await page.sign_in(client, "anna")
        token = session_id(client)
        good = {"cookie": f"x=1; {SESSION}={token}; y=2"}
        assert (await other.get("/v1/status", headers=good)).status_code == 200
        cases = {
            token[:-1] + ("A" if token[-1] != "A" else "B"): "session-ended",
            token + "A": "session-ended",
            token.swapcase(): "session-ended",
            f'"{token}"': "session-ended",
            "": "sign-in-needed",
            "\xff\xfe": "session-ended",
            f"{token}; {SESSION}={token}": "sign-in-needed",
        }
        for value, told in cases.items():
            headers = [(b"cookie", f"{SESSION}={value}".encode("latin-1"))]
            answer = await other.get("/v1/status", headers=headers)
            assert code(answer) == (401, told), value


async def test_request_that_changes_something_needs_the_token(page: Page) -> None:
    async with page.browser() as client:
        await page.sign_in(client, "anna")
        good = client.headers.pop("x-chopmark-csrf")
        for wrong in (None, "", good[:-1], good + "0", good.upper(), "\u00e9", f"{good}, {good}"):
            shown = [] if wrong is None else [(b"x-chopmark-csrf", wrong.encode("latin-1"))]
            for method, path in (("POST", "/v1/attestations"), ("DELETE", "/v1/session")):
                answer = await client.request(method, path, json=BODY, headers=shown)
                assert code(answer) == (403, "csrf-token-wrong"), (wrong, path)
        assert (await client.get("/v1/status")).status_code == 200
        client.headers["x-chopmark-csrf"] = good
        assert (await client.post("/v1/attestations", json=BODY)).status_code == 201
    assert len(page.gateway.leaves) == 1


async def test_token_of_another_session_is_none(page: Page) -> None:
    async with page.browser() as client, page.browser() as other:
        await page.sign_in(client, "anna")
        await page.sign_in(other, "anna")
        client.headers["x-chopmark-csrf"] = other.headers["x-chopmark-csrf"]
        answer = await client.post("/v1/attestations", json=BODY)
        assert code(answer) == (403, "csrf-token-wrong")


async def test_page_of_another_origin_is_refused_with_cookie_and_token(page: Page) -> None:
    async with page.browser() as client:
        await page.sign_in(client, "anna")
        for origin in ("https://evil.example", "null", "https://localhost"):
            client.headers["origin"] = origin
            for path in ("/v1/attestations", "/v1/session"):
                answer = await client.post(path, json=BODY)
                assert code(answer) == (403, "foreign-origin"), origin
    assert not page.gateway.leaves


async def test_form_cannot_sign_anybody_in(page: Page) -> None:
    async with page.browser() as client:
        body = b'{"name": "anna", "password": "%s"}' % PASSWORD.encode()
        for media in ("text/plain", "application/x-www-form-urlencoded", None):
            headers = {} if media is None else {"content-type": media}
            answer = await client.post("/v1/session", content=body, headers=headers)
            assert code(answer) == (400, "malformed-request"), media
    assert not list(page.sessions)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"name": "anna"}', b'{"name": 1, "password": "hunter2hunter2"}']
)
async def test_bad_body_is_refused_without_being_quoted(page: Page, body: bytes) -> None:
    async with page.browser() as client:
        headers = {"content-type": "application/json"}
        answer = await client.post("/v1/session", content=body, headers=headers)
        assert code(answer) == (400, "malformed-request")
        assert "hunter2" not in answer.text


async def test_unknown_name_and_wrong_password_are_told_alike(page: Page) -> None:
    async with page.browser() as client:
        answers = [await page.sign_in(client, name, WRONG) for name in ("anna", "nobody", "")]
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1
    assert code(answers[0]) == (401, "wrong-credentials")
    refused = [one for one in page.noted.records if one[0] == "session.refused"]
    assert refused[0] == ("session.refused", "user anna", "wrong-credentials")
    assert refused[1] == ("session.refused", "address 127.0.0.1", "wrong-credentials")


async def test_wrong_passwords_make_the_next_try_wait(page: Page) -> None:
    async with page.browser() as client:
        told = [code(await page.sign_in(client, "anna", WRONG)) for _ in range(7)]
        assert told == [(401, "wrong-credentials")] * 5 + [(429, "locked-out")] * 2
        right = await page.sign_in(client, "anna")
        assert code(right) == (429, "locked-out")
        assert right.headers["retry-after"] == "30"
        (alarm,) = page.desk.alarms()
        assert (alarm["code"], "for 1 name" in alarm["message"]) == ("sign-in-locked", True)
        page.now += 31
        assert (await page.sign_in(client, "anna")).status_code == 201
    assert not page.desk.alarms()


async def test_tries_at_once_are_no_more_than_tries_in_turn(page: Page) -> None:
    async with page.browser() as client:
        tries = [page.sign_in(client, "anna", f"{WRONG} {number}") for number in range(12)]
        told = [code(answer) for answer in await asyncio.gather(*tries)]
    assert told.count((401, "wrong-credentials")) == 5


async def test_guesser_does_not_keep_the_person_out_whose_browser_is_known(page: Page) -> None:
    async with page.browser() as client, page.browser() as guesser:
        await page.sign_in(client, "anna")
        device = client.cookies[DEVICE]
        await client.delete("/v1/session")
        for _ in range(6):
            await page.sign_in(guesser, "anna", WRONG)
        assert code(await page.sign_in(guesser, "anna")) == (429, "locked-out")
        client.headers.pop("x-chopmark-csrf")
        assert (await page.sign_in(client, "anna")).status_code == 201
        forged = device[:-1] + ("0" if device[-1] != "0" else "1")
        guesser.cookies.set(DEVICE, forged, domain="localhost.local")
        assert code(await page.sign_in(guesser, "anna")) == (429, "locked-out")


async def test_known_browser_of_one_person_is_not_anothers(page: Page) -> None:
    await page.add("bert")
    async with page.browser() as client:
        await page.sign_in(client, "bert")
        device = client.cookies[DEVICE]
    assert page.desk.accounts.read_device("bert", device)
    assert page.desk.accounts.read_device("anna", device) is None


async def test_many_who_sign_in_at_once_are_told_to_come_again(page: Page) -> None:
    names = [f"person-{number}" for number in range(QUEUE + 6)]
    hashing = page.desk.hasher._thread
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()
    hashing.submit(lambda: asyncio.run_coroutine_threadsafe(gate.wait(), loop).result())
    async with page.browser() as client:
        tries = [asyncio.create_task(page.sign_in(client, name, WRONG)) for name in names]
        await until(lambda: sum(task.done() for task in tries) == 6)
        early = [task.result() for task in tries if task.done()]
        gate.set()
        later = [task.result() for task in tries if await task not in early]
    assert {code(answer) for answer in early} == {(503, "overloaded")}
    assert {code(answer) for answer in later} == {(401, "wrong-credentials")}
    assert not page.desk.lockouts.waiting()


async def test_session_ends_when_nobody_asks_and_at_its_end(page: Page) -> None:
    async with page.browser() as client:
        await page.sign_in(client, "anna")
        for _ in range(3):
            page.now += 800
            assert (await client.get("/v1/status")).status_code == 200
        page.now += 901
        assert code(await client.get("/v1/status")) == (401, "session-ended")
        await page.sign_in(client, "anna")
        for _ in range(46):
            page.now += 800
            answer = await client.get("/v1/session")
        assert answer.json()["reason"] == "session-ended"


async def test_what_the_page_asks_by_itself_keeps_no_session_alive(page: Page) -> None:
    async with page.browser() as client:
        await page.sign_in(client, "anna")
        headers = {"x-chopmark-background": "1"}
        told = []
        for _ in range(3):
            page.now += 400
            told.append((await client.get("/v1/status", headers=headers)).status_code)
        assert told == [200, 200, 401]
        await page.sign_in(client, "anna")
        for _ in range(2):
            page.now += 500
            code(await client.get("/v1/events"))
        assert code(await client.get("/v1/status")) == (401, "session-ended")


async def test_password_of_ones_own_is_changed_and_other_sessions_end(page: Page) -> None:
    new = "four new words indeed"
    async with page.browser() as client, page.browser() as other:
        await page.sign_in(client, "anna")
        await page.sign_in(other, "anna")
        wrong = await client.post("/v1/session/password", json={"old": WRONG, "new": new})
        assert code(wrong) == (401, "wrong-credentials")
        weak = await client.post("/v1/session/password", json={"old": PASSWORD, "new": "short"})
        assert code(weak) == (422, "weak-password")
        done = await client.post("/v1/session/password", json={"old": PASSWORD, "new": new})
        assert (done.status_code, done.json()["signed_in"]) == (200, True)
        assert (await client.get("/v1/status")).status_code == 200
        client.headers["x-chopmark-csrf"] = done.json()["csrf"]
        assert (await client.post("/v1/attestations", json=BODY)).status_code == 201
        assert code(await other.get("/v1/status")) == (401, "session-ended")
        other.headers.pop("x-chopmark-csrf")
        assert code(await page.sign_in(other, "anna")) == (401, "wrong-credentials")
        assert (await page.sign_in(other, "anna", new)).status_code == 201


async def test_hash_of_old_parameters_is_made_anew_at_the_next_sign_in(page: Page) -> None:
    before = page.desk.accounts.get("anna")
    page.desk.hasher = Hasher(Cost(passes=2, memory=64))
    async with page.browser() as client:
        assert (await page.sign_in(client, "anna", WRONG)).status_code == 401
        assert page.desk.accounts.get("anna") == before
        assert (await page.sign_in(client, "anna")).status_code == 201
        after = page.desk.accounts.get("anna")
        assert "t=2" in after.hash
        assert after.changed == before.changed
        assert (await page.sign_in(client, "anna")).status_code == 201


async def test_removing_an_account_ends_its_sessions(page: Page) -> None:
    async with page.browser() as client:
        await page.sign_in(client, "anna")
        await page.desk.remove_account("anna")
        assert code(await client.get("/v1/status")) == (401, "session-ended")


async def test_operator_sees_and_ends_sessions_but_makes_no_accounts_here(page: Page) -> None:
    await page.add("olga", "operator")
    async with page.browser() as client, page.browser() as operator:
        await page.sign_in(client, "anna")
        await page.sign_in(operator, "olga")
        found = (await operator.get("/v1/sessions")).json()
        assert [one["client"] for one in found] == ["user anna", "user olga"]
        accounts = (await operator.get("/v1/accounts")).json()
        assert [one["name"] for one in accounts] == ["anna", "olga"]
        assert "hash" not in accounts[0]
        body: dict[str, Any] = {"name": "mallory", "password": PASSWORD, "roles": ["operator"]}
        for path in ("add", "password", "remove", "unlock"):
            asked = body if path == "add" else {"name": "anna"}
            asked = body | {"name": "anna"} if path == "password" else asked
            asked.pop("roles", None) if path == "password" else None
            answer = await operator.post(f"/v1/accounts/{path}", json=asked)
            assert code(answer) == (403, "unix-only"), path
        pinned = await operator.post("/v1/roster/pin", json={"note": "", "fingerprint": ""})
        assert code(pinned) == (403, "not-by-session")
        ended = await operator.post("/v1/sessions/end", json={"client": "user anna"})
        assert ended.json() == {"ended": 1}
        assert code(await client.get("/v1/status")) == (401, "session-ended")
        assert code(await client.get("/v1/sessions")) == (401, "session-ended")


async def test_pipelined_requests_are_each_their_own_sessions(page: Page) -> None:
    """A proxy could send many people's requests over one connection."""
    async with page.browser() as client:
        await page.sign_in(client, "anna")
        token = session_id(client)
    reader, writer = await connect(page)
    head = "GET /v1/session HTTP/1.1\r\nhost: localhost:%d\r\ncookie: %s\r\n\r\n"
    cookies = [f"{SESSION}={token}", "x=1", f"{SESSION}={token}", f"{SESSION}={'A' * 43}"]
    writer.write("".join(head % (page.port, cookie) for cookie in cookies).encode())
    told = []
    for _ in cookies:
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in answer.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        told.append(b'"signed_in":true' in await reader.readexactly(length))
    writer.transport.abort()
    assert told == [True, False, True, False]


async def test_stream_gets_nothing_more_once_its_session_has_ended(page: Page) -> None:
    async with page.browser() as client:
        await page.sign_in(client, "anna")
        reader, writer = await connect(page)
        line = b'{"sha256":"%s"}\n' % SHA.encode()
        head = {
            "host": f"localhost:{page.port}",
            "cookie": f"{SESSION}={session_id(client)}",
            "x-chopmark-csrf": client.headers["x-chopmark-csrf"],
            "transfer-encoding": "chunked",
        }
        lines = ["POST /v1/attestations:batch HTTP/1.1", *(f"{k}: {v}" for k, v in head.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        writer.write(b"%x\r\n%s\r\n" % (len(line), line))
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        assert b'"index":0' in await reader.readuntil(b"}\n")
        await client.delete("/v1/session")
        writer.write(b"%x\r\n%s\r\n" % (len(line), line.replace(b"0a", b"0b")))
        async with asyncio.timeout(PATIENCE):
            assert b"index" not in await reader.read()
        writer.transport.abort()


async def test_open_network_verifies_and_does_nothing_else(tmp_path: Path) -> None:
    page = Page(tmp_path, ("10.0.0.0/8", "127.0.0.0/30"))
    async with page.serving(), page.browser() as client:
        for path in sorted(OPEN - {"/v1/verifications", "/v1/roster"}):
            named = path.format(algorithm="sha256", digest=SHA)
            assert (await client.get(named)).status_code == 200, path
        assert (await client.post("/v1/verifications", json=BODY)).status_code == 200
        for path, method in (
            *(("/v1/attestations", "POST"), ("/v1/verifications:batch", "POST")),
            *(("/v1/entries", "GET"), ("/v1/replicas", "GET"), ("/v1/proofs/hk-1/0", "GET")),
        ):
            answer = await client.request(method, path, json=BODY)
            assert code(answer) == (401, "sign-in-needed"), path
        who = (await client.get("/v1/session")).json()
    assert (who["signed_in"], who["by"], who["client"]) == (
        *(False, "network"),
        "branch 127.0.0.0/30",
    )


async def test_another_network_than_the_open_one_signs_in(tmp_path: Path) -> None:
    page = Page(tmp_path, ("10.0.0.0/8", "127.0.0.4/30"))
    async with page.serving(), page.browser() as client:
        headers = {"x-forwarded-for": "10.1.2.3", "forwarded": "for=10.1.2.3"}
        for path in ("/v1/status", "/v1/policy"):
            assert code(await client.get(path, headers=headers)) == (401, "sign-in-needed")


async def test_open_network_has_a_rate_for_all_it_asks(tmp_path: Path) -> None:
    page = Page(tmp_path, ("127.0.0.1/32",), rate=3)
    async with page.serving(), page.browser() as client:
        told = [code(await client.get("/v1/status"))]
        async with asyncio.timeout(PATIENCE):  # where they come slowly, none is too many
            while told[-1] != (429, "rate-limited"):
                told.append(code(await client.get("/v1/status")))
        assert (await client.get("/v1/session")).status_code == 200


async def test_page_of_another_site_uses_up_no_rate_of_an_open_network(tmp_path: Path) -> None:
    page = Page(tmp_path, ("127.0.0.1/32",), rate=1)
    async with page.serving(), page.browser() as client:
        del client.headers["origin"]
        image = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
        told = [code(await client.get("/v1/status", headers=image)) for _ in range(5)]
        assert set(told) == {(403, "foreign-origin")}
        own = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}
        assert (await client.get("/v1/status", headers=own)).status_code == 200
        async with asyncio.timeout(PATIENCE):  # the next second may have begun
            while code(await client.get("/v1/status", headers=own)) != (429, "rate-limited"):
                pass


async def test_page_of_the_same_site_keeps_no_session_alive(page: Page) -> None:
    """Its requests have the cookie: SameSite looks at the site, of which it is."""
    async with page.browser() as client:
        await page.sign_in(client, "anna")
        del client.headers["origin"]
        for _ in range(2):
            page.now += 500
            headers = {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}
            answer = await client.get("/v1/status", headers=headers)
            assert code(answer) == (403, "foreign-origin")
        assert code(await client.get("/v1/status")) == (401, "session-ended")


def test_what_is_open_are_routes_for_readers() -> None:
    assert TABLE.keys() >= OPEN
    assert all("verifier" in TABLE[path] for path in OPEN)
    assert TABLE.keys() >= SIGN_IN
