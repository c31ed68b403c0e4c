"""Fetching a document through a domain: servers that are good, and each way in which one can be bad."""

from __future__ import annotations

import json
import math
import random
import ssl
import sys
from ipaddress import IPv6Network

import pytest
import trio
import trio.testing
import trustme

from trimif import NotConnectedReason, ProvisioningDomain, TranslationOutcome
from trimif._additional import fetch_portal, fetch_pvd_information
from trimif._additional._failures import BadAnswer, BadCertificate, Unreachable
from trimif._additional._fetch import check_http_is_installed, default_ssl_context
from trimif._errors import DomainGone, MalformedInput
from trimif.testing._servers_https import HttpAnswer, HttpRequest

from .world import (
    AUTHORITY,
    DOMAIN,
    NAME,
    PORTAL_TYPE,
    PREFIX,
    PVD_TYPE,
    SERVER,
    World,
    answer,
    certified,
    date,
    document,
    open_world,
    trusting,
)


def domain_of(world: World) -> ProvisioningDomain:
    world.host.advertise("eth0", PREFIX, dns_servers=["2001:db8:a::53"])
    return world.mif.domain(DOMAIN)


async def get(world: World, context: ssl.SSLContext | None = None) -> object:
    return await fetch_pvd_information(domain_of(world), NAME, context or trusting())


async def test_a_good_server(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        world.respond = lambda _request: answer(dnsZones=["example.com"])
        information = await fetch_pvd_information(domain_of(world), NAME, trusting())
        assert information.identifier == NAME
        assert information.expires == pytest.approx(trio.current_time() + 3600, abs=5)
        assert information.prefixes == (IPv6Network("2001:db8:a::/48"),)
        assert information.dns_zones == ("example.com",)
        [(_, request)] = world.requests
        assert (request.method, request.target) == ("GET", "/.well-known/pvd")
        assert request.headers["host"] == NAME
        assert request.headers["accept"] == PVD_TYPE
        assert "cookie" not in request.headers
        assert world.host.open_streams() == []


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (HttpAnswer(document(), PVD_TYPE, 404), "status is 404"),
        (HttpAnswer(document(), PVD_TYPE, 500), "status is 500"),
        (HttpAnswer(b"", None, 204), "headers content-type"),
        (HttpAnswer(document(), "application/json"), "'application/json', not application/pvd"),
        (HttpAnswer(document(), None), "0 headers content-type"),
        (HttpAnswer(document(), PVD_TYPE, headers=("Content-Type: text/html",)), "2 headers content-type"),
        (HttpAnswer(b"x" * 100_000, PVD_TYPE), "too large"),
        (HttpAnswer(b"x" * 70_000, PVD_TYPE), "too large"),
        (HttpAnswer(document(), PVD_TYPE, headers=("X: " + "y" * 99_000,)), "too large"),
        (HttpAnswer(document(), PVD_TYPE, pause=1.0), "no whole answer after 40 seconds"),
        (HttpAnswer(document(), PVD_TYPE, pause=math.inf), "no whole answer after 40 seconds"),
        (HttpAnswer(raw=b""), "no HTTP response: Server disconnected"),
        (HttpAnswer(raw=b"\x00\xff" * 2000), "no HTTP response"),
        (HttpAnswer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), "no HTTP response"),
        (HttpAnswer(raw=b"HTTP/1.1 100 Continue\r\n\r\n" * 9000), "too large"),
        (HttpAnswer(b"<html>", PVD_TYPE), "JSON"),
        (answer(identifier=None), "identifier"),
        (answer(prefixes=["2001:db8::/200"]), "no prefix"),
        (answer(identifier="pvd.example.org"), "another domain, pvd.example.org"),
        (answer(expires=date(-1)), "expired"),
        (HttpAnswer(status=302), "0 headers location"),
        (HttpAnswer(status=302, headers=("Location: http://pvd.example.com/",)), "no https URL"),
        (HttpAnswer(status=302, headers=("Location: /again",)), "redirected more than 5 times"),
        (HttpAnswer(status=302, headers=("Location: https://a:b@pvd.example.com/",)), "no https URL"),
        (HttpAnswer(status=302, headers=("Location: https://[::1",)), "no https URL"),
    ],
)
async def test_bad_answers(autojump_clock: trio.testing.MockClock, bad: HttpAnswer, why: str) -> None:
    async with open_world() as world:
        world.respond = lambda _request: bad
        with pytest.raises((BadAnswer, MalformedInput), match=why):
            await get(world)
        assert len(world.requests) == (6 if "again" in str(bad.headers) else 1)
        assert world.host.open_streams() == []


async def test_slow_but_not_too_slow(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        world.respond = lambda _request: HttpAnswer(document(), PVD_TYPE, pause=0.1)
        await get(world)


async def test_the_media_type_is_the_same_in_any_case(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        world.respond = lambda _request: HttpAnswer(document(), "Application/PVD+JSON ; charset=utf-8")
        await get(world)


@pytest.mark.parametrize(
    ("context", "why"),
    [
        (certified("other.example.com"), "Hostname mismatch"),
        (certified("*.com"), "Hostname mismatch"),
        (certified(NAME, authority=trustme.CA()), "unable to get local issuer"),
    ],
)
async def test_bad_certificates(autojump_clock: trio.testing.MockClock, context: ssl.SSLContext, why: str) -> None:
    async with open_world() as world:
        await world.serve(NAME, context=context)
        with pytest.raises(BadCertificate, match=why):
            await get(world)
        assert world.requests == []  # not a word before the server has proved who it is
        assert world.host.open_streams() == []


async def test_the_systems_authorities_do_not_know_ours(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        with pytest.raises(BadCertificate):
            await get(world, default_ssl_context())


async def test_a_server_without_tls(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        peer = world.host.add_peer(DOMAIN, SERVER)

        async def greet(stream: trio.SocketStream) -> None:
            async with stream:
                await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")

        world.nursery.start_soon(trio.serve_listeners, greet, [peer])
        with pytest.raises(BadAnswer, match="TLS failed"):
            await get(world)
        assert world.host.open_streams() == []


async def test_redirections_are_followed_inside_the_domain(autojump_clock: trio.testing.MockClock) -> None:
    other, elsewhere = "cdn.example.net", "2001:db8:ff::80"

    def respond(request: HttpRequest) -> HttpAnswer:
        if request.headers["host"] == NAME:
            return HttpAnswer(status=307, headers=(f"Location: https://{other}:8443/pvd?x=1",))
        return answer()

    async with open_world() as world:
        await world.serve(other, address=elsewhere)
        world.respond = respond
        await get(world)
        assert [request.headers["host"] for _, request in world.requests] == [NAME, f"{other}:8443"]
        assert world.requests[1][1].target == "/pvd?x=1"
        assert [(name, address) for _, name, address in world.host.dialled] == [(DOMAIN, SERVER), (DOMAIN, elsewhere)]


async def test_a_redirection_to_a_server_that_can_not_prove_itself(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        world.host.add_name(DOMAIN, "other.example.com", SERVER)
        world.respond = lambda _request: HttpAnswer(status=301, headers=("Location: https://other.example.com/",))
        with pytest.raises(BadCertificate):
            await get(world)


# ---------------------------------------------------------------- reaching it


async def test_a_name_that_nobody_knows(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        world.host.add_name(DOMAIN, NAME, outcome=TranslationOutcome.NO_SUCH_NAME)
        with pytest.raises(Unreachable, match="no such name"):
            await get(world)


@pytest.mark.parametrize("reason", [NotConnectedReason.REFUSED, NotConnectedReason.NO_ROUTE])
async def test_a_server_that_can_not_be_connected_to(
    autojump_clock: trio.testing.MockClock, reason: NotConnectedReason
) -> None:
    async with open_world() as world:
        world.host.add_peer(DOMAIN, SERVER, reason=reason)
        with pytest.raises(Unreachable, match=reason.value):
            await get(world)


async def test_silence_has_an_end(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        world.host.add_name(DOMAIN, NAME, *(f"2001:db8:dead::{number}" for number in range(1, 60)))
        before = trio.current_time()
        with pytest.raises(Unreachable, match="nothing answered in time"):
            await get(world)
        assert trio.current_time() - before == pytest.approx(20)
        assert len(world.host.dialled) == 4


async def test_name_servers_that_never_answer(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        world.host.add_name(DOMAIN, NAME, SERVER, after=1000)
        with pytest.raises(Unreachable, match="nothing answered in time"):
            await get(world)
        assert trio.current_time() < 30


async def test_the_next_address_is_tried_and_ipv6_first(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        world.host.add_name(DOMAIN, NAME, "203.0.113.9", "2001:db8:ff::1", SERVER)
        world.host.add_peer(DOMAIN, "2001:db8:ff::1", reason=NotConnectedReason.REFUSED)
        await get(world)
        assert [address for _, _, address in world.host.dialled] == ["2001:db8:ff::1", SERVER]


async def test_a_domain_that_goes_in_the_middle(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        world.respond = lambda _request: HttpAnswer(document(), PVD_TYPE, pause=math.inf)
        domain = domain_of(world)

        async def unplug() -> None:
            await trio.sleep(5)
            world.host.remove_link("eth0")

        world.nursery.start_soon(unplug)
        with pytest.raises(DomainGone):
            with domain.fail_when_gone():
                await fetch_pvd_information(domain, NAME, trusting())
        assert trio.current_time() == pytest.approx(5)
        assert world.host.open_streams() == []
        with pytest.raises(DomainGone):
            await fetch_pvd_information(domain, NAME, trusting())


@pytest.mark.parametrize("checkpoints", range(60))
async def test_cancelled_anywhere_nothing_stays_open(autojump_clock: trio.testing.MockClock, checkpoints: int) -> None:
    """Cancelled after so many rounds of the scheduler; with the largest number it is through."""
    async with open_world() as world:
        domain, finished = domain_of(world), False
        with trio.CancelScope() as scope:

            async def count() -> None:
                for _ in range(checkpoints):
                    await trio.lowlevel.checkpoint()
                scope.cancel()

            world.nursery.start_soon(count)
            await fetch_pvd_information(domain, NAME, trusting())
            finished = True
        assert finished or scope.cancelled_caught
        assert world.host.open_streams() == []
        assert not finished or checkpoints > 5


# ---------------------------------------------------------------- the environment


async def test_proxies_are_not_used(autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with open_world() as world:
        await get(world)


async def test_another_trust_store_can_be_named(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AUTHORITY.cert_pem.tempfile() as path:
        monkeypatch.setenv("SSL_CERT_FILE", path)
        context = default_ssl_context()
    async with open_world() as world:
        await get(world, context)


def test_without_httpcore2_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    check_http_is_installed()
    monkeypatch.setitem(sys.modules, "httpcore2", None)
    with pytest.raises(ImportError, match=r"trimif\[http\]"):
        check_http_is_installed()


# ---------------------------------------------------------------- portals


async def test_a_portal(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world("portal.example.org") as world:
        members = {"captive": True, "user-portal-url": "https://example.org/"}
        world.respond = lambda _request: HttpAnswer(json.dumps(members).encode(), PORTAL_TYPE)
        information = await fetch_portal(domain_of(world), "https://portal.example.org/api/X54PD?y=z", trusting())
        assert information.captive
        [(_, request)] = world.requests
        assert (request.target, request.headers["accept"]) == ("/api/X54PD?y=z", PORTAL_TYPE)


async def test_a_portal_at_an_address(autojump_clock: trio.testing.MockClock) -> None:
    """The URI "SHOULD NOT contain an IP address literal" (RFC 8910, 2): it may, with a certificate for it."""
    async with open_world(SERVER) as world:
        world.respond = lambda _request: HttpAnswer(b'{"captive": false}', PORTAL_TYPE)
        assert not (await fetch_portal(domain_of(world), f"https://[{SERVER}]:4443/", trusting())).captive
        assert world.requests[0][1].headers["host"] == f"[{SERVER}]:4443"


@pytest.mark.parametrize("uri", ["http://portal.example.org/", "https://[fe80::1%25eth0]/", "urn:x", "", "https:///x"])
async def test_what_can_not_be_asked(autojump_clock: trio.testing.MockClock, uri: str) -> None:
    async with open_world() as world:
        with pytest.raises(BadAnswer, match="no https URL"):
            await fetch_portal(domain_of(world), uri, trusting())


# ---------------------------------------------------------------- anything


async def test_any_octets_are_an_answer_or_a_failure(autojump_clock: trio.testing.MockClock) -> None:
    """Good responses with some octets changed, removed or doubled."""
    chance = random.Random(8801)
    good = answer().head() + answer().body
    async with open_world() as world:
        domain, context, outcomes = domain_of(world), trusting(), set()
        for _ in range(300):
            octets = bytearray(good)
            for _ in range(chance.randint(1, 3)):
                position = chance.randrange(len(octets))
                octets[position : position + chance.choice([0, 1, 1, 20])] = chance.randbytes(
                    chance.choice([0, 1, 1, 9])
                )
            bad = HttpAnswer(raw=bytes(octets))
            world.respond = lambda _request, bad=bad: bad  # type: ignore[misc]
            try:
                await fetch_pvd_information(domain, NAME, context)
                outcomes.add("good")
            except (BadAnswer, MalformedInput) as failure:
                outcomes.add(type(failure).__name__)
            assert world.host.open_streams() == []
        assert outcomes == {"good", "BadAnswer", "MalformedInput"}
