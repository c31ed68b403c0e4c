"""DHCPv4 options as octets: what each code means (RFC 2132; RFC 3397, 3442, 6731, 8910, 8925, 9463).

`DECODERS` has the options that trimif gives a type, by code. A decoder takes the whole content of its option.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

from trimif._information import DnsServerSelection, EncryptedDnsServer
from trimif._model import Route
from trimif._wire.dhcp_values import (
    encrypted_dns_server,
    expect,
    ipv4_addresses,
    number,
    printable_text,
    selections,
    split_counted,
    uri,
)
from trimif._wire.domain_names import check_domain_name, decode_compressed_names

__all__ = ["DECODERS", "classless_routes", "interface_mtu", "prefix_length_of"]

SUBNET_MASK: Final = 1
ROUTERS: Final = 3
DNS_SERVERS: Final = 6
DOMAIN_NAME: Final = 15
INTERFACE_MTU: Final = 26
NTP_SERVERS: Final = 42
VENDOR_SPECIFIC: Final = 43
LEASE_SECONDS: Final = 51
SERVER: Final = 54
RENEWAL_SECONDS: Final = 58
REBINDING_SECONDS: Final = 59
IPV6_ONLY_PREFERRED: Final = 108
CAPTIVE_PORTAL: Final = 114
DOMAIN_SEARCH: Final = 119
CLASSLESS_ROUTES: Final = 121
DNS_SELECTION: Final = 146
ENCRYPTED_DNS: Final = 162
WEB_PROXY: Final = 252

ANDROID_METERED = b"ANDROID_METERED"
"""Phones that share their mobile network say so to Android, somewhere in option 43."""
MINIMUM_MTU = 68  # RFC 2132, 5.1
MAXIMUM_MTU = 65535
MINIMUM_IPV6_ONLY_WAIT = 300.0  # seconds; RFC 8925, 3.4: a smaller value counts as this


def prefix_length_of(mask: IPv4Address) -> int:
    """The length in bits of a subnet mask, option 1 (RFC 2132, 3.3).

    Raises:
        MalformedInput: its bits are not contiguous.
    """
    bits = int(mask)
    length = bits.bit_count()
    expect(bits == (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF, f"{mask} is not a subnet mask")
    return length


def interface_mtu(number: int) -> int:
    """Check an MTU in octets, option 26: "the minimum legal value for the MTU is 68" (RFC 2132, 5.1).

    Raises:
        MalformedInput: it is less, or too much for IPv4.
    """
    expect(MINIMUM_MTU <= number <= MAXIMUM_MTU, f"{number} is not an MTU")
    return number


def classless_routes(octets: bytes) -> tuple[Route, ...]:
    """Decode classless static routes, option 121 (RFC 3442): width, significant octets of the subnet, router.

    A router of 0.0.0.0 says that the subnet is on the link: the route has no gateway. Bits after the width are
    masked, as RFC 3442 demands.

    Raises:
        MalformedInput: a width is more than 32 bits, or the last route is cut short.
    """
    routes = []
    offset = 0
    while offset < len(octets):
        width = octets[offset]
        end = offset + 1 + (width + 7) // 8
        gateway = octets[end : end + 4]
        cut = f"the route at octet {offset} is {width} bits wide, or cut short"
        expect(width <= 32 and len(gateway) == 4, cut)
        subnet = IPv4Network((octets[offset + 1 : end].ljust(4, b"\0"), width), strict=False)
        routes.append(Route(subnet, IPv4Address(gateway) if any(gateway) else None))
        offset = end + 4
    return tuple(routes)


def _routes(octets: bytes) -> tuple[Route, ...]:
    expect(bool(octets), "the minimum length of classless static routes is 5 octets")
    return classless_routes(octets)


def _prefix_length(octets: bytes) -> int:
    expect(len(octets) == 4, f"{len(octets)} octets are no subnet mask")
    return prefix_length_of(IPv4Address(octets))


def _server(octets: bytes) -> IPv4Address:
    expect(len(octets) == 4, f"{len(octets)} octets are no IPv4 address")
    return IPv4Address(octets)


def _domain_names(octets: bytes) -> tuple[str, ...]:
    """Option 15 has one name; servers also use it for several with blanks between them."""
    names = octets.rstrip(b"\0").decode("latin-1").split()
    expect(bool(names), "the domain name is empty")
    return tuple(check_domain_name(name) for name in names)


def _searched(octets: bytes) -> tuple[str, ...]:
    names = decode_compressed_names(octets)
    expect(bool(names), "the search list is empty")
    return names


def _ipv6_only_wait(octets: bytes) -> float:
    return max(MINIMUM_IPV6_ONLY_WAIT, float(number(octets, 4)))


def _metered(octets: bytes) -> bool:
    expect(ANDROID_METERED in octets, "the vendor does not say that the network is metered")
    return True


def _selections(octets: bytes) -> tuple[DnsServerSelection, ...]:
    expect(len(octets) > 9, "a selection of name servers is cut short")
    return selections(octets[0], ipv4_addresses(octets[1:9]), octets[9:])


def _encrypted_dns(octets: bytes) -> tuple[EncryptedDnsServer, ...]:
    expect(bool(octets), "no encrypted DNS server is told")
    servers = []
    while octets:
        instance, octets = split_counted(octets, 2)
        servers.append(encrypted_dns_server(instance, 4))
    return tuple(sorted(servers, key=lambda server: server.priority))


DECODERS: Mapping[int, Callable[[bytes], Any]] = {
    SUBNET_MASK: _prefix_length,
    ROUTERS: ipv4_addresses,
    DNS_SERVERS: ipv4_addresses,
    DOMAIN_NAME: _domain_names,
    INTERFACE_MTU: lambda octets: interface_mtu(number(octets, 2)),
    NTP_SERVERS: ipv4_addresses,
    VENDOR_SPECIFIC: _metered,
    LEASE_SECONDS: lambda octets: number(octets, 4),
    SERVER: _server,
    RENEWAL_SECONDS: lambda octets: number(octets, 4),
    REBINDING_SECONDS: lambda octets: number(octets, 4),
    IPV6_ONLY_PREFERRED: _ipv6_only_wait,
    CAPTIVE_PORTAL: uri,
    DOMAIN_SEARCH: _searched,
    CLASSLESS_ROUTES: _routes,
    DNS_SELECTION: _selections,
    ENCRYPTED_DNS: _encrypted_dns,
    WEB_PROXY: printable_text,
}
