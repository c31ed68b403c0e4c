"""PvD additional information on a real kernel: announced by a router, fetched by HTTPS inside the domain, or not."""

from __future__ import annotations

import math
import ssl

import pytest
import trio
import trustme
from attrs import evolve

import trimif
from trimif import ConfigurationElementAnnouncement, ElementType, Information, PvdInformation, PvdOption
from trimif._additional import _fetch
from trimif.testing._lab import Lab
from trimif.testing._namespaces import Namespace
from trimif.testing._servers_https import HttpAnswer

from ._explicit import (
    DNS,
    EXPLICIT,
    HTTPS,
    NAME,
    OPTION,
    PVD_TYPE,
    UP_B6,
    answer,
    certified,
    date,
    document,
    limitations,
    open_following_mif,
    open_network,
)
from ._program import Program, data_of, open_program, seen, watch

pytestmark = pytest.mark.lab


def information(mif: trimif.Mif) -> PvdInformation | None:
    data = data_of(mif, EXPLICIT, ElementType.PVD)
    found: PvdInformation | None = data.get(Information.PVD_INFORMATION)
    return found


async def fetched(program: Program) -> PvdInformation:
    domain = await program.domain(EXPLICIT)
    await program.when(lambda: program.elements(EXPLICIT).get(ElementType.PVD))
    told = await program.get(domain, ElementType.PVD, Information.PVD_INFORMATION)
    assert told is not None
    return told


async def test_it_is_fetched_inside_the_domain(lab: Lab, on_host: Namespace) -> None:
    """Lookup and connect leave by provider B, from its address, to its servers (law 10)."""
    async with open_network(lab) as network, open_following_mif() as mif, open_program(mif) as program:
        network.respond = lambda _request: answer(dnsZones=["corp.example"], noInternet=True)
        with watch(lab) as wires:
            await network.advertise()
            told = await fetched(program)
            assert (told.identifier, told.dns_zones, told.no_internet) == (NAME, ("corp.example",), True)
            assert told.expires - trio.current_time() == pytest.approx(3600, abs=5)
            assert wires.syns(port=443) == {"isp_b": [UP_B6]}
            assert wires.queries(NAME) == {"isp_b": {(UP_B6, str(DNS))}}
        [request] = network.requests
        assert (request.target, request.peer) == ("/.well-known/pvd", UP_B6)
        assert request.headers["accept"] == PVD_TYPE
        assert limitations(mif, "pvd") == []


async def test_a_new_sequence_number(lab: Lab, on_host: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimif._additional._limits.DOMAIN_SECONDS", 0.2)
    async with open_network(lab) as network, open_following_mif() as mif, open_program(mif) as program:
        await network.advertise()
        await fetched(program)
        network.respond = lambda _request: answer(noInternet=True)
        program.begin()
        await network.advertise(evolve(OPTION, sequence=1))
        domain = program.domains()[EXPLICIT]
        await program.until(trimif.NoConfigurationElementAnnouncement, domain=domain, element=ElementType.PVD)
        await program.until(ConfigurationElementAnnouncement, domain=domain, element=ElementType.PVD)
        assert (await fetched(program)).no_internet
        assert len(network.requests) == 2


async def test_it_expires_unless_it_is_updated(lab: Lab, on_host: Namespace) -> None:
    """The document lives for two seconds; its update has to wait for ten."""
    async with open_network(lab) as network, open_following_mif() as mif, open_program(mif) as program:
        network.respond = lambda _request: answer(expires=date(2))
        await network.advertise()
        await fetched(program)
        began = trio.current_time()
        await program.when(lambda: ElementType.PVD not in program.elements(EXPLICIT))
        assert 1.0 < trio.current_time() - began < 3.0
        assert len(network.requests) == 1


async def test_it_goes_with_its_domain(lab: Lab, on_host: Namespace) -> None:
    async with open_network(lab) as network, open_following_mif() as mif, open_program(mif) as program:
        await network.advertise()
        await fetched(program)
        lab.ip("host", "link set up-b down")
        await program.when(lambda: EXPLICIT not in program.domains())


async def test_without_the_h_flag_nobody_is_asked(lab: Lab, on_host: Namespace) -> None:
    async with open_network(lab) as network, open_following_mif() as mif, open_program(mif) as program:
        with watch(lab) as wires:
            await network.advertise(evolve(OPTION, http=False))
            await program.domain(EXPLICIT)
            await network.advertise(evolve(OPTION, http=False, legacy=True))
            await seen(lambda: advertised(mif) == evolve(OPTION, http=False, legacy=True))
            assert wires.queries(NAME) == {}
            assert wires.syns(port=443) == {}


def advertised(mif: trimif.Mif) -> PvdOption | None:
    option: PvdOption | None = data_of(mif, EXPLICIT, ElementType.RA).get(Information.PVD)
    return option


# ---------------------------------------------------------------- servers that fail


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        pytest.param(answer(identifier="other.example.com"), "another domain, other.example.com", id="identifier"),
        pytest.param(answer(expires=date(-3600)), "expired", id="expired"),
        pytest.param(answer(expires="soon"), "RFC 3339", id="no date"),
        pytest.param(HttpAnswer(b"x" * 1_000_000, PVD_TYPE), "too large", id="oversized"),
        pytest.param(HttpAnswer(document(), PVD_TYPE, pause=0.1), "no whole answer", id="drip"),
        pytest.param(HttpAnswer(document(), PVD_TYPE, pause=math.inf), "no whole answer", id="silent"),
        pytest.param(HttpAnswer(document(), "text/html"), "media type 'text/html'", id="content type"),
        pytest.param(HttpAnswer(document(), PVD_TYPE, 404), "status is 404", id="404"),
        pytest.param(HttpAnswer(document(), PVD_TYPE, 500), "status is 500", id="500"),
        pytest.param(
            HttpAnswer(status=302, headers=("Location: http://pvd.example.com/",)), "no https URL", id="to http"
        ),
        pytest.param(HttpAnswer(status=302, headers=("Location: /",)), "more than 5 times", id="redirected for ever"),
        pytest.param(HttpAnswer(raw=b"\xff\x00garbage\r\n\r\n"), "no HTTP response", id="garbage"),
        pytest.param(HttpAnswer(b'{"identifier": NaN}', PVD_TYPE), "NaN", id="NaN"),
    ],
)
async def test_a_bad_answer(
    lab: Lab, on_host: Namespace, monkeypatch: pytest.MonkeyPatch, bad: HttpAnswer, why: str
) -> None:
    """It is said why, and nobody asks again: not even when the sequence number says that there is something new."""
    monkeypatch.setattr(_fetch, "SERVER_SECONDS", 1.0)
    async with open_network(lab) as network, open_following_mif() as mif, open_program(mif) as program:
        network.respond = lambda _request: bad
        await network.advertise()
        await program.domain(EXPLICIT)
        await seen(lambda: limitations(mif, "pvd"))
        [limitation] = limitations(mif, "pvd")
        assert f"additional information of {NAME} on up-b" in limitation.missing
        assert why in limitation.missing
        assert "mend it" in limitation.remedy
        asked = len(network.requests)
        await network.advertise(evolve(OPTION, sequence=1))
        await seen(lambda: advertised(mif) == evolve(OPTION, sequence=1))
        assert (information(mif), len(network.requests)) == (None, asked)


@pytest.mark.parametrize(
    ("context", "why"),
    [
        pytest.param(certified("other.example.com"), "Hostname mismatch", id="wrong name"),
        pytest.param(certified(NAME, authority=trustme.CA()), "unable to get local issuer", id="untrusted"),
    ],
)
async def test_a_server_that_can_not_prove_who_it_is(
    lab: Lab, on_host: Namespace, context: ssl.SSLContext, why: str
) -> None:
    async with (
        open_network(lab, context=context) as network,
        open_following_mif() as mif,
        open_program(mif) as program,
    ):
        await network.advertise()
        await program.domain(EXPLICIT)
        await seen(lambda: limitations(mif, "pvd"))
        [limitation] = limitations(mif, "pvd")
        assert why in limitation.missing
        assert "authority that this host trusts" in limitation.remedy
        assert (information(mif), network.requests) == (None, [])


async def test_prefixes_that_are_not_covered(lab: Lab, on_host: Namespace) -> None:
    async with open_network(lab) as network, open_following_mif() as mif, open_program(mif) as program:
        network.respond = lambda _request: answer(prefixes=["2001:db8:a::/48"])
        await network.advertise()
        await program.domain(EXPLICIT)
        await seen(lambda: limitations(mif, "pvd"))
        [limitation] = limitations(mif, "pvd")
        assert "does not cover all of the prefixes that are advertised, 2001:db8:b::/64" in limitation.missing
        assert information(mif) is None


async def test_a_server_that_can_not_be_reached(lab: Lab, on_host: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no failure of the server's: it is tried again."""
    monkeypatch.setattr("trimif._additional._limits.DOMAIN_SECONDS", 0.2)
    monkeypatch.setattr("trimif._additional._schedule.RETRY_SECONDS", 0.3)
    lab.block("isp_b", f"ip6 daddr {HTTPS}", action="reject with icmpx type host-unreachable")
    async with open_network(lab) as network, open_following_mif() as mif, open_program(mif) as program:
        await network.advertise()
        await program.domain(EXPLICIT)
        await seen(lambda: limitations(mif, "pvd"))
        [limitation] = limitations(mif, "pvd")
        assert f"{NAME} can't be reached" in limitation.missing
        assert "goes on trying" in limitation.remedy
        lab.unblock("isp_b")
        assert (await fetched(program)).identifier == NAME
