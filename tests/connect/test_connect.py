"""Connects through a domain, on a real kernel with two uplinks, of which the routing table prefers up-a."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address

import pytest
import trio
import trio.testing

from trimif._connect import connect, open_socket
from trimif._errors import ConnectFailed
from trimif._model import DomainView, IPAddress, NotConnectedReason
from trimif.testing._capture import Capture
from trimif.testing._namespaces import Namespace
from trimif.testing._uplinks import PEERS, TwoUplinks, open_two_uplinks

pytestmark = pytest.mark.lab

PORT = 80
OWN = {"up-a": ("198.51.100.10", "2001:db8:a::10"), "up-b": ("198.51.100.70", "2001:db8:b::10")}


@pytest.fixture
def net() -> Iterator[TwoUplinks]:
    with open_two_uplinks() as net, net.host.entered():
        yield net


def listen(namespace: Namespace, address: IPAddress, port: int = PORT) -> socket.socket:
    listener = namespace.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    listener.bind((str(address), port))
    listener.listen()
    return listener


def add_firewall(namespace: Namespace, rule: str) -> None:
    chain = f"table inet t {{\nchain i {{\ntype filter hook input priority 0\n{rule}\n}}\n}}\n"
    namespace.run(["nft", "-f", "-"], input=chain.encode(), check=True)


def check_only_through(right: Capture, wrong: Capture, peer: IPAddress) -> None:
    """Law 10, as a capture shows it."""
    assert right.syns(to=peer)
    assert not wrong.syns(to=peer)


async def failure_of(view: DomainView, peer: str, source: str | None = None) -> ConnectFailed:
    """Connect in vain; `at once` is the rule here, so a second is long."""
    with trio.fail_after(2), pytest.raises(ConnectFailed) as caught:
        await connect(view, ip_address(peer), PORT, source=None if source is None else ip_address(source))
    return caught.value


@pytest.mark.parametrize("peer", PEERS, ids=str)
@pytest.mark.parametrize("uplink", ["up-a", "up-b"])
async def test_it_leaves_by_the_domains_uplink(net: TwoUplinks, uplink: str, peer: IPAddress) -> None:
    far, right, wrong = (net.a, net.capture_a, net.capture_b)
    if uplink == "up-b":
        far, right, wrong = (net.b, net.capture_b, net.capture_a)
    with listen(far, peer) as listener:
        async with await connect(net.view(uplink), peer, PORT) as stream:
            with listener.accept()[0] as accepted:
                assert accepted.getpeername()[0] == stream.socket.getsockname()[0]
                assert accepted.getpeername()[0] in OWN[uplink]
            assert not os.get_inheritable(stream.socket.fileno())
            assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    check_only_through(right, wrong, peer)


@pytest.mark.parametrize("peer", PEERS, ids=str)
async def test_the_captures_would_catch_an_unbound_socket(net: TwoUplinks, peer: IPAddress) -> None:
    """Bound to the source address alone, the SYN leaves by the preferred uplink: the check must fail."""
    family = socket.AF_INET if peer.version == 4 else socket.AF_INET6
    with trio.socket.socket(family, socket.SOCK_STREAM) as unbound, listen(net.a, peer):
        await unbound.bind((OWN["up-b"][peer.version == 6], 0))
        with trio.move_on_after(0.2):
            await unbound.connect((str(peer), PORT))
    with pytest.raises(AssertionError):
        check_only_through(net.capture_b, net.capture_a, peer)
    assert net.capture_a.syns(to=peer)


@pytest.mark.parametrize("peer", PEERS, ids=str)
async def test_no_route_fails_before_anything_is_sent(net: TwoUplinks, peer: IPAddress) -> None:
    net.host.run(["ip", f"-{peer.version}", "route", "delete", "default", "dev", "up-b"], check=True)
    failure = await failure_of(net.view("up-b"), str(peer))
    assert failure.reason is NotConnectedReason.NO_ROUTE
    assert failure.errno == errno.ENETUNREACH
    assert str(peer) in str(failure)
    assert "up-b/test" in str(failure)
    for capture in (net.capture_a, net.capture_b):
        assert not [packet for packet in capture.packets if packet.destination == peer]
    neighbours = net.host.run(["ip", "neighbour"], check=True, stdout=subprocess.PIPE, text=True)
    assert str(peer) not in neighbours.stdout  # nor was it looked for on the link


@pytest.mark.parametrize("peer", PEERS, ids=str)
async def test_a_route_of_a_source_rule_is_found(net: TwoUplinks, peer: IPAddress) -> None:
    """As clients with policy routing leave it: only a table for its source addresses has up-b's default route."""
    commands = [
        "-4 route delete default dev up-b",
        "-6 route delete default dev up-b",
        "-4 route add default via 198.51.100.65 table 100",
        "-6 route add default via 2001:db8:b::1 table 100",
        "-4 rule add from 198.51.100.70 table 100",
        "-6 rule add from 2001:db8:b::10 table 100",
    ]
    for command in commands:
        net.host.run(["ip", *command.split()], check=True)
    with listen(net.b, peer):
        await (await connect(net.view("up-b"), peer, PORT)).aclose()
    check_only_through(net.capture_b, net.capture_a, peer)


@pytest.mark.parametrize("peer", PEERS, ids=str)
async def test_another_domains_router_is_not_used(net: TwoUplinks, peer: IPAddress) -> None:
    failure = await failure_of(net.view("up-a", routers=["198.51.100.2", "2001:db8:a::2"]), str(peer))
    assert failure.reason is NotConnectedReason.WRONG_ROUTER
    assert failure.errno == errno.EHOSTUNREACH
    assert not net.capture_a.syns()


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        ("203.0.113.80", "198.51.100.70"),  # of the other uplink
        ("203.0.113.80", "198.51.100.99"),  # of nobody
        ("203.0.113.80", "2001:db8:a::10"),  # of the other family
        ("fe80::1", "fe80::10"),  # of the device, but not the domain's
    ],
)
async def test_a_source_that_is_not_the_domains(net: TwoUplinks, peer: str, source: str) -> None:
    failure = await failure_of(net.view("up-a"), peer, source)
    assert (failure.reason, failure.errno) == (NotConnectedReason.NO_SOURCE, errno.EADDRNOTAVAIL)


async def test_no_address_of_the_family(net: TwoUplinks) -> None:
    failure = await failure_of(net.view("up-a", "198.51.100.10"), "2001:db8:ff::80")
    assert failure.reason is NotConnectedReason.NO_SOURCE
    assert "IPv6" in str(failure)


async def test_an_address_that_has_gone_meanwhile(net: TwoUplinks) -> None:
    failure = await failure_of(net.view("up-a", "2001:db8:a::77"), "2001:db8:a::1")
    assert failure.reason is NotConnectedReason.NO_SOURCE


@pytest.mark.parametrize("peer", PEERS, ids=str)
async def test_an_interface_that_has_gone_meanwhile(net: TwoUplinks, peer: IPAddress) -> None:
    view = net.view("up-a")
    net.host.run(["ip", "link", "delete", "up-a"], check=True)
    failure = await failure_of(view, str(peer))
    assert failure.reason is NotConnectedReason.NO_ROUTE
    with open_socket(view, socket.SOCK_STREAM, peer, None) as bound:  # past the route check it fails all the same
        with trio.fail_after(2), pytest.raises(OSError, match=r"No such device|Network is unreachable"):
            await bound.connect((str(peer), PORT))
    assert not net.capture_b.syns()


@pytest.mark.parametrize("peer", PEERS, ids=str)
async def test_each_source_is_tried_until_one_works(net: TwoUplinks, peer: IPAddress) -> None:
    other = ("198.51.100.71", "2001:db8:b::71")[peer.version == 6]
    own = OWN["up-b"][peer.version == 6]
    prefix = {4: 26, 6: 64}[peer.version]
    net.host.run(["ip", "address", "add", f"{other}/{prefix}", "dev", "up-b"] + ["nodad"] * (prefix == 64), check=True)
    family = {4: "ip", 6: "ip6"}[peer.version]
    add_firewall(net.b, f"{family} saddr {other} tcp dport {PORT} reject with tcp reset")
    with listen(net.b, peer):
        async with await connect(net.view("up-b", other, own), peer, PORT) as stream:
            assert stream.socket.getsockname()[0] == own
    assert [str(packet.source) for packet in net.capture_b.syns(to=peer)] == [other, own]
    with pytest.raises(ConnectFailed) as caught:
        await connect(net.view("up-b", other, own), peer, PORT, source=ip_address(other))
    assert caught.value.reason is NotConnectedReason.REFUSED


async def test_the_most_telling_failure_is_raised_and_the_others_are_noted(net: TwoUplinks) -> None:
    net.host.run(["ip", "rule", "add", "from", "198.51.100.71", "prohibit"], check=True)
    net.host.run(["ip", "address", "add", "198.51.100.71/26", "dev", "up-b"], check=True)
    failure = await failure_of(net.view("up-b", "198.51.100.71", "198.51.100.70"), "203.0.113.80")
    assert failure.reason is NotConnectedReason.REFUSED
    assert "from 198.51.100.70" in str(failure)
    (note,) = failure.__notes__
    assert "from 198.51.100.71" in note


@pytest.mark.parametrize(
    ("verdict", "reason", "errnos"),
    [
        ("reject with tcp reset", NotConnectedReason.REFUSED, {errno.ECONNREFUSED}),
        ("reject with icmpx admin-prohibited", NotConnectedReason.UNREACHABLE, {errno.EHOSTUNREACH, errno.EACCES}),
        ("reject with icmpx host-unreachable", NotConnectedReason.UNREACHABLE, {errno.EHOSTUNREACH}),
        ("drop", NotConnectedReason.TIMED_OUT, {errno.ETIMEDOUT}),
    ],
)
async def test_what_the_network_says(
    net: TwoUplinks, verdict: str, reason: NotConnectedReason, errnos: set[int]
) -> None:
    for key in ("tcp_syn_retries", "tcp_syn_linear_timeouts"):  # seconds, not minutes
        net.host.write_sysctl(f"net/ipv4/{key}", 1)
    add_firewall(net.b, f"tcp dport {PORT} {verdict}")

    async def check(peer: IPAddress) -> None:
        with trio.fail_after(10), pytest.raises(ConnectFailed) as caught:
            await connect(net.view("up-b"), peer, PORT)
        assert caught.value.reason is reason
        assert caught.value.errno in errnos
        assert os.strerror(caught.value.errno) in str(caught.value)

    async with trio.open_nursery() as nursery:
        for peer in PEERS:
            nursery.start_soon(check, peer)


@pytest.mark.parametrize(("uplink", "own"), [(uplink, own) for uplink in OWN for own in OWN[uplink]])
async def test_own_addresses_are_reached_through_their_domain(net: TwoUplinks, uplink: str, own: str) -> None:
    with listen(net.host, ip_address(own)), trio.fail_after(2):
        async with await connect(net.view(uplink), ip_address(own), PORT) as stream:
            assert stream.socket.getsockname()[0] == own
    assert not net.capture_a.syns()
    assert not net.capture_b.syns()


OF_THIS_HOST = [*OWN["up-b"], "127.0.0.1", "127.7.7.7", "::1", "0.0.0.0", "::", "::ffff:203.0.113.80"]


@pytest.mark.parametrize("peer", OF_THIS_HOST)
async def test_other_addresses_of_the_host_are_not(net: TwoUplinks, peer: str) -> None:
    """Tried nevertheless, they would hang, or connect to this host by another way."""
    failure = await failure_of(net.view("up-a"), peer)
    assert failure.reason is NotConnectedReason.NO_ROUTE
    assert not net.capture_a.syns()


async def test_another_domains_address_on_the_same_interface(net: TwoUplinks) -> None:
    net.host.run(["ip", "address", "add", "198.51.100.71/26", "dev", "up-b"], check=True)
    failure = await failure_of(net.view("up-b", "198.51.100.70"), "198.51.100.71")
    assert failure.reason is NotConnectedReason.NO_ROUTE


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.7.7.7", "::1"])
async def test_loopback_through_loopback(net: TwoUplinks, peer: str) -> None:
    with listen(net.host, ip_address(peer)), trio.fail_after(2):
        await (await connect(net.view("lo"), ip_address(peer), PORT)).aclose()


@pytest.mark.parametrize("peer", ["203.0.113.80", "2001:db8:ff::80", "198.51.100.10", "2001:db8:a::10", "fe80::1"])
async def test_nothing_else_through_loopback(net: TwoUplinks, peer: str) -> None:
    assert (await failure_of(net.view("lo"), peer)).reason is NotConnectedReason.NO_ROUTE


@pytest.mark.parametrize("peer", ["224.0.0.1", "ff02::1", "255.255.255.255"])
async def test_many_peers_are_no_peer(net: TwoUplinks, peer: str) -> None:
    assert (await failure_of(net.view("up-a"), peer)).reason is NotConnectedReason.NO_ROUTE


@pytest.mark.parametrize(("uplink", "scope"), [("up-a", ""), ("up-b", ""), ("up-b", "%up-b")])
async def test_link_local_peers_are_on_the_domains_link(net: TwoUplinks, uplink: str, scope: str) -> None:
    """Both routers are fe80::1; the source is the device's own link-local address, whichever the domain has."""
    far = net.a if uplink == "up-a" else net.b
    listener = far.socket(socket.AF_INET6, socket.SOCK_STREAM)
    with listener, trio.fail_after(2):
        listener.bind(("::", PORT))
        listener.listen()
        async with await connect(net.view(uplink, OWN[uplink][1]), IPv6Address(f"fe80::1{scope}"), PORT) as stream:
            assert stream.socket.getsockname()[0] == "fe80::10"
            assert stream.socket.getsockname()[3] == net.index(uplink)


@pytest.mark.parametrize("scope", ["up-a", "nothing", "999"])
async def test_a_link_local_peer_on_another_link(net: TwoUplinks, scope: str) -> None:
    assert (await failure_of(net.view("up-b"), f"fe80::1%{scope}")).reason is NotConnectedReason.NO_ROUTE


async def test_a_link_local_source_goes_no_further_than_the_link(net: TwoUplinks) -> None:
    view = net.view("up-a", "fe80::10")
    failure = await failure_of(view, "2001:db8:ff::80")
    assert failure.reason is NotConnectedReason.NO_SOURCE
    with listen(net.a, ip_address("2001:db8:a::1")), trio.fail_after(2):
        await (await connect(view, ip_address("2001:db8:a::1"), PORT)).aclose()  # a neighbour needs no router


async def test_it_never_connects_to_itself(net: TwoUplinks) -> None:
    """The only free port is the one that it connects to: TCP would meet itself."""
    net.host.write_sysctl("net/ipv4/ip_local_port_range", "40000 40000")
    with trio.fail_after(2), pytest.raises(ConnectFailed) as caught:
        await connect(net.view("up-a"), ip_address("198.51.100.10"), 40000)
    assert caught.value.reason in (NotConnectedReason.REFUSED, NotConnectedReason.NO_SOURCE)


def open_descriptors() -> set[str]:
    return {link for entry in os.scandir("/proc/self/fd") if "socket" in (link := _target(entry.path))}


def _target(path: str) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:  # the directory's own
        return ""


async def test_cancelled_it_leaves_no_socket(net: TwoUplinks) -> None:
    view = net.view("up-b")
    before = open_descriptors()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connect, view, ip_address("203.0.113.99"), PORT)  # nobody answers
        while not net.capture_b.syns():
            await trio.testing.wait_all_tasks_blocked()
        assert open_descriptors() > before
        nursery.cancel_scope.cancel()
    assert open_descriptors() == before


async def test_cancelled_beforehand_it_sends_nothing(net: TwoUplinks) -> None:
    before = open_descriptors()
    with trio.CancelScope() as scope:
        scope.cancel()
        await connect(net.view("up-b"), ip_address("203.0.113.80"), PORT)
    assert scope.cancelled_caught
    assert open_descriptors() == before
    assert not net.capture_b.syns()
