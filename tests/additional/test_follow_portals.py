"""Captive portals: the networks tell where their API is, and it is asked inside the domain (RFC 8908, RFC 8910)."""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
import trio
import trio.testing

from trimif import ElementType, Information, Origin, PortalInformation
from trimif._facts import AddressFact, AllLeases, DHCPv6Lease, Lease, PortalStatus
from trimif.testing._servers_https import HttpAnswer, HttpRequest

from .world import DOMAIN, PORTAL_TYPE, World, advertise, certified, open_world

Clock = trio.testing.MockClock
HOST = "portal.example.org"
URI = f"https://{HOST}/api"
IPV4 = "eth0/ipv4"


def says(**members: Any) -> Callable[[HttpRequest], HttpAnswer]:
    members = {key.replace("_", "-"): value for key, value in members.items()}
    return lambda _request: HttpAnswer(json.dumps(members).encode(), PORTAL_TYPE)


def portal(world: World, domain: str = DOMAIN) -> PortalInformation | None:
    return world.data(ElementType.PORTAL, Information.PORTAL, domain)


async def test_it_is_asked_until_the_person_has_satisfied_it(autojump_clock: Clock) -> None:
    async with open_world(HOST) as world:
        world.respond = says(captive=True, user_portal_url="https://portal.example.org/login")
        await world.follow(chance=0.0)
        advertise(world, None, portal=URI)
        await trio.sleep(31)
        assert portal(world) == PortalInformation(True, "https://portal.example.org/login")
        world.respond = says(captive=False, seconds_remaining=600)
        await trio.sleep(30)
        assert portal(world) == PortalInformation(False, session_until=660.0)
        world.respond = says(captive=True)
        await trio.sleep(600)
        assert portal(world) == PortalInformation(True)
        assert world.times() == [0, 30, 60, 660]
        assert {request.target for _, request in world.requests} == {"/api"}


async def test_a_network_without_a_portal(autojump_clock: Clock) -> None:
    async with open_world(HOST) as world:
        await world.follow()
        advertise(world, None, portal="urn:ietf:params:capport:unrestricted")
        await trio.sleep(10_000)
        assert (world.host.dialled, world.facts) == ([], [])


@pytest.mark.parametrize("uri", ["http://portal.example.org/", "nonsense", "https://", "https://x\x1b[2J/"])
async def test_what_can_not_be_asked(autojump_clock: Clock, uri: str) -> None:
    async with open_world(HOST) as world:
        await world.follow()
        advertise(world, None, portal=uri)
        await trio.sleep(10_000)
        assert world.host.dialled == []
        [limitation] = world.limitations()
        assert limitation.source == "portal"
        assert "no https URI" in limitation.missing
        assert "\x1b" not in limitation.missing


async def test_another_uri(autojump_clock: Clock) -> None:
    async with open_world(HOST) as world:
        world.respond = says(captive=True)
        await world.follow()
        advertise(world, None, portal=URI)
        await trio.sleep(1)
        advertise(world, None, portal=f"{URI}/2")
        await trio.sleep(1)
        reported = [
            (fact.uri, fact.information is not None) for _, fact in world.facts if isinstance(fact, PortalStatus)
        ]
        assert reported == [(URI, True), (URI, False), (f"{URI}/2", True)]


async def test_it_fails_and_comes_back(autojump_clock: Clock) -> None:
    async with open_world(HOST) as world:
        world.respond = says(captive=True)
        await world.follow(chance=0.0)
        advertise(world, None, portal=URI)
        await trio.sleep(1)
        world.respond = lambda _request: HttpAnswer(status=503)
        await trio.sleep(60)
        assert portal(world) is None
        [limitation] = world.limitations()
        assert "503" in limitation.missing
        world.respond = says(captive=False)
        await trio.sleep(60)
        assert portal(world) == PortalInformation(False)
        assert world.times() == [0, 30, 40, 60, 100]


async def test_a_bad_certificate_is_the_end(autojump_clock: Clock) -> None:
    """The client "MUST NOT proceed with any of the behavior" (RFC 8908, 4.1)."""
    async with open_world(HOST) as world:
        await world.serve(HOST, context=certified("evil.example"))
        await world.follow()
        advertise(world, None, portal=URI)
        await trio.sleep(10_000)
        assert len(world.host.dialled) == 1
        assert world.told() == []
        [limitation] = world.limitations()
        assert "Hostname mismatch" in limitation.missing


def lease(world: World, uri: str, *, there: bool = True) -> None:
    address, router = IPv4Address("198.51.100.7"), IPv4Address("198.51.100.1")
    data = ((Information.CAPTIVE_PORTAL, uri),)
    told = Lease(
        "eth0", Origin("dhclient", router), address, 24, 1e9, routers=(router,), dns_servers=(router,), data=data
    )
    world.host.report(AddressFact(world.index, address, 24), AllLeases("dhclient", (told,) if there else ()))


async def test_two_domains_with_one_portal(autojump_clock: Clock) -> None:
    """Each asks it for itself; what it said is taken back with the last of them."""
    async with open_world(HOST) as world:
        world.respond = says(captive=True)
        await world.serve(HOST, address="203.0.113.80", domain=IPV4)
        await world.follow()
        advertise(world, None, portal=URI, seconds=100)
        lease(world, URI)
        await trio.sleep(1)
        assert len(world.requests) == 2
        assert portal(world, IPV4) == portal(world) == PortalInformation(True)
        await trio.sleep(100)
        assert portal(world, IPV4) == PortalInformation(True)
        assert [there for _, there in world.told()] == [True]
        lease(world, URI, there=False)
        await trio.sleep(1)
        assert [there for _, there in world.told()] == [True, False]


async def test_a_network_that_can_not_agree_with_itself(autojump_clock: Clock) -> None:
    """ "This condition should be logged for the device owner or administrator" (RFC 8910, 3)."""
    async with open_world(HOST) as world:
        world.respond = says(captive=True)
        await world.follow()
        advertise(world, None, portal=URI)
        data = ((Information.CAPTIVE_PORTAL, f"{URI}/2"),)
        told = DHCPv6Lease("eth0", Origin("dhclient", IPv6Address("fe80::1")), 1e9, data=data)
        world.host.report(AllLeases("dhclient", (told,)))
        await trio.sleep(1)
        assert {request.target for _, request in world.requests} == {"/api"}
        [limitation] = world.limitations()
        assert f"{URI} and {URI}/2" in limitation.missing
        assert "identical" in limitation.remedy
