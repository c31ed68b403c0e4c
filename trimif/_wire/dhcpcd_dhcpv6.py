"""DHCPv6 as dhcpcd shows it: options that hold others have their names joined, and a number where there are several.

``new_dhcp6_ia_na1_ia_addr2_vltime`` is the valid lifetime of the second address in the first identity association.
They are put together again here, as the octets that the server sent. dhcpcd does not tell the server's address.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from trimif._errors import MalformedInput
from trimif._facts import DHCPv6Lease
from trimif._wire import dhcpv6_options, environment
from trimif._wire.dhcpcd import Statement
from trimif._wire.dhcpv6_options import Option
from trimif._wire.environment import Encode

__all__ = ["dhcpv6_lease"]

MANY = 64
"""More identity associations, or addresses and prefixes in one, are not looked at."""

_PREFIX = "new_dhcp6_"
_SELECTION = "new_dhcp6_rdnss_selection_"
_OPTIONS: Mapping[str, tuple[int, Encode]] = {
    "new_dhcp6_server_id": (2, environment.hexadecimal),
    "new_dhcp6_name_servers": (23, environment.addresses6),
    "new_dhcp6_domain_search": (24, environment.names),
    "new_dhcp6_sntp_servers": (31, environment.addresses6),
    "new_dhcp6_info_refresh_time": (32, environment.number(4)),
    "new_dhcp6_captive_portal_uri": (103, environment.plain_text),
}
_NTP: Mapping[str, tuple[int, Encode]] = {
    "new_dhcp6_ntp_server_addr": (1, environment.addresses6),
    "new_dhcp6_ntp_server_mcast_addr": (2, environment.addresses6),
    "new_dhcp6_ntp_server_fqdn": (3, environment.names),
}

_Members: TypeAlias = Callable[[Mapping[str, str], str], Iterator[bytes]]

_HEADER = struct.Struct("!HH")
_seconds = environment.number(4)
_octet = environment.number(1)


def dhcpv6_lease(statement: Statement, received: float) -> DHCPv6Lease | None:
    """The DHCPv6 lease that there is now, or what there is without addresses; None if there is nothing.

    Args:
        received: when dhcpcd got it, on the clock of the deadlines.
    """
    options = list(_options(statement.variables))
    if not options:  # also for a link that only got a share of a prefix that was delegated on another
        return None
    told = dhcpv6_options.read_options(options, received)
    return dhcpv6_options.lease_of(statement.interface, "dhcpcd", told)


def _options(variables: Mapping[str, str]) -> Iterator[Option]:
    yield from environment.encode_options(variables, _OPTIONS).items()
    yield from _associations(variables, "ia_na", 3, _leased_addresses)
    yield from _associations(variables, "ia_pd", 25, _delegated_prefixes)
    if servers := environment.encode_options(variables, _NTP):
        yield 56, b"".join(_option(code, octets) for code, octets in servers.items())
    if selection := environment.encoded(
        lambda _: _selection(variables), variables.get(_PREFIX + "rdnss_selection_prf")
    ):
        yield 74, selection


def _associations(variables: Mapping[str, str], kind: str, code: int, members: _Members) -> Iterator[Option]:
    """The identity associations of a kind; one whose content is wrong is left out."""
    for name in _numbered(variables, _PREFIX + kind, "_iaid"):
        try:
            identifier = environment.hexadecimal(variables[f"{name}_iaid"])[-4:].rjust(4, b"\0")
            times = _seconds(variables.get(f"{name}_t1", "0")) + _seconds(variables.get(f"{name}_t2", "0"))
            yield code, identifier + times + b"".join(members(variables, name))
        except MalformedInput:
            continue


def _leased_addresses(variables: Mapping[str, str], association: str) -> Iterator[bytes]:
    for name in _numbered(variables, f"{association}_ia_addr"):
        yield _option(5, environment.address6(variables[name]).packed + _lifetimes(variables, name))


def _delegated_prefixes(variables: Mapping[str, str], association: str) -> Iterator[bytes]:
    for name in _numbered(variables, f"{association}_prefix"):
        length = _octet(variables.get(f"{name}_length", ""))
        yield _option(26, _lifetimes(variables, name) + length + environment.address6(variables[name]).packed)


def _lifetimes(variables: Mapping[str, str], name: str) -> bytes:
    return _seconds(variables.get(f"{name}_pltime", "")) + _seconds(variables.get(f"{name}_vltime", ""))


def _numbered(variables: Mapping[str, str], name: str, suffix: str = "") -> Iterator[str]:
    """The names with the numbers 1, 2, … that there are."""
    for number in range(1, MANY + 1):
        if f"{name}{number}{suffix}" not in variables:
            return
        yield f"{name}{number}"


def _selection(variables: Mapping[str, str]) -> bytes:
    """Option 74 (RFC 6731, 4.2), whose fields are shown one by one."""
    server, preference, domains = (variables.get(_SELECTION + field, "") for field in ("server", "prf", "domains"))
    return environment.address6(server).packed + _octet(preference) + environment.names(domains)


def _option(code: int, octets: bytes) -> bytes:
    """An option; what would be too long for one is left out: text may be shorter than the octets that it stands for."""
    return _HEADER.pack(code, len(octets)) + octets if len(octets) <= 0xFFFF else b""
