"""``trimif show``, drawn from snapshots made by hand."""

from __future__ import annotations

import io
import json
import math
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from trimif import (
    AddressAnnouncement,
    ConfigurationElementAnnouncement,
    DomainId,
    DomainSnapshot,
    ElementSnapshot,
    ElementType,
    Family,
    Information,
    InterfaceAnnouncement,
    InterfaceDetails,
    InterfaceId,
    InterfaceKind,
    InterfaceSnapshot,
    Limitation,
    MifStatistics,
    Origin,
    ProvisioningDomainAnnouncement,
    Route,
    Snapshot,
)
from trimif.cli._domains import describe_limitations
from trimif.cli._show import draw_tree, to_json

NOW = 1000.0
STATISTICS = MifStatistics(1, (), 0, (Limitation("router advertisements", "those on the wire", "run as root"),))


def snapshot(text: str = "example.com") -> Snapshot:
    interface, domain = InterfaceId("i"), DomainId("d")
    data: dict[Information[Any], Any] = {
        Information.DNS_SERVERS: (IPv4Address("198.51.100.1"), IPv4Address("198.51.100.2")),
        Information.SEARCH_DOMAINS: (text,),
        Information.ROUTES: (Route(IPv4Network("0.0.0.0/0"), IPv4Address("198.51.100.1")),),
        Information.MTU: 1400,
        Information.VALID_UNTIL: NOW + 3600,
    }
    lease = ConfigurationElementAnnouncement(domain, ElementType.DHCPV4, Origin(text, IPv4Address("198.51.100.1")))
    addresses = (
        AddressAnnouncement(domain, IPv4Address("198.51.100.7"), 24, NOW + 3600, NOW + 1800),
        AddressAnnouncement(domain, IPv6Address("2001:db8::7"), 64, math.inf, math.inf),
    )
    details = InterfaceDetails(InterfaceKind.WIFI, 1500, up=True, carrier=False)
    announcement = ProvisioningDomainAnnouncement(interface, domain, "eth0/ipv4", frozenset({Family.IPV4}), text)
    domains = (DomainSnapshot(announcement, (ElementSnapshot(lease, data),), addresses),)
    return Snapshot((InterfaceSnapshot(InterfaceAnnouncement(interface, text, details), domains),))


def drawn(tree: Snapshot) -> str:
    output = io.StringIO()
    console = Console(file=output, width=1000, highlight=False, markup=False, emoji=False)
    console.print(*draw_tree(tree, NOW), sep="\n")
    return output.getvalue()


TREE = """\
example.com: wifi, up, no carrier, MTU 1500
└── eth0/ipv4 (explicit)
    ├── DHCPv4, example.com from 198.51.100.1
    │   ├── DNS servers: 198.51.100.1, 198.51.100.2
    │   ├── search domains: example.com
    │   ├── routes: 0.0.0.0/0 via 198.51.100.1
    │   ├── MTU: 1400
    │   └── valid: 1 h
    ├── address 198.51.100.7/24, valid 1 h, preferred 30 min
    └── address 2001:db8::7/64, valid for ever
"""


def test_the_tree_has_all_that_is_known() -> None:
    lines = [line.rstrip() for line in drawn(snapshot()).splitlines() if line.strip()]
    assert lines == TREE.splitlines()


def test_the_json_has_all_that_is_known() -> None:
    (interface,) = to_json(snapshot(), STATISTICS, NOW)["interfaces"]
    assert (interface["kind"], interface["up"], interface["carrier"]) == ("wifi", True, False)
    (domain,) = interface["domains"]
    assert domain["elements"][0]["data"] == {
        "dns_servers": ["198.51.100.1", "198.51.100.2"],
        "search_domains": ["example.com"],
        "routes": [{"destination": "0.0.0.0/0", "gateway": "198.51.100.1"}],
        "mtu": 1400,
        "valid_until": 3600.0,
    }
    assert [address["valid"] for address in domain["addresses"]] == [3600.0, None]


def test_limitations_have_their_remedy() -> None:
    assert list(describe_limitations(STATISTICS.limitations)) == [
        "Not seen by router advertisements: those on the wire",
        "  Remedy: run as root",
    ]
    (limitation,) = to_json(snapshot(), STATISTICS, NOW)["limitations"]
    assert limitation["remedy"] == "run as root"


@given(
    st.text(st.characters(codec="utf-8")) | st.sampled_from(["[bold red]x[/]", "\x1b[2J", ":smile:", "a\nb", "\u202e"])
)
def test_no_network_can_steer_the_terminal(text: str) -> None:
    tree = drawn(snapshot(text))
    assert all(line.isprintable() for line in tree.splitlines())
    assert len([line for line in tree.splitlines() if line.strip()]) == len(TREE.splitlines())
    json.dumps(to_json(snapshot(text), STATISTICS, NOW), allow_nan=False)


def test_markup_is_shown_as_it_is() -> None:
    assert "search domains: [bold red]x[/]" in drawn(snapshot("[bold red]x[/]"))
    assert "search domains: :smile:" in drawn(snapshot(":smile:"))
