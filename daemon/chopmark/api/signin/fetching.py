"""HTTP to the OpenID provider: by TLS only, bounded in time and size, nowhere but where it says."""

import asyncio
import ssl
from typing import Any, Final

import httpx
import msgspec

from chopmark.core.errors import UnreachableError

SECONDS: Final = 10.0
MAX_BODY: Final = 256 * 1024


class Fetcher:
    """Asks one provider.

    Args:
        context: whom to trust.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    async def get(self, url: str) -> dict[str, Any]:
        """A JSON object; raises as `post`."""
        return await self._ask("GET", url, b"", {})

    async def post(self, url: str, body: str, headers: dict[str, str]) -> dict[str, Any]:
        """The JSON object that answers a form.

        Raises:
            UnreachableError: `oidc-unreachable`: no answer, or one that is none.
        """
        return await self._ask("POST", url, body.encode(), headers)

    async def _ask(
        self, method: str, url: str, body: bytes, headers: dict[str, str]
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(SECONDS):
                return await self._read(method, url, body, headers)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError, ValueError) as error:
            reason = str(error) or type(error).__name__
            message = f"the OpenID provider at {url} gives no answer: {reason[:200]}"
            hint = "sign in otherwise; an operator looks at the provider, and at [api.oidc]"
            raise UnreachableError("oidc-unreachable", message, hint=hint) from error

    async def _read(
        self, method: str, url: str, body: bytes, headers: dict[str, str]
    ) -> dict[str, Any]:
        accept = {"accept": "application/json", "accept-encoding": "identity", **headers}
        async with (
            self._open() as client,
            client.stream(method, url, content=body or None, headers=accept) as answer,
        ):
            data = b""
            async for piece in answer.aiter_raw():
                data += piece
                if len(data) > MAX_BODY:
                    raise ValueError("the answer is too large")
        # By JSON the token endpoint says what is wrong with a code (RFC 6749 §5.2).
        if answer.status_code not in (200, 400, 401, 403):
            raise ValueError(f"status {answer.status_code}")
        return _decode(data)

    def _open(self) -> httpx.AsyncClient:
        """One for each request: they are few, and nothing stays open."""
        # Proxies of the environment would be sent our secret.
        return httpx.AsyncClient(
            verify=self._context, trust_env=False, timeout=SECONDS, follow_redirects=False
        )


def _decode(data: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("the answer is no JSON object") from None
