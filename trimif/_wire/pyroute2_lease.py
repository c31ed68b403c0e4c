"""The lease that pyroute2's own DHCPv4 client writes: ``<interface>.lease.json`` (its class ``JSONFileLease``).

An object with the whole DHCPACK, the interface's name and the time when the lease was obtained, in seconds since
1970. Options have their names of pyroute2's ``enums.dhcp.Option`` in lower case. Those that pyroute2 decodes are
addresses and numbers; the others, 119 and 121 among them, are lists of octets. The client rewrites the file in
place at each renewal and never removes it: after a release or an expiry it is stale, and does not say so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from trimif._errors import MalformedInput
from trimif._facts import Lease
from trimif._model import Origin
from trimif._wire import dhcpv4_options as dhcpv4
from trimif._wire.domain_names import decode_compressed_names

__all__ = ["parse_lease"]

INFINITE = -1  # option 51 of ffffffff (RFC 2131, 3.3), which pyroute2 decodes as a signed number


def parse_lease(text: str, deadline: Callable[[datetime], float]) -> Lease:
    """Parse the file's text. A lease that has expired comes back with a deadline that has passed.

    Args:
        deadline: turns a time (aware, UTC) into `Lease.valid_until`.

    Raises:
        MalformedInput: it is not such a file, or was written only in part.
    """
    content = _object(_load(text))
    acknowledgement = _object(content.get("ack"))
    options = _object(acknowledgement.get("options"))
    return Lease(
        interface=dhcpv4.check_interface_name(_text(content.get("interface"))),
        origin=Origin("pyroute2", dhcpv4.optional(dhcpv4.address, options.get("server_id"), None)),
        address=dhcpv4.address(acknowledgement.get("yiaddr")),
        prefix_length=dhcpv4.optional(dhcpv4.prefix_length, options.get("subnet_mask"), 32),
        valid_until=_valid_until(content.get("obtained"), options.get("lease_time"), deadline),
        routers=dhcpv4.optional(_addresses, options.get("router"), ()),
        routes=dhcpv4.optional(_routes, options.get("classless_static_route"), ()),
        dns_servers=dhcpv4.optional(_addresses, options.get("name_server"), ()),
        search_domains=_search_domains(options),
        ntp_servers=dhcpv4.optional(_addresses, options.get("ntp_servers"), ()),
        mtu=dhcpv4.optional(_mtu, options.get("interface_mtu"), None),
    )


def _load(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedInput(f"the lease is not JSON: {error}") from None


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedInput(f"an object was to be there, not a {type(value).__name__}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise MalformedInput(f"text was to be there, not a {type(value).__name__}")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise MalformedInput(f"a number was to be there, not a {type(value).__name__}")
    return value


def _valid_until(obtained: object, lease_time: object, deadline: Callable[[datetime], float]) -> float:
    start, seconds = _number(obtained), _number(lease_time)
    if seconds == INFINITE:
        return math.inf
    try:
        return deadline(datetime.fromtimestamp(start + seconds, UTC))
    except (ValueError, OverflowError, OSError):
        raise MalformedInput(f"{obtained!r} and {lease_time!r} make no time") from None


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise MalformedInput(f"a list was to be there, not a {type(value).__name__}")
    return value


def _addresses(value: object) -> tuple[Any, ...]:
    return dhcpv4.addresses(_list(value))


def _octets(value: object) -> bytes:
    try:
        return bytes(_list(value))
    except (TypeError, ValueError):
        raise MalformedInput("a list of octets was to be there") from None


def _routes(value: object) -> tuple[Any, ...]:
    return dhcpv4.classless_routes(_octets(value))


def _mtu(value: object) -> int:
    return dhcpv4.interface_mtu(value if isinstance(value, int) else 0)


def _search_domains(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Option 119, else option 15, which servers also use for several names with blanks between them."""
    found = dhcpv4.optional(_searched, options.get("domain_search"), ())
    return found or dhcpv4.optional(_named, options.get("domain_name"), ())


def _searched(value: object) -> tuple[str, ...]:
    """A list of octets; a later pyroute2 may decode it to a list of names, as its `Lease.domain_search` announces."""
    names = _list(value)
    if names and all(isinstance(name, str) for name in names):
        return dhcpv4.search_domains(names)
    return decode_compressed_names(_octets(value))


def _named(value: object) -> tuple[str, ...]:
    return dhcpv4.search_domains(_text(value).split())
