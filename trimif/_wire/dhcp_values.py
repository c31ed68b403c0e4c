"""Values that the options of both DHCP families carry, as octets.

Each decoder takes the whole content of one option, and gives its value or raises `MalformedInput`: an option whose
content is wrong is left out, whole, as a client that can't use it would.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

from trimif._errors import MalformedInput
from trimif._information import DnsServerSelection, EncryptedDnsServer
from trimif._model import IPAddress
from trimif._wire.domain_names import decode_names
from trimif._wire.service_parameters import parse_service_parameters

__all__ = [
    "INFINITE",
    "encrypted_dns_server",
    "expect",
    "ipv4_addresses",
    "ipv6_addresses",
    "number",
    "printable_text",
    "selections",
    "split_counted",
    "uri",
]

INFINITE = 0xFFFFFFFF
"""A time of so many seconds is for ever (RFC 2131, 3.3; RFC 8415, 7.7)."""
NAMES_OCTETS = 4096  # of one option; a hostile one could have 65,535

_PREFERENCES = {0b01: 1, 0b00: 0, 0b11: -1, 0b10: 0}  # RFC 6731, 4.1; the reserved one is treated as medium
_PRINTABLE = re.compile(r"[!-~]+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")


def expect(met: bool, fault: str) -> None:
    """Raise `MalformedInput` unless it is met."""
    if not met:
        raise MalformedInput(fault)


def number(octets: bytes, size: int) -> int:
    """Decode an unsigned number of so many octets."""
    expect(len(octets) == size, f"{len(octets)} octets are no number of {size} octets")
    return int.from_bytes(octets, "big")


def ipv4_addresses(octets: bytes) -> tuple[IPv4Address, ...]:
    """Decode a list of one or more addresses (RFC 2132, 3.5)."""
    return tuple(map(IPv4Address, _pieces(octets, 4)))


def ipv6_addresses(octets: bytes) -> tuple[IPv6Address, ...]:
    """Decode a list of one or more addresses (RFC 3646, 3)."""
    return tuple(map(IPv6Address, _pieces(octets, 16)))


def _pieces(octets: bytes, size: int) -> Iterator[bytes]:
    expect(bool(octets) and len(octets) % size == 0, f"{len(octets)} octets are no list of addresses")
    return (octets[offset : offset + size] for offset in range(0, len(octets), size))


def printable_text(octets: bytes) -> str:
    """Decode ASCII text without blanks; zeros and blanks at its end, which some servers send, are dropped."""
    text = octets.rstrip(b"\0\t\r\n ").decode("latin-1")
    expect(bool(_PRINTABLE.fullmatch(text)), f"{text!r} is empty, or has blanks or control characters")
    return text


def uri(octets: bytes) -> str:
    """Decode a URI, as of a captive portal's API (RFC 8910, 2)."""
    text = printable_text(octets)
    expect(bool(_URI.fullmatch(text)), f"{text!r} is no URI")
    return text


# ---------------------------------------------------------------- which names a name server is for (RFC 6731)


def selections(preference: int, servers: Iterable[IPAddress], domains: bytes) -> tuple[DnsServerSelection, ...]:
    """Make one value of each server of an option 146 or 74.

    Args:
        preference: the octet of it, of which two bits count.
        servers: an unspecified one is not there.
        domains: the rest of the option.
    """
    names = _domains_of_selection(domains)
    told = [server for server in servers if not server.is_unspecified]
    expect(bool(told), "a selection of name servers has no server")
    return tuple(DnsServerSelection(server, _PREFERENCES[preference & 0b11], names) for server in told)


def _domains_of_selection(octets: bytes) -> tuple[str, ...]:
    """Decode uncompressed names of which the root, ``"."``, is one like others (RFC 6731, 4.1)."""
    expect(len(octets) <= NAMES_OCTETS, f"{len(octets)} octets of domain names are too many")
    return tuple(_domain(name) for name in _split_names(octets))


def _split_names(octets: bytes) -> Iterator[bytes]:
    start = offset = 0
    while offset < len(octets):
        length = octets[offset]
        offset += 1 + length
        if not length:
            yield octets[start:offset]
            start = offset
    expect(start == len(octets), "a domain name is cut short")


def _domain(octets: bytes) -> str:
    return decode_names(octets)[0] if len(octets) > 1 else "."


# ---------------------------------------------------------------- encrypted DNS (RFC 9463)


def encrypted_dns_server(octets: bytes, address_octets: int) -> EncryptedDnsServer:
    """Decode one server: priority, authentication domain name, and then, unless that is all, addresses and more.

    The lengths of name and addresses take one octet in DHCPv4 and two in DHCPv6 (RFC 9463, 4.1 and 5.1).
    """
    size = 1 if address_octets == 4 else 2
    priority = number(octets[:2], 2)
    packed_name, rest = split_counted(octets[2:], size)
    names = decode_names(packed_name)
    expect(len(names) == 1, "an encrypted DNS server has one name")
    if not rest:
        return EncryptedDnsServer(priority, names[0])  # "ADN-only mode" (RFC 9463, 3.1.6)
    packed_addresses, parameters = split_counted(rest, size)
    return _with_parameters(priority, names[0], packed_addresses, parameters, address_octets)


def _with_parameters(
    priority: int, name: str, packed_addresses: bytes, parameters: bytes, size: int
) -> EncryptedDnsServer:
    addresses = tuple(ip_address(piece) for piece in _pieces(packed_addresses, size))
    return EncryptedDnsServer(priority, name, addresses, *parse_service_parameters(parameters))


def split_counted(octets: bytes, size: int) -> tuple[bytes, bytes]:
    """Split into what a length of `size` octets counts, and what follows it."""
    end = size + number(octets[:size], size)
    expect(end <= len(octets), "a counted field is cut short")
    return octets[size:end], octets[end:]
