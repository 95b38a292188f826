"""What attackers try at the page's listener, beyond what `test_page_door` shows."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from apiserver import SHA, until
from chopmark.api.signin.cookies import SESSION
from pageserver import Page, connect, session_id

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

    async def __aenter__(self) -> "Begun":
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
        async with asyncio.timeout(10):
            assert b"index" not in await begun.reader.read()
    assert len(page.gateway.leaves) == 1


async def test_request_with_two_hosts_is_no_page_of_ours(page: Page) -> None:
    """Whatever stands in front may go by one of them, and we by the other."""
    lines = ["GET /v1/session HTTP/1.1", "host: evil.example", f"host: localhost:{page.port}"]
    reader, writer = await connect(page)
    writer.write("\r\n".join([*lines, "origin: https://evil.example", "", ""]).encode())
    assert b"foreign-origin" in await reader.readuntil(b"}")
    writer.transport.abort()
