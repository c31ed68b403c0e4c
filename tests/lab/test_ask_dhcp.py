"""``open_mif(ask_dhcp=…)``: an address set by hand, and a DHCP server that knows the rest."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest
import trio

import trimif
from trimif import ElementType, Information, Origin

from ._dhcp_link import Link, open_link, start_dnsmasq
from ._program import Program, data_of, open_program

pytestmark = pytest.mark.lab

SERVER, SERVER6 = IPv4Address("198.51.100.1"), IPv6Address("2001:db8:a::1")


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    with open_link(tmp_path) as link, link.host.entered():
        link.ip(link.host, "address add 198.51.100.9/24 dev eth0")
        start_dnsmasq(
            link,
            "--dhcp-range=198.51.100.10,198.51.100.20,120",
            f"--dhcp-option=option:dns-server,{SERVER}",
            "--dhcp-range=2001:db8:a::,ra-stateless",
            f"--dhcp-option=option6:dns-server,[{SERVER6}]",
        )
        yield link


async def says(mif: trimif.Mif, program: Program, name: str, element: ElementType) -> dict[Information[Any], Any]:
    """What the element says of name servers, as soon as it does."""
    await program.when(
        lambda: element in program.elements(name) and Information.DNS_SERVERS in data_of(mif, name, element)
    )
    return dict(data_of(mif, name, element))


async def test_what_the_servers_answer_joins_the_domains(link: Link) -> None:
    async with trimif.open_mif(ask_dhcp=["eth0"]) as mif, open_program(mif) as program:
        inform = await says(mif, program, "eth0/ipv4", ElementType.DHCPV4)
        assert inform[Information.DNS_SERVERS] == (SERVER,)
        stateless = await says(mif, program, "eth0/ipv6", ElementType.DHCPV6)
        assert stateless[Information.DNS_SERVERS] == (SERVER6,)
        assert program.elements("eth0/ipv4")[ElementType.DHCPV4] == Origin("dhcp", SERVER)
        assert program.elements("eth0/ipv6")[ElementType.DHCPV6].source == "dhcp"


async def test_nobody_is_asked_without_being_told_to(link: Link) -> None:
    async with trimif.open_mif() as mif, open_program(mif) as program:
        await program.when(lambda: ElementType.STATIC in program.elements("eth0/ipv4"))
        await trio.lowlevel.checkpoint()
        assert "dhcp" not in [each.name for each in mif.statistics().sources]
        assert ElementType.DHCPV4 not in program.elements("eth0/ipv4")
