"""The one list of every parser of octets or text from outside. Who writes a new one adds it to one of the two files."""

from __future__ import annotations

from . import from_host, from_network
from .parser import Parser

__all__ = ["PARSERS", "WRITERS"]

PARSERS: dict[str, Parser] = {each.name: each for each in (*from_network.PARSERS, *from_host.PARSERS)}

_WRITERS = """
dhcp_questions.inform dhcp_questions.information_request dhcp_questions.dhcpv4_waits dhcp_questions.dhcpv6_waits
dhcpv4_message.encode_message dhcpv6_message.encode_message domain_names.encode_name
encrypted_dns.encode_encrypted_dns service_parameters.encode_service_parameters
neighbour_discovery.encode_router_advertisement neighbour_discovery.router_solicitation
neighbour_discovery_encoder.encode_options neighbour_discovery_domains.encode_domain_head
neighbour_discovery_fields.frame neighbour_discovery_fields.pack neighbour_discovery_fields.lifetime
neighbour_discovery_header.encode_header
netlink_requests.dump_links netlink_requests.dump_addresses netlink_requests.dump_routes
netlink_requests.get_link netlink_requests.get_route
"""
WRITERS = frozenset(f"trimif._wire.{name}" for name in _WRITERS.split())
"""Public functions of `trimif._wire` that make octets, or times, of the program's own values."""
