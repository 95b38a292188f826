"""One node, over its Web3 JSON-RPC: calls, and batches of calls.

Rules, of which some are FISCO BCOS's own (docs/operations/anchor.md):
1. A batch has 8 calls at most: more are refused.
2. An error may come with the hash of a transaction that is on the chain all the same, so that an
   error in answer to a transaction says nothing about what became of it.
3. What a node says is not trusted to be well-formed, nor to be small.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
import msgspec

from chopmark.anchor.contract import malformed
from chopmark.core.errors import ChopmarkError, MalformedError, UnreachableError

BATCH: Final = 8
"""Calls in one request (`batch_request_size_limit`)."""
MAX_ANSWER: Final = 8 * 1024 * 1024
"""Bytes: hundreds of anchors. Whoever asks for more gets `TooLargeError`, and asks for less."""
TIMEOUT: Final = 20.0
"""Seconds: a node that makes blocks may be slow, and one that is away must not hold us up."""
WHOLE: Final = 60.0
"""Seconds for a request in all: a node that sends a byte now and then must not, either."""
MAX_SAID: Final = 200
"""Characters that are kept of what a node says of an error."""
BESIDE: Final = 65536
"""Bytes from which on an answer is read on another thread: the loop has other work."""
Call = tuple[str, Sequence[Any]]
logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of each request, every few seconds


class RpcError(ChopmarkError):
    """A node has refused a call.

    Attributes:
        number: the error's number, by the node.
        transaction: hash of the transaction that the error comes with, or None.
    """

    status = 502
    exit_code = 69

    def __init__(self, number: int, message: str, data: object) -> None:
        said = message[:MAX_SAID]
        super().__init__("rpc-refused", f"the node refuses: {said}")
        self.number = number
        self.said = said
        found = data.get("txHash") if isinstance(data, dict) else None
        self.transaction = found if isinstance(found, str) else None


class TooLargeError(MalformedError):
    """An answer is larger than what is read: it is to be asked for in parts."""

    def __init__(self) -> None:
        super().__init__("answer-too-large", f"the node's answer has more than {MAX_ANSWER} bytes")


@dataclass(frozen=True, slots=True)
class _Answer:
    result: Any
    error: RpcError | None


class Node:
    """One endpoint. Its methods may be called from many tasks.

    Args:
        url: where it is, without user or password.
        ca: PEM file of the CAs of its certificate; None for those of the system.
    """

    def __init__(self, url: str, ca: str | None = None) -> None:
        self.url = url
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT, verify=_verify(ca), trust_env=False, follow_redirects=False
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def call(self, method: str, *params: Any) -> Any:
        """One call; gives its result.

        Raises:
            UnreachableError: `node-away`.
            RpcError: `rpc-refused`.
            MalformedError: `malformed-answer`, `answer-too-large`.
        """
        return (await self.batch([(method, params)]))[0]

    async def batch(self, calls: Sequence[Call]) -> list[Any]:
        """Up to `BATCH` calls at once; gives their results. Raises as `call`, if any has failed."""
        if not 0 < len(calls) <= BATCH:
            raise ValueError(f"{len(calls)} calls in a batch")
        asked = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
            for number, (method, params) in enumerate(calls, 1)
        ]
        body = await self._post(json.dumps(asked if len(asked) > 1 else asked[0]).encode())
        if len(body) < BESIDE:
            answers = _read(body, len(calls))
        else:
            answers = await asyncio.to_thread(_read, body, len(calls))
        for answer in answers:
            if answer.error is not None:
                raise answer.error
        return [answer.result for answer in answers]

    async def _post(self, body: bytes) -> bytes:
        # As it is: what is small on the way and large in memory would get past the bound.
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        received = bytearray()
        try:
            request = self._client.stream("POST", self.url, content=body, headers=headers)
            async with asyncio.timeout(WHOLE), request as response:
                async for piece in response.aiter_raw():
                    received += piece
                    if len(received) > MAX_ANSWER:
                        raise TooLargeError
                if response.status_code != 200 and not received.startswith((b"{", b"[")):
                    raise self._away(f"HTTP status {response.status_code}")
        except TimeoutError as error:  # which is an OSError, too
            raise self._away(f"no whole answer in {WHOLE:.0f} s") from error
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise self._away(str(error) or type(error).__name__) from error
        return bytes(received)

    def _away(self, why: str) -> UnreachableError:
        hint = "is the node running, and is web3_rpc enabled in its config.ini?"
        return UnreachableError("node-away", f"{self.url} does not answer: {why}", hint=hint)


def _verify(ca: str | None) -> Any:
    if ca is None:
        return True
    import ssl  # noqa: PLC0415 - of few

    return ssl.create_default_context(cafile=ca)


def _read(body: bytes, count: int) -> list[_Answer]:
    """The answers, in the order of the calls."""
    try:
        read = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise malformed("it is not JSON") from error
    if isinstance(read, dict) and (count == 1 or "error" in read):
        answers = [_one(read)]
        if count > 1:  # the batch as a whole was refused
            raise answers[0].error or malformed("a batch is due")
        return answers
    found = {one.get("id"): one for one in read if isinstance(one, dict)} if _many(read) else {}
    if set(found) != set(range(1, count + 1)):
        raise malformed("an answer to a call is missing")
    return [_one(found[number]) for number in range(1, count + 1)]


def _many(read: object) -> bool:
    return isinstance(read, list) and all(isinstance(one, dict) for one in read)


def _one(answer: dict[str, Any]) -> _Answer:
    error = answer.get("error")
    if isinstance(error, dict):
        number, message = error.get("code"), error.get("message")
        number = number if isinstance(number, int) else 0
        return _Answer(None, RpcError(number, str(message), error.get("data")))
    if error is not None or "result" not in answer:
        raise malformed("it has neither result nor error")
    return _Answer(answer["result"], None)
