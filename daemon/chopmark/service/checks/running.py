"""The gateway that runs: its own alarms, and what keeps it from being ready.

Codes: those of the alarms (docs/api.md), `not-ready`, `not-running`, `not-answering`,
`broker-away`,
`acl-refused`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from chopmark.service.checks.finding import Finding, Scene

_SEE: Final = "`chopmark status` and the journal say more: journalctl -u chopmark"


def check_running(scene: Scene) -> Iterator[Finding]:
    """Say what the gateway itself says."""
    if scene.status is None and scene.locked and not scene.sees_all:
        yield scene.barred(f"whether a gateway runs, and what it says on {scene.config.api.socket}")
    elif scene.status is None and scene.locked:
        finding = f"a gateway holds {scene.config.gateway.state}, and {scene.config.api.socket}"
        remedy = "may you open the socket? is it starting? journalctl -u chopmark says more"
        yield Finding("not-answering", f"{finding} does not answer", remedy)
    elif scene.status is None:
        finding = f"no gateway answers on {scene.config.api.socket}"
        remedy = "`systemctl status chopmark`; `systemctl start chopmark`"
        yield Finding("not-running", finding, remedy, "warning")
    else:
        yield from _repeat(scene.status)


def _repeat(status: Mapping[str, Any]) -> Iterator[Finding]:
    """What the gateway says of itself."""
    faults = {}
    for alarm in _objects(status.get("alarms")):
        code, message = str(alarm.get("code")), str(alarm.get("message"))
        faults[message.partition(": ")[0]] = hint = str(alarm.get("hint") or _SEE)
        yield Finding(code, message, hint, "warning")
    for broker in _objects(status.get("brokers")):
        where = f"{broker.get('host')}:{broker.get('port')}"
        if broker.get("state") == "connected" and broker.get("reason"):
            finding = f"broker {where} refuses some of what we do: {broker['reason']}"
            remedy = "have its operator renew the access list: `chopmark roster export-acl`"
            yield Finding("acl-refused", finding, remedy)
        elif broker.get("state") != "connected":
            finding = f"broker {where} is away: {broker.get('reason')}"
            remedy = faults.get(f"broker {where}", "is it running, and is there a way to it?")
            yield Finding("broker-away", finding, remedy)
    for reason in status.get("reasons") or ():
        yield Finding("not-ready", str(reason), _SEE)


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
