"""What dhcpcd says on its control socket: a block of ``name=value`` pieces, each ended by a zero octet.

A block is the environment that dhcpcd gives its hook script (:manpage:`dhcpcd-run-hooks(8)`): why it speaks
(``reason``), of which ``interface``, of which ``protocol``, and then what there is now, under names that begin with
``new_`` (DHCP), ``new_dhcp6_`` (DHCPv6), or ``nd1_``, ``nd2_``, … (one for each router). A block without those says
that there is nothing now: the lease expired, was released, the cable was pulled out. What there was before is shown
as ``old_``, and is of no interest.

On the wire each block has its length before it, a ``size_t`` of the host, and the answer to a request the number of
blocks, likewise.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from attrs import frozen

from trimif._errors import MalformedInput
from trimif._facts import Lease
from trimif._wire import dhcpv4_options, environment
from trimif._wire.environment import Encode

__all__ = ["DHCP", "DHCPV6", "LINK", "RA", "SIZE", "Statement", "dhcpv4_lease", "parse_statement"]

DHCP, DHCPV6, RA, LINK = "dhcp", "dhcp6", "ra", "link"
"""The protocols that are of interest; there are also ``ipv4ll`` and ``static6``."""

SIZE = struct.Struct("@N")
"""A length or a number, in the host's own size and order."""

_DHCPV4: Mapping[str, tuple[int, Encode]] = {
    # Without option 1 dhcpcd shows the mask of the address's class, which it sets.
    "new_subnet_mask": (1, environment.addresses4),
    "new_routers": (3, environment.addresses4),
    "new_domain_name_servers": (6, environment.addresses4),
    "new_domain_name": (15, environment.plain_text),
    "new_interface_mtu": (26, environment.number(2)),
    "new_ntp_servers": (42, environment.addresses4),
    "new_vendor_encapsulated_options": (43, environment.hexadecimal),
    "new_dhcp_lease_time": (51, environment.number(4)),
    "new_dhcp_server_identifier": (54, environment.addresses4),
    "new_dhcp_renewal_time": (58, environment.number(4)),
    "new_dhcp_rebinding_time": (59, environment.number(4)),
    "new_ipv6_only_preferred": (108, environment.number(4)),
    "new_captive_portal_uri": (114, environment.plain_text),
    "new_domain_search": (119, environment.names),
    "new_classless_static_routes": (121, environment.routes),
    "new_ms_classless_static_routes": (121, environment.routes),
    "new_wpad_url": (252, environment.plain_text),
}
_SELECTION = "new_rdnss_selection_"
_STATIC = "STATIC"


@frozen
class Statement:
    """A block: what dhcpcd says about one protocol on one interface.

    Attributes:
        reason: for example ``BOUND``, ``RENEW6``, ``EXPIRE``.
        protocol: `DHCP`, `DHCPV6`, `RA`, `LINK`, or another one.
        variables: everything that it says.
    """

    interface: str
    protocol: str
    reason: str
    variables: Mapping[str, str]


def parse_statement(octets: bytes) -> Statement:
    """Parse a block, without its length.

    Raises:
        MalformedInput: it is too long, or does not say of which interface or which protocol it is, or why.
    """
    variables = environment.split_variables(octets, b"\0")
    try:
        interface, protocol, reason = (variables[name] for name in ("interface", "protocol", "reason"))
    except KeyError as missing:
        raise MalformedInput(f"a block of dhcpcd lacks {missing}") from None
    return Statement(dhcpv4_options.check_interface_name(interface), protocol, reason, variables)


def dhcpv4_lease(statement: Statement, received: float) -> Lease | None:
    """The DHCPv4 lease that there is now, None if there is none.

    An address that a person set in dhcpcd's configuration is no lease. What an answer to a DHCPINFORM says is: it
    has no end.

    Args:
        received: when dhcpcd got it, on the clock of the deadlines.

    Raises:
        MalformedInput: the address is none.
    """
    variables = statement.variables
    if "new_ip_address" not in variables or statement.reason == _STATIC:
        return None
    address = dhcpv4_options.address(variables["new_ip_address"])
    options = environment.encode_options(variables, _DHCPV4)
    if selection := environment.encoded(lambda _: _selection(variables), variables.get(_SELECTION + "prf")):
        options[146] = selection
    return dhcpv4_options.lease_of(
        statement.interface, "dhcpcd", address, dhcpv4_options.read_options(options), received
    )


def _selection(variables: Mapping[str, str]) -> bytes:
    """Option 146 (RFC 6731, 4.3), whose fields are shown one by one; a server that is not there is 0.0.0.0."""
    preference = environment.number(1)(variables[_SELECTION + "prf"])
    servers = [variables.get(_SELECTION + each) or "0.0.0.0" for each in ("primary", "secondary")]
    domains = environment.names(variables.get(_SELECTION + "domains", ""))
    return preference + b"".join(map(environment.addresses4, servers)) + domains
