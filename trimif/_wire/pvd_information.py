"""The additional information of an explicit provisioning domain: the JSON object of RFC 8801, 4.3.

"A retrieved object that does not include all three of these keys [identifier, expires, prefixes] at the root of the
JSON object MUST be ignored. All three keys need to be validated; otherwise, the object MUST be ignored." So one
prefix that is none refuses all of it. An optional key whose value is not what it has to be is left out, and unknown
ones stay readable in `PvdInformation.text`. That the object is the right one for its domain, has not expired and
covers the advertised prefixes is for `trimif._additional` to see.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_network
from typing import Any

from trimif._errors import MalformedInput
from trimif._information import PvdInformation
from trimif._model import IPNetwork
from trimif._wire.domain_names import check_domain_name
from trimif._wire.json_object import optional_boolean, parse_object

__all__ = ["parse_pvd_information"]

_DATE_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,30}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)  # RFC 3339, 5.6


def parse_pvd_information(octets: bytes, deadline: Callable[[datetime], float]) -> PvdInformation:
    """Parse what a server of additional information answered.

    Args:
        deadline: turns a point in time into one of the program's clock.

    Raises:
        MalformedInput: it is no I-JSON object, or a mandatory key is missing or invalid.
    """
    members = parse_object(octets)
    return PvdInformation(
        identifier=check_domain_name(_string(members, "identifier")).lower(),
        expires=_deadline(_string(members, "expires"), deadline),
        prefixes=tuple(_prefix(each) for each in _array(members, "prefixes")),
        dns_zones=_zones(members.get("dnsZones")),
        no_internet=optional_boolean(members.get("noInternet")) or False,
        metered=optional_boolean(members.get("metered")),
        text=octets.decode("utf-8"),
    )


def _string(members: Mapping[str, Any], key: str) -> str:
    value = members.get(key)
    if not isinstance(value, str):
        raise MalformedInput(f"{key!r}, which is mandatory, is not there as a string")
    return value


def _array(members: Mapping[str, Any], key: str) -> list[Any]:
    value = members.get(key)
    if not isinstance(value, list):
        raise MalformedInput(f"{key!r}, which is mandatory, is not there as an array")
    return value


def _prefix(value: object) -> IPNetwork:
    """Bits behind the prefix length are ignored, as those of a prefix information option are (RFC 4861, 4.6.2)."""
    try:
        if isinstance(value, str) and "/" in value and "%" not in value:
            return ip_network(value, strict=False)
    except ValueError:
        pass
    raise MalformedInput(f"{value!r:.60} is no prefix")


def _zones(value: object) -> tuple[str, ...]:
    names = [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
    return tuple(dict.fromkeys(zone for name in names if (zone := _zone(name)) is not None))


def _zone(name: str) -> str | None:
    try:
        return check_domain_name(name).lower()
    except MalformedInput:
        return None


def _deadline(text: str, deadline: Callable[[datetime], float]) -> float:
    try:
        return deadline(_date_time(text))
    except (ValueError, OverflowError, OSError):
        raise MalformedInput(f"{text[:40]!r} is no date and time of RFC 3339") from None


def _date_time(text: str) -> datetime:
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    fraction, sign, hours, minutes = match.groups()[6:]
    zone = UTC if sign is None else timezone(timedelta(hours=int(hours), minutes=int(minutes)) * int(f"{sign}1"))
    leap = second == 60  # a leap second; Python's day has none
    microsecond = int((fraction or "0").ljust(6, "0")[:6])
    moment = datetime(year, month, day, hour, minute, second - leap, microsecond, zone)
    return moment + timedelta(seconds=leap)
