"""Translate Name on a real kernel: each domain has its own view of the DNS, and asks by its own uplink only."""

from __future__ import annotations

import socket

import pytest

import trimif
from trimif import StaticConfiguration, StopTranslatingName, TranslateName, TranslationOutcome
from trimif.testing._lab import Lab
from trimif.testing._namespaces import Namespace

from ._program import Wires, open_program, seen, watch

pytestmark = pytest.mark.lab

UP_A, UP_A6, UP_B = "198.51.100.10", "2001:db8:a::ff:fe00:a02", "198.51.100.70"
VPN = StaticConfiguration("vpn0", ("198.51.100.129", "fd6d:6966:1::1"), ("corp.example",))
ANSWERED, NO_SUCH_NAME = TranslationOutcome.ANSWERED, TranslationOutcome.NO_SUCH_NAME


async def test_the_same_name_is_another_in_each_domain(lab: Lab, on_host: Namespace) -> None:
    """Law 10: each query leaves by its domain's uplink, from its address, to its first server; nobody else sees it."""
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    async with trimif.open_mif(lease_directories=[lab.lease_directory], static=[VPN]) as mif:
        async with open_program(mif) as program:
            await program.domain("up-a/ipv6")
            await program.quiet()
            for name, answers, network, source, server in (
                ("up-a/ipv4", {"203.0.113.10", "2001:db8:ff::10"}, "isp_a", UP_A, "198.51.100.1"),
                ("up-a/ipv6", {"203.0.113.10", "2001:db8:ff::10"}, "isp_a", UP_A6, "2001:db8:a::1"),
                ("up-b/ipv4", {"203.0.113.20", "2001:db8:ff::20"}, "isp_b", UP_B, "198.51.100.65"),
                ("vpn0/ipv4", {"203.0.113.130", "fd6d:6966:2::80"}, "vpn", "198.51.100.130", "198.51.100.129"),
                ("vpn0/ipv6", {"203.0.113.130", "fd6d:6966:2::80"}, "vpn", "fd6d:6966:1::2", "fd6d:6966:1::1"),
            ):
                domain = await program.domain(name)
                with watch(lab) as wires:
                    assert await program.translate(domain, "host.example.com") == (answers, ANSWERED)
                    assert wires.queries("host.example.com") == {network: {(source, server)}}


async def test_names_that_one_network_knows(lab: Lab, on_host: Namespace) -> None:
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    async with trimif.open_mif(lease_directories=[lab.lease_directory], static=[VPN]) as mif:
        async with open_program(mif) as program:
            domains = {name: await program.domain(name) for name in ("up-a/ipv4", "up-b/ipv4", "vpn0/ipv4")}
            for question, knows, answers in (
                ("only-a.example.com", "up-a/ipv4", {"203.0.113.10", "2001:db8:ff::10"}),
                ("only-b.example.com", "up-b/ipv4", {"203.0.113.20"}),
                ("intranet.corp.example", "vpn0/ipv4", {"203.0.113.130", "fd6d:6966:2::80"}),
            ):
                told = {name: await program.translate(domain, question) for name, domain in domains.items()}
                assert told == {name: (set(), NO_SUCH_NAME) for name in domains} | {knows: (answers, ANSWERED)}


async def test_search_domains_are_those_of_the_domain(lab: Lab, on_host: Namespace) -> None:
    async with trimif.open_mif(static=[VPN]) as mif, open_program(mif) as program:
        tunnel, uplink = await program.domain("vpn0/ipv4"), await program.domain("up-a/ipv6")
        await program.quiet()
        with watch(lab) as wires:
            assert await program.translate(tunnel, "intranet") == ({"203.0.113.130", "fd6d:6966:2::80"}, ANSWERED)
            assert await program.translate(uplink, "only-a") == ({"203.0.113.10", "2001:db8:ff::10"}, ANSWERED)
            assert wires.queries("intranet.corp.example").keys() == {"vpn"}
            assert wires.queries("only-a.isp-a.example").keys() == {"isp_a"}
            assert wires.queries("only-a.example.com").keys() == {"isp_a"}


async def test_other_outcomes(lab: Lab, on_host: Namespace) -> None:
    async with trimif.open_mif() as mif, open_program(mif) as program:
        domain = await program.domain("up-a/ipv6")
        await program.quiet()
        assert await program.translate(domain, "v4only.example.com") == ({"203.0.113.80"}, ANSWERED)
        assert await program.translate(domain, "view.example.com") == (set(), TranslationOutcome.NO_DATA)
        many, outcome = await program.translate(domain, "many.example.com")
        assert (len(many), outcome) == (64, TranslationOutcome.TRUNCATED)
        tunnel = await program.domain("vpn0/ipv6")
        assert await program.translate(tunnel, "host.example.com") == (set(), TranslationOutcome.NO_SERVERS)


async def test_no_fall_back_to_another_uplink(lab: Lab, on_host: Namespace) -> None:
    """Provider B's server is dead; the next one the host would reach best by provider A, and must not be asked so."""
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    lab.block("isp_b", "udp dport 53", action="reject")
    known = StaticConfiguration("up-b", ("203.0.113.20",))
    async with trimif.open_mif(lease_directories=[lab.lease_directory], static=[known]) as mif:
        async with open_program(mif) as program:
            domain = await program.domain("up-b/ipv4")
            with watch(lab) as wires:
                program.post(TranslateName(domain, "host.example.com", 1))
                await seen(lambda: "203.0.113.20" in servers_asked(wires))
                program.post(StopTranslatingName(1))
                check_law_10(wires)


async def test_the_check_of_law_10_sees_an_unbound_query(lab: Lab, on_host: Namespace) -> None:
    """The same, asked the system's way: the query takes the better default route, and the check says so."""
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    query = bytes.fromhex("0001 0100 0001 0000 0000 0000 04686f7374 076578616d706c65 03636f6d 00 0001 0001")
    with watch(lab) as wires, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unbound:
        unbound.sendto(query, ("203.0.113.20", 53))
        await seen(lambda: "203.0.113.20" in servers_asked(wires))
        with pytest.raises(AssertionError):
            check_law_10(wires)


def check_law_10(wires: Wires) -> None:
    """Queries of provider B's domain leave by its uplink, from its address."""
    seen = wires.queries("host.example.com")
    assert seen.keys() == {"isp_b"}
    assert {source for source, _server in seen["isp_b"]} == {UP_B}


def servers_asked(wires: Wires) -> set[str]:
    return {server for pairs in wires.queries("host.example.com").values() for _source, server in pairs}
