"""One name in all domains (`Mif.resolve`), and in one of them as `socket.getaddrinfo` would tell it."""

from __future__ import annotations

import socket

import pytest
import trio
import trio.testing

from trimif import InterfaceKind
from trimif.testing import FIGURE_2, SimulatedHost, open_simulated_mif

NAME = "www.example.org"


async def test_each_address_bears_its_domain(autojump_clock: trio.testing.MockClock) -> None:
    host = SimulatedHost(initial=FIGURE_2)
    host.names["eth0/ipv4", NAME] = [(0.1, "203.0.113.1")]
    host.names["wa0/ipv6", NAME] = [(0.0, "2001:db8:ff::1"), (0.2, "203.0.113.2")]
    async with open_simulated_mif(host) as mif:
        found = await mif.resolve(NAME)
        eth0, wa0 = mif.domain("eth0/ipv4"), mif.domain("wa0/ipv6")
        assert {(each.domain, str(each.address)) for each in found} == {
            (eth0, "203.0.113.1"),
            (wa0, "2001:db8:ff::1"),
            (wa0, "203.0.113.2"),
        }
        assert [each.domain for each in found] in ([eth0, wa0, wa0], [wa0, wa0, eth0])


async def test_a_claimed_name_is_asked_of_nobody_else(autojump_clock: trio.testing.MockClock) -> None:
    host = SimulatedHost(initial=FIGURE_2)
    host.add_link("vpn0", kind=InterfaceKind.TUNNEL)
    host.add_address("vpn0", "203.0.113.7/24")
    host.configure("vpn0", dns_servers=["203.0.113.53"], split_domains=["corp.example"])
    for domain in ("eth0/ipv4", "vpn0/ipv4"):
        for name in ("intranet.corp.example", "www.example"):
            host.names[domain, name] = [(0.0, "2001:db8:ff::1")]
    async with open_simulated_mif(host) as mif:
        await trio.sleep(3)
        found = await mif.resolve("intranet.corp.example")
        assert {each.domain.name for each in found} == {"vpn0/ipv4"}
        assert not [each for each in host.unwound if "intranet" in each and "vpn0/ipv4" not in each]
        assert {each.domain.name for each in await mif.resolve("www.example")} == {"eth0/ipv4"}  # it has no other route


async def test_the_error_says_what_each_domain_said(autojump_clock: trio.testing.MockClock) -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif:
        host.names["eth0/ipv4", NAME] = []
        with pytest.raises(socket.gaierror, match=r"www\.example\.org has no address: ") as caught:
            await mif.resolve(NAME)
        assert caught.value.errno == socket.EAI_NONAME
        assert "in eth0/ipv4: no such name" in str(caught.value)
        assert "in wa0/ipv6: " in str(caught.value)


async def test_a_domain_that_goes_in_the_middle_does_not_spoil_it(autojump_clock: trio.testing.MockClock) -> None:
    host = SimulatedHost(initial=FIGURE_2)
    host.names["eth0/ipv4", NAME] = [(2.0, "203.0.113.1")]
    host.names["wa0/ipv6", NAME] = [(1.0, "2001:db8:ff::1")]

    async def unplug() -> None:
        await trio.sleep(0.5)
        host.remove_link("eth0")

    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:
        nursery.start_soon(unplug)
        assert [(each.domain.name, str(each.address)) for each in await mif.resolve(NAME)] == [
            ("wa0/ipv6", "2001:db8:ff::1")
        ]


async def test_cancelled_it_asks_nobody_any_more(autojump_clock: trio.testing.MockClock) -> None:
    host = SimulatedHost(initial=FIGURE_2)
    host.names["eth0/ipv4", NAME] = [(60.0, "203.0.113.1")]
    async with open_simulated_mif(host) as mif:
        with trio.move_on_after(1) as scope:
            await mif.resolve(NAME)
        assert scope.cancelled_caught
        await trio.testing.wait_all_tasks_blocked()
        assert f"lookup of {NAME} in eth0/ipv4" in host.unwound


async def test_getaddrinfo_is_that_of_the_socket_module(autojump_clock: trio.testing.MockClock) -> None:
    host = SimulatedHost(initial=FIGURE_2)
    host.names["eth0/ipv4", NAME] = [(0.0, "203.0.113.1")]
    async with open_simulated_mif(host) as mif:
        domain = mif.domain("eth0/ipv4")
        (info,) = await domain.getaddrinfo(NAME, 80, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
        assert info == (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, NAME, ("203.0.113.1", 80))
        numeric = await domain.getaddrinfo("203.0.113.1", "80", type=socket.SOCK_STREAM)
        assert numeric == socket.getaddrinfo("203.0.113.1", "80", type=socket.SOCK_STREAM)
        with pytest.raises(socket.gaierror, match="AI_NUMERICHOST"):
            await domain.getaddrinfo(NAME, 80, flags=socket.AI_NUMERICHOST)
        with pytest.raises(socket.gaierror):
            await domain.getaddrinfo(NAME, 80, family=socket.AF_INET6)


async def test_addresses_are_in_the_order_of_rfc_6724(autojump_clock: trio.testing.MockClock) -> None:
    """A domain with IPv4 alone reaches no IPv6 address: those come last, whoever told them first (rule 1)."""
    host = SimulatedHost(initial=FIGURE_2)
    host.names["eth0/ipv4", NAME] = [(0.0, "2001:db8:ff::1"), (0.1, "203.0.113.1")]
    async with open_simulated_mif(host) as mif:
        found = await mif.domain("eth0/ipv4").resolve(NAME)
        assert list(map(str, found)) == ["203.0.113.1", "2001:db8:ff::1"]
