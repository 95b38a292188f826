"""The rows `verify.*`: what an answer costs, in process, by the CLI, and from a replica."""

import asyncio
import compileall
import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Final

import chopmark
import limits
from bench import Bench, Figures
from chopmark.core.policy import parse_policy
from chopmark.core.proof import parse_proof, verify_proof
from chopmark.core.verdict import EXIT, Word
from load import Answer, LoadFailedError, Request, ask_all, verification
from rows import Figure

CLIENTS: Final = 64
QUESTIONS: Final = 6400
ROUNDS: Final = 300
STARTS: Final = 7


def proof(bench: Bench) -> Figures:
    """Parse a proof and check it under its log's policy; the limit is one ECDSA verification."""
    data = _get(bench, f"/v1/proofs/{bench.issuer.who.id}/{bench.used // 2}")
    trusted = parse_policy(_get(bench, "/v1/policy"))
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        verify_proof(parse_proof(data), trusted)
        times.append((time.perf_counter() - start) * 1000)
    return {"verify.proof": Figure(median(times), limits.verify_ms())}


def cli(bench: Bench) -> Figures:
    """`chopmark verify` offline as a fresh process; the limit is a Python that does nothing."""
    document = bench.folder / "document"
    document.write_bytes(random.Random(0).randbytes(100_000))  # noqa: S311 - no secret
    proof_file, policy_file = bench.folder / "document.proof", bench.folder / "policy"
    proof_file.write_bytes(_attest_file(bench, document))
    policy_file.write_bytes(_get(bench, "/v1/policy"))
    # As where the package was installed: an environment may keep Python from writing bytecode.
    compileall.compile_dir(Path(chopmark.__file__).parent, quiet=1)
    words = ("--proof", str(proof_file), "--policy", str(policy_file))
    times = [_time_cli(bench, "verify", str(document), *words) for _ in range(STARTS)]
    return {"verify.cli": Figure(median(times), limits.python_ms("pass"))}


def digest(bench: Bench) -> Figures:
    """Many clients ask the follower about digests that the issuer attested."""
    count = min(QUESTIONS, bench.scale)
    picked = random.Random(1).sample(range(bench.used), count)  # noqa: S311 - no secret
    socket = bench.follower.socket
    idle = asyncio.run(ask_all(socket, [Request("GET", "/healthz")] * count, CLIENTS))
    times = asyncio.run(ask_all(socket, list(map(verification, picked)), CLIENTS, _is_found))
    return {
        "verify.digest": Figure(times.rate, idle.rate),
        "verify.digest.p99": Figure(times.percentile(99), idle.percentile(99)),
    }


def _is_found(answer: Answer) -> bool:
    """`valid`, or `valid-as-of` while the last heartbeat is older than the kind allows."""
    return b'"verdict":"valid' in answer.body


def _attest_file(bench: Bench, document: Path) -> bytes:
    """The proof of a document that is attested now."""
    sha256 = hashlib.sha256(document.read_bytes()).hexdigest()
    with bench.issuer.client() as client:
        answer = client.post("/v1/attestations", json={"digests": {"sha256": sha256}})
        proof_text: str = answer.raise_for_status().json()["proof"]
    return proof_text.encode()


def _get(bench: Bench, path: str) -> bytes:
    with bench.issuer.client() as client:
        return client.get(path).raise_for_status().content


def _time_cli(bench: Bench, *arguments: str) -> float:
    command = [sys.executable, "-m", "chopmark.cli.main", *arguments]
    start = time.perf_counter()
    done = subprocess.run(
        command, env=bench.issuer.environment(), capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    if done.returncode != EXIT[Word.VALID_AS_OF]:  # the best that an offline answer can be
        raise LoadFailedError(f"chopmark verify: exit {done.returncode}: {done.stderr[:300]}")
    return seconds * 1000
