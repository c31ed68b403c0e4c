"""A captive portal on a real kernel: told by a router or a DHCP server, asked by HTTPS inside the domain."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trustme

from trimif import ElementType, Information, PortalInformation
from trimif.testing._lab import Lab
from trimif.testing._namespaces import Namespace
from trimif.testing._servers_https import HttpAnswer

from ._explicit import (
    DNS,
    PORTAL,
    PORTAL_TYPE,
    UP_B6,
    certified,
    limitations,
    open_following_mif,
    open_network,
)
from ._program import Program, data_of, open_program, seen, watch

pytestmark = pytest.mark.lab

URI = f"https://{PORTAL}/api/X54PD"
DOMAIN = "up-b/ipv6"


def says(**members: Any) -> HttpAnswer:
    members = {key.replace("_", "-"): value for key, value in members.items()}
    return HttpAnswer(json.dumps(members).encode(), PORTAL_TYPE)


async def status(program: Program) -> PortalInformation:
    domain = await program.domain(DOMAIN)
    await program.when(lambda: program.elements(DOMAIN).get(ElementType.PORTAL))
    told = await program.get(domain, ElementType.PORTAL, Information.PORTAL)
    assert told is not None
    return told


async def test_it_is_asked_inside_the_domain(lab: Lab, on_host: Namespace) -> None:
    async with open_network(lab) as network, open_following_mif() as mif, open_program(mif) as program:
        network.respond = lambda _request: says(captive=True, user_portal_url="https://portal.example.com/login")
        with watch(lab) as wires:
            await network.advertise(None, portal=URI)
            assert await status(program) == PortalInformation(True, "https://portal.example.com/login")
            assert wires.syns(port=443) == {"isp_b": [UP_B6]}
            assert wires.queries(PORTAL) == {"isp_b": {(UP_B6, str(DNS))}}
        [request] = network.requests
        assert (request.target, request.headers["accept"], request.peer) == ("/api/X54PD", PORTAL_TYPE, UP_B6)


async def test_it_lets_the_host_through(lab: Lab, on_host: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimif._additional._portal_schedule.CAPTIVE_SECONDS", 0.2)
    monkeypatch.setattr("trimif._additional._portal_schedule.LEAST_SECONDS", 0.2)
    async with open_network(lab) as network, open_following_mif() as mif, open_program(mif) as program:
        network.respond = lambda _request: says(captive=True)
        await network.advertise(None, portal=URI)
        assert await status(program) == PortalInformation(True)
        network.respond = lambda _request: says(captive=False, bytes_remaining=1000)
        await seen(lambda: data_of(mif, DOMAIN, ElementType.PORTAL)[Information.PORTAL].captive is False)
        assert (await status(program)).octets_remaining == 1000


async def test_a_network_without_a_portal(lab: Lab, on_host: Namespace) -> None:
    async with open_network(lab) as network, open_following_mif() as mif, open_program(mif) as program:
        with watch(lab) as wires:
            await network.advertise(None, portal="urn:ietf:params:capport:unrestricted")
            await program.domain(DOMAIN)
            await seen(lambda: Information.CAPTIVE_PORTAL in data_of(mif, DOMAIN, ElementType.RA))
            assert wires.syns(port=443) == {}
            assert limitations(mif, "portal") == []


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        pytest.param(HttpAnswer(b'{"captive": true}', "application/json"), "'application/json'", id="content type"),
        pytest.param(says(captive="yes"), "'captive'", id="no boolean"),
        pytest.param(HttpAnswer(b"<html>log in</html>", "text/html"), "'text/html'", id="the page itself"),
        pytest.param(HttpAnswer(status=511), "status is 511", id="511"),
    ],
)
async def test_a_bad_answer(lab: Lab, on_host: Namespace, bad: HttpAnswer, why: str) -> None:
    async with open_network(lab) as network, open_following_mif() as mif, open_program(mif) as program:
        network.respond = lambda _request: bad
        await network.advertise(None, portal=URI)
        await program.domain(DOMAIN)
        await seen(lambda: limitations(mif, "portal"))
        [limitation] = limitations(mif, "portal")
        assert why in limitation.missing
        assert data_of(mif, DOMAIN, ElementType.PORTAL) == {}


async def test_a_portal_that_can_not_prove_who_it_is(lab: Lab, on_host: Namespace) -> None:
    context = certified(PORTAL, authority=trustme.CA())
    async with (
        open_network(lab, context=context) as network,
        open_following_mif() as mif,
        open_program(mif) as program,
    ):
        await network.advertise(None, portal=URI)
        await program.domain(DOMAIN)
        await seen(lambda: limitations(mif, "portal"))
        assert "the certificate is not valid" in limitations(mif, "portal")[0].missing
        assert network.requests == []


async def test_a_dhcp_server_tells_it_too(lab: Lab, on_host: Namespace) -> None:
    """Option 114. Provider B's name server does not know the name that it tells."""
    lab.start_dhclient("up-b")
    with watch(lab) as wires:
        async with (
            open_following_mif(lease_directories=[lab.lease_directory]) as mif,
            open_program(mif) as program,
        ):
            await program.domain("up-b/ipv4")
            await seen(lambda: limitations(mif, "portal"))
            [limitation] = limitations(mif, "portal")
            assert "portal.isp-b.example" in limitation.missing
        assert set(wires.queries("portal.isp-b.example")) == {"isp_b"}
