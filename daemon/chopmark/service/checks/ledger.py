"""Our own log: there, and of this gateway.

Codes: `no-ledger`, those of the ledger itself (`ledger-newer` and the like),
`origin-changed`, `init-unfinished`.
"""

import os
from collections.abc import Iterator

from chopmark.core.errors import ChopmarkError
from chopmark.service.checks.finding import Finding, Scene
from chopmark.service.own_ledger import check_origin
from chopmark.service.places import log_path, pending_path


def check_ledger(scene: Scene) -> Iterator[Finding]:
    """Read who the log belongs to; `chopmark fsck` reads all of it."""
    state = scene.config.gateway.state
    path = log_path(state)
    if not state.exists():
        yield Finding.unseen(f"no state folder at {state}", "`folders` says what to do about it")
    elif pending_path(state).exists():
        finding = f"`chopmark init` has not finished in {state}"
        yield Finding("init-unfinished", finding, "run the same `chopmark init` once more")
    elif not path.exists():
        hint = "`chopmark init` makes one; `chopmark recover` takes it back from the peers"
        yield Finding("no-ledger", f"no ledger at {path}", hint)
    elif not (scene.sees_all or os.access(path, os.R_OK)):
        yield scene.barred(f"{path} may not be read")
    else:
        try:
            check_origin(scene.config)
        except ChopmarkError as error:
            more = "`chopmark fsck` says more; `chopmark recover` takes it back from the peers"
            yield scene.judge(error, more)
