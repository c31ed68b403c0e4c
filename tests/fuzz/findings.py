"""Inputs that parsers did not take as they have to, when they were found: none must come back."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["FINDINGS"]


def _servers(*members: Any) -> bytes:
    return json.dumps({"DNSEx": [{"tuple": [5, 2, {"bytes": "cb007109"}, *members]}]}).encode()


def _link(**members: Any) -> bytes:
    return json.dumps(
        {"Interfaces": [{"Index": 2, "Name": "eth0", "AdministrativeState": "configured", **members}]}
    ).encode()


def _block(name: str, value: str) -> bytes:
    return f"interface=eth0\0protocol=dhcp6\0reason=BOUND6\0{name}={value}\0".encode()


_ROUTER = [254, 128, *[0] * 13, 1]
_FROM_ROUTER = {"ConfigSource": "NDisc", "ConfigProvider": _ROUTER}
_EMPTY_STRUCTURES = (
    bytes.fromhex("6c020001 08000000 01000000 09000000 08016700 03612829 00") + bytes(7) + b"\4" + bytes(7)
)

FINDINGS: tuple[tuple[str, bytes], ...] = (
    # 200 octets of memory for each of input: a block for each brace, a frame of the regular expression for each letter
    ("dhclient", b"{" * (1 << 18)),
    ("dhclient", b'"' + b"a" * (1 << 18)),
    # KeyError: the pattern had a unit that the table lacked
    ("time_span", b"8m"),
    # two quantifiers in turn over the same characters: seven seconds for these
    ("name_server", b":" * 16384 + b"x"),
    ("resolvconf_record", b"nameserver " + b":" * 16384 + b"x\n"),
    # struct.error: two characters of text are three octets, an address is sixteen
    ("dhcpcd", _block("new_dhcp6_ntp_server_fqdn", "a " * 30000)),
    ("dhcpcd", _block("new_dhcp6_ntp_server_addr", ":: " * 20000)),
    # TypeError, AttributeError, and ports that are none: fields were passed on whatever they were
    ("resolved_properties", _servers({})),
    ("resolved_properties", _servers(53, 255)),
    ("resolved_properties", _servers("53", "")),
    ("resolved_properties", _servers(65536, "")),
    # a second for these: each server was joined to those before it
    (
        "resolved_properties",
        json.dumps({"Domains": [{"tuple": [5, f"{i}.example", False]} for i in range(9999)]}).encode(),
    ),
    # numbers that no field could hold, and a URI that nobody could write down
    ("networkd_description", _link(Index=1 << 31, DNS=[{"Address": _ROUTER, **_FROM_ROUTER}])),
    ("networkd_description", _link(DNS=[{"Address": [198, 51, 100, 1], "Port": 1 << 16, "ConfigSource": "static"}])),
    ("networkd_description", _link(DNR=[{"Priority": 1 << 16, "ServerName": "a.example", "ConfigSource": "DHCPv4"}])),
    (
        "networkd_description",
        _link(CaptivePortal="https://portal.example/\ud800", DNS=[{"Address": _ROUTER, **_FROM_ROUTER}]),
    ),
    # OverflowError: a number that no float can hold
    ("recorded_line", b'{"time": 1' + b"0" * 400 + b', "facts": []}'),
    # fields of the header of another type than theirs
    (
        "system_bus",
        bytes.fromhex("6c010001 00000000 01000000 0c000000 01016900 05000000 05016700 00000000".replace(" ", "")),
    ),
    # endless, until the memory was full: an array of structures without fields, which take no octets
    ("system_bus", _EMPTY_STRUCTURES),
)
