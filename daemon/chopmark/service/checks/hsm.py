"""The HSM: what `chopmark hsm doctor` says without a PIN.

Codes: `hsm-module`, `hsm-token`, `hsm-mechanisms`, `hsm-keys`, one for each section of its table;
`token-on-disk`.
"""

from collections.abc import Iterator

from chopmark.core.errors import ChopmarkError
from chopmark.service.checks.finding import Finding, Scene
from chopmark.service.doctor import examine_gateway


def check_hsm(scene: Scene) -> Iterator[Finding]:
    """Look at module, slots, token and its flags; no login, and no PIN is tried."""
    if not scene.sees_all:
        yield scene.barred("a module may show another user other tokens than the daemon's")
        return
    try:
        lines = examine_gateway(scene.config, None)[1]
    except ChopmarkError as error:
        yield Finding.of(error, "`chopmark hsm doctor` says more")
        return
    for line in lines:
        if line.mark != "ok":
            finding = f"{line.name}: {line.text}"
            remedy = line.hint or "`chopmark hsm doctor` says more"
            code = "token-on-disk" if line.name == "storage" else f"hsm-{line.section}"
            yield Finding(code, finding, remedy, line.mark)
