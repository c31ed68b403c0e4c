"""What goes wrong on a real kernel: links that vanish under work, overruns of netlink, and who comes in a storm."""

from __future__ import annotations

import json
import subprocess
from contextlib import AsyncExitStack
from functools import partial
from ipaddress import IPv6Address, ip_address

import pytest

import trimif
from trimif import (
    ConnectToAddress,
    ElementType,
    NameTranslationFinished,
    NoAddressAnnouncement,
    NoConfigurationElementAnnouncement,
    NoInterfaceAnnouncement,
    NoProvisioningDomainAnnouncement,
    NotConnected,
    NotConnectedReason,
    TranslateName,
    TranslationOutcome,
)
from trimif.testing._lab import Lab
from trimif.testing._namespaces import Namespace

from ._program import Program, open_program, seen, watch

pytestmark = pytest.mark.lab

WEB6 = "2001:db8:ff::80"
UP_A6 = IPv6Address("2001:db8:a::ff:fe00:a02")
SILENT = 84


# ---------------------------------------------------------------- work in a domain that ends


async def test_a_link_deleted_under_a_lookup_and_a_connect(lab: Lab, on_host: Namespace) -> None:
    """Law 2, word for word: the translations finish, the connects fail, then the withdrawals, leaf first."""
    lab.block("isp_a", "udp dport 53")
    async with trimif.open_mif() as mif, open_program(mif) as program:
        interface, domain = program.interfaces()["up-a"], await program.domain("up-a/ipv6")
        await program.quiet()
        with watch(lab) as wires:
            program.post(ConnectToAddress(domain, ip_address(WEB6), SILENT, "connect"))
            program.post(TranslateName(domain, "host.example.com", "lookup"))
            await seen(lambda: wires.syns(port=SILENT) and wires.queries("host.example.com"))
            program.begin()
            lab.delete_link("up-a")
            await program.until(NoInterfaceAnnouncement)
        told = [each for each in program.news if isinstance(each, LAST_WORDS)]
        failure = told[1]
        assert isinstance(failure, NotConnected)
        assert told == [
            NameTranslationFinished("lookup", TranslationOutcome.DOMAIN_GONE),
            NotConnected("connect", NotConnectedReason.DOMAIN_GONE, failure.errno, failure.text),
            NoAddressAnnouncement(domain, UP_A6),
            NoConfigurationElementAnnouncement(domain, ElementType.RA),
            NoProvisioningDomainAnnouncement(interface, domain),
            NoInterfaceAnnouncement(interface),
        ]
        await seen(lambda: not syn_sent(lab))

        program.begin()
        program.post(ConnectToAddress(domain, ip_address(WEB6), 80, "late"))
        program.post(TranslateName(domain, "host.example.com", "late"))
        gone = await program.until(NotConnected, connection_id="late")
        assert gone.reason is NotConnectedReason.DOMAIN_GONE
        late = await program.until(NameTranslationFinished, translation_id="late")
        assert late.outcome is TranslationOutcome.DOMAIN_GONE


LAST_WORDS = (
    NameTranslationFinished
    | NotConnected
    | NoAddressAnnouncement
    | NoConfigurationElementAnnouncement
    | NoProvisioningDomainAnnouncement
    | NoInterfaceAnnouncement
)


def syn_sent(lab: Lab) -> str:
    """The host's connections that wait for an answer."""
    command = ["ss", "-Htn", "state", "syn-sent"]
    return str(lab.host.run(command, capture_output=True, text=True, check=True).stdout)


async def test_a_program_that_leaves_takes_its_work_along(lab: Lab, on_host: Namespace) -> None:
    """Law 8, on the kernel: the subscriber is closed in the middle of a connect, and no socket stays."""
    async with trimif.open_mif() as mif:
        async with open_program(mif) as program:
            domain = await program.domain("up-a/ipv6")
            with watch(lab) as wires:
                program.post(ConnectToAddress(domain, ip_address(WEB6), SILENT, "vain"))
                await seen(lambda: wires.syns(port=SILENT))
        await seen(lambda: not syn_sent(lab))


# ---------------------------------------------------------------- storms


def storm(lab: Lab, rounds: int) -> None:
    """Thousands of changes while nobody in this thread can read: more than the kernel keeps for us (ENOBUFS).

    What is left in the end differs from what was before in a link's name, an address more, and one less.
    """
    flap = "address add 198.51.100.131/26 dev vpn0\naddress delete 198.51.100.131/26 dev vpn0\n"
    links = "link set vpn0 mtu 1400\nlink set vpn0 mtu 1500\n"
    lab.ip_batch("host", (flap + links) * rounds)
    lab.rename("vpn0", "tun0")
    lab.ip_batch("host", "address add 198.51.100.140/26 dev tun0\naddress delete fd6d:6966:1::2/64 dev tun0\n")


async def test_an_overrun_leaves_no_gap(lab: Lab, on_host: Namespace) -> None:
    """Law 4: at rest every subscriber knows what ``ip`` knows: a reader who was late, and one who came meanwhile."""
    async with trimif.open_mif() as mif, open_program(mif) as program, open_program(mif, max_buffer_size=2) as slow:
        await program.domain("up-a/ipv6")
        interface = program.interfaces()["vpn0"]
        storm(lab, 3000)
        async with open_program(mif) as late:
            for each in (program, slow, late):
                await each.when(partial(knows, each, "tun0", "198.51.100.140"))
                assert each.interfaces()["tun0"] == interface
                assert told_addresses(each) == addresses(lab)
        assert sum(each.overruns for each in mif.statistics().sources) > 0


def told_addresses(program: Program) -> dict[str, set[str]]:
    told: dict[str, set[str]] = {}
    for name in program.domains():
        told.setdefault(name.partition("/")[0], set()).update(program.addresses(name))
    return told


def addresses(lab: Lab) -> dict[str, set[str]]:
    """By the kernel's own account; link-local addresses make no domain."""
    links = json.loads(lab.ip("host", "-json address show"))
    found = {link["ifname"]: {each["local"] for each in link["addr_info"] if each["scope"] != "link"} for link in links}
    return {name: locals_ for name, locals_ in found.items() if locals_}


async def test_programs_that_come_in_the_middle_of_a_storm(lab: Lab, on_host: Namespace) -> None:
    """Addresses and links come and go while one subscriber after the other begins, each with a buffer of its own."""
    up = "".join(f"address add 2001:db8:c::{n:x}/128 dev vpn0 nodad\n" for n in range(1, 50))
    down = "".join(f"address delete 2001:db8:c::{n:x}/128 dev vpn0\n" for n in range(1, 50))
    links = "link add extra type veth peer extrap\nlink set extra up\nlink delete extra\n"
    storm = lab.host.popen(["ip", "-batch", "-"], stdin=subprocess.PIPE, text=True)
    async with trimif.open_mif() as mif, AsyncExitStack() as stack:
        programs = [await stack.enter_async_context(open_program(mif))]
        with storm:
            assert storm.stdin is not None
            storm.stdin.write((up + links + down + links) * 8 + "address add 198.51.100.140/26 dev vpn0\n")
            storm.stdin.close()
            for size in (1000, 1, 7, 50):
                await seen(partial(has_seen_more, mif, facts_seen(mif) + 200))
                assert storm.poll() is None, "the storm is over too soon"
                programs.append(await stack.enter_async_context(open_program(mif, max_buffer_size=size)))
            await seen(lambda: storm.poll() is not None)
        assert storm.returncode == 0
        for each in programs:
            await each.when(partial(knows, each, "vpn0", "198.51.100.140"))
            await each.when(partial(is_true, each, lab))


def facts_seen(mif: trimif.Mif) -> int:
    return sum(each.facts for each in mif.statistics().sources)


def has_seen_more(mif: trimif.Mif, facts: int) -> bool:
    return facts_seen(mif) > facts


def is_true(program: Program, lab: Lab) -> bool:
    return told_addresses(program) == addresses(lab)


def knows(program: Program, interface: str, address: str) -> bool:
    return address in told_addresses(program).get(interface, ())
