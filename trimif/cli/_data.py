"""Configuration data on the command line: a label for each identifier, and data as JSON."""

from __future__ import annotations

import enum
import json
import math
from typing import Any

import attrs

from trimif import Information, PvdInformation
from trimif.cli._terminal import seconds_left

__all__ = ["LABELS", "data_to_json"]

LABELS: dict[Information[Any], str] = {
    Information.DNS_SERVERS: "DNS servers",
    Information.SEARCH_DOMAINS: "search domains",
    Information.SPLIT_DOMAINS: "split domains",
    Information.DNS_SELECTION: "DNS selection",
    Information.ENCRYPTED_DNS: "encrypted DNS",
    Information.ROUTERS: "routers",
    Information.ROUTES: "routes",
    Information.PREFIXES: "prefixes",
    Information.DELEGATED_PREFIXES: "delegated prefixes",
    Information.PREF64: "NAT64 prefixes",
    Information.MTU: "MTU",
    Information.NTP_SERVERS: "NTP servers",
    Information.NTP_NAMES: "NTP servers by name",
    Information.CAPTIVE_PORTAL: "captive portal API",
    Information.PORTAL: "captive portal",
    Information.PVD: "provisioning domain",
    Information.PVD_INFORMATION: "additional information",
    Information.LEASE: "lease",
    Information.IPV6_ONLY_WAIT: "IPv6-only wait",
    Information.WEB_PROXY: "web proxy",
    Information.METERED: "metered",
    Information.LINK_TYPE: "link",
    Information.RAW_OPTIONS: "other options",
    Information.VALID_UNTIL: "valid",
}

DEADLINES = frozenset({"expires", "preferred_until", "rebind_at", "renew_at", "session_until", "valid_until"})
"""Fields of values that are deadlines; as JSON they are seconds left."""


def data_to_json(information: Information[Any], data: Any, now: float) -> Any:
    """Data, or one item of them, as plain JSON: values become objects, octets hexadecimal digits.

    Args:
        now: times are seconds left at that moment, None for ever.
    """
    return seconds_left(data, now) if information is Information.VALID_UNTIL else _plain(data, now)


def _plain(value: Any, now: float) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(item, now) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return _fields(value, now) if attrs.has(type(value)) else str(value)


def _fields(value: Any, now: float) -> dict[str, Any]:
    plain = {}
    for name in (each.name for each in attrs.fields(type(value))):
        field = getattr(value, name)
        is_deadline = name in DEADLINES and field is not None
        plain[name.removesuffix("_until")] = seconds_left(field, now) if is_deadline else _plain(field, now)
    if isinstance(value, PvdInformation):
        plain["text"] = json.loads(value.text)
    return plain
