"""A gateway's API on a unix socket, over a log in memory: a FAKE for tests of client and CLI.

It speaks real HTTP and answers as docs/api.md says; what a gateway would refuse fails the request.
"""

import json
import socketserver
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from chopmark.core.canonical import KNOWN
from chopmark.core.compact import (
    MEDIA_TYPE,
    End,
    Failure,
    Header,
    Run,
    Unsigned,
    beside,
    parse_header,
    split_record,
)
from chopmark.core.digest import Digests
from chopmark.core.entry import Attestation, Revocation, encode_entry, parse_entry
from chopmark.core.judge import decide
from chopmark.core.merkle import leaf_hash, range_nodes
from chopmark.core.report import describe
from chopmark.core.verdict import Facts, Match, Question, Source
from chopmark.core.wording import format_time
from softlog import NOW, SoftLog
from trees import Nodes

Answer = tuple[int, str, bytes]


class Problem(Exception):  # noqa: N818 - a problem of RFC 9457
    def __init__(self, status: int, code: str, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.body = {"status": status, "code": code, "detail": detail, "hint": hint}
        self.status = status


class HangUp(Exception):  # noqa: N818 - what a gateway does that is killed
    def __init__(self, sent: bytes) -> None:
        super().__init__()
        self.sent = sent


@dataclass
class SocketGateway:
    """Attributes:
    signing: whether attestations get signed in time.
    provisional: whether a quorum is demanded that does not come.
    late: milliseconds since its replicas were known to be complete.
    problem: what every request is answered with, if set.
    answer: raw bytes (status, type, body) that every request is answered with, if set.
    refused_kind: a kind that may not be issued.
    requests: method and target of each request.
    faults: what goes wrong with the next bodies in compact form, one after the other: "refuse" and
        "fail" (after two runs) with what may be tried again, "cut" (after two runs), "lose" (the
        answer), "odd" (what no gateway answers), "" (nothing).
    bodies: offset and number of digests of each of them.
    compact: terms and runs of each request.
    keys: what `GET /v1/keys` lists.
    kinds: the catalogue, as `GET /v1/roster` tells it.
    """

    folder: Path
    log: SoftLog = field(default_factory=SoftLog)
    signing: bool = True
    provisional: bool = False
    late: int = 0
    problem: Problem | None = None
    answer: Answer | None = None
    refused_kind: str = "credit-report"
    retry_after: str = "7"
    faults: list[str] = field(default_factory=list)
    bodies: list[tuple[int, int]] = field(default_factory=list)
    compact: dict[bytes, tuple[tuple[object, ...], list[Run]]] = field(default_factory=dict)
    alarms: list[dict[str, str]] = field(default_factory=list)
    storage: dict[str, Any] = field(
        default_factory=lambda: {"used": 0.915, "free_bytes": 8_500_000_000, "days_left": 12.5}
    )
    batches: list[int] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    keys: list[dict[str, Any]] = field(default_factory=list)
    kinds: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path = self.folder / "api.sock"
        handler = type("Handler", (_Handler,), {"gateway": self})
        self._server = _Server(str(self.path), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def address(self) -> str:
        return f"unix:{self.path}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def handle(self, method: str, target: str, body: bytes) -> Answer:
        self.requests.append(f"{method} {target}")
        if self.problem:
            raise self.problem
        if self.answer:
            return self.answer
        parts = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path.startswith("/v1/proofs/"):
            return 200, "text/plain", self._proof(*parts.path.split("/")[3:])
        if parts.path == "/v1/policy":
            return 200, "text/plain", self.log.policy(witnessed=self.provisional)
        if parts.path == "/v1/attestations:compact":
            assert 0 <= float(query["wait"]) <= 60
            return 200, MEDIA_TYPE, self._compact(body)
        if parts.path == "/v1/attestations:batch":
            assert 0 <= float(query["wait"]) <= 60
            assert query["until"] in ("witnessed", "signed")
            lines = b"".join(self._batch(body, proofs=query["proofs"] == "1"))
            return 200, "application/x-ndjson", lines
        routes = {
            "POST /v1/attestations": self._attest,
            "POST /v1/revocations": self._revoke,
            "POST /v1/verifications": self._verify,
            "POST /v1/keys/retire": lambda body: self._drop_key(vkey=body["vkey"]),
            "POST /v1/keys/destroy": lambda body: self._drop_key(**body),
        }
        gets: dict[str, Callable[[], Any]] = {
            "/v1/export": self._export,
            "/v1/status": self._status,
            "/v1/peers": self._peers,
            "/v1/keys": lambda: self.keys,
            "/v1/roster": lambda: {"pinned": bool(self.kinds), "kinds": self.kinds},
        }
        if f"{method} {parts.path}" in routes:
            status, value = routes[f"{method} {parts.path}"](json.loads(body))
        elif parts.path == "/v1/entries":
            status, value = 200, self._entries(query)
        elif method == "GET" and parts.path in gets:
            status, value = 200, gets[parts.path]()
        else:
            raise Problem(404, "no-such-route", "no such route")
        return status, "application/json", json.dumps(value).encode()

    def _drop_key(self, **what: str) -> tuple[int, Any]:
        (gone,) = (one for one in self.keys if what.items() <= one.items())
        self.keys.remove(gone)
        return 200, self.keys

    def _attest(self, body: dict[str, Any]) -> tuple[int, Any]:
        assert body["digests"].keys() <= {"sha256", "sm3", "canonical"}
        assert body.keys() <= {
            *("digests", "kind", "valid_until", "supersedes", "wait", "until", "duplicates")
        }
        assert 0 <= body["wait"] <= 60
        index = self._record(body["digests"], body)
        value = {
            "id": self.log.id,
            "origin": self.log.origin,
            "index": index,
            "made_at": format_time(NOW),
            "state": "signed" if self.signing else "recorded",
            "kind": body["kind"],
            "digests": body["digests"],
        }
        if not self.signing:
            return 202, value
        value["proof"] = self.log.proof(index).decode()
        if not self.provisional:
            return 201, value
        return (202 if body["until"] == "witnessed" else 201), value | {"provisional": True}

    def _record(self, digests: dict[str, Any], fields: dict[str, Any]) -> int:
        if fields["kind"] == self.refused_kind:
            raise Problem(422, "kind-not-allowed", "this gateway may not attest that", "ask")
        sm3 = bytes.fromhex(digests["sm3"]) if "sm3" in digests else None
        sha256 = bytes.fromhex(digests["sha256"])
        named = digests.get("canonical") or {
            name: digests[name] for name in KNOWN if name in digests
        }
        entry = Attestation(
            *(NOW, sha256, fields["kind"], sm3),
            supersedes=fields.get("supersedes"),
            canonical=tuple((name, bytes.fromhex(digest)) for name, digest in named.items()),
        )
        return self.log.append(encode_entry(entry))

    def _batch(self, body: bytes, *, proofs: bool) -> Iterator[bytes]:
        lines = [json.loads(line) for line in body.splitlines()]
        self.batches.append(len(lines))
        for number, line in enumerate(lines, 1):
            try:
                index = self._record(line, line)
            except Problem as problem:
                error = {"code": problem.body["code"], "message": str(problem), "line": number}
                yield json.dumps({"error": error}).encode() + b"\n"
                continue
            state = "signed" if self.signing else "recorded"
            answer = {"index": index, "made_at": format_time(NOW), "state": state}
            if proofs and self.signing:
                answer["proof"] = self.log.proof(index).decode()
                answer |= {"provisional": True} if self.provisional else {}
            yield json.dumps(answer).encode() + b"\n"

    def _compact(self, body: bytes) -> bytes:
        head, digests = split_record(body, 512) or (b"", b"")
        header = parse_header(head)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "refuse":
            raise Problem(503, "hsm-away", "the HSM is away")
        if header.kind == self.refused_kind:
            raise Problem(422, "kind-not-allowed", "this gateway may not attest that", "ask")
        assert len(digests) % header.width == 0
        self.bodies.append((header.offset, len(digests) // header.width))
        terms = (header.kind, header.valid_until, header.with_sm3)
        known, runs = self.compact.setdefault(header.request, (terms, []))
        assert known == terms
        if header.offset > sum(run.count for run in runs):
            return Failure("compact-gap", "less is recorded").encode()
        limit = 2 if fault in ("cut", "fail") else len(digests)
        self._record_runs(header, digests, runs, limit)
        answer = b"".join(run.encode() for run in _runs_from(runs, header.offset))
        if fault == "lose":
            raise HangUp(b"")
        if fault == "cut":
            raise HangUp(answer + self._end(runs)[:7])
        if fault == "fail":
            return answer + Failure("queue-full", "too many", "", 0).encode()
        if fault == "odd":
            return answer + Run(10**6, 10**6, 1, 1).encode()
        whole = runs if header.offset == 0 else list(_runs_from(runs, header.offset))
        return answer + (self._end(whole) if self.signing else Unsigned().encode())

    def _record_runs(self, header: Header, digests: bytes, runs: list[Run], limit: int) -> None:
        """Take what is recorded already off the body, and record the rest in runs of four."""
        done = sum(run.count for run in runs)
        width = header.width
        for at in range((done - header.offset) * width, len(digests), 4 * width)[:limit]:
            some = [digests[i : i + width] for i in range(at, at + 4 * width, width)]
            some = [both for both in some if both]
            run = Run(done, len(self.log.entries), len(some), NOW)
            for both in some:
                sm3 = both[32:] or None
                entry = Attestation(NOW, both[:32], header.kind, sm3, header.valid_until)
                self.log.append(encode_entry(entry))
            runs.append(run)
            done += run.count
            self.log.append(encode_entry(Revocation(NOW, 0, 0)))  # somebody else's

    def _end(self, runs: list[Run]) -> bytes:
        nodes = Nodes([leaf_hash(entry) for entry in self.log.entries])
        places = beside(runs, len(self.log.entries))
        joined = [b"".join(nodes(*node) for node in range_nodes(*place)) for place in places]
        return End(self.log.head(), tuple(joined)).encode()

    def _revoke(self, body: dict[str, Any]) -> tuple[int, Any]:
        target, reason = body["index"], body["reason"]
        if target >= len(self.log.entries):
            raise Problem(422, "no-such-attestation", f"entry {target} is no attestation")
        index = self.log.revoke(target, reason)
        value = {"id": self.log.id, "origin": self.log.origin, "index": index, "reason": reason}
        state = "signed" if self.signing else "recorded"
        return 201, value | {"revokes": target, "made_at": format_time(NOW), "state": state}

    def _verify(self, body: dict[str, Any]) -> tuple[int, Any]:
        given = body.get("digests")
        sm3 = bytes.fromhex(given["sm3"]) if given and "sm3" in given else None
        digests = Digests(bytes.fromhex(given["sha256"]), sm3) if given else None
        found = self.log.find(digests) if digests else []
        if digests is None and "reference" in body:
            index = int(body["reference"].rpartition("#")[2])
            entry = parse_entry(self.log.entries[index])
            assert isinstance(entry, Attestation)
            facts = Facts(self.log.issuer, index, entry, Source.OWN, Match.NO_DOCUMENT)
            found = [facts]
        asked = body.get("expect_issuer"), body.get("expect_kind")
        question = Question(NOW + self.late, *asked)
        return 200, describe(decide(found, question, NOW), digests)

    def _proof(self, member: str, index: str) -> bytes:
        if unquote(member) != self.log.id or int(index) >= len(self.log.entries):
            raise Problem(404, "no-such-entry", f"no entry {index} of {unquote(member)}")
        return self.log.proof(int(index))

    def _entries(self, query: dict[str, str]) -> Any:
        after, limit = int(query["after"]), int(query["limit"])
        assert 1 <= limit <= 1000
        size = len(self.log.entries)
        indices = range(after + 1, min(after + 1 + limit, size))
        return {"entries": [self._entry(index) for index in indices], "size": size}

    def _entry(self, index: int) -> Any:
        leaf = self.log.entries[index]
        entry = parse_entry(leaf)
        base = {"index": index, "made_at": format_time(NOW), "raw": b64encode(leaf).decode()}
        if isinstance(entry, Revocation):
            return base | {"type": "revocation", "revokes": entry.target, "reason": entry.reason}
        assert isinstance(entry, Attestation)
        digests = {"sha256": entry.sha256.hex()}
        return base | {"type": "attestation", "kind": entry.kind, "digests": digests}

    def _export(self) -> Any:
        return {
            "id": self.log.id,
            "origin": self.log.origin,
            "log_vkey": self.log.log_key.encode(),
            "cosigner_vkey": self.log.own_cosigner.encode(),
            "institution": self.log.institution,
            "jurisdiction": "HK",
            "kinds": ["*"],
        }

    def _status(self) -> Any:
        return {
            "id": self.log.id,
            "origin": self.log.origin,
            "institution": self.log.institution,
            "jurisdiction": "HK",
            "version": "0.1.0",
            "state": "ready",
            "ready": True,
            "size": len(self.log.entries),
            "hsm": {"state": "ready", "module": "/m.so", "token": "hk-1", "reason": None},
            "broker": {"state": "connected", "host": "127.0.0.1", "port": 1883},
            "index": {
                "hk-1": {"state": "ready", "position": 5, "size": 5},
                "sz-1": {"state": "rebuilding", "position": 3, "size": 7},
            },
            "brokers": [
                {"state": "connected", "host": "127.0.0.1", "port": 1883, "reason": None},
                {"state": "away", "host": "far.example", "port": 8883, "reason": "refused"},
            ],
            "pace": {"slowed": True, "bound": 131_072, "lags": {"sz-1": 140_000}},
            "storage": self.storage,
            "alarms": self.alarms,
            "retention": {
                "after": 31_536_000,
                "last_run": "2026-11-22T13:00:00.000Z",
                "next_run": None,
                "removed": {"sz-1": {"bundles": 64, "entries": 16_384}, "mo-1": {"entries": 0}},
            },
            "event_loop": {"lag_ms_max_minute": 3.2},
            "peers": self._peers(),
        }

    def _peers(self) -> Any:
        return [
            {
                "id": "sz-1",
                "origin": "bank-sz.example/sz-1",
                "institution": "Bank of \x1b[31mShenzhen [bold]",
                "jurisdiction": "CN",
                "kinds": ["*"],
                "size": 7,
                "head_size": 7,
                "as_of": format_time(NOW),
                "online": True,
                "state": "following",
                "reason": None,
            }
        ]


def _runs_from(runs: list[Run], offset: int) -> Iterator[Run]:
    for run in runs:
        cut = max(0, offset - run.first)
        if cut < run.count:
            yield Run(run.first + cut, run.start + cut, run.count - cut, run.made_at)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = False  # closing waits for the connections, which clients must close


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gateway: SocketGateway

    def do_GET(self) -> None:
        self._do()

    def do_POST(self) -> None:
        self._do()

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status, media, content = self.gateway.handle(self.command, self.path, body)
        except Problem as problem:
            status, media = problem.status, "application/problem+json"
            content = json.dumps(problem.body).encode()
        except HangUp as end:
            self.close_connection = True
            if end.sent:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + end.sent)
            return
        self.send_response(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(content)))
        if status in (503, 507):
            self.send_header("Retry-After", self.gateway.retry_after)
        self.end_headers()
        self.wfile.write(content)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        pass
