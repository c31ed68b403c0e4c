"""The name service as a program sees it: `open_mif` on a real kernel, each domain by its own uplink."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
import trio

import trimif
from trimif import DomainView, NameTranslationFinished, StaticConfiguration, TranslateName, TranslationOutcome
from trimif._name_systems import NameSystem, Tell
from trimif.testing._lab import Lab
from trimif.testing._namespaces import Namespace

from ._program import open_program, seen, watch

pytestmark = pytest.mark.lab

KNOWN = StaticConfiguration("vpn0", ("198.51.100.129", "fd6d:6966:1::1"), ("corp.example",))
NAME = "host.example.com"


class Mine:
    """Knows one name everywhere."""

    name = "mine"

    async def translate(self, domain: DomainView, name: str, tell: Tell) -> TranslationOutcome:
        await trio.lowlevel.checkpoint()
        if name != "mine.example":
            return TranslationOutcome.NO_SUCH_NAME
        tell(ip_address("203.0.113.5"))
        return TranslationOutcome.ANSWERED


async def test_a_systems_order_of_the_programs(lab: Lab, on_host: Namespace) -> None:
    systems: list[str | NameSystem] = ["hosts", Mine(), "dns"]
    async with trimif.open_mif(static=[KNOWN], name_systems=systems) as mif, open_program(mif) as program:
        domain = await program.domain("up-a/ipv6")
        await program.quiet()
        with watch(lab) as wires:
            assert await program.translate(domain, "mine.example") == ({"203.0.113.5"}, TranslationOutcome.ANSWERED)
            assert not wires.queries("mine.example")
            _, outcome = await program.translate(domain, NAME)
            assert outcome is TranslationOutcome.ANSWERED
            finished = [each for each in program.history if isinstance(each, NameTranslationFinished)][-1]
            assert (finished.said[0].system, finished.said[0].said) == ("mine", "no such name")
            assert {each.said for each in finished.said if each.system == "dns"} == {"answered"}
            await program.translate(domain, NAME)
            again = [each for each in program.history if isinstance(each, NameTranslationFinished)][-1]
            assert [each.system for each in again.said] == ["mine"], "the rest is remembered"
            assert set(wires.queries(NAME)) == {"isp_a"}
        with pytest.raises(ValueError, match="no name system 'nis'; there are 'hosts', 'dns', 'mdns', 'llmnr', 'mine'"):
            program.post(TranslateName(domain, NAME, 1, ["nis"]))


async def test_torn_down_in_the_middle(lab: Lab, on_host: Namespace) -> None:
    """Law 10: what was being asked in a domain that goes is asked of nobody else."""
    lab.start_dhclient("up-b")
    lab.block("isp_b", "udp dport 53")
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        domain = await program.domain("up-b/ipv4")
        with watch(lab) as wires:
            program.post(TranslateName(domain, NAME, 1))
            await seen(lambda: wires.queries(NAME))
            on_host.run(["ip", "link", "set", "up-b", "down"], check=True)
            finished = await program.until(NameTranslationFinished, translation_id=1)
            assert finished.outcome is TranslationOutcome.DOMAIN_GONE
            assert wires.queries(NAME).keys() == {"isp_b"}
