"""Asking a network's DHCP servers for configuration without a lease: what is sent, and what is an answer to it.

DHCPv4 has DHCPINFORM (RFC 2131, 4.4.3), for a host that has its address already; DHCPv6 has Information-Request
(RFC 8415, 18.2.6). Questions are pure functions of their transaction id; so is the time to wait, of chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

from attrs import frozen

from trimif._model import Value
from trimif._wire import dhcpv4_message, dhcpv6_message
from trimif._wire import dhcpv6_options as dhcpv6
from trimif._wire.dhcp_values import INFINITE, expect, number
from trimif._wire.dhcpv4_message import DHCPv4Message
from trimif._wire.dhcpv6_message import DHCPv6Message

__all__ = [
    "LONGEST_WAIT",
    "LinkLayerAddress",
    "dhcpv4_waits",
    "dhcpv6_waits",
    "inform",
    "information_request",
    "longest_wait",
    "parse_inform_answer",
    "parse_information_answer",
    "refresh_seconds",
]

WANTED_V4 = bytes((1, 3, 6, 15, 26, 42, 43, 108, 114, 119, 121, 146, 162, 252))
PARAMETER_REQUEST_LIST = 55

WANTED_V6 = (23, 24, 31, 32, 56, 74, 83, 103, 144)  # "MUST include … INF_MAX_RT", refresh time (RFC 8415, 18.2.6)
OPTION_REQUEST = 6
ELAPSED_TIME = 8
INF_MAX_RT = 83
INFORMATION_REFRESH = 32
DUID_LINK_LAYER = 3  # RFC 8415, 11.4

INFORMATION_REFRESH_DEFAULT = 86400.0  # IRT_DEFAULT, seconds (RFC 8415, 7.6)
INFORMATION_REFRESH_MINIMUM = 600.0  # IRT_MINIMUM
LONGEST_WAIT = 3600.0  # INF_MAX_RT, seconds

Chance = Callable[[float, float], float]
"""A random number between two, as `random.uniform`."""


@frozen(repr=False)
class LinkLayerAddress(Value):
    """Of the interface that asks.

    Attributes:
        hardware_type: as in ARP; 1 for Ethernet.
        octets: at most 16; empty where there is none.
    """

    hardware_type: int
    octets: bytes


# ---------------------------------------------------------------- DHCPv4


def inform(transaction: int, address: IPv4Address, link: LinkLayerAddress) -> bytes:
    """A DHCPINFORM of the host that has this address."""
    return dhcpv4_message.encode_message(
        DHCPv4Message(
            reply=False,
            kind=dhcpv4_message.INFORM,
            transaction=transaction,
            client_address=address,
            hardware_address=link.octets,
            hardware_type=link.hardware_type,
            options={PARAMETER_REQUEST_LIST: WANTED_V4},
        )
    )


def parse_inform_answer(octets: bytes, transaction: int, link: LinkLayerAddress) -> DHCPv4Message:
    """Parse the DHCPACK to a DHCPINFORM.

    Raises:
        MalformedInput: it is something else, or an answer to somebody else.
    """
    message = dhcpv4_message.parse_message(octets)
    expect(message.reply and message.kind == dhcpv4_message.ACK, "it is no DHCPACK")
    expect(message.transaction == transaction, "it answers another question")
    expect(message.hardware_address == link.octets, "it answers another host")
    return message


def dhcpv4_waits(chance: Chance) -> Iterator[float]:
    """Seconds to wait for an answer, without end: "4 seconds randomized by … +/-1", doubled up to 64 (RFC 2131, 4.1).

    "60 seconds or 4 tries" after (RFC 2131, 4.4.3) people would be told; a program asks on, ever more seldom, as
    DHCPv6 does: the server may be switched on later.
    """
    seconds = 4.0
    while True:
        yield seconds + chance(-1, 1)
        seconds = min(2 * seconds, LONGEST_WAIT)


# ---------------------------------------------------------------- DHCPv6


def information_request(transaction: int, elapsed: float, link: LinkLayerAddress) -> bytes:
    """An Information-Request, so many seconds after the first one of its transaction."""
    hundredths = min(0xFFFF, int(elapsed * 100))
    wanted = b"".join(code.to_bytes(2, "big") for code in WANTED_V6)
    options = [(ELAPSED_TIME, hundredths.to_bytes(2, "big")), (OPTION_REQUEST, wanted)]
    if link.octets:
        options.insert(0, (dhcpv6.CLIENT_ID, _identifier(link)))
    message = DHCPv6Message(dhcpv6_message.INFORMATION_REQUEST, transaction, tuple(options))
    return dhcpv6_message.encode_message(message)


def _identifier(link: LinkLayerAddress) -> bytes:
    return DUID_LINK_LAYER.to_bytes(2, "big") + link.hardware_type.to_bytes(2, "big") + link.octets


def parse_information_answer(octets: bytes, transaction: int, link: LinkLayerAddress) -> DHCPv6Message:
    """Parse the Reply to an Information-Request (RFC 8415, 16.10).

    Raises:
        MalformedInput: it is something else, an answer to somebody else, or says that the server failed.
    """
    message = dhcpv6_message.parse_message(octets)
    expect(message.kind == dhcpv6_message.REPLY, "it is no Reply")
    expect(message.transaction == transaction, "it answers another question")
    expect(message.first(dhcpv6.SERVER_ID) is not None, "the server does not say who it is")
    asked_as = _identifier(link) if link.octets else None
    expect(message.first(dhcpv6.CLIENT_ID) == asked_as, "it answers another host")
    status = message.first(dhcpv6.STATUS_CODE)
    expect(status is None or number(status[:2], 2) == 0, "the server failed")
    return message


def dhcpv6_waits(chance: Chance, longest: float = LONGEST_WAIT) -> Iterator[float]:
    """Seconds to wait for an answer, without end: INF_TIMEOUT 1 s, then ever longer (RFC 8415, 15 and 18.2.6).

    Args:
        longest: INF_MAX_RT.
    """
    seconds = 1.0 + chance(-0.1, 0.1)
    while True:
        yield seconds
        seconds = min(2 * seconds + chance(-0.1, 0.1) * seconds, longest * (1 + chance(-0.1, 0.1)))


def longest_wait(message: DHCPv6Message) -> float:
    """INF_MAX_RT in seconds, of the server if it tells one "between 60 and 86400" (RFC 8415, 21.25)."""
    octets = message.first(INF_MAX_RT) or b""
    seconds = int.from_bytes(octets, "big")
    return float(seconds) if len(octets) == 4 and 60 <= seconds <= 86400 else LONGEST_WAIT


def refresh_seconds(message: DHCPv6Message) -> float:
    """After how long the configuration is to be asked for again, `math.inf` for never (RFC 8415, 21.23)."""
    octets = message.first(INFORMATION_REFRESH) or b""
    if len(octets) != 4:
        return INFORMATION_REFRESH_DEFAULT
    seconds = int.from_bytes(octets, "big")
    return math.inf if seconds == INFINITE else max(INFORMATION_REFRESH_MINIMUM, float(seconds))
