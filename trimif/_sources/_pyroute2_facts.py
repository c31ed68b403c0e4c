"""Facts from rtnetlink messages as pyroute2 decodes them: the reference that `trimif._wire.netlink_facts` is held to.

A message of pyroute2 is a dictionary: the fields of its fixed structure, and under ``"attrs"`` a list of attributes
with a name and a value, decoded when it is looked at. What an attribute of wrong length becomes depends on its type
(raw octets, other types, a value read past its end), and a missing one is only missed here. So whatever goes wrong on
the way to a fact is the message's fault: `MalformedInput`.

Only the decoding is pyroute2's. Which messages and routes count, and what the numbers mean, is told in the modules
`netlink_links`, `netlink_addresses` and `netlink_routes` of `trimif._wire`, and is the same here.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any, TypeAlias

from trimif._errors import MalformedInput
from trimif._facts import AddressFact, AddressGone, AddressProtocol, Fact, LinkFact, LinkGone, RouteFact, RouteGone
from trimif._model import IPAddress, IPNetwork
from trimif._wire import netlink_addresses as address
from trimif._wire import netlink_links as link
from trimif._wire import netlink_routes as route
from trimif._wire.netlink_facts import (
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
)

__all__ = ["Pyroute2Message", "facts_of"]

Pyroute2Message: TypeAlias = Any
"""What pyroute2's sockets and its parser give, a ``nlmsg``; the library has no types."""

Found: TypeAlias = dict[str, Any]


def facts_of(message: Pyroute2Message, now: float) -> tuple[Fact, ...]:
    """The facts in a message that came at `now`, on the clock of the deadlines; none if it is about something else.

    Raises:
        MalformedInput: the message lacks something, or has something else in its place.
    """
    try:
        reader = _READERS.get(message["header"]["type"])
        if not message.decoded:
            raise ValueError("it gave up in the middle, and says so nowhere else")
        return () if reader is None else tuple(reader(message, now))
    except Exception as fault:  # pyroute2 says nowhere what decoding an attribute may raise
        raise MalformedInput(f"pyroute2 makes no sense of a message: {fault!r}") from fault


def _attributes(message: Pyroute2Message) -> Found:
    """By name, not decoded yet; of one that comes twice the last counts, as in the kernel's own parser."""
    return {slot.name: slot for slot in message["attrs"]}


# ---------------------------------------------------------------- links


def _link(message: Pyroute2Message, _now: float) -> Iterator[LinkFact]:
    found = _attributes(message)
    if message["family"] != socket.AF_UNSPEC or "IFLA_IFNAME" not in found or "IFLA_MTU" not in found:
        return
    yield LinkFact(
        _index(message["index"]),
        _name(found["IFLA_IFNAME"].value),
        link.link_kind(message["ifi_type"], _driver(found)),
        found["IFLA_MTU"].value,
        bool(message["flags"] & link.IFF_UP),
        bool(message["flags"] & link.IFF_LOWER_UP),
    )


def _name(value: str | bytes) -> str:
    """pyroute2 leaves octets that are no UTF-8 alone, and does not look for the zero that ends a name."""
    text = value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")
    return text.partition("\0")[0]


def _link_gone(message: Pyroute2Message, _now: float) -> Iterator[LinkGone]:
    if message["family"] == socket.AF_UNSPEC:
        yield LinkGone(_index(message["index"]))


def _driver(found: Found) -> bytes | None:
    information = _attributes(found["IFLA_LINKINFO"].value) if "IFLA_LINKINFO" in found else {}
    driver = information.get("IFLA_INFO_KIND")
    if driver is None:
        return None
    return driver.value.encode() if isinstance(driver.value, str) else driver.value


# ---------------------------------------------------------------- addresses


def _address(message: Pyroute2Message, now: float) -> Iterator[AddressFact]:
    family, found = message["family"], _attributes(message)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return
    own = found.get("IFA_LOCAL") or found["IFA_ADDRESS"]  # IFA_ADDRESS is the peer's on a point-to-point link
    flags = found["IFA_FLAGS"].value if "IFA_FLAGS" in found else message["flags"]
    valid_until, preferred_until = _lifetimes(found, now)
    if flags & address.IFA_F_DEPRECATED:
        preferred_until = min(preferred_until, now)
    tentative = flags & address.IFA_F_TENTATIVE and not flags & address.IFA_F_OPTIMISTIC
    yield AddressFact(
        _index(message["index"]),
        _ip_address(family, own.value),
        message["prefixlen"],
        valid_until,
        preferred_until,
        bool(tentative or flags & address.IFA_F_DADFAILED),
        family == socket.AF_INET6 and bool(flags & address.IFA_F_TEMPORARY),
        _address_protocol(family, flags, found),
    )


def _address_gone(message: Pyroute2Message, now: float) -> Iterator[AddressGone]:
    for each in _address(message, now):
        yield AddressGone(each.index, each.address, each.prefix_length)


def _lifetimes(found: Found, now: float) -> tuple[float, float]:
    if "IFA_CACHEINFO" not in found:
        return math.inf, math.inf
    information = found["IFA_CACHEINFO"].value
    return _deadline(information["ifa_valid"], now), _deadline(information["ifa_preferred"], now)


def _deadline(seconds: int, now: float) -> float:
    return math.inf if seconds == address.INFINITE else now + seconds


def _address_protocol(family: int, flags: int, found: Found) -> AddressProtocol:
    if "IFA_PROTO" in found:
        number = found["IFA_PROTO"].value
        return AddressProtocol(number) if number in iter(AddressProtocol) else AddressProtocol.UNSPECIFIED
    advertised = flags & (address.IFA_F_TEMPORARY | address.IFA_F_MANAGETEMPADDR)
    if family == socket.AF_INET6 and advertised:
        return AddressProtocol.ROUTER_ADVERTISEMENT
    return AddressProtocol.UNSPECIFIED


# ---------------------------------------------------------------- routes


def _routes(message: Pyroute2Message, now: float) -> Iterator[RouteFact]:
    family, found = message["family"], _attributes(message)
    table = found["RTA_TABLE"].value if "RTA_TABLE" in found else message["table"]
    if (
        family not in (socket.AF_INET, socket.AF_INET6)
        or message["type"] != route.RTN_UNICAST
        or route.RT_TABLE_LOCAL in (table, message["table"])
        or message["flags"] & route.RTM_F_CLONED
    ):
        return
    destination = _destination(message, found)
    metric = found["RTA_PRIORITY"].value if "RTA_PRIORITY" in found else 0
    expires = _expires(found, now)
    for index, gateway in _next_hops(message, found):
        yield RouteFact(index, destination, gateway, metric, table, message["proto"], expires)


def _routes_gone(message: Pyroute2Message, now: float) -> Iterator[RouteGone]:
    for each in _routes(message, now):
        yield RouteGone(each)


def _destination(message: Pyroute2Message, found: Found) -> IPNetwork:
    nowhere = "0.0.0.0" if message["family"] == socket.AF_INET else "::"
    if "RTA_DST" not in found and message["dst_len"]:
        raise ValueError("a prefix without an address")
    base = _ip_address(message["family"], found["RTA_DST"].value if "RTA_DST" in found else nowhere)
    return ip_network((base, message["dst_len"]), strict=False)


def _next_hops(message: Pyroute2Message, found: Found) -> Iterator[tuple[int, IPAddress | None]]:
    family = message["family"]
    if "RTA_OIF" in found and not message["flags"] & route.RTNH_F_DEAD:
        yield _index(found["RTA_OIF"].value), _gateway(family, found)
    for hop in found["RTA_MULTIPATH"].value if "RTA_MULTIPATH" in found else ():
        if not hop["flags"] & route.RTNH_F_DEAD:
            yield _index(hop["oif"]), _gateway(family, _attributes(hop))


def _gateway(family: int, found: Found) -> IPAddress | None:
    """RTA_VIA is a gateway of another family (RFC 5549)."""
    if "RTA_GATEWAY" in found:
        return _ip_address(family, found["RTA_GATEWAY"].value)
    if "RTA_VIA" in found:
        via = found["RTA_VIA"].value
        return _ip_address(via["family"], via["addr"])
    return None


def _expires(found: Found, now: float) -> float:
    ticks = found["RTA_CACHEINFO"].value["rta_expires"] if "RTA_CACHEINFO" in found else 0
    return now + ticks / route.USER_HZ if ticks else math.inf


# ---------------------------------------------------------------- numbers and addresses


def _index(number: int) -> int:
    if not 0 < number < 0x80000000:
        raise ValueError(f"there is no link {number}")
    return number


def _ip_address(family: int, text: str) -> IPAddress:
    if not isinstance(text, str):  # octets that pyroute2 could not decode; ip_address takes them
        raise TypeError(f"{text!r} is no address")
    found = ip_address(text)
    if (found.version, family) not in ((4, socket.AF_INET), (6, socket.AF_INET6)):
        raise ValueError(f"{found} is not of family {family}")
    return found


_READERS: dict[int, Callable[[Pyroute2Message, float], Iterable[Fact]]] = {
    RTM_NEWLINK: _link,
    RTM_DELLINK: _link_gone,
    RTM_NEWADDR: _address,
    RTM_DELADDR: _address_gone,
    RTM_NEWROUTE: _routes,
    RTM_DELROUTE: _routes_gone,
}
