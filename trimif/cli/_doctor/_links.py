"""Checks of the interfaces: is there a network at all, does it let us in, and does IPv6 work on each?"""

from __future__ import annotations

from collections.abc import Iterator

from trimif import ElementType, Information, InterfaceKind, InterfaceSnapshot
from trimif.cli._doctor._finding import Finding, Severity, command, set_parameter
from trimif.cli._doctor._picture import Picture

__all__ = [
    "find_captive_portals",
    "find_disabled_ipv6",
    "find_loopback_down",
    "find_no_network",
    "find_refused_advertisements",
    "find_small_mtu",
    "find_unheard_advertisements",
]

IPV6_MINIMUM_MTU = 1280  # octets: RFC 8200, 5
MANY_WITHOUT_ROUTER = (InterfaceKind.BRIDGE,)
"""Hosts of containers and virtual machines are the router there themselves."""


def find_no_network(picture: Picture) -> Iterator[Finding]:
    """Nothing but loopback."""
    if any(True for _each in picture.domains()):
        return
    down = [each.announcement.name for each in picture.interfaces() if not each.announcement.details.up]
    yield Finding(
        Severity.PROBLEM,
        "this host",
        "has no provisioning domain besides those of loopback",
        "There is no network to use.",
        command("ip", "link", "set", down[0], "up") if down else "plug in a cable, or join a wireless network",
    )


def find_captive_portals(picture: Picture) -> Iterator[Finding]:
    """Networks that let nothing through until a person has seen a web page (RFC 8908)."""
    for _interface, domain in picture.domains():
        for element in domain.elements:
            portal = element.data.get(Information.PORTAL)
            if portal is not None and portal.captive:
                yield Finding(
                    Severity.WARNING,
                    domain.announcement.name,
                    "is behind a captive portal that does not let this host through yet",
                    "Connects through this network end at the portal, or time out.",
                    f"open {portal.user_portal_url or 'any web page'} in a browser, through this network",
                )


def find_loopback_down(picture: Picture) -> Iterator[Finding]:
    """Programs on this host talk to each other, and to local name servers, by loopback."""
    for interface in picture.snapshot.interfaces:
        details = interface.announcement.details
        if details.kind is InterfaceKind.LOOPBACK and not details.up:
            yield Finding(
                Severity.PROBLEM,
                interface.announcement.name,
                "is down",
                "Connects to this host itself fail, and so do the system's own name servers on 127.0.0.0/8.",
                command("ip", "link", "set", interface.announcement.name, "up"),
            )


def find_small_mtu(picture: Picture) -> Iterator[Finding]:
    """Below 1280 octets the kernel takes all of IPv6 off an interface."""
    for interface in picture.interfaces():
        name, details = interface.announcement.name, interface.announcement.details
        if details.up and details.mtu < IPV6_MINIMUM_MTU and not _ipv6_is_disabled(picture, name):
            yield Finding(
                Severity.WARNING,
                name,
                f"has an MTU of {details.mtu}, and IPv6 needs {IPV6_MINIMUM_MTU}",
                "The kernel has removed every IPv6 address and route from it.",
                command("ip", "link", "set", name, "mtu", IPV6_MINIMUM_MTU),
            )


def find_disabled_ipv6(picture: Picture) -> Iterator[Finding]:
    """Interfaces on which IPv6 was turned off; a warning where the network is known to have it."""
    for interface in picture.working_interfaces():
        name = interface.announcement.name
        if not _ipv6_is_disabled(picture, name):
            continue
        evidence = _evidence_of_ipv6(interface)
        yield Finding(
            Severity.WARNING if evidence else Severity.NOTE,
            name,
            f"has IPv6 disabled (disable_ipv6=1){f', but its network has it: {evidence}' if evidence else ''}",
            "Its network's IPv6 can't be used, nor seen: there may be none.",
            set_parameter("ipv6", name, "disable_ipv6", 0),
        )


def _evidence_of_ipv6(interface: InterfaceSnapshot) -> str:
    for domain in interface.domains:
        for element in domain.elements:
            if Information.IPV6_ONLY_WAIT in element.data:
                return "its DHCP server prefers hosts without IPv4 (RFC 8925)"
            if element.announcement.element in (ElementType.DHCPV6, ElementType.RA):
                return "it was told by DHCPv6 or a router"
            if any(server.version == 6 for server in element.data.get(Information.DNS_SERVERS, ())):
                return "it has IPv6 name servers"
    return ""


def find_refused_advertisements(picture: Picture) -> Iterator[Finding]:
    """Interfaces that forward, and so ignore routers (``forwarding`` makes ``accept_ra=1`` mean no)."""
    for interface in _candidates(picture):
        name = interface.announcement.name
        settings = picture.setting(name)
        if settings.forwarding == 1 and settings.accept_ra == 1:
            yield Finding(
                Severity.WARNING,
                name,
                "ignores router advertisements: it forwards IPv6 (forwarding=1), and then accept_ra=1 means no",
                "IPv6 addresses and routes of its network run out, or never come.",
                set_parameter("ipv6", name, "accept_ra", 2),
            )


def find_unheard_advertisements(picture: Picture) -> Iterator[Finding]:
    """Interfaces whose router advertisements neither the kernel nor this process hears (LAB: ``accept_ra=0``)."""
    if picture.raw_sockets:
        return
    for interface in _candidates(picture):
        name = interface.announcement.name
        if picture.setting(name).accept_ra == 0:
            managers = sorted(
                each.program for each in picture.configurators if each.manager and name in (each.interfaces or ())
            )
            who = f"{managers[0]} has told the kernel" if managers else "the kernel was told"
            yield Finding(
                Severity.WARNING,
                name,
                f"{who} not to listen to routers (accept_ra=0), and trimif may not listen itself",
                "What routers say there is not seen: name servers, prefixes, explicit provisioning domains.",
                "give the program CAP_NET_RAW: sudo setcap cap_net_raw+ep PYTHON, or run trimif as root",
            )


def _candidates(picture: Picture) -> Iterator[InterfaceSnapshot]:
    """Interfaces with a network that may have an IPv6 router which is not this host."""
    for interface in picture.working_interfaces():
        settings = picture.setting(interface.announcement.name)
        usual = interface.announcement.details.kind not in MANY_WITHOUT_ROUTER
        if interface.domains and usual and settings.disable_ipv6 == 0:
            yield interface


def _ipv6_is_disabled(picture: Picture, interface: str) -> bool:
    return bool(picture.setting(interface).disable_ipv6)
