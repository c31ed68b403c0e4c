"""Checks of the addresses: whose are they, does anybody else have them, and do they still hold?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_interface
from itertools import combinations

from trimif.cli._doctor._finding import Finding, Severity, command, set_parameter
from trimif.cli._doctor._picture import HostAddress, Picture

__all__ = [
    "find_arp_flux",
    "find_duplicates",
    "find_expired_leases",
    "find_overlaps",
    "find_same_address",
]


def find_overlaps(picture: Picture) -> Iterator[Finding]:
    """Two interfaces with the same subnet, or one inside the other's."""
    for one, other in _overlapping(picture):
        yield Finding(
            Severity.WARNING,
            f"{one.interface}, {other.interface}",
            f"their subnets overlap: {_interface(one)} and {_interface(other)}",
            "Programs that do not use trimif reach the neighbours in both by one of the two alone; the other's are cut "
            "off, or answer by the wrong way.",
            _own_table(other),
        )


def _own_table(address: HostAddress) -> str:
    """Policy routing: what bears that address as its source goes by its own interface."""
    family, table = f"-{address.address.version}", 100 + sum(address.interface.encode()) % 100
    return " && ".join(
        [
            command("ip", family, "rule", "add", "from", address.address, "table", table),
            command(
                "ip", family, "route", "add", _interface(address).network, "dev", address.interface, "table", table
            ),
        ]
    )


def find_arp_flux(picture: Picture) -> Iterator[Finding]:
    """Two interfaces on one IPv4 subnet, of which either answers ARP for the other's address."""
    general = picture.setting("all").arp_ignore
    for one, other in _overlapping(picture):
        if not isinstance(one.address, IPv4Address) or general is None or general > 0:
            continue
        loose = [each for each in (one.interface, other.interface) if picture.setting(each).arp_ignore == 0]
        if loose:
            yield Finding(
                Severity.WARNING,
                f"{one.interface}, {other.interface}",
                f"answer ARP for each other's address in {_interface(one).network} (arp_ignore=0)",
                "Neighbours send to whichever interface answered first, so packets for one network come in by the "
                "other (ARP flux).",
                f"{set_parameter('ipv4', 'all', 'arp_ignore', 1)} && {set_parameter('ipv4', 'all', 'arp_announce', 2)}",
            )


def _overlapping(picture: Picture) -> Iterator[tuple[HostAddress, HostAddress]]:
    """One pair for each pair of interfaces and overlapping subnets."""
    seen = set()
    held = [each for each in _global_addresses(picture) if each.prefix_length < each.address.max_prefixlen]
    for one, other in combinations(held, 2):
        if one.interface == other.interface or one.address.version != other.address.version:
            continue
        subnets = _interface(one).network, _interface(other).network
        key = (one.interface, other.interface, *subnets)
        if _overlap(one, other) and key not in seen:
            seen.add(key)
            yield one, other


def _overlap(one: HostAddress, other: HostAddress) -> bool:
    length = min(one.prefix_length, other.prefix_length)
    return ip_interface((one.address, length)).network == ip_interface((other.address, length)).network


def find_same_address(picture: Picture) -> Iterator[Finding]:
    """One address on two interfaces."""
    holders: dict[object, list[HostAddress]] = defaultdict(list)
    for each in _global_addresses(picture):
        holders[each.address].append(each)
    for address, held in holders.items():
        names = sorted({each.interface for each in held})
        if len(names) > 1:
            last = next(each for each in held if each.interface == names[-1])
            yield Finding(
                Severity.PROBLEM,
                ", ".join(names),
                f"have the same address {address}",
                "A packet with that source does not say to which network it belongs, and answers come back by either.",
                command("ip", "address", "del", _interface(last), "dev", last.interface),
            )


def find_duplicates(picture: Picture) -> Iterator[Finding]:
    """Addresses that somebody else on the link has, so that the kernel does not use them (RFC 4862, 5.4.5)."""
    for each in picture.addresses:
        if each.duplicate:
            yield Finding(
                Severity.PROBLEM,
                each.interface,
                f"{each.address} is a duplicate: somebody else on the link has it (dadfailed)",
                "The kernel does not use the address.",
                command("ip", "address", "del", _interface(each), "dev", each.interface),
            )


def find_expired_leases(picture: Picture) -> Iterator[Finding]:
    """Addresses whose lease is over, but which nobody took away: the DHCP client is gone, or does not do its duty."""
    present = {(each.interface, each.address): each for each in picture.addresses}
    current = {(each.interface, each.address) for each in picture.leases if not each.expired}
    for lease in picture.leases:
        key = lease.interface, lease.address
        if lease.expired and key in present and key not in current:
            yield Finding(
                Severity.PROBLEM,
                lease.interface,
                f"still has the address {lease.address}, whose lease by {lease.source} has expired",
                "The server may have given it to somebody else: two hosts with one address disturb each other.",
                command("ip", "address", "del", _interface(present[key]), "dev", lease.interface),
            )


def _global_addresses(picture: Picture) -> Iterator[HostAddress]:
    """Neither link-local nor loopback: those may be on every interface, and are on many hosts."""
    for each in picture.addresses:
        if not each.address.is_link_local and not each.address.is_loopback:
            yield each


def _interface(address: HostAddress) -> IPv4Interface | IPv6Interface:
    return ip_interface((address.address, address.prefix_length))
