"""The codes of all alarms, each with the name of its messages in the journal.

What each means is in docs/api.md, what to do in docs/operations/monitoring.md, and both in the
journal's catalogue (systemd/catalog/chopmark.catalog, `journalctl -x`). A name stays for ever:
whoever watches a journal goes by it.
"""

from collections.abc import Mapping
from typing import Final

MESSAGE_IDS: Final[Mapping[str, str]] = {
    "storage-alarm": "3e7f2bad031c4ab69e447df363c8a2a1",
    "storage-full": "37684f0550974682bc89d42affa2efe4",
    "replicas-paused": "f1a9874f4d334c2492fa977c9d7209fc",
    "hsm-away": "285757700db1424eb18b6e9d144bc616",
    "hsm-latched": "80d0a024c53e43588017fa4f6412b6b4",
    "hsm-locked": "f8bec2e1c50e49c28112988dd5053bff",
    "hsm-maintenance": "a86e18c3f7694a949f2e1b435e8e63e4",
    "key-worn": "e47243307e904f27818751be9a153da0",
    "log-behind": "817a76256c7a48b782604a8aa21c27a4",
    "mark-refused": "c8172c0402c64b26b1697e3658e50b99",
    "salts-in-memory": "2cf8db696920443481a13dd20bb600d3",
    "quorum-missing": "a6e4e4e3ffd84f218f6576308c182daa",
    "notary-missing": "715fcb996e3943ab8571b5e8b2eff86b",
    "fork": "91c8a20271d349dd87616ebb1f1d4dc0",
    "fork-released": "98f0b59da7d34895834efca2e570806f",
    "own-fork": "c7d550c7330b4499aa13843a1e0c9827",
    "clock-wrong": "b8182293ae7f440db787f6e17b1b4a16",
    "peer-clock": "5aa5d866c5f24cbd8138d0cecf43d5d6",
    "peer-protocol": "ae1b72e24796439bb276003d250be8a3",
    "roster-expiring": "c817bff16bf64ac18356772d85f75359",
    "roster-expired": "903e110a34ce4736b832f52770bc079d",
    "roster-conflict": "2927cb81130a475d9c87095aaba00b5b",
    "roster-newer": "aca66e5e73b642aca2176c797917c60f",
    "roster-stale": "c5cbf154f87d4d6983490237c2df84d1",
    "tls-files-wrong": "9ba1f4535db64ceebe0733bd99775b01",
    "tls-certificate-expiring": "e8face46a4a645789261891dda9fa4eb",
    "tls-crl-expiring": "cae0587a0aa543b99b61a199286eb8b1",
    "sign-in-locked": "468326da4acf4a14a91f8258f073b915",
    "broker-fault": "bd848ead7709463ebf67f587dbc110c2",
    "audit-waiting": "0e64e4c3d15e4ff1bc8f3e657fd1f6e1",
    "anchor-away": "a854eeb2603a497a8a6940fb5367e03d",
    "anchor-late": "84e2ea1f6aee48bc8974d458548c8e78",
    "anchor-gap": "d5de1360d9044b69b9fddaddff3e6fb6",
    "anchor-contradiction": "5944f0550e504ba9866f20b3cb69f804",
    "ledger-damaged": "185b5767ca31483bb2ad28cba4a8f079",
    "backup-failed": "31e1a76cca0c462b82be44ea46c8d4fc",
}
"""By code, what `journalctl MESSAGE_ID=` finds (systemd.journal-fields(7))."""
CODES: Final = tuple(MESSAGE_IDS)
