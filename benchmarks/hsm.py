"""The rows `hsm.*`: what our stack makes of a PKCS#11 module."""

from statistics import median
from typing import Final

import tokens
from bench import Bench, Figures, hsm_cost
from load import percentile
from rows import Figure

ROUNDS: Final = 5000
PAIRS: Final = 7
LAG_ROUNDS: Final = 2000


def ratio(bench: Bench) -> Figures:
    """Signatures a second through our stack / by python-pkcs11 alone; by turns."""
    rounds = max(200, min(ROUNDS, bench.scale // 20))
    pairs = PAIRS if rounds == ROUNDS else 2
    rates = [(bench.rate_hsm("bare", rounds), bench.rate_hsm("ours", rounds)) for _ in range(pairs)]
    return {"hsm.ratio": Figure(median(ours / bare for bare, ours in rates), 1)}


def lag(bench: Bench) -> Figures:
    """How late the event loop is while a TPM is saturated; the limit is the same loop idle."""
    rounds = max(100, min(LAG_ROUNDS, bench.scale // 20))
    with tokens.tpm(bench.folder / "tpm") as token:
        arguments = ("lag", token.module, token.label, tokens.ORIGIN, "-", str(rounds))
        idle, busy = map(sorted, hsm_cost(arguments, tokens.environment(token)))
    return {"hsm.lag.p99": Figure(percentile(busy, 99), percentile(idle, 99))}
