"""The lease that pyroute2's own DHCPv4 client writes: ``<interface>.lease.json`` (its class ``JSONFileLease``).

An object with the whole DHCPACK, the interface's name and the time when the lease was obtained, in seconds since
1970. Options have their names of pyroute2's ``enums.dhcp.Option`` in lower case, or ``option162``. Those that pyroute2
decodes are addresses, numbers and texts; the others, 119 and 121 among them, are lists of octets. The client rewrites
the file in place at each renewal and never removes it: after a release or an expiry it is stale, and does not say so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from trimif._errors import MalformedInput
from trimif._facts import Lease
from trimif._wire import dhcpv4_options as dhcpv4
from trimif._wire.dhcp_values import expect
from trimif._wire.domain_names import encode_name

__all__ = ["parse_lease"]

# Names, codes, and what pyroute2 decodes them to: addresses, numbers of so many octets, text. The others, and those
# without a name, are lists of octets in any case.
_NAMES = """
subnet_mask 1 address; time_offset 2 4; router 3 address; time_server 4 address; ien_name_server 5 address;
name_server 6 address; log_server 7 address; cookie_server 8 address; lpr_server 9 address; impress_server 10 address;
resource_location_server 11 address; host_name 12 text; boot_file_size 13 2; merit_dump_file 14 text;
domain_name 15 text; swap_server 16 address; root_path 17 text; extensions_path 18 text; policy_filter 21 octets;
max_datagram_reassembly 22 2; default_ttl 23 1; path_mtu_aging_timeout 24 4; path_mtu_plateau_table 25 octets;
interface_mtu 26 2; broadcast_address 28 address; router_solicitation_address 32 address; static_route 33 octets;
arp_cache_timeout 35 4; tcp_default_ttl 37 1; tcp_keepalive_interval 38 4; nis_domain 40 text; nis_servers 41 address;
ntp_servers 42 address; vendor_specific_information 43 text; netbios_name_server 44 address;
netbios_ddg_server 45 address; netbios_node_type 46 1; netbios_scope 47 text; x_window_font_server 48 address;
x_window_display_manager 49 address; lease_time 51 4; server_id 54 address; message 56 text; renewal_time 58 4;
rebinding_time 59 4; vendor_id 60 text; nis_plus_domain 64 octets; nis_plus_servers 65 octets;
tftp_server_name 66 text; bootfile_name 67 text; smtp_server 69 octets; pop3_server 70 octets; client_fqdn 81 octets;
nds_servers 85 address; posix_timezone 100 octets; tzdb_timezone 101 octets; ipv6_only_preferred 108 octets;
dhcp_captive_portal 114 octets; domain_search 119 names; sip_servers 120 octets; classless_static_route 121 octets;
vendor_identifying_class 124 octets; vendor_identifying_opts 125 octets; rdnss_selection 146 octets;
tftp_server_addr 150 octets; old_captive_portal 160 octets; mud_url 161 octets; cisco_requested_host_name 162 octets;
private_classic_route_ms 249 octets; private_proxy_autodiscovery 252 octets
"""
_OPTIONS = {name: (int(code), kind) for name, code, kind in (row.split() for row in _NAMES.split(";"))}
_NUMBERED = re.compile(r"option([0-9]{1,3})")


def parse_lease(text: str, deadline: Callable[[datetime], float]) -> Lease:
    """Parse the file's text. A lease that has expired comes back with a deadline that has passed.

    Args:
        deadline: turns a time (aware, UTC) into `Lease.valid_until` and the like.

    Raises:
        MalformedInput: it is not such a file, or was written only in part.
    """
    content = _object(_load(text))
    acknowledgement = _object(content.get("ack"))
    options = dhcpv4.read_options(dict(_encoded(_object(acknowledgement.get("options")))))
    expect(options.lease_seconds is not None, "the lease has no lease time")
    interface = dhcpv4.check_interface_name(_text(content.get("interface")))
    address = dhcpv4.address(acknowledgement.get("yiaddr"))
    return dhcpv4.lease_of(interface, "pyroute2", address, options, _time(content.get("obtained"), deadline))


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


def _time(value: object, deadline: Callable[[datetime], float]) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise MalformedInput(f"a time was to be there, not a {type(value).__name__}")
    try:
        return deadline(datetime.fromtimestamp(value, UTC))
    except (ValueError, OverflowError, OSError):
        raise MalformedInput(f"{value!r} is no time") from None


# ---------------------------------------------------------------- options, back to octets


def _encoded(options: Mapping[str, Any]) -> Iterator[tuple[int, bytes]]:
    """Codes and octets of the options that have the form which their name asks for."""
    for name, value in options.items():
        numbered = _NUMBERED.fullmatch(name)
        row = (int(numbered[1]), "octets") if numbered else _OPTIONS.get(name)
        if row is None:
            continue
        octets = dhcpv4.optional(_encode, (value, row[1]), None)
        if octets is not None:
            yield row[0], octets


def _encode(item: tuple[object, str]) -> bytes:
    value, kind = item
    if isinstance(value, list) and all(isinstance(each, int) for each in value):
        return _octets(value)
    if kind == "address":
        return b"".join(address.packed for address in dhcpv4.addresses(_texts(value)))
    if kind == "names":
        return b"".join(encode_name(name) for name in dhcpv4.search_domains(map(_text, _texts(value))))
    if kind == "text":
        return _text(value).encode("utf-8", "replace")
    return _number(value, kind)


def _texts(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _octets(values: list[Any]) -> bytes:
    try:
        return bytes(values)
    except ValueError:
        raise MalformedInput("a list of octets was to be there") from None


def _number(value: object, size: str) -> bytes:
    """Of four octets some are decoded as signed, so that a lease for ever has -1 seconds (RFC 2131, 3.3)."""
    if not isinstance(value, int) or isinstance(value, bool) or not size.isdigit():
        raise MalformedInput(f"a number was to be there, not {value!r}"[:200])
    bits = 8 * int(size)
    expect(-(1 << (bits - 1)) <= value < 1 << bits, f"the number does not fit into {size} octets")
    return (value & ((1 << bits) - 1)).to_bytes(bits // 8, "big")
