"""Every sort of configuration data, for people and as JSON."""

from __future__ import annotations

import json
import math
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Any

import pytest

from trimif import (
    ConfigurationElementAnnouncement,
    Datum,
    DelegatedPrefix,
    DnsServerSelection,
    DomainId,
    DomainSnapshot,
    ElementSnapshot,
    ElementType,
    EncryptedDnsServer,
    Family,
    Information,
    InterfaceAnnouncement,
    InterfaceDetails,
    InterfaceId,
    InterfaceKind,
    InterfaceSnapshot,
    LeaseTimes,
    MifStatistics,
    Origin,
    PortalInformation,
    ProvisioningDomainAnnouncement,
    PvdInformation,
    PvdOption,
    RawOption,
    Snapshot,
)
from trimif.cli._data import LABELS, data_to_json
from trimif.cli._show import draw_tree, to_json
from trimif.testing._data_words import describe_data

from .test_show import NOW

SERVER, PREFIX = IPv6Address("2001:db8::53"), IPv6Network("2001:db8:f::/56")
ENCRYPTED = EncryptedDnsServer(1, "dns.example", (SERVER,), ("dot", "h2"), 8853, parameters=((1, b"\x03dot"),))
PORTAL = PortalInformation(True, "https://portal.example/", session_until=NOW + 60, octets_remaining=9)
FETCHED = PvdInformation("pvd.example", NOW + 60, (PREFIX,), ("corp.example",), True, True, '{"identifier": "x"}')

CASES: list[tuple[Information[Any], Any, str, Any]] = [
    (
        Information.ENCRYPTED_DNS,
        (ENCRYPTED,),
        "dns.example (dot h2 2001:db8::53 port 8853)",
        [
            {
                "priority": 1,
                "name": "dns.example",
                "addresses": ["2001:db8::53"],
                "alpn": ["dot", "h2"],
                "port": 8853,
                "doh_path": None,
                "parameters": [[1, "03646f74"]],
            }
        ],
    ),
    (
        Information.DNS_SELECTION,
        (DnsServerSelection(SERVER, 1, ("corp.example", ".")), DnsServerSelection(SERVER, -1)),
        "2001:db8::53 for corp.example . preferred, 2001:db8::53 for nothing if no other does",
        [
            {"server": "2001:db8::53", "preference": 1, "domains": ["corp.example", "."]},
            {"server": "2001:db8::53", "preference": -1, "domains": []},
        ],
    ),
    (
        Information.DELEGATED_PREFIXES,
        (DelegatedPrefix(PREFIX, NOW + 3600, math.inf),),
        "2001:db8:f::/56 valid 1 h",
        [{"prefix": "2001:db8:f::/56", "valid": 3600.0, "preferred": None}],
    ),
    (
        Information.LEASE,
        LeaseTimes(NOW + 60, None, math.inf),
        "renewal in 1 min, end never",
        {"renew_at": 60.0, "rebind_at": None, "valid": None},
    ),
    (
        Information.PVD,
        PvdOption("pvd.example", http=True, legacy=True, sequence=7),
        "pvd.example, additional information, IPv4 too, sequence number 7",
        {"identifier": "pvd.example", "http": True, "legacy": True, "delay": 0, "sequence": 7},
    ),
    (
        Information.PVD_INFORMATION,
        FETCHED,
        "pvd.example, no Internet, metered, zones corp.example, prefixes 2001:db8:f::/56, expires in 1 min",
        {
            "identifier": "pvd.example",
            "expires": 60.0,
            "prefixes": ["2001:db8:f::/56"],
            "dns_zones": ["corp.example"],
            "no_internet": True,
            "metered": True,
            "text": {"identifier": "x"},
        },
    ),
    (
        Information.PORTAL,
        PORTAL,
        "captive, log in at https://portal.example/, session ends in 1 min, 9 octets left",
        {
            "captive": True,
            "user_portal_url": "https://portal.example/",
            "venue_info_url": None,
            "can_extend_session": None,
            "session": 60.0,
            "octets_remaining": 9,
        },
    ),
    (
        Information.RAW_OPTIONS,
        (RawOption(224, b"\x01\x02"), RawOption(225, bytes(20))),
        f"224 01 02, 225 {bytes(16).hex(' ')}…",
        [{"code": 224, "octets": "0102"}, {"code": 225, "octets": "00" * 20}],
    ),
    (Information.PREF64, (IPv6Network("64:ff9b::/96"),), "64:ff9b::/96", ["64:ff9b::/96"]),
    (Information.METERED, False, "no", False),
    (Information.LINK_TYPE, InterfaceKind.WIFI, "wifi", "wifi"),
    (Information.IPV6_ONLY_WAIT, 1800.0, "30 min", 1800.0),
    (Information.CAPTIVE_PORTAL, "https://\x1b[2J", "https://\\x1b[2J", "https://\x1b[2J"),
    (Information.VALID_UNTIL, math.inf, "for ever", None),
]


@pytest.mark.parametrize(("information", "data", "text", "plain"), CASES, ids=lambda value: getattr(value, "name", ""))
def test_data(information: Information[Any], data: Any, text: str, plain: Any) -> None:
    assert describe_data(information, data, NOW) == text
    assert data_to_json(information, data, NOW) == plain
    json.dumps(plain, allow_nan=False)


def test_every_identifier_has_a_label() -> None:
    assert set(LABELS) == set(Information.all())


def test_who_told_each_datum() -> None:
    interface, domain, server = InterfaceId("i"), DomainId("d"), IPv4Address("198.51.100.1")
    told, lease = Origin("dhclient", server), Information.VALID_UNTIL
    element = ElementSnapshot(
        ConfigurationElementAnnouncement(domain, ElementType.DHCPV4, told),
        {Information.DNS_SERVERS: (server,), lease: NOW + 3600},
        {
            Information.DNS_SERVERS: (Datum(server, told, NOW - 60, NOW + 3600),),
            lease: (Datum(NOW + 3600, told, NOW, NOW + 3600),),
        },
    )
    details = InterfaceDetails(InterfaceKind.CELLULAR, 1500, up=True, carrier=True, metered=True)
    named = ProvisioningDomainAnnouncement(interface, domain, "wwan0/ipv4", frozenset({Family.IPV4}))
    snapshot = Snapshot(
        (
            InterfaceSnapshot(
                InterfaceAnnouncement(interface, "wwan0", details), (DomainSnapshot(named, (element,), ()),)
            ),
        )
    )
    (tree,) = draw_tree(snapshot, NOW, origins=True)
    assert str(tree.label) == "wwan0: cellular, up, MTU 1500, metered"
    (leaf, valid) = tree.children[0].children[0].children
    assert [str(each.label) for each in leaf.children] == [
        "198.51.100.1: dhclient from 198.51.100.1, 1 min ago, valid 1 h"
    ]
    assert [str(each.label) for each in valid.children] == ["dhclient from 198.51.100.1, just now, valid 1 h"]
    plain = to_json(snapshot, MifStatistics(0, (), 0, ()), NOW)["interfaces"][0]
    assert plain["metered"] is True
    assert plain["domains"][0]["elements"][0]["provenance"]["dns_servers"] == [
        {"value": "198.51.100.1", "source": "dhclient", "server": "198.51.100.1", "age": 60.0, "valid": 3600.0}
    ]
