"""The demo's chart and race, drawn from small histories."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from trimif import (
    AnnounceInterfaces,
    AnnounceProvisioningDomain,
    ConnectToAddress,
    DomainId,
    InterfaceAnnouncement,
    InterfaceDetails,
    InterfaceId,
    InterfaceKind,
    NotConnected,
    NotConnectedReason,
    ProvisioningDomainAnnouncement,
)
from trimif.cli._demo._chart import Direction, Passed, draw_chart
from trimif.cli._demo._race import Attempt, draw_race

ETH0, DOMAIN = InterfaceId("interface-1"), DomainId("domain-1")
POSTED, RECEIVED = Direction.POSTED, Direction.RECEIVED

HISTORY = [
    Passed(100.0, POSTED, AnnounceInterfaces()),
    Passed(
        100.0004,
        RECEIVED,
        InterfaceAnnouncement(ETH0, "eth0", InterfaceDetails(InterfaceKind.ETHERNET, 1500, up=True, carrier=True)),
    ),
    Passed(100.0005, POSTED, AnnounceProvisioningDomain(ETH0)),
    Passed(101.25, RECEIVED, ProvisioningDomainAnnouncement(ETH0, DOMAIN, "eth0/ipv4", frozenset())),
    Passed(101.3, POSTED, ConnectToAddress(DOMAIN, "198.51.100.7", 80, "a")),
    Passed(101.4, RECEIVED, NotConnected("a" * 70, NotConnectedReason.REFUSED)),
]

CHART = """\
         +-------+                                                        +-------+
         |  APP  |                                                        |  API  |
         +-------+                                                        +-------+
      0.0 ms |-- Announce Interfaces ---------------------------------------->|
      0.4 ms |<--------------------- Interface eth0: ethernet, up, MTU 1500 --|
      0.5 ms |-- Announce PDs of eth0 --------------------------------------->|
   1250.0 ms |<----------------------------------------------- PD eth0/ipv4 --|
   1300.0 ms |-- Connect to 198.51.100.7 port 80 through eth0/ipv4 ---------->|
   1400.0 ms |<- Not Connected (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa... --|
             |                                                                |
"""


def test_the_chart_has_two_columns_and_an_arrow_for_each_message() -> None:
    assert "".join(f"{line}\n" for line in draw_chart(HISTORY)) == CHART


@pytest.mark.parametrize("columns", [0, 80, 97, 500])
def test_the_chart_fits_the_terminal_and_stays_straight(columns: int) -> None:
    lines = list(draw_chart(HISTORY, columns))[3:]
    assert len({len(line) for line in lines}) == 1
    assert len(lines[0]) == min(max(columns - 1, 79), 99)


def test_an_empty_history_is_an_empty_chart() -> None:
    assert len(list(draw_chart([]))) == 4


def test_the_race_has_one_scale_for_all() -> None:
    winner = Attempt("eth0/ipv4", IPv4Address("198.51.100.7"), 10.0, 10.05, "connected")
    attempts = [
        winner,
        Attempt("wa0/ipv6", IPv6Address("2001:db8::7"), 10.025, 10.1, "no answer, stopped"),
        Attempt("a\x1b[2J", IPv4Address("198.51.100.8"), 10.0, 10.0, "no\nroute"),
    ]
    assert list(draw_race(attempts, winner)) == [
        "eth0/ipv4  198.51.100.7  [====================|...................]    0.0-50.0 ms  connected, the winner",
        "wa0/ipv6   2001:db8::7   [..........=============================|]  25.0-100.0 ms  no answer, stopped",
        "a\\x1b[2J   198.51.100.8  [|.......................................]     0.0-0.0 ms  no\\nroute",
    ]


def test_no_race_is_no_picture() -> None:
    assert list(draw_race([], None)) == []
