"""The DHCP leases that NetworkManager tells of: by D-Bus, and in its files ``/run/NetworkManager/devices/IFINDEX``.

Both have the same texts by the same names: the options of a lease as dhclient would call them, and what is no option:
``ip_address``, ``expiry`` (seconds since 1970), ``next_server``. On D-Bus there are also ``requested_…``, which say
what NetworkManager asked for. A DHCPv6 lease of its own client has the addresses and no times: when they expire, only
the kernel knows; dhclient's, where NetworkManager runs that, has the times as well.

A file is a key file of GLib's, sorted, put in place as a whole. What was cut off anyway, by a full disk for instance,
lacks its last newline, or ``subnet_mask``, which is among the last keys and in every lease.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from ipaddress import IPv6Address
from types import MappingProxyType

from attrs import evolve, frozen

from trimif._errors import MalformedInput
from trimif._facts import DHCPv6Lease, Lease, LeasedAddress
from trimif._information import Information, LeaseTimes
from trimif._wire import dhcpv4_options as dhcpv4
from trimif._wire import dhcpv6_options as dhcpv6
from trimif._wire.environment import (
    Encode,
    address6,
    addresses4,
    addresses6,
    encode_options,
    encoded,
    hexadecimal,
    names,
    number,
    plain_text,
    routes,
)

__all__ = ["SOURCE", "Texts", "dhcp_leases", "dhcpv4_lease", "dhcpv6_lease", "parse_device"]

SOURCE = "NetworkManager"

NOTHING: Mapping[str, str] = MappingProxyType({})
ADDRESSES = 64
"""Of one DHCPv6 lease, at most."""

_TIME = re.compile(r"[0-9]{1,10}")
_SECTION = re.compile(r"\[([^\[\]]*)\]")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"s": " ", "n": "\n", "t": "\t", "r": "\r"}
_PRIVATE = range(224, 255)  # RFC 3942: site-specific


@frozen
class Texts:
    """The options of a device's leases, by name; empty where there is no lease."""

    dhcp4: Mapping[str, str] = NOTHING
    dhcp6: Mapping[str, str] = NOTHING


def _octets_with_colons(text: str) -> bytes:
    return hexadecimal(text.replace(":", ""))


_DHCPV4: dict[str, tuple[int, Encode]] = {
    "subnet_mask": (1, addresses4),
    "routers": (3, addresses4),
    "domain_name_servers": (6, addresses4),
    "host_name": (12, plain_text),
    "domain_name": (15, plain_text),
    "root_path": (17, plain_text),
    "interface_mtu": (26, number(2)),
    "broadcast_address": (28, addresses4),
    "nis_domain": (40, plain_text),
    "nis_servers": (41, addresses4),
    "ntp_servers": (42, addresses4),
    "vendor_encapsulated_options": (43, _octets_with_colons),
    "netbios_name_servers": (44, addresses4),
    "dhcp_lease_time": (51, number(4)),
    "dhcp_server_identifier": (54, addresses4),
    "dhcp_renewal_time": (58, number(4)),
    "dhcp_rebinding_time": (59, number(4)),
    "tftp_server_name": (66, plain_text),
    "bootfile_name": (67, plain_text),
    "ipv6_only_preferred": (108, number(4)),
    "default_url": (114, plain_text),
    "domain_search": (119, names),
    "rfc3442_classless_static_routes": (121, routes),
    "ms_classless_static_routes": (249, routes),
    "wpad": (252, plain_text),
    **{f"private_{code}": (code, _octets_with_colons) for code in _PRIVATE},
}
"""Code and encoder by NetworkManager's name. Private options that have a name are not among ``private_…``."""

_DHCPV6: dict[str, tuple[int, Encode]] = {
    "dhcp6_server_id": (2, _octets_with_colons),
    "dhcp6_name_servers": (23, addresses6),
    "dhcp6_domain_search": (24, names),
    "dhcp6_sntp_servers": (31, addresses6),
    "dhcp6_ntp_servers": (31, addresses6),  # as 1.42 calls it
}


def parse_device(text: str) -> Texts:
    """Parse a device's file.

    Raises:
        MalformedInput: it is no key file, or was cut off.
    """
    sections: dict[str, dict[str, str]] = {}
    section = ""
    if not text.endswith("\n"):
        raise MalformedInput("the file is cut off")
    for line in text.splitlines():
        if match := _SECTION.fullmatch(line):
            section = match[1]
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            if not equals or not section:
                raise MalformedInput(f"{line!r:.80} does not belong into a key file")
            sections.setdefault(section, {})[key.removeprefix(f"{section}.")] = _unescape(value)
    return Texts(sections.get("dhcp4", NOTHING), sections.get("dhcp6", NOTHING))


def _unescape(value: str) -> str:
    return _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), value)


def dhcp_leases(interface: str, texts: Texts, deadline: Callable[[datetime], float]) -> list[Lease | DHCPv6Lease]:
    """The leases of a device; see `dhcpv4_lease` and `dhcpv6_lease`.

    Raises:
        MalformedInput: one of them is no lease.
    """
    leases: list[Lease | DHCPv6Lease] = []
    if texts.dhcp4:
        leases.append(dhcpv4_lease(interface, texts.dhcp4, deadline))
    if texts.dhcp6:
        leases.append(dhcpv6_lease(interface, texts.dhcp6, deadline))
    return leases


def dhcpv4_lease(interface: str, texts: Mapping[str, str], deadline: Callable[[datetime], float]) -> Lease:
    """Make a lease of its options.

    Args:
        deadline: turns a time (aware, UTC) into `Lease.valid_until`.

    Raises:
        MalformedInput: the address, or the subnet mask, or the time of its end is wrong; no lease lacks these, except
            that one for ever has no end.
    """
    options = dhcpv4.read_options(encode_options(texts, _DHCPV4))
    if options.prefix_length is None:
        raise MalformedInput(f"the lease of {interface} has no subnet mask")
    seconds, received = options.lease_seconds or 0, 0.0
    if "expiry" in texts:
        received = _moment(texts["expiry"], deadline) - seconds
    else:
        seconds = dhcpv4.INFINITE
        options = evolve(options, renewal_seconds=None, rebinding_seconds=None)
    address = dhcpv4.address(texts.get("ip_address"))
    interface = dhcpv4.check_interface_name(interface)
    return dhcpv4.lease_of(interface, SOURCE, address, evolve(options, lease_seconds=seconds), received)


def dhcpv6_lease(interface: str, texts: Mapping[str, str], deadline: Callable[[datetime], float]) -> DHCPv6Lease:
    """Make a DHCPv6 lease, or configuration without addresses, of its options.

    Args:
        deadline: as in :func:`dhcpv4_lease`. What is told without a time is valid until the kernel says otherwise.

    Raises:
        MalformedInput: an address is none.
    """
    options = dhcpv6.read_options(encode_options(texts, _DHCPV6).items(), 0.0)
    starts = texts.get("life_starts", "")
    valid_until, preferred_until = (
        _later(starts, texts.get(name, ""), deadline) for name in ("max_life", "preferred_life")
    )
    addresses = [address6(word) for word in texts.get("ip6_address", "").split()[:ADDRESSES]]
    data = options.data
    if addresses:
        renew_at, rebind_at = (_later(texts.get("starts", ""), texts.get(name, ""), deadline) for name in _TIMERS)
        data += ((Information.LEASE, LeaseTimes(_if_told(renew_at), _if_told(rebind_at), valid_until)),)
    return evolve(
        dhcpv6.lease_of(dhcpv4.check_interface_name(interface), SOURCE, options),
        addresses=tuple(LeasedAddress(IPv6Address(each), valid_until, preferred_until) for each in addresses),
        valid_until=valid_until,
        data=data,
    )


_TIMERS = ("renew", "rebind")


def _later(start: str, seconds: str, deadline: Callable[[datetime], float]) -> float:
    """The deadline so many seconds after a time; for ever if either is not told."""
    told = encoded(number(4), seconds)
    if not told or not _TIME.fullmatch(start):
        return math.inf
    return dhcpv4.deadline_after(_moment(start, deadline), int.from_bytes(told))


def _if_told(deadline: float) -> float | None:
    return None if deadline == math.inf else deadline


def _moment(seconds: str, deadline: Callable[[datetime], float]) -> float:
    if not _TIME.fullmatch(seconds):
        raise MalformedInput(f"{seconds!r:.40} is not a time in seconds since 1970")
    return deadline(datetime.fromtimestamp(int(seconds), UTC))
