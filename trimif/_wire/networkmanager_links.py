"""What NetworkManager knows of links by D-Bus, besides leases: sort, whether traffic costs money, and their DNS.

The DNS is that of a device's ``IP4Config`` and ``IP6Config``, and of the DNS manager (``DnsManager``, property
``Configuration``), which also has the links of VPN plugins, that have no device of their own, and lacks the domain
``~``. Both are there also where NetworkManager leaves ``resolv.conf`` alone. They do not say where a server came from:
by DHCP, from a router, from a VPN or from a person. What the link's leases told is left out here, as the leases tell
it better.
What remains and came from a router is told here all the same: NetworkManager sets ``accept_ra=0``, so for programs
without privilege nobody else knows it, and NetworkManager takes it back when its lifetime ends. It is not told as a
router advertisement, since neither router nor lifetime are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv6Address
from typing import Any

from trimif._facts import DHCPv6Lease, Lease, LinkConfiguration
from trimif._information import Data, Information
from trimif._model import InterfaceKind, IPAddress, Origin
from trimif._wire.link_dns import LinkDns, parse_domains, parse_servers
from trimif._wire.networkmanager import SOURCE

__all__ = [
    "dns_by_interface",
    "dns_of_device",
    "interface_name",
    "link_configuration",
    "number_of",
    "strings_of",
]

ENTRIES = 4096
"""Of one list; more are not read."""

_METERED = {1: True, 2: False, 3: True, 4: False}
"""NMMetered: yes, no, guessed yes, guessed no; 0 is unknown. "Most applications probably should treat the runtime state
GUESS_YES like YES, and all other states as not metered"."""

_KINDS = {
    1: InterfaceKind.ETHERNET,
    **dict.fromkeys((2, 6, 30), InterfaceKind.WIFI),  # Wi-Fi, OLPC mesh, Wi-Fi P2P
    **dict.fromkeys((7, 8), InterfaceKind.CELLULAR),  # WiMAX, modem
    **dict.fromkeys((13, 26), InterfaceKind.BRIDGE),  # bridge, Open vSwitch
    **dict.fromkeys((16, 17, 19, 23, 29), InterfaceKind.TUNNEL),  # TUN and TAP, IP tunnel, VXLAN, PPP, WireGuard
    **dict.fromkeys((10, 11, 15, 18, 20, 21, 22, 31), InterfaceKind.VIRTUAL),  # bond, VLAN, team, macvlan, veth, …
    32: InterfaceKind.LOOPBACK,
}
"""By NMDeviceType; of the others (Bluetooth, Infiniband, ADSL, generic, …) the kernel's word is as good."""


def interface_name(device: Mapping[str, Any]) -> str:
    """The network interface of a device: a modem's is ``wwan0`` or ``ppp0``, while the device itself is a port."""
    name = device.get("IpInterface") or device.get("Interface")
    return name if isinstance(name, str) else ""


def number_of(properties: Mapping[str, object], name: str) -> int:
    """A property that is a number; 0 if it is something else, or not there."""
    value = properties.get(name)
    return value if isinstance(value, int) else 0


def strings_of(properties: Mapping[str, object], name: str) -> list[str]:
    """A property that is a list of strings or paths, less what is something else in it."""
    return list(_strings(properties.get(name)))


def dns_by_interface(configuration: object) -> dict[str, LinkDns]:
    """The DNS of each link, both families together; servers for all links, without an interface, are left out.

    Args:
        configuration: the property of the DNS manager. What is not as it has to be in it is left out.
    """
    parts: dict[str, list[LinkDns]] = {}
    for entry in _list(configuration):
        interface = entry.get("interface") if isinstance(entry, dict) else None
        if isinstance(interface, str) and interface:
            parts.setdefault(interface, []).append(_dns(entry.get("nameservers"), entry.get("domains")))
    return {interface: LinkDns.together(told) for interface, told in parts.items()}


def dns_of_device(ip4: Mapping[str, object], ip6: Mapping[str, object]) -> LinkDns:
    """The DNS of a device, both families together.

    Args:
        ip4: the properties of its ``IP4Config``, none if it has none.
        ip6: of its ``IP6Config``, likewise. Older ones tell the servers as octets.
    """
    servers4 = [each.get("address") for each in _list(ip4.get("NameserverData")) if isinstance(each, dict)]
    servers6 = [str(IPv6Address(each)) for each in _list(ip6.get("Nameservers")) if _is_address6(each)]
    return _dns(servers4, ip4.get("Searches")) + _dns(servers6, ip6.get("Searches"))


def _is_address6(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == 16


def _list(value: object) -> list[Any]:
    return value[:ENTRIES] if isinstance(value, list) else []


def _dns(servers: object, names: object) -> LinkDns:
    """``~example.org`` is for routing only, ``~`` and ``~.`` are for all names."""
    domains = list(_strings(names))
    return LinkDns(
        servers=parse_servers(_strings(servers)),
        search_domains=parse_domains(each for each in domains if not each.startswith("~")),
        routing_domains=parse_domains(each[1:] or "." for each in domains if each.startswith("~")),
    )


def _strings(value: object) -> Iterator[str]:
    return (each for each in _list(value) if isinstance(each, str))


def link_configuration(
    interface: str, device: Mapping[str, Any] | None, dns: LinkDns, leases: Iterable[Lease | DHCPv6Lease]
) -> LinkConfiguration:
    """What is known of a link.

    Args:
        device: its properties; None for a VPN's, which has no device.
        dns: as of :func:`dns_of_device` and :func:`dns_by_interface`.
        leases: of the link, as of `trimif._wire.networkmanager`.
    """
    servers, domains = _told_by(leases)
    rest = LinkDns(
        tuple(each for each in dns.servers if each.address not in servers),
        tuple(each for each in dns.search_domains if each not in domains),
        dns.routing_domains,
    )
    return LinkConfiguration(interface, Origin(SOURCE), _of_device(interface, device) + rest.data())


def _of_device(interface: str, device: Mapping[str, Any] | None) -> Data:
    if device is None:
        return ((Information.LINK_TYPE, InterfaceKind.TUNNEL),)
    data: list[tuple[Information[Any], Any]] = []
    kind = _KINDS.get(number_of(device, "DeviceType"))
    # PPP over Ethernet: the device is the Ethernet, the interface is ppp0.
    if kind is not None and (kind is not InterfaceKind.ETHERNET or device.get("Interface") == interface):
        data.append((Information.LINK_TYPE, kind))
    if (metered := _METERED.get(number_of(device, "Metered"))) is not None:
        data.append((Information.METERED, metered))
    return tuple(data)


def _told_by(leases: Iterable[Lease | DHCPv6Lease]) -> tuple[set[IPAddress], set[str]]:
    """The name servers and search domains that leases tell."""
    servers: set[IPAddress] = set()
    domains: set[str] = set()
    for lease in leases:
        told = dict(lease.data)
        servers.update(told.get(Information.DNS_SERVERS, ()), getattr(lease, "dns_servers", ()))
        domains.update(told.get(Information.SEARCH_DOMAINS, ()), getattr(lease, "search_domains", ()))
    return servers, domains
