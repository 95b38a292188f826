"""The gateway as a Python object: attest, verify, revoke and look, from this machine."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final, Self
from urllib.parse import quote

from chopmark.client.address import parse_address
from chopmark.client.messages import (
    Attested,
    Json,
    Outcome,
    Query,
    encode_digests,
    encode_draft,
    read_attested,
    read_object,
    read_objects,
)
from chopmark.client.problem import bad_answer, error_from_line
from chopmark.client.transport import Transport
from chopmark.client.verdicts import VerdictReport, read_verdict
from chopmark.core.compact import MEDIA_TYPE, Header
from chopmark.core.digest import Digests
from chopmark.core.draft import Draft
from chopmark.core.errors import MalformedError
from chopmark.core.keys import VerifierKey, parse_vkey

WAIT_SECONDS: Final = 10.0
PIECE: Final = 256 * 1024
"""Bytes of a body that are handed over at a time."""
BATCH: Final = 1000
"""Lines of one request: some 300 KB, and one HSM signature, whose proofs come back as a stream."""


class GatewayClient:
    """Talks to one gateway over its unix socket or loopback HTTP.

    Every method may raise `UnreachableError` (`gateway-unreachable`, `gateway-timeout`,
    `bad-answer`), `ForbiddenError`, and whatever the gateway answers with, as the error class of
    its status with code, message and hint preserved. What was refused with `TryAgainError` was not
    recorded and may be sent again; after a time-out, verify by digest before sending again.

    Args:
        address: `unix:PATH` or `http://127.0.0.1:PORT`.

    Raises:
        UsageError: `bad-address`.
    """

    def __init__(self, address: str) -> None:
        self._http = Transport(parse_address(address))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def attest(
        self, draft: Draft, wait: float = WAIT_SECONDS, until: str = "witnessed"
    ) -> Attested:
        """Attest one document; it is durable in the log when this returns.

        Args:
            draft: its digests and kind. The gateway hides the digests of one that is `blinded`;
                only its proof shows then what was attested.
            wait: seconds to wait; what has not come by then is in the answer's state.
            until: wait until it is `witnessed` (where a quorum is demanded) or only `signed`.
        """
        digests = Digests(draft.sha256, draft.sm3, draft.canonical)
        body = {"digests": encode_digests(digests), **encode_draft(draft), "wait": wait}
        body["until"] = until
        return read_attested(self._http.post_json("/v1/attestations", body, wait))

    def attest_many(
        self,
        drafts: Iterable[Draft],
        *,
        proofs: bool = False,
        wait: float = WAIT_SECONDS,
        batch: int = BATCH,
        until: str = "signed",
    ) -> Iterator[Outcome]:
        """Attest many documents, with one outcome for each, in their order.

        At most `batch` drafts are taken at a time, and the next ones only when the outcomes of
        those before were consumed, so that memory stays bounded. A refused draft does not disturb
        the others. An error in the middle leaves the batch at hand undecided.
        """
        origin = str(self.export()["origin"])
        source = iter(drafts)
        while taken := list(islice(source, batch)):
            query: dict[str, str | int | float]
            query = {"proofs": int(proofs), "wait": wait, "until": until}
            yield from self._attest_batch(taken, origin, query)

    def attest_compact(
        self,
        header: Header,
        digests: memoryview,
        wait: float = WAIT_SECONDS,
        until: str = "signed",
    ) -> Iterator[bytes]:
        """Send one body in compact form; gives its answer as it comes (docs/formats/compact.md).

        `client.compact.CompactRequest` does all of a request, and goes on after a cut.
        """
        head = header.encode()
        pieces = (bytes(digests[at : at + PIECE]) for at in range(0, len(digests), PIECE))
        size = len(head) + len(digests)
        query: dict[str, str | float] = {"wait": wait, "until": until}
        path = "/v1/attestations:compact"
        return self._http.post_stream(path, chain([head], pieces), size, MEDIA_TYPE, query, wait)

    def log_key(self) -> VerifierKey:
        """The key that signs the heads of the gateway's own log.

        Raises:
            UnreachableError: `bad-answer`.
        """
        try:
            return parse_vkey(str(self.export()["log_vkey"]))
        except MalformedError as error:
            raise bad_answer() from error

    def revoke(self, index: int, reason: int, wait: float = WAIT_SECONDS) -> Json:
        """Revoke an attestation of the gateway's own log; gives the revocation's JSON."""
        body = {"index": index, "reason": reason, "wait": wait}
        answer = self._http.post_json("/v1/revocations", body, wait)
        return read_object(answer, "origin", "made_at", "state")

    def verify(self, query: Query) -> VerdictReport:
        """The gateway's verdict, from its own log and its replicas."""
        return read_verdict(self._http.post_json("/v1/verifications", query.encode()))

    def proof(self, member: str, index: int, *, bare: bool = False) -> bytes:
        """The newest proof of an entry of the gateway's own log or of a replica.

        Of a blinded entry its issuer's gateway gives it for 24 hours (`salt-gone`). A `bare` one is
        always there, without the salt: `client.proofs.renew` puts that in from an older proof.
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

    def evidence(self) -> list[Json]:
        """Evidence of forks that the gateway holds (docs/api.md)."""
        return read_objects(self._http.get_json("/v1/evidence"))

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

    def _attest_batch(
        self, drafts: list[Draft], origin: str, query: dict[str, str | int | float]
    ) -> Iterator[Outcome]:
        lines = (_encode_line(draft) for draft in drafts)
        wait = float(query["wait"])
        count = 0
        for answer in self._http.post_lines("/v1/attestations:batch", lines, query, wait):
            count += 1
            yield _read_line(answer, origin)
        if count != len(drafts):
            raise bad_answer()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")  # what is not UTF-8 is refused there


def _check_record(record: Json) -> None:
    read_object(record, "time", "actor", "action", "outcome")
    if not isinstance(record.get("number"), int) or not isinstance(record.get("about"), dict):
        raise bad_answer()


def _encode_line(draft: Draft) -> bytes:
    named = {name: digest.hex() for name, digest in draft.canonical}  # flat, as all of a line
    line = {**encode_digests(Digests(draft.sha256, draft.sm3)), **named, **encode_draft(draft)}
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _read_line(answer: object, origin: str) -> Outcome:
    if isinstance(answer, dict) and "error" in answer:
        return Outcome(error=error_from_line(answer["error"]))
    return Outcome(attested=read_attested(answer, origin))
