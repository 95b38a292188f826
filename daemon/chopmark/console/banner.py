"""What stands before the sign-in, and before each command: which box, and how it is."""

from chopmark.console.command import Role
from chopmark.console.desk import Language
from chopmark.console.device import Device
from chopmark.console.outlook import Outlook
from chopmark.console.words import t


def make_banner(language: Language, device: Device, outlook: Outlook) -> str:
    """Id, version, slot and alarms; nothing that is secret, and no serial number."""
    slot = device.slot or t(language, "banner.no-slot")
    state = t(language, f"banner.{outlook.state or 'unknown'}")
    alarms = "?" if outlook.alarms is None else outlook.alarms
    lines = (
        "",
        t(language, "banner.box", id=device.id, version=device.version, slot=slot),
        t(language, "banner.state", state=state, alarms=alarms),
        *(() if device.commissioned else (t(language, "banner.bare"),)),
        t(language, "banner.warning"),
    )
    return "\n".join(lines)


def make_prompt(device: Device, role: Role, outlook: Outlook) -> str:
    """`gw-a1(service)[DEGRADED]>`; a gateway that is ready has nothing in brackets."""
    state = outlook.state or "?" if device.commissioned else "bare"
    shown = "" if state == "ready" else f"[{state.upper()}]"
    return f"{device.id}({role.name.lower()}){shown}>"
