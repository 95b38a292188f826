"""The box's own network as files of systemd-networkd: what is chosen at the console, written out.

Nothing chosen is no file: then the image's own asks DHCP at each wired interface. Otherwise the
files are for one interface, and come before the image's.
"""

from typing import Final

import msgspec

from chopmark.core.errors import UsageError

NETWORK: Final = "10-chopmark.network"
PARENT: Final = "10-chopmark-parent.network"
NETDEV: Final = "10-chopmark-vlan.netdev"
NAMES: Final = (NETWORK, PARENT, NETDEV)
"""All files that are ours, in the folder of networkd."""
_QUIET: Final = ("LLMNR=no", "MulticastDNS=no", "IPForward=no", "IPv6PrivacyExtensions=no")


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the box's network has otherwise than the image.

    Attributes:
        method: `dhcp`, or `static` with address (with its prefix length) and gateway.
        vlan: number of the VLAN that the box is in; 0 is none.
        dns: name servers in place of DHCP's, if any.
        ntp: time servers in place of DHCP's, if any.
        link: the interface that this was chosen for; empty where nothing is chosen.
    """

    method: str = "dhcp"
    address: str = ""
    gateway: str = ""
    vlan: int = 0
    dns: tuple[str, ...] = ()
    ntp: tuple[str, ...] = ()
    link: str = ""

    @property
    def is_image(self) -> bool:
        """Whether it is the image's own way, for which there are no files."""
        return msgspec.structs.replace(self, link="") == Chosen()


def render(chosen: Chosen) -> dict[str, str]:
    """The files by name, for the interface of `chosen`.

    Raises:
        UsageError: `console-value`: an address without its network's size.
    """
    if chosen.is_image:
        return {}
    if chosen.method == "static" and not ("/" in chosen.address and chosen.gateway):
        message = "a fixed address needs the size of its network, and a gateway"
        hint = "`configure network static 192.0.2.10/24 192.0.2.1`"
        raise UsageError("console-value", message, hint=hint)
    if not chosen.vlan:
        return {NETWORK: _network(chosen, chosen.link)}
    name = f"vlan{chosen.vlan}"
    parent = (f"VLAN={name}", "DHCP=no", "LinkLocalAddressing=no", *_QUIET)
    number = f"Id={chosen.vlan}"
    return {
        NETDEV: _sections({"NetDev": (f"Name={name}", "Kind=vlan"), "VLAN": (number,)}),
        PARENT: _sections({"Match": (f"Name={chosen.link}",), "Network": parent}),
        NETWORK: _network(chosen, name),
    }


def _network(chosen: Chosen, link: str) -> str:
    static = chosen.method == "static"
    fixed = (f"Address={chosen.address}", f"Gateway={chosen.gateway}") if static else ()
    servers = (*(f"DNS={one}" for one in chosen.dns), *(f"NTP={one}" for one in chosen.ntp))
    asked = (f"DHCP={'no' if static else 'yes'}", "LinkLocalAddressing=ipv6")
    given = (f"UseDNS={_word(not chosen.dns)}", f"UseNTP={_word(not chosen.ntp)}")
    names = ("UseHostname=no", "SendHostname=no", "UseDomains=no")
    return _sections(
        {
            "Match": (f"Name={link}",),
            "Link": ("RequiredForOnline=no",),
            "Network": (*asked, *fixed, *servers, *_QUIET),
            "DHCPv4": (*given, *names),
            "DHCPv6": (*given, "UseHostname=no"),
        }
    )


def _sections(sections: dict[str, tuple[str, ...]]) -> str:
    parts = ("\n".join((f"[{name}]", *lines, "")) for name, lines in sections.items())
    return "# Made by `configure network` at the console.\n" + "\n".join(parts)


def _word(truth: bool) -> str:  # noqa: FBT001 - what it is about stands at each call
    return "yes" if truth else "no"
