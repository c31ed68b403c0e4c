"""The smallest multihomed host: two uplinks, of which the routing table prefers one; and captures at their far ends.

::

              up-a  198.51.100.10/26  2001:db8:a::10/64  metric 100 ---- lan0  .1   ::1  |
    host                                                                                 |  203.0.113.80 and
              up-b  198.51.100.70/26  2001:db8:b::10/64  metric 200 ---- lan0  .65  ::1  |  2001:db8:ff::80 are here

Both networks have a peer of the same two addresses, so who answers shows which way a packet took. Unlike the lab
there are no daemons, and nothing but iproute2 is needed. Building it takes some 50 ms.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address

from attrs import frozen

from trimif._model import DomainId, DomainView, SourceAddress
from trimif.testing._capture import Capture
from trimif.testing._namespaces import Namespace

PEERS = (IPv4Address("203.0.113.80"), IPv6Address("2001:db8:ff::80"))
ADDRESSES = {
    "up-a": ("198.51.100.10", "2001:db8:a::10"),
    "up-b": ("198.51.100.70", "2001:db8:b::10"),
    "lo": ("127.0.0.1", "::1"),
}
ROUTERS = {"up-a": ("198.51.100.1", "2001:db8:a::1"), "up-b": ("198.51.100.65", "2001:db8:b::1")}
_METRICS = {"up-a": 100, "up-b": 200}


@frozen
class TwoUplinks:
    """The host, the networks behind its uplinks, and what arrives there."""

    host: Namespace
    a: Namespace
    b: Namespace
    capture_a: Capture
    capture_b: Capture

    def view(
        self,
        uplink: str,
        *addresses: str,
        routers: Sequence[str] = (),
        servers: Sequence[str] = (),
        search: Sequence[str] = (),
    ) -> DomainView:
        """A domain of an interface of the host's, ``up-a``, ``up-b`` or ``lo``, by default with all that it has."""
        given = addresses or ADDRESSES[uplink]
        return DomainView(
            DomainId(uplink),
            f"{uplink}/test",
            self.index(uplink),
            loopback=uplink == "lo",
            addresses=tuple(SourceAddress(ip_address(each), 26 if "." in each else 64) for each in given),
            dns_servers=tuple(map(ip_address, servers)),
            search_domains=tuple(search),
            routers=frozenset(map(ip_address, routers or ROUTERS.get(uplink, ()))),
        )

    def index(self, interface: str) -> int:
        """The index of an interface of the host's."""
        with self.host.entered():
            return socket.if_nametoindex(interface)


@contextmanager
def open_two_uplinks() -> Iterator[TwoUplinks]:
    """Build the host and its networks; needs CAP_SYS_ADMIN. At the end the kernel takes all of it down."""
    with ExitStack() as stack:
        host, a, b = (_namespace(stack, name) for name in ("host", "a", "b"))
        _configure(host, ["link set lo up"])
        for uplink, far in (("up-a", a), ("up-b", b)):
            _plug(host, uplink, far)
        for namespace, interface in ((host, "up-a"), (host, "up-b"), (a, "lan0"), (b, "lan0")):
            _wait_operational(namespace, interface)
        yield TwoUplinks(host, a, b, *(stack.enter_context(Capture(far, "lan0")) for far in (a, b)))


def _namespace(stack: ExitStack, name: str) -> Namespace:
    namespace = Namespace(name)
    stack.callback(namespace.close)
    return namespace


def _plug(host: Namespace, uplink: str, far: Namespace) -> None:
    _configure(host, [f"link add {uplink} type veth peer name lan0 netns {far.path}"])
    _configure(far, ["link set lo up", *_end("lan0", ROUTERS[uplink], "fe80::1"), *_peers()])
    routes = [f"route add default via {router} metric {_METRICS[uplink]}" for router in ROUTERS[uplink]]
    _configure(host, [*_end(uplink, ADDRESSES[uplink], "fe80::10"), *routes])


def _wait_operational(namespace: Namespace, interface: str) -> None:
    """A new cable drops what is sent until the kernel's link watch has seen both ends: a lost ARP costs a second."""
    deadline = time.monotonic() + 5
    while b"state UP" not in namespace.run(["ip", "link", "show", interface], stdout=subprocess.PIPE).stdout:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{interface} of {namespace} does not come up")
        time.sleep(0.002)


def _end(interface: str, addresses: tuple[str, ...], link_local: str) -> list[str]:
    """An end of a cable: link-local addresses by hand, so that tests can name them; no waiting for DAD."""
    ipv4, ipv6 = addresses
    return [
        f"link set {interface} addrgenmode none",
        f"link set {interface} up",
        f"address add {link_local}/64 dev {interface} nodad",
        f"address add {ipv4}/26 dev {interface}",
        f"address add {ipv6}/64 dev {interface} nodad",
    ]


def _peers() -> list[str]:
    return [f"address add {peer} dev lo" for peer in PEERS]


def _configure(namespace: Namespace, commands: list[str]) -> None:
    namespace.run(["ip", "-batch", "-"], input="\n".join(commands).encode(), check=True, stdout=subprocess.DEVNULL)
