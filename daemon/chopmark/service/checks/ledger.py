"""Our own log: there, and of this gateway.

Codes: `no-ledger`, those of the ledger itself (`ledger-newer` and the like), `init-unfinished`.
"""

from collections.abc import Iterator

from chopmark.core.errors import ChopmarkError
from chopmark.ledger.store import read_keys
from chopmark.service.checks.finding import Finding, Scene
from chopmark.service.places import log_path, pending_path


def check_ledger(scene: Scene) -> Iterator[Finding]:
    """Read who the log belongs to; `chopmark fsck` reads all of it."""
    state = scene.config.gateway.state
    path = log_path(state)
    if not state.exists():
        return
    if pending_path(state).exists():
        finding = f"`chopmark init` has not finished in {state}"
        yield Finding("init-unfinished", finding, "run the same `chopmark init` once more")
    elif not path.exists():
        hint = "`chopmark init` makes one; `chopmark recover` takes it back from the peers"
        yield Finding("no-ledger", f"no ledger at {path}", hint)
    else:
        try:
            read_keys(path)
        except ChopmarkError as error:
            yield Finding.of(
                error, "`chopmark fsck` says more; `chopmark recover` takes it back from the peers"
            )
