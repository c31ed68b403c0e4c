"""RTM_NEWLINK and RTM_DELLINK: network interfaces (``linux/if_link.h``, ``linux/if_arp.h``).

Two sorts of messages bear the same types and must not be taken for them: those of another family than AF_UNSPEC (a
bridge says with AF_BRIDGE that a port left it, IPv6 says with AF_INET6 that a router advertisement changed a flag;
the link is still there), and wireless events (IFLA_WIRELESS), which tell neither the name nor the MTU.
"""

from __future__ import annotations

import struct

from trimif._errors import MalformedInput
from trimif._facts import LinkFact, LinkGone
from trimif._model import InterfaceKind
from trimif._wire.netlink import AF_UNSPEC, Message, attributes

__all__ = ["link_fact", "link_gone", "link_kind"]

IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_LINKINFO = 18
IFLA_INFO_KIND = 1

IFF_UP = 0x1
IFF_LOWER_UP = 0x10000

ARPHRD_ETHER = 1

_LINK = struct.Struct("=BxHiII")
_NUMBER = struct.Struct("=I")

_KIND_BY_DRIVER = {
    **dict.fromkeys((b"bridge", b"openvswitch"), InterfaceKind.BRIDGE),
    **dict.fromkeys((b"wwan", b"rmnet"), InterfaceKind.CELLULAR),
    **dict.fromkeys((b"tun", b"wireguard", b"ovpn", b"ovpn-dco", b"ppp"), InterfaceKind.TUNNEL),
    **dict.fromkeys((b"ipip", b"sit", b"ip6tnl", b"gre", b"ip6gre", b"xfrm", b"vti", b"vti6"), InterfaceKind.TUNNEL),
    **dict.fromkeys((b"gretap", b"ip6gretap", b"erspan", b"ip6erspan", b"vxlan", b"geneve"), InterfaceKind.TUNNEL),
    **dict.fromkeys((b"bareudp", b"amt", b"gtp"), InterfaceKind.TUNNEL),
    b"dsa": InterfaceKind.ETHERNET,  # a port of a switch: a socket in the wall of a router
    b"virt_wifi": InterfaceKind.WIFI,
    **dict.fromkeys((b"can", b"ipoib", b"lowpan"), InterfaceKind.OTHER),
}
"""By IFLA_INFO_KIND; every other driver that gives one makes links out of other links: VIRTUAL.

A VLAN or a bond is VIRTUAL whatever is below it: that is another interface, with a kind of its own."""

_KIND_BY_HARDWARE = {
    ARPHRD_ETHER: InterfaceKind.ETHERNET,
    **dict.fromkeys((801, 802, 803), InterfaceKind.WIFI),
    772: InterfaceKind.LOOPBACK,
    519: InterfaceKind.CELLULAR,  # ARPHRD_RAWIP
    **dict.fromkeys((512, 768, 769, 776, 778, 823, 65534), InterfaceKind.TUNNEL),
}
"""By ARPHRD_…; wireless interfaces that are in use call themselves Ethernet, only sysfs knows better."""


def link_fact(message: Message) -> LinkFact | None:
    """What an RTM_NEWLINK message says; None if it is about something else than the link itself.

    Raises:
        MalformedInput: it does not follow its format.
    """
    family, hardware, index, flags = _head(message)
    if family != AF_UNSPEC:
        return None
    found = attributes(message.body, 16)
    name, mtu = found.get(IFLA_IFNAME), found.get(IFLA_MTU)
    if name is None or mtu is None:
        return None
    if len(mtu) != 4:
        raise MalformedInput(f"the MTU of link {index} has {len(mtu)} octets")
    return LinkFact(
        index,
        name.partition(b"\0")[0].decode("utf-8", "backslashreplace"),
        _kind(hardware, found.get(IFLA_LINKINFO)),
        _NUMBER.unpack(mtu)[0],
        bool(flags & IFF_UP),
        bool(flags & IFF_LOWER_UP),
    )


def link_gone(message: Message) -> LinkGone | None:
    """What an RTM_DELLINK message says; None and errors as in :func:`link_fact`."""
    family, _hardware, index, _flags = _head(message)
    return None if family != AF_UNSPEC else LinkGone(index)


def _head(message: Message) -> tuple[int, int, int, int]:
    if len(message.body) < 16:
        raise MalformedInput(f"a link message of {len(message.body)} octets is cut off")
    family, hardware, index, flags, _change = _LINK.unpack_from(message.body)
    if index <= 0:
        raise MalformedInput(f"a link has the index {index}")
    return family, hardware, index, flags


def link_kind(hardware: int, driver: bytes | None) -> InterfaceKind:
    """The sort of a link by its hardware type (ARPHRD_…) and the name of its driver (IFLA_INFO_KIND), if it tells one.

    The driver knows best: a tap device and a veth both have Ethernet's hardware type.
    """
    if driver is None:
        return _KIND_BY_HARDWARE.get(hardware, InterfaceKind.OTHER)
    return _KIND_BY_DRIVER.get(driver, InterfaceKind.VIRTUAL)


def _kind(hardware: int, information: bytes | None) -> InterfaceKind:
    driver = None if information is None else attributes(information, 0).get(IFLA_INFO_KIND)
    return link_kind(hardware, None if driver is None else driver.rstrip(b"\0"))
