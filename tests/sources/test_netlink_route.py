"""Which way a packet would go: the kernel's answers in each case that a connect can meet."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address

import pytest
import trio

from trimif._connect._route import RouteAnswer, find_route
from trimif.testing._namespaces import Namespace

from .netlink_host import configure, make_pair

pytestmark = pytest.mark.lab

LOOPBACK = 1


@pytest.fixture(scope="module")
def host() -> Iterator[Namespace]:
    """Two uplinks, A with the better default routes, in a namespace that the tests run in."""
    namespace = Namespace("host")
    configure(namespace, "link set lo up")
    for name in ("up-a", "up-b"):
        make_pair(namespace, name)
    configure(
        namespace,
        "address add 198.51.100.10/26 dev up-a",
        "address add 2001:db8:a::10/64 dev up-a nodad",
        "address add 198.51.100.70/26 dev up-b",
        "address add 2001:db8:b::10/64 dev up-b nodad",
        "route add default via 198.51.100.1 dev up-a metric 100",
        "route add default via 198.51.100.65 dev up-b metric 200",
        "route add ::/0 via 2001:db8:a::1 dev up-a metric 100",
        "route add ::/0 via 2001:db8:b::1 dev up-b metric 200",
        "route add 203.0.113.64/26 nexthop via 198.51.100.1 nexthop via 198.51.100.65",
        "route add 2001:db8:e::/48 nexthop via 2001:db8:a::1 dev up-a nexthop via 2001:db8:b::1 dev up-b",
        "route add unreachable 203.0.113.7/32",
        "route add prohibit 2001:db8:7::/48",
    )
    with namespace.entered():
        yield namespace
    namespace.close()


A4, B4 = "198.51.100.10", "198.51.100.70"
A6, B6 = "2001:db8:a::10", "2001:db8:b::10"

CASES = [
    ("default route by gateway", "up-a", A4, "203.0.113.200", ("up-a", "198.51.100.1")),
    ("default route by gateway", "up-a", A6, "2001:db8:ff::1", ("up-a", "2001:db8:a::1")),
    ("default route with the worse metric", "up-b", B4, "203.0.113.200", ("up-b", "198.51.100.65")),
    ("default route with the worse metric", "up-b", B6, "2001:db8:ff::1", ("up-b", "2001:db8:b::1")),
    ("default route with the worse metric, any source", "up-b", None, "2001:db8:ff::1", ("up-b", "2001:db8:b::1")),
    ("on the link", "up-a", A4, "198.51.100.33", ("up-a", None)),
    ("on the link", "up-a", A6, "2001:db8:a::33", ("up-a", None)),
    ("on the other one's link", "up-a", A4, "198.51.100.75", ("up-a", "198.51.100.1")),
    ("on the other one's link", "up-a", A6, "2001:db8:b::33", ("up-a", "2001:db8:a::1")),
    ("multipath, this next hop", "up-a", A4, "203.0.113.70", ("up-a", "198.51.100.1")),
    ("multipath, that next hop", "up-b", B4, "203.0.113.70", ("up-b", "198.51.100.65")),
    ("multipath, this next hop", "up-a", A6, "2001:db8:e::1", ("up-a", "2001:db8:a::1")),
    ("multipath, that next hop", "up-b", B6, "2001:db8:e::1", ("up-b", "2001:db8:b::1")),
    ("link-local", "up-a", None, "fe80::1234", ("up-a", None)),
    ("link-local", "up-b", None, "fe80::1234", ("up-b", None)),
    ("own address", "up-a", A4, A4, ("up-a", "local")),
    ("own address", "up-a", A6, A6, ("up-a", "local")),
    ("own address, of the other interface", "up-a", A6, B6, ("up-b", "local")),
    ("own address, of the other interface: IPv4 does not see it", "up-a", A4, B4, ("up-a", "198.51.100.1")),
    ("own address, of any interface", None, None, B4, ("up-b", "local")),
    ("own address, of any interface", None, None, B6, ("up-b", "local")),
    ("any interface", None, None, "203.0.113.200", ("up-a", "198.51.100.1")),
    ("loopback", "lo", "127.0.0.1", "127.0.0.1", ("lo", "local")),
    ("loopback", "lo", "::1", "::1", ("lo", "local")),
    ("outside by loopback", "lo", "127.0.0.1", "203.0.113.200", None),
    ("broadcast", "up-a", A4, "198.51.100.63", None),
    ("multicast", "up-a", None, "ff02::fb", None),
    ("a source that is not here", "up-a", "198.51.100.44", "203.0.113.200", None),
    ("unreachable", "up-a", A4, "203.0.113.7", None),
    ("prohibited", "up-b", B6, "2001:db8:7::1", None),
]
PARAMETERS = [pytest.param(*case[1:], id=f"{case[0]}: {case[1]} to {case[3]}") for case in CASES]


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(("interface", "source", "destination", "expected"), PARAMETERS)
async def test_cases(
    interface: str | None, source: str | None, destination: str, expected: tuple[str, str | None] | None
) -> None:
    index = 0 if interface is None else socket.if_nametoindex(interface)
    answer = await find_route(index, None if source is None else ip_address(source), ip_address(destination))
    if expected is None:
        assert answer is None
        return
    name, gateway = expected
    if gateway == "local":
        assert answer == RouteAnswer(socket.if_nametoindex(name), local=True)
    else:
        via = None if gateway is None else ip_address(gateway)
        assert answer == RouteAnswer(socket.if_nametoindex(name), via)


@pytest.mark.usefixtures("host")
async def test_an_interface_that_is_not_there() -> None:
    assert await find_route(999, None, ip_address("203.0.113.200")) is None
    assert await find_route(999, None, ip_address("2001:db8:ff::1")) is None


async def test_only_another_interface_has_a_route() -> None:
    """Without a default route of its own, B has no route; IPv4 invents none, IPv6 does not answer A's."""
    namespace = Namespace("host")
    for name in ("up-a", "up-b"):
        make_pair(namespace, name)
    configure(
        namespace,
        "address add 198.51.100.10/26 dev up-a",
        "address add 2001:db8:a::10/64 dev up-a nodad",
        "address add 198.51.100.70/26 dev up-b",
        "address add 2001:db8:b::10/64 dev up-b nodad",
        "route add default via 198.51.100.1 dev up-a",
        "route add ::/0 via 2001:db8:a::1 dev up-a",
    )
    with namespace.entered():
        index = socket.if_nametoindex("up-b")
        for source, destination in ((B4, "203.0.113.200"), (B6, "2001:db8:ff::1")):
            assert await find_route(index, ip_address(source), ip_address(destination)) is None
            assert await find_route(index, None, ip_address(destination)) is None
            assert await find_route(0, None, ip_address(destination)) is not None
        namespace.run(["ip", "-6", "rule", "add", "from", B6, "table", "1000"], check=True)
        configure(namespace, "route add ::/0 via 2001:db8:b::1 table 1000")
        assert await find_route(index, ip_address(B6), ip_address("2001:db8:ff::1")) == RouteAnswer(
            index, ip_address("2001:db8:b::1")
        )
    namespace.close()


@pytest.mark.usefixtures("host")
async def test_it_is_a_checkpoint_and_leaves_no_socket_when_cancelled() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with trio.CancelScope() as scope:
        scope.cancel("before it asks")
        await find_route(LOOPBACK, None, ip_address("127.0.0.1"))
    assert scope.cancelled_caught
    assert len(os.listdir("/proc/self/fd")) == before


async def test_addresses_of_two_families() -> None:
    with pytest.raises(ValueError, match="no packet goes from"):
        await find_route(LOOPBACK, ip_address("127.0.0.1"), ip_address("::1"))
