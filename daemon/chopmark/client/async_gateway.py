"""The gateway as a Python object for programs with an event loop; see `client.gateway`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

from chopmark.client.address import parse_address
from chopmark.client.async_transport import AsyncTransport
from chopmark.client.bulk import attest_all
from chopmark.client.credentials import Credentials
from chopmark.client.gateway import PATIENCE, WAIT_SECONDS, no_progress
from chopmark.client.messages import Attested, Job, Json, Outcome, Query, read_object, read_objects
from chopmark.client.plans import (
    Call,
    Patience,
    Pause,
    Plan,
    Ready,
    Step,
    Wish,
    attest,
    deal,
    decode,
    make_key,
    revoke,
)
from chopmark.client.verdicts import VerdictReport, read_verdict
from chopmark.core.digest import Digests
from chopmark.core.draft import Draft

T = TypeVar("T")


class AsyncGatewayClient:
    """As `GatewayClient`, to which its methods answer; for any number of tasks at once.

    Args:
        address: see `GatewayClient`, as for what follows.
        credentials: for HTTPS.
        patience: seconds.
    """

    def __init__(
        self, address: str, credentials: Credentials | None = None, *, patience: float = PATIENCE
    ) -> None:
        self._http = AsyncTransport(parse_address(address), credentials)
        self._patience = patience

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def attest(
        self,
        draft: Draft,
        wait: float = WAIT_SECONDS,
        until: str = "witnessed",
        *,
        key: str | None = None,
        again: bool = False,
    ) -> Attested:
        """Attest one document; see `GatewayClient.attest`."""
        wish = Wish(wait, until, again=again)
        return await self._do(attest(draft, wish, key or make_key(), self._new_patience()))

    async def attest_all(
        self,
        documents: Iterable[Digests],
        job: Job | None = None,
        *,
        proofs: bool = True,
        wait: float = WAIT_SECONDS,
        until: str = "signed",
        progress: Callable[[int], None] = no_progress,
    ) -> AsyncIterator[Outcome]:
        """Attest any number of documents; see `GatewayClient.attest_all`.

        Documents are taken, and proofs made, on another thread.
        """
        wish = Wish(wait, until, proofs)
        plan = attest_all(documents, job or Job(), wish, self._new_patience(), progress)
        result: Any = None
        while (step := await asyncio.to_thread(_advance, plan, result)) is not _END:
            if isinstance(step, Ready):
                for outcome in step.outcomes:
                    yield outcome
                result = None
            else:
                result = await self._take(step)

    async def revoke(
        self, index: int, reason: int, wait: float = WAIT_SECONDS, *, key: str | None = None
    ) -> Json:
        """Revoke an attestation of the gateway's own log; gives the revocation's JSON."""
        plan = revoke(index, reason, wait, key or make_key(), self._new_patience())
        return await self._do(plan)

    async def consent(
        self, body: Json, wait: float = WAIT_SECONDS, *, key: str | None = None
    ) -> Json:
        """Record a consent to an attestation of the gateway's own log (docs/api.md)."""
        made = key or make_key()
        return await self._do(deal("/v1/consents", body, wait, made, self._new_patience()))

    async def use(self, body: Json, wait: float = WAIT_SECONDS, *, key: str | None = None) -> Json:
        """Have a document verified for a purpose, and its use recorded."""
        made = key or make_key()
        return await self._do(deal("/v1/uses", body, wait, made, self._new_patience()))

    async def trace(self, body: Json) -> bytes:
        """The life of a document as a report (docs/formats/trace.md)."""
        return await self._http.perform(Call("POST", "/v1/trace", body=body))

    async def verify(self, query: Query) -> VerdictReport:
        """The gateway's verdict, from its own log and its replicas."""
        call = Call("POST", "/v1/verifications", body=query.encode())
        return read_verdict(decode(await self._http.perform(call)))

    async def proof(self, member: str, index: int, *, bare: bool = False) -> bytes:
        """The newest proof of an entry of the gateway's own log or of a replica.

        Of a blinded entry with its salt, unless it is `bare`; see `GatewayClient.proof`.
        """
        path = f"/v1/proofs/{quote(member, safe='')}/{index}"
        return await self._http.perform(Call("GET", path, {"bare": 1} if bare else None))

    async def entries(self, member: str, after: int, limit: int, wait: float = 0) -> Json:
        """Entries of a log with an index above `after`, and the log's size."""
        query: dict[str, str | int | float] = {"id": member, "after": after, "limit": limit}
        call = Call("GET", "/v1/entries", query | ({"wait": wait} if wait else {}), wait=wait)
        return read_object(decode(await self._http.perform(call)))

    async def status(self) -> Json:
        """State of the gateway (docs/api.md)."""
        return read_object(decode(await self._get("/v1/status")), "id", "origin", "state")

    async def peers(self) -> list[Json]:
        """State of each peer's replica (docs/api.md)."""
        return read_objects(decode(await self._get("/v1/peers")))

    async def policy(self) -> bytes:
        """The trust policy for the gateway's own log."""
        return await self._get("/v1/policy")

    async def export(self) -> Json:
        """Who the gateway is, and its public keys."""
        answer = decode(await self._get("/v1/export"))
        return read_object(answer, "id", "origin", "log_vkey", "cosigner_vkey", "institution")

    def _new_patience(self) -> Patience:
        return Patience(self._patience)

    async def _get(self, path: str) -> bytes:
        return await self._http.perform(Call("GET", path))

    async def _do(self, plan: Plan[T]) -> T:
        """Carry out a plan that has nothing to tell on the way."""
        result: Any = None
        while True:
            try:
                step = plan.throw(result) if isinstance(result, Exception) else plan.send(result)
            except StopIteration as end:
                done: T = end.value
                return done
            result = await self._take(step)

    async def _take(self, step: Step) -> Any:
        """Take a step; gives the answer, or what it raised."""
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        if isinstance(step, Call):
            try:
                return await self._http.perform(step)
            except Exception as error:  # noqa: BLE001 - the plan sees to it
                return error
        return None


_END: Final = Pause(0)
"""What follows the last step: a generator cannot end in another thread by an exception."""


def _advance(plan: Plan[None], result: Any) -> Step:
    with suppress(StopIteration):
        return plan.throw(result) if isinstance(result, Exception) else plan.send(result)
    return _END
