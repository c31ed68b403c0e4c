"""The lease file of ISC dhclient: :manpage:`dhclient.leases(5)`, format in :manpage:`dhclient.conf(5)`.

dhclient appends a ``lease { … }`` block, or with -6 a ``lease6 { … }`` block, whenever a lease is acquired, renewed
or released, and the last one for an interface counts; now and then it rewrites the file in place. Blocks of other
kinds (``alias``) are skipped. A released DHCPv4 lease is one that expires at once; an expired one stays in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from ipaddress import IPv4Address

from attrs import evolve

from trimif._facts import DHCPv6Lease, Lease
from trimif._information import Information, LeaseTimes
from trimif._wire import dhcpv4_options as dhcpv4
from trimif._wire.dhclient6 import lease6_of
from trimif._wire.dhclient_options import encode_dhcpv4_options
from trimif._wire.dhclient_text import Block, Statement, one, read_blocks, read_time

__all__ = ["parse_leases"]


def parse_leases(text: str, deadline: Callable[[datetime], float]) -> tuple[Lease | DHCPv6Lease, ...]:
    """Parse a lease file: the last lease of each interface and family, in the order in which they first appear.

    Expired and released leases are there too, with a deadline that has passed: only they tell that an interface
    had a lease and gave it up. Dropping them is the caller's, who knows the time.

    Args:
        deadline: turns a time (aware, UTC) into `Lease.valid_until` and the like.

    Raises:
        MalformedInput: the text is not a lease file, or a lease lacks interface, address or expiry.
    """
    leases: dict[tuple[str, type], Lease | DHCPv6Lease] = {}
    for block in read_blocks(text):
        if make := _KINDS.get(tuple(block.words)):
            lease = make(block, deadline)
            leases[lease.interface, type(lease)] = lease
    return tuple(leases.values())


def _lease(block: Block, deadline: Callable[[datetime], float]) -> Lease:
    plain = block.plain()

    def time(words: Statement) -> float:
        return read_time(words, deadline)

    interface = dhcpv4.check_interface_name(one(plain.get("interface", ())).removeprefix('"'))
    options = dhcpv4.read_options(encode_dhcpv4_options(block.options()))
    lease = dhcpv4.lease_of(interface, "dhclient", _address(plain.get("fixed-address", ())), options, 0)
    # What dhclient writes is when it acts: rounded, with its own defaults, and cut short by a release.
    times = LeaseTimes(
        renew_at=dhcpv4.optional(time, plain.get("renew"), None),
        rebind_at=dhcpv4.optional(time, plain.get("rebind"), None),
        valid_until=time(plain.get("expire", ())),
    )
    return evolve(lease, valid_until=times.valid_until, data=((Information.LEASE, times), *options.data))


def _address(words: Statement) -> IPv4Address:
    return dhcpv4.address(one(words))


_KINDS: dict[tuple[str, ...], Callable[[Block, Callable[[datetime], float]], Lease | DHCPv6Lease]] = {
    ("lease",): _lease,
    ("lease6",): lease6_of,
}
