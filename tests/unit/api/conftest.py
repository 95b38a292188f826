"""The API in process, in front of the fake gateway."""

from collections.abc import AsyncIterator

import httpx
import pytest

from fakegateway import FakeGateway
from oneapi import OneApi


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
async def client(gateway: FakeGateway) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(OneApi(gateway), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
        yield client
