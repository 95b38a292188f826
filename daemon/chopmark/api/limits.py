"""Every limit of the API, with its reason."""

from dataclasses import dataclass
from typing import Final

DEFAULT_WAIT: Final = 10.0
"""Seconds that a request waits for the signature when it does not say."""
MAX_WAIT: Final = 60.0
"""Longer waits are a poll's business: proxies and clients give up at about this time."""


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """Limits of the HTTP API; sizes in bytes, times in seconds.

    Attributes:
        body: of a JSON request; the largest, a verification with a proof, needs 130 KiB.
        line: of a batch; a line with both digests and every field needs 300 bytes.
        group: lines recorded as one run. More would not be faster, and hold up single requests.
        group_bytes: input gathered for one group while the groups before it are recorded.
        in_flight: groups being recorded at once: one each to read and commit, and two to spare.
        unsigned: groups being recorded or signed at once, of which little is kept once they are
            recorded. While an HSM that makes ten signatures a second makes one, some 30,000 lines
            come in, and as many wait for the next: 16 groups gave a batch 0.62 of its rate, 32
            0.79 to 0.97, 64 all of it.
        backlog: groups and bad lines whose answers the client has not read yet. A settled group
            takes about 1 KiB however many lines it has, so that a client that first sends all
            and then reads works up to millions of lines; beyond, the gateway stops reading.
        verification_line: of a batch of verifications; one with a proof has up to 130 KiB.
        verification_group: lines asked at once. Single verifications wait for no more than that of
            each batch: some milliseconds.
        verification_batches: at once. Each may keep 2 MB of lines with proofs.
        verification_seconds: that a line waits for room where too much waits for the ledger.
        event_streams: at once. Each has a connection for hours, and up to 256 events that wait.
        beat: seconds after which a stream in which nothing happens shows that it lives.
        compact_group: digests of a compact body that are recorded as one run: the most that the
            sequencer takes in one transaction.
        compact_in_flight: of those at once.
        compact_record: seconds that the commit of such a run gets, which can be behind three more.
        proofs: read and sent in one piece (1 to 2 KiB each).
        least_record: even `wait=0` gives the commit this long; `wait` is about the signature.
        head: request line and headers.
        head_seconds: for them to arrive, from when the connection is made or the next one begins.
        body_seconds: for the body of a JSON request to arrive.
        idle: without a whole line of a batch while none is being recorded, or without a client that
            reads or sends while an answer waits for it.
        per_client: connections of one client; beyond, idle ones of it are closed, or requests 429.
        handshakes: connections that have not said anything yet, and those that shake hands; of
            each the oldest give way.
        connections: at once, idle ones giving way to new ones. Each has one descriptor and buffers
            of up to 400 KiB.
        refused: connections beyond these whose requests are answered 503; more are closed.
        keep_alive: before an idle connection is closed.
        grace: for requests that are running when the server stops.
    """

    body: int = 1024 * 1024
    line: int = 1024
    group: int = 4096
    group_bytes: int = 512 * 1024
    in_flight: int = 4
    unsigned: int = 64
    backlog: int = 8192
    verification_line: int = 192 * 1024
    verification_group: int = 32
    verification_batches: int = 16
    verification_seconds: float = 10.0
    event_streams: int = 64
    beat: float = 15.0
    compact_group: int = 16_384
    compact_in_flight: int = 4
    compact_record: float = 10.0
    proofs: int = 256
    least_record: float = 1.0
    head: int = 32 * 1024
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    idle: float = 120.0
    per_client: int = 256
    handshakes: int = 128
    connections: int = 512
    refused: int = 128
    keep_alive: int = 15
    grace: int = 10
