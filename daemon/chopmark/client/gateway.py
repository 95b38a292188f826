"""The gateway as a Python object: attest, verify, revoke and look."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

from chopmark.client.address import parse_address
from chopmark.client.credentials import Credentials
from chopmark.client.messages import (
    Attested,
    Job,
    Json,
    Outcome,
    Query,
    read_log_key,
    read_object,
    read_objects,
)
from chopmark.client.plans import (
    Call,
    Patience,
    Pause,
    Plan,
    Ready,
    Wish,
    attest,
    attest_many,
    deal,
    make_key,
    revoke,
)
from chopmark.client.problem import bad_answer
from chopmark.client.transport import Transport
from chopmark.client.verdicts import VerdictReport, read_verdict
from chopmark.core.digest import Digests
from chopmark.core.draft import Draft
from chopmark.core.keys import VerifierKey

T = TypeVar("T")

WAIT_SECONDS: Final = 10.0
PATIENCE: Final = 30.0
"""Seconds without progress: a gateway restarts in two, and an HSM is back in some more."""
BATCH: Final = 1000
"""Lines of one request: some 300 KB, and one HSM signature, whose proofs come back as a stream."""


def no_progress(_done: int) -> None:
    """Nobody wants to know."""


class GatewayClient:
    """Talks to one gateway over its unix socket, HTTPS or loopback HTTP.

    Every method may raise `UnreachableError` (`gateway-unreachable`, `gateway-timeout`,
    `bad-answer`), `ForbiddenError`, and whatever the gateway answers with, as the error class of
    its status with code, message and hint preserved. What attests or revokes is asked again while
    that may help (overload, an HSM that is away, a connection that breaks off), under one
    idempotency key: nothing is recorded twice.

    Args:
        address: `unix:PATH`, `https://HOST:PORT` or `http://127.0.0.1:PORT`.
        credentials: for HTTPS; what they lack comes from the environment.
        patience: seconds without progress after which such an error is raised; 0 for at once.

    Raises:
        UsageError: `bad-address`, `bad-credentials`.
    """

    def __init__(
        self, address: str, credentials: Credentials | None = None, *, patience: float = PATIENCE
    ) -> None:
        self._http = Transport(parse_address(address), credentials)
        self._patience = patience

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def attest(
        self,
        draft: Draft,
        wait: float = WAIT_SECONDS,
        until: str = "witnessed",
        *,
        key: str | None = None,
        again: bool = False,
    ) -> Attested:
        """Attest one document; it is durable in the log when this returns.

        Args:
            draft: its digests and kind. The gateway hides the digests of one that is `blinded`;
                only its proof shows then what was attested.
            wait: seconds to wait; what has not come by then is in the answer's state.
            until: wait until it is `witnessed` (where a quorum is demanded) or only `signed`.
            key: idempotency key: another call with it gives the same attestation, for 24 hours.
                One is made for this call if None.
            again: attest it anew, though this client has had it attested already.
        """
        wish = Wish(wait, until, again=again)
        return self.carry_out(attest(draft, wish, key or make_key(), self._new_patience()))

    def attest_many(
        self,
        drafts: Iterable[Draft],
        *,
        proofs: bool = False,
        wait: float = WAIT_SECONDS,
        batch: int = BATCH,
        until: str = "signed",
        again: bool = False,
    ) -> Iterator[Outcome]:
        """Attest many documents, with one outcome for each, in their order.

        At most `batch` drafts are taken at a time, and the next ones only when the outcomes of
        those before were consumed, so that memory stays bounded. A refused draft does not disturb
        the others. An error in the middle leaves the batch at hand undecided.
        """
        wish = Wish(wait, until, proofs, again)
        return self._iterate(attest_many(drafts, wish, batch, self._new_patience()))

    def attest_all(
        self,
        documents: Iterable[Digests],
        job: Job | None = None,
        *,
        proofs: bool = True,
        wait: float = WAIT_SECONDS,
        until: str = "signed",
        progress: Callable[[int], None] = no_progress,
    ) -> Iterator[Outcome]:
        """Attest any number of documents of one kind, with one outcome for each, in their order.

        Memory stays bounded, however many they are. Some thousand and more go in compact form.

        An outcome with an error is about its document alone. What keeps the job from going on is
        raised by the iterator in place of the next outcome: what it raises is told above, as
        `UnreachableError` or `TryAgainError` once `patience` is at an end, and `RefusedError`
        (`compact-mismatch`: under this name other documents went before). How many of those
        without an outcome are recorded is not known then: a job with a name that is begun anew,
        with the same documents in the same order, gives all outcomes, and records none twice.

        Args:
            documents: their digests; taken as outcomes are consumed.
            job: kind, validity, and a name: a program that was killed asks for the same documents
                under the same name, and each is attested once all the same.
            proofs: whether to give the proofs.
            wait: seconds to wait for the signature of each part.
            until: as for `attest`.
            progress: told how many documents are recorded so far, at least after every 4,096, and
                on whatever thread goes on with the work.
        """
        from chopmark.client.bulk import attest_all  # noqa: PLC0415 - loaded by who makes proofs

        wish = Wish(wait, until, proofs)
        plan = attest_all(documents, job or Job(), wish, self._new_patience(), progress)
        return self._iterate(plan)

    def log_key(self) -> VerifierKey:
        """The key that signs the heads of the gateway's own log.

        Raises:
            UnreachableError: `bad-answer`.
        """
        return read_log_key(self.export())

    def revoke(
        self, index: int, reason: int, wait: float = WAIT_SECONDS, *, key: str | None = None
    ) -> Json:
        """Revoke an attestation of the gateway's own log; gives the revocation's JSON.

        `key` is as for `attest`.
        """
        plan = revoke(index, reason, wait, key or make_key(), self._new_patience())
        return self.carry_out(plan)

    def consent(self, body: Json, wait: float = WAIT_SECONDS, *, key: str | None = None) -> Json:
        """Record a consent to an attestation of the gateway's own log (docs/api.md).

        The answer has its proof, with what opens it; `key` is as for `attest`.
        """
        made = key or make_key()
        return self.carry_out(deal("/v1/consents", body, wait, made, self._new_patience()))

    def use(self, body: Json, wait: float = WAIT_SECONDS, *, key: str | None = None) -> Json:
        """Have a document verified for a purpose, and its use recorded; as `consent`."""
        made = key or make_key()
        return self.carry_out(deal("/v1/uses", body, wait, made, self._new_patience()))

    def trace(self, body: Json) -> bytes:
        """The life of a document as a report (docs/formats/trace.md): `core.trace` reads it."""
        return self._http.perform(Call("POST", "/v1/trace", body=body))

    def verify(self, query: Query) -> VerdictReport:
        """The gateway's verdict, from its own log and its replicas."""
        return read_verdict(self._http.post_json("/v1/verifications", query.encode()))

    def documents(self, sha256: bytes) -> list[Json]:
        """Attestations of a digest in all logs that the gateway holds, the first page of them."""
        answer = self._http.get_json(f"/v1/documents/sha256/{sha256.hex()}")
        found = read_objects(read_object(answer).get("attestations"))
        return [read_object(one, "origin", "state") for one in found]

    def proof(self, member: str, index: int, *, bare: bool = False) -> bytes:
        """The newest proof of an entry of the gateway's own log or of a replica.

        Of a blinded entry its issuer's gateway gives it for 24 hours (`salt-gone`), to the client
        that had it attested and to operators (`salt-not-yours`). A `bare` one is always there,
        without the salt: `client.proofs.renew` puts that in from an older proof.
        """
        query: dict[str, str | int] | None = {"bare": 1} if bare else None
        return self._http.get(f"/v1/proofs/{quote(member, safe='')}/{index}", query)

    def audit(self, day: str | None, after: int, limit: int) -> Json:
        """Records of the audit log with a number above `after`, of a day or of all."""
        query: dict[str, str | int] = {"after": after, "limit": limit}
        answer = self._http.get_json("/v1/audit", query | ({"day": day} if day else {}))
        page = read_object(answer, "chain")
        for record in read_objects(page.get("records")):
            _check_record(record)
        if not isinstance(page.get("next"), int):
            raise bad_answer()
        return page

    def audit_proof(self, number: int) -> bytes:
        """The proof of one record of the audit log (docs/formats/audit.md)."""
        return self._http.get(f"/v1/audit/proofs/{number}")

    def status(self) -> Json:
        """State of the gateway (docs/api.md)."""
        return read_object(self._http.get_json("/v1/status"), "id", "origin", "state")

    def peers(self) -> list[Json]:
        """State of each peer's replica (docs/api.md)."""
        return read_objects(self._http.get_json("/v1/peers"))

    def replicas(self) -> list[Json]:
        """What the gateway holds of each peer's log (docs/api.md)."""
        return read_objects(self._http.get_json("/v1/replicas"))

    def evidence(self) -> list[Json]:
        """Evidence of forks that the gateway holds (docs/api.md)."""
        return read_objects(self._http.get_json("/v1/evidence"))

    def anchors(self, member: str, after: int = 0, limit: int = 100) -> list[Json]:
        """Anchors of a member's log that the gateway has read of the chain (docs/api.md)."""
        query = f"id={quote(member)}&after={after}&limit={limit}"
        return read_objects(self._http.get_json(f"/v1/anchors?{query}"))

    def release(self, data: bytes) -> Json:
        """Have a forked log followed again, as two officers have signed (docs/api.md)."""
        answer = self._http.post_json("/v1/evidence/releases", {"release": _text(data)})
        return read_object(answer, "origin", "officers")

    def policy(self, member: str | None = None) -> bytes:
        """The trust policy for the gateway's own log, or for a peer's."""
        return self._http.get("/v1/policy", {"id": member} if member else None)

    def roster(self) -> Json:
        """The version of the roster that is in force, as JSON (docs/api.md)."""
        return read_object(self._http.get_json("/v1/roster"))

    def demanded_digests(self, kind: str) -> list[str]:
        """The digests that the roster's catalogue demands of a kind: algorithms and names."""
        for one in read_objects(self.roster().get("kinds") or []):
            if one.get("name") == kind and isinstance(one.get("digests"), list):
                return [str(name) for name in one["digests"]]
        return []

    def sign_roster(self, data: bytes, *, confirm_lost: bool = False) -> bytes:
        """Have a text or note of the roster signed; gives the note with one line more.

        `confirm_lost`: no other text of this version was signed, though the record may be lost.
        """
        body = {"note": _text(data)} | ({"confirm_lost": True} if confirm_lost else {})
        answer = self._http.post_json("/v1/roster/signatures", body)
        return str(read_object(answer, "note")["note"]).encode()

    def publish_roster(self, data: bytes) -> Json:
        """Hand over a version of the roster, or a suspension."""
        return read_object(self._http.post_json("/v1/roster/versions", {"note": _text(data)}))

    def pin_roster(self, data: bytes, fingerprint: str) -> Json:
        """Put a version in force by its fingerprint."""
        body = {"note": _text(data), "fingerprint": fingerprint}
        return read_object(self._http.post_json("/v1/roster/pin", body))

    def hsm(self) -> Json:
        """How the gateway's HSM is."""
        return read_object(self._http.get_json("/v1/hsm"), "state")

    def unlock_hsm(self, pin: str) -> Json:
        """Give the PIN, which is tried once; by a unix socket only."""
        return read_object(self._http.post_json("/v1/hsm/pin", {"pin": pin}), "state")

    def unlatch_hsm(self) -> Json:
        """Let the PIN that is in place be tried again, once."""
        return read_object(self._http.post_json("/v1/hsm/unlatch", {}), "state")

    def maintain_hsm(self, *, on: bool) -> Json:
        """Take the HSM out of use, or into use again."""
        return read_object(self._http.post_json("/v1/hsm/maintenance", {"on": on}), "state")

    def keys(self) -> list[Json]:
        """The keys of the gateway, and what else lies in its token."""
        return read_objects(self._http.get_json("/v1/keys"))

    def generate_key(self, role: str) -> Json:
        """Make a key in the gateway's token; it signs nothing yet."""
        return read_object(self._http.post_json("/v1/keys/generate", {"role": role}), "vkey")

    def activate_key(self, vkey: str) -> list[Json]:
        """Let a key sign in place of the one before."""
        return read_objects(self._http.post_json("/v1/keys/activate", {"vkey": vkey}))

    def retire_key(self, vkey: str) -> list[Json]:
        """Destroy a key in the gateway's token, for good."""
        return read_objects(self._http.post_json("/v1/keys/retire", {"vkey": vkey}))

    def destroy_key(self, label: str, fingerprint: str) -> list[Json]:
        """Destroy a key in the gateway's token that nobody has a claim to, for good."""
        body = {"label": label, "fingerprint": fingerprint}
        return read_objects(self._http.post_json("/v1/keys/destroy", body))

    def accounts(self) -> list[Json]:
        """The accounts of people who sign in at the gateway's page."""
        return read_objects(self._http.get_json("/v1/accounts"))

    def add_account(
        self, name: str, password: str, roles: Sequence[str], kinds: Sequence[str]
    ) -> list[Json]:
        """Make an account; by a unix socket only, as for the next three."""
        body = {"name": name, "password": password, "roles": list(roles), "kinds": list(kinds)}
        return read_objects(self._http.post_json("/v1/accounts/add", body))

    def set_password(self, name: str, password: str) -> list[Json]:
        """Give an account another password; its sessions end."""
        body = {"name": name, "password": password}
        return read_objects(self._http.post_json("/v1/accounts/password", body))

    def remove_account(self, name: str) -> list[Json]:
        """Take an account away; its sessions end."""
        return read_objects(self._http.post_json("/v1/accounts/remove", {"name": name}))

    def unlock_account(self, name: str) -> Json:
        """Let an account, or an address, be tried again after wrong passwords."""
        return read_object(self._http.post_json("/v1/accounts/unlock", {"name": name}))

    def sessions(self) -> list[Json]:
        """The sessions of people who are signed in at the gateway's page."""
        return read_objects(self._http.get_json("/v1/sessions"))

    def end_sessions(self, client: str) -> Json:
        """End all sessions of one of them, such as `user anna`."""
        return read_object(self._http.post_json("/v1/sessions/end", {"client": client}))

    def export(self) -> Json:
        """Who the gateway is, and its public keys, for other gateways' configuration."""
        answer = self._http.get_json("/v1/export")
        return read_object(answer, "id", "origin", "log_vkey", "cosigner_vkey", "institution")

    def entries(self, member: str, after: int, limit: int, wait: float = 0) -> Json:
        """Entries of a log with an index above `after`, and the log's size.

        While there are none the gateway waits for `wait` seconds.
        """
        query: dict[str, str | int] = {"id": member, "after": after, "limit": limit}
        if wait:
            query["wait"] = f"{wait:g}"
        answer = read_object(self._http.get_json("/v1/entries", query))
        read_objects(answer.get("entries"))
        if not isinstance(answer.get("size"), int):
            raise bad_answer()
        return answer

    def carry_out(self, plan: Plan[T], pause: Callable[[float], None] = time.sleep) -> T:
        """Carry out a plan that has nothing to tell on the way."""
        steps = self._steps(plan, pause)
        try:
            next(steps)
        except StopIteration as end:
            done: T = end.value
            return done
        raise RuntimeError("this plan has something to tell")

    def _iterate(self, plan: Plan[None]) -> Iterator[Outcome]:
        for ready in self._steps(plan, time.sleep):
            yield from ready.outcomes

    def _steps(self, plan: Plan[T], pause: Callable[[float], None]) -> Generator[Ready, None, T]:
        result: Any = None
        while True:
            try:
                step = plan.throw(result) if isinstance(result, Exception) else plan.send(result)
            except StopIteration as end:
                done: T = end.value
                return done
            result = None
            if isinstance(step, Ready):
                yield step
            elif isinstance(step, Pause):
                pause(step.seconds)
            else:
                result = self._take(step)

    def _take(self, call: Call) -> bytes | Exception:
        try:
            return self._http.perform(call)
        except Exception as error:  # noqa: BLE001 - the plan sees to it
            return error

    def _new_patience(self) -> Patience:
        return Patience(self._patience)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")  # what is not UTF-8 is refused there


def _check_record(record: Json) -> None:
    read_object(record, "time", "actor", "action", "outcome")
    if not isinstance(record.get("number"), int) or not isinstance(record.get("about"), dict):
        raise bad_answer()
