"""Pieces of systemd-networkd's JSON: addresses as lists of octets, moments in microseconds, lists of objects.

In a list each item stands for itself: one that isn't what it has to be is left out, and the others count.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias, TypeVar

from trimif._errors import MalformedInput
from trimif._information import EncryptedDnsServer
from trimif._model import IPAddress, IPNetwork
from trimif._wire.domain_names import check_domain_name

__all__ = [
    "Deadline",
    "Item",
    "address_of",
    "collect",
    "encrypted_server",
    "items_of",
    "load",
    "moment",
    "network_of",
    "number_of",
    "of_source",
    "provider_of",
    "router_of",
    "text_of",
]

Item: TypeAlias = Mapping[str, Any]
"""An object of the JSON."""
Deadline: TypeAlias = Callable[[float], float]
"""Turns a moment on CLOCK_BOOTTIME, in seconds, into a deadline."""

INFINITE_MICROSECONDS = 2**63  # USEC_INFINITY is all ones

T = TypeVar("T")


def load(text: str) -> Item:
    """Parse an object.

    Raises:
        MalformedInput: it is none, or nested too deeply.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedInput(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise MalformedInput("not a JSON object")
    return value


def items_of(parent: Item, *path: str) -> Iterator[Item]:
    """The objects in a list, found by the names of what it lies in; none if it isn't there."""
    found: Any = parent
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return (each for each in found if isinstance(each, dict)) if isinstance(found, list) else iter(())


def of_source(items: Iterable[Item], source: str) -> Iterator[Item]:
    """Those that came from one source, and are not about to be removed."""
    return (each for each in items if each.get("ConfigSource") == source and "removing" not in state_of(each))


def state_of(item: Item) -> str:
    """What networkd does with it just now."""
    state = item.get("ConfigState")
    return state if isinstance(state, str) else ""


def collect(read: Callable[[Item], T], items: Iterable[Item]) -> Iterator[T]:
    """What `read` makes of each item, less those that are malformed."""
    for item in items:
        try:
            yield read(item)
        except MalformedInput:
            continue


def number_of(item: Item, key: str, *, least: int = 0, most: int = 2**64 - 1) -> int:
    """A number within bounds; without, one of 64 bits.

    Raises:
        MalformedInput: it is none.
    """
    value = item.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise MalformedInput(f"{key} is {value!r:.80}, no number from {least} to {most}")
    return value


def text_of(item: Item, key: str) -> str:
    """A text.

    Raises:
        MalformedInput: it is none.
    """
    value = item.get(key)
    if not isinstance(value, str):
        raise MalformedInput(f"{key} is {value!r:.80}, no text")
    return value


def address_of(item: Item, key: str) -> IPAddress:
    """An address, 4 or 16 octets.

    Raises:
        MalformedInput: it is none.
    """
    value = item.get(key)
    try:
        if isinstance(value, list) and len(value) in (4, 16):
            return ip_address(bytes(value))
    except (ValueError, TypeError):
        pass
    raise MalformedInput(f"{key} is {value!r:.80}, no address")


def network_of(item: Item, key: str, length_key: str) -> IPNetwork:
    """A network: an address, and its length in bits beside it; bits after the length are masked.

    Raises:
        MalformedInput: it is none.
    """
    address = address_of(item, key)
    length = number_of(item, length_key)
    if length > address.max_prefixlen:
        raise MalformedInput(f"{length} bits are too many for {address}")
    network: IPv4Network | IPv6Network = ip_network((address, length), strict=False)
    return network


def provider_of(item: Item) -> IPAddress | None:
    """The server or router that it came from, None if not told."""
    return address_of(item, "ConfigProvider") if "ConfigProvider" in item else None


def router_of(item: Item) -> IPv6Address:
    """The router that it came from.

    Raises:
        MalformedInput: it isn't told, or no link-local address.
    """
    router = address_of(item, "ConfigProvider")
    if not isinstance(router, IPv6Address) or not router.is_link_local:
        raise MalformedInput(f"{router} is no router")
    return router


def moment(item: Item, key: str, deadline: Deadline) -> float:
    """The deadline that a moment is; what isn't told is for ever.

    Raises:
        MalformedInput: it is no moment.
    """
    if key not in item:
        return math.inf
    microseconds = number_of(item, key)
    return math.inf if microseconds >= INFINITE_MICROSECONDS else deadline(microseconds / 1_000_000)


TRANSPORTS = {"dot": "dot", "doq": "doq", "doh": "h2", "https": "h2", "h2": "h2", "h3": "h3"}
"""networkd's words for encrypted transports, and the protocol ids of TLS (RFC 7301) for them."""


def encrypted_server(item: Item) -> EncryptedDnsServer:
    """A name server of the list ``DNR`` (RFC 9463; systemd 257 and later).

    Raises:
        MalformedInput: it lacks its name or priority.
    """
    addresses = item.get("Addresses")
    transports = item.get("Transports")
    port = item.get("Port")
    return EncryptedDnsServer(
        number_of(item, "Priority", most=65535),
        check_domain_name(text_of(item, "ServerName")),
        tuple(address_of({"": each}, "") for each in (addresses if isinstance(addresses, list) else ())),
        tuple(alpn for word, alpn in TRANSPORTS.items() if isinstance(transports, list) and word in transports),
        port if type(port) is int and 0 < port < 65536 else None,
        text_of(item, "DoHPath") if "DoHPath" in item else None,
    )
