"""Configuration data as text for people, a phrase for each type. Everything that a network told is escaped."""

from __future__ import annotations

import math
from functools import singledispatch
from typing import Any

from trimif._information import (
    DelegatedPrefix,
    DnsServerSelection,
    EncryptedDnsServer,
    Information,
    LeaseTimes,
    PortalInformation,
    PvdInformation,
    PvdOption,
    RawOption,
)
from trimif._model import InterfaceKind
from trimif.testing._text import escape, for_people

__all__ = ["describe_data", "describe_item"]

RAW_OCTETS = 16
"""So many octets of an unknown option are shown."""
PREFERENCES = {1: "preferred", 0: "", -1: "if no other does"}


def describe_data(information: Information[Any], data: Any, now: float) -> str:
    """Data of a configuration element: items with commas, ``none`` for an empty list.

    Args:
        now: to which the deadlines refer, in seconds on Trio's clock.
    """
    if information is Information.VALID_UNTIL:
        return for_people(data - now)
    if information is Information.IPV6_ONLY_WAIT:
        return for_people(data)
    if isinstance(data, tuple):
        return ", ".join(describe_item(item, now) for item in data) or "none"
    return describe_item(data, now)


@singledispatch
def describe_item(item: object, now: float) -> str:
    """One item of data."""
    return escape(item)


@describe_item.register
def _(item: bool, now: float) -> str:
    return "yes" if item else "no"


@describe_item.register
def _(item: InterfaceKind, now: float) -> str:
    return item.value


@describe_item.register
def _(item: EncryptedDnsServer, now: float) -> str:
    more = [*map(escape, item.alpn), *map(str, item.addresses)]
    more += [f"port {item.port}"] if item.port is not None else []
    return f"{escape(item.name)} ({' '.join(more)})" if more else escape(item.name)


@describe_item.register
def _(item: DnsServerSelection, now: float) -> str:
    domains = " ".join(escape(each) for each in item.domains) or "nothing"
    return " ".join(filter(None, [f"{item.server} for {domains}", PREFERENCES[item.preference]]))


@describe_item.register
def _(item: DelegatedPrefix, now: float) -> str:
    return f"{item.prefix} valid {for_people(item.valid_until - now)}"


@describe_item.register
def _(item: LeaseTimes, now: float) -> str:
    times = {"renewal in": item.renew_at, "rebinding in": item.rebind_at, "end in": item.valid_until}
    return ", ".join(_moment(what, at, now) for what, at in times.items() if at is not None)


def _moment(what: str, at: float, now: float) -> str:
    if at == math.inf:
        return what.replace(" in", " never")
    return f"{what} {for_people(at - now)}"


@describe_item.register
def _(item: PvdOption, now: float) -> str:
    more = ["additional information"] * item.http + ["IPv4 too"] * item.legacy
    return ", ".join([escape(item.identifier), *more, f"sequence number {item.sequence}"])


@describe_item.register
def _(item: PvdInformation, now: float) -> str:
    said = ["no Internet"] * item.no_internet + ["metered"] * (item.metered is True)
    said += [f"zones {' '.join(map(escape, item.dns_zones))}"] if item.dns_zones else []
    said += [f"prefixes {' '.join(map(str, item.prefixes))}"] if item.prefixes else []
    return ", ".join([escape(item.identifier), *said, f"expires in {for_people(item.expires - now)}"])


@describe_item.register
def _(item: PortalInformation, now: float) -> str:
    said = ["captive" if item.captive else "open"]
    said += [f"log in at {escape(item.user_portal_url)}"] if item.user_portal_url else []
    said += [f"about the place {escape(item.venue_info_url)}"] if item.venue_info_url else []
    said += [_moment("session ends in", item.session_until, now)] if item.session_until is not None else []
    said += [f"{item.octets_remaining} octets left"] if item.octets_remaining is not None else []
    return ", ".join(said)


@describe_item.register
def _(item: RawOption, now: float) -> str:
    more = "…" if len(item.octets) > RAW_OCTETS else ""
    return f"{item.code} {item.octets[:RAW_OCTETS].hex(' ')}{more}".rstrip()
