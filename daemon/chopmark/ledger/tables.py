"""Tables beside the entries: what must last about witnesses, forks, restores and members.

`log.db` has rows in all of them; of a replica's database `witnessed` and `evidence` are used.
"""

from typing import Final

AUDIT: Final = """
CREATE TABLE audit_day (
  number INTEGER PRIMARY KEY,
  date TEXT NOT NULL,
  first INTEGER NOT NULL,
  count INTEGER NOT NULL,
  root BLOB NOT NULL,
  chain BLOB NOT NULL,
  entry INTEGER,
  pruned_at INTEGER
) STRICT;
CREATE TABLE audit_record (
  number INTEGER PRIMARY KEY,
  date TEXT NOT NULL,
  salt BLOB NOT NULL,
  record BLOB NOT NULL,
  chain BLOB NOT NULL
) STRICT;
"""
"""`audit_day`: the days that are over, the index of each one's entry in our log, and when (ms) its
records were taken out. `audit_record`: the records; those after the last day are today's."""

AUDIT_SENT: Final = """
CREATE TABLE audit_sent (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  number INTEGER NOT NULL,
  chain BLOB NOT NULL
) STRICT;
"""
"""How far the audit log was sent to a receiver of syslog; see `ledger.audit_sent`."""

AUDIT_TAKEN: Final = """
CREATE TABLE audit_taken (
  source TEXT PRIMARY KEY,
  number INTEGER NOT NULL,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""
"""Up to which number the records of another program were taken, and the number of the audit log's
record then; see `ledger.audit_taken`."""

WITNESS: Final = """
CREATE TABLE cosigner (
  origin TEXT NOT NULL,
  vkey TEXT NOT NULL,
  size INTEGER NOT NULL,
  root BLOB NOT NULL,
  time INTEGER NOT NULL,
  note BLOB NOT NULL,
  PRIMARY KEY (origin, vkey)
) STRICT;
CREATE TABLE floors_lost (
  vkey TEXT PRIMARY KEY,
  since INTEGER NOT NULL
) STRICT;
CREATE TABLE floor (
  origin TEXT NOT NULL,
  vkey TEXT NOT NULL,
  size INTEGER NOT NULL,
  root BLOB NOT NULL,
  confirmed_at INTEGER NOT NULL,
  PRIMARY KEY (origin, vkey)
) STRICT;
CREATE TABLE witnessed (
  size INTEGER PRIMARY KEY,
  time INTEGER NOT NULL
) STRICT;
CREATE TABLE notarised (
  kind TEXT PRIMARY KEY,
  size INTEGER NOT NULL,
  note BLOB NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE log ADD COLUMN witnessed_size INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log ADD COLUMN witnessed_note BLOB;
"""
"""`cosigner`: the newest head that each cosigner key of ours has cosigned of each log.
`floors_lost`: keys whose rows were lost with a disk, and when (seconds); `floor`: from where such a
key goes on, as an operator has said; see `ledger.floors`.
`witnessed`: by which time (seconds) a quorum had cosigned the log at a size. `notarised`: by kind
of document, the newest head that its notaries had cosigned too."""

EVIDENCE: Final = """
CREATE TABLE evidence (
  id BLOB PRIMARY KEY,
  origin TEXT NOT NULL,
  found_at INTEGER NOT NULL,
  text BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE release (
  evidence BLOB PRIMARY KEY,
  origin TEXT NOT NULL,
  officers TEXT NOT NULL,
  applied_at INTEGER NOT NULL,
  refetch INTEGER NOT NULL,
  text BLOB NOT NULL
) STRICT, WITHOUT ROWID;
"""
"""`release`: by which two officers have let a log be followed again though it was forked, and
whether our replica, which held the other branch, is still to be set aside."""

EPOCH: Final = """
CREATE TABLE epoch (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  current BLOB,
  next BLOB,
  clean INTEGER NOT NULL,
  seen_note BLOB,
  barred TEXT
) STRICT;
"""
"""`epoch`: what the token's head mark is compared with, and whether the last run stopped in order.
`seen_note`: a head of ours, seen elsewhere, that the log does not cover or contradicts. `barred`:
why nothing may be signed under this origin any more; see `ledger.epoch`."""

ROSTER: Final = """
CREATE TABLE roster (
  version INTEGER NOT NULL,
  digest BLOB NOT NULL,
  note BLOB NOT NULL,
  adopted_at INTEGER,
  pinned_at INTEGER,
  PRIMARY KEY (version, digest)
) STRICT;
CREATE TABLE roster_signed (
  version INTEGER PRIMARY KEY,
  digest BLOB NOT NULL
) STRICT;
CREATE TABLE roster_lost (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  since INTEGER NOT NULL
) STRICT;
CREATE TABLE token_key (
  vkey TEXT PRIMARY KEY,
  role TEXT NOT NULL,
  label TEXT NOT NULL,
  due INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE suspension (
  vkey TEXT PRIMARY KEY,
  note BLOB NOT NULL
) STRICT;
"""
"""`roster`: every valid version that was seen, and when (seconds) it was adopted, or pinned by an
operator. `roster_signed`: the one text of a version that we have signed; `roster_lost`: when
(seconds) rows of it may have been lost with a disk. `token_key`: keys
that were made in the token after the first ones, their labels, and
whether they are to sign from the next start of the parts on (1), or are
being destroyed (2). `suspension`: by the
emergency key (its vkey) that has signed it."""

RETENTION: Final = """
CREATE TABLE pruned (
  n INTEGER PRIMARY KEY,
  prefixes BLOB NOT NULL
) STRICT;
"""
"""Bundles of a replica whose entries were taken out; of each entry eight bytes of its digest."""

IDEMPOTENCY: Final = """
CREATE TABLE client (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE attested_by (
  start INTEGER PRIMARY KEY,
  client INTEGER NOT NULL
) STRICT;
CREATE TABLE idempotency (
  number INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  fingerprint BLOB NOT NULL,
  entry INTEGER NOT NULL,
  made_at INTEGER NOT NULL,
  kept_at INTEGER NOT NULL,
  duplicate INTEGER NOT NULL
) STRICT;
"""
"""`attested_by`: the attestations from entry `start` on, up to the next row's, are this client's; a
gateway with one client has one row. `idempotency`: what became of requests with a key, in the order
of `number`, so that the oldest come first: the entry, when that was made and when this was kept
(ms), and whether it was there before."""

PLACE: Final = """
CREATE TABLE place (
  kind TEXT NOT NULL,
  bundle INTEGER NOT NULL,
  made_first INTEGER NOT NULL,
  PRIMARY KEY (kind, bundle)
) STRICT, WITHOUT ROWID;
"""
"""`place`: each bundle with its first time (ms), under each kind that it holds and once under none;
what `ledger.browse` searches. It says nothing that `bundle` does not, and is made from that."""

SEED: Final = """
CREATE TABLE seed (
  start INTEGER PRIMARY KEY,
  count INTEGER NOT NULL,
  key INTEGER NOT NULL,
  box BLOB NOT NULL,
  first INTEGER NOT NULL,
  until INTEGER NOT NULL
) STRICT;
"""
"""Sealed seeds of blinded runs, for a day; see `ledger.seeds`."""
