"""DHCPv6 leases in ISC dhclient's lease file: ``lease6 { … }`` blocks.

Each identity association is a block in it, ``ia-na`` or ``ia-pd``, and each address or prefix one in that. Times
are seconds since 1970 (``starts``) and seconds from then on. A lease that was given back says ``released``; without
addresses and prefixes (``-S``) dhclient writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import datetime
from ipaddress import IPv6Address, IPv6Network

from trimif._errors import MalformedInput
from trimif._facts import DHCPv6Lease, LeasedAddress
from trimif._information import Data, DelegatedPrefix, Information, LeaseTimes
from trimif._model import Origin
from trimif._wire.dhclient_options import encode_dhcpv6_options
from trimif._wire.dhclient_text import Block, one, read_epoch, read_number
from trimif._wire.dhcp_values import INFINITE, expect
from trimif._wire.dhcpv4_options import check_interface_name
from trimif._wire.dhcpv6_options import read_options

__all__ = ["lease6_of"]

Deadline = Callable[[datetime], float]


def lease6_of(block: Block, deadline: Deadline) -> DHCPv6Lease:
    """Make a lease of its block; one that was released has neither addresses nor prefixes, and has ended for ever.

    Raises:
        MalformedInput: interface, an address or a time is missing, or wrong.
    """
    plain = block.plain()
    interface = check_interface_name(one(plain.get("interface", ())).removeprefix('"'))
    origin = Origin("dhclient")
    if "released" in plain or _failed(block):
        return DHCPv6Lease(interface, origin, -math.inf)
    addresses = tuple(_addresses(block, deadline))
    prefixes = tuple(_prefixes(block, deadline))
    ends = [each.valid_until for each in addresses] + [each.valid_until for each in prefixes]
    valid_until = max(ends, default=-math.inf)
    data: Data = ((Information.LEASE, _times(block, deadline, valid_until)),)
    if prefixes:
        data += ((Information.DELEGATED_PREFIXES, prefixes),)
    data += read_options(encode_dhcpv6_options(block.options()), 0).data
    return DHCPv6Lease(interface, origin, valid_until, addresses, data)


def _failed(block: Block) -> bool:
    """The server's status is there, and is not success (RFC 8415, 21.13)."""
    status = block.options().get("dhcp6.status-code")
    return status is not None and status[:1] not in (("success",), ("0",))


def _within(block: Block, association: str, leased: str) -> Iterator[tuple[str, Block]]:
    """What the associations of one kind hold, with the word that names it, unless the server failed there."""
    for each in block.blocks:
        if each.words[:1] == (association,) and not _failed(each):
            held = [inner for inner in each.blocks if inner.words[:1] == (leased,) and not _failed(inner)]
            yield from ((one(inner.words[1:]), inner) for inner in held)


def _addresses(block: Block, deadline: Deadline) -> Iterator[LeasedAddress]:
    for text, inner in _within(block, "ia-na", "iaaddr"):
        try:
            address = IPv6Address(text)
        except ValueError:
            raise MalformedInput(f"{text!r} is not an IPv6 address") from None
        yield LeasedAddress(address, _after(inner, "max-life", deadline), _after(inner, "preferred-life", deadline))


def _prefixes(block: Block, deadline: Deadline) -> Iterator[DelegatedPrefix]:
    for text, inner in _within(block, "ia-pd", "iaprefix"):
        try:
            prefix = IPv6Network(text, strict=False)
        except ValueError:
            raise MalformedInput(f"{text!r} is not an IPv6 prefix") from None
        yield DelegatedPrefix(prefix, _after(inner, "max-life", deadline), _after(inner, "preferred-life", deadline))


def _times(block: Block, deadline: Deadline, valid_until: float) -> LeaseTimes:
    associations = [each for each in block.blocks if each.words[:1] in (("ia-na",), ("ia-pd",))]
    return LeaseTimes(
        renew_at=_earliest(associations, "renew", deadline),
        rebind_at=_earliest(associations, "rebind", deadline),
        valid_until=valid_until,
    )


def _earliest(associations: list[Block], what: str, deadline: Deadline) -> float | None:
    """T1 or T2; one of 0 leaves the choice to the client (RFC 8415, 14.2)."""
    told = [each for each in associations if each.plain().get(what, ("0",)) != ("0",)]
    return min((_after(each, what, deadline) for each in told), default=None)


def _after(block: Block, what: str, deadline: Deadline) -> float:
    plain = block.plain()
    expect("starts" in plain and what in plain, f"starts or {what} is missing")
    seconds = read_number(one(plain[what]))
    if seconds == INFINITE:
        return math.inf
    return read_epoch(read_number(one(plain["starts"])) + seconds, deadline)
