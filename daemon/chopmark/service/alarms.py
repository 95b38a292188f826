"""The codes of all alarms.

What each means is in docs/api.md, what to do in docs/operations/monitoring.md.
"""

from typing import Final

CODES: Final = (
    *("storage-alarm", "storage-full", "replicas-paused"),
    *("hsm-away", "hsm-latched", "hsm-locked", "hsm-maintenance", "key-worn"),
    *("log-behind", "mark-refused", "salts-in-memory", "quorum-missing", "notary-missing"),
    *("fork", "fork-released", "own-fork"),
    *("clock-wrong", "peer-clock", "peer-protocol"),
    *("roster-expiring", "roster-expired", "roster-conflict", "roster-newer", "roster-stale"),
    *("tls-files-wrong", "tls-certificate-expiring", "tls-crl-expiring"),
    *("sign-in-locked", "broker-fault", "audit-waiting"),
)
