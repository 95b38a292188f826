"""The API in process, in front of the fake gateway."""

from collections.abc import AsyncIterator

import httpx
import pytest

from chopmark.api.app import create_app
from chopmark.api.limits import ApiLimits
from fakegateway import FakeGateway


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
async def client(gateway: FakeGateway) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(gateway, ApiLimits()), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
        yield client
