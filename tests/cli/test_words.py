"""Messages in words, and what may reach a terminal."""

from __future__ import annotations

import math
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif import (
    AddressAnnouncement,
    AnnounceInterfaces,
    AnnounceProvisioningDomain,
    ConfigurationData,
    ConfigurationElementAnnouncement,
    Connected,
    ConnectToAddress,
    ConnectToAddressFromAddress,
    DomainId,
    ElementType,
    Family,
    GetConfigurationData,
    Information,
    InterfaceAnnouncement,
    InterfaceDetails,
    InterfaceId,
    InterfaceKind,
    NameTranslation,
    NameTranslationFinished,
    NoAddressAnnouncement,
    NoConfigurationData,
    NoConfigurationElementAnnouncement,
    NoInterfaceAnnouncement,
    NoProvisioningDomainAnnouncement,
    NotConnected,
    NotConnectedReason,
    Origin,
    ProvisioningDomainAnnouncement,
    StopConnecting,
    StopTranslatingName,
    TranslateName,
    TranslationOutcome,
)
from trimif.cli._terminal import escape, for_people, seconds_left
from trimif.testing._data_words import describe_data
from trimif.testing._words import Describer

INTERFACE, DOMAIN = InterfaceId("interface-1"), DomainId("domain-1")
ADDRESS = IPv4Address("198.51.100.7")
DETAILS = InterfaceDetails(InterfaceKind.ETHERNET, 1500, up=True, carrier=True)
NEWS = [
    InterfaceAnnouncement(INTERFACE, "eth0", DETAILS),
    ProvisioningDomainAnnouncement(INTERFACE, DOMAIN, "eth0/ipv4", frozenset({Family.IPV4})),
]

WORDS: list[tuple[Any, str]] = [
    (AnnounceInterfaces(), "Announce Interfaces"),
    (AnnounceProvisioningDomain(INTERFACE), "Announce PDs of eth0"),
    (InterfaceAnnouncement(INTERFACE, "eth0", DETAILS), "Interface eth0: ethernet, up, MTU 1500"),
    (
        ConfigurationElementAnnouncement(DOMAIN, ElementType.DHCPV4, Origin("dhclient", IPv4Address("198.51.100.1"))),
        "Element DHCPv4 of eth0/ipv4 from 198.51.100.1",
    ),
    (
        ConfigurationElementAnnouncement(DOMAIN, ElementType.STATIC, Origin("kernel")),
        "Element static of eth0/ipv4 from kernel",
    ),
    (AddressAnnouncement(DOMAIN, ADDRESS, 24, 110.0), "Address 198.51.100.7/24 of eth0/ipv4, valid 1 min 40 s"),
    (AddressAnnouncement(DOMAIN, ADDRESS, 24), "Address 198.51.100.7/24 of eth0/ipv4, valid for ever"),
    (NoAddressAnnouncement(DOMAIN, ADDRESS), "No Address 198.51.100.7 of eth0/ipv4"),
    (NoConfigurationElementAnnouncement(DOMAIN, ElementType.RA), "No Element RA of eth0/ipv4"),
    (NoProvisioningDomainAnnouncement(INTERFACE, DOMAIN), "No PD eth0/ipv4"),
    (NoInterfaceAnnouncement(INTERFACE), "No Interface eth0"),
    (
        GetConfigurationData(DOMAIN, ElementType.DHCPV4, Information.DNS_SERVERS),
        "Get DNS_SERVERS of eth0/ipv4 by DHCPv4",
    ),
    (
        ConfigurationData(DOMAIN, ElementType.DHCPV4, Information.DNS_SERVERS, (ADDRESS, IPv4Address("198.51.100.8"))),
        "DNS_SERVERS of eth0/ipv4 by DHCPv4: 198.51.100.7, 198.51.100.8",
    ),
    (
        NoConfigurationData(DOMAIN, ElementType.DHCPV4, Information.MTU, "the lease has none"),
        "No MTU of eth0/ipv4 by DHCPv4: the lease has none",
    ),
    (TranslateName(DOMAIN, "www.example.org", 1), "Translate Name www.example.org in eth0/ipv4"),
    (NameTranslation(1, ADDRESS), "Name Translation (1): 198.51.100.7"),
    (NameTranslationFinished(1, TranslationOutcome.NO_SUCH_NAME), "Name Translation Finished (1): no such name"),
    (StopTranslatingName(1), "Stop Translating Name (1)"),
    (ConnectToAddress(DOMAIN, ADDRESS, 80, 2), "Connect to 198.51.100.7 port 80 through eth0/ipv4"),
    (
        ConnectToAddressFromAddress(DOMAIN, IPv4Address("198.51.100.2"), ADDRESS, 80, 2),
        "Connect to 198.51.100.7 port 80 from 198.51.100.2",
    ),
    (Connected(2, None), "Connected (2)"),  # type: ignore[arg-type]
    (NotConnected(2, NotConnectedReason.REFUSED, 111, "long"), "Not Connected (2): refused"),
    (StopConnecting(2), "Stop Connecting (2)"),
]


@pytest.mark.parametrize(("message", "words"), WORDS)
def test_messages_are_said_in_the_drafts_words_with_names(message: Any, words: str) -> None:
    describer = Describer()
    for each in NEWS:
        describer.describe(each, 10.0)
    assert describer.describe(message, 10.0) == words


def test_a_new_name_is_learned() -> None:
    describer = Describer()
    assert describer.describe(NoInterfaceAnnouncement(INTERFACE), 0.0) == "No Interface interface-1"
    for name in ("eth0", "lan"):
        describer.describe(InterfaceAnnouncement(INTERFACE, name, DETAILS), 0.0)
    assert describer.describe(NoInterfaceAnnouncement(INTERFACE), 0.0) == "No Interface lan"


def test_what_is_no_message_is_an_error() -> None:
    with pytest.raises(TypeError, match="not a message"):
        Describer().describe("hello", 0.0)


hostile = st.text(st.characters(codec="utf-8"), min_size=1) | st.just("\x1b]0;owned\x07\x1b[2J\u202egnp.exe\r\n[bold]")


@given(hostile)
def test_no_network_can_steer_the_terminal(text: str) -> None:
    describer = Describer()
    lines = [
        describer.describe(message, 0.0)
        for message in (
            InterfaceAnnouncement(INTERFACE, text, DETAILS),
            AnnounceProvisioningDomain(INTERFACE),
            ProvisioningDomainAnnouncement(INTERFACE, DOMAIN, text, frozenset(), text),
            NoProvisioningDomainAnnouncement(INTERFACE, DOMAIN),
            ConfigurationElementAnnouncement(DOMAIN, ElementType.RA, Origin(text)),
            ConfigurationData(DOMAIN, ElementType.RA, Information.SEARCH_DOMAINS, (text,)),
            NoConfigurationData(DOMAIN, ElementType.RA, Information.MTU, text),
            NameTranslation(text, ADDRESS),
            Connected(text, None),  # type: ignore[arg-type]
        )
    ]
    assert all(line.isprintable() for line in lines)
    assert describe_data(Information.SEARCH_DOMAINS, (text, text), 0.0).isprintable()


def test_escapes_are_readable() -> None:
    assert escape("a\x07\x1b[2J\nb\u202ec") == "a\\x07\\x1b[2J\\nb\\u202ec"
    assert escape("smörgås 北") == "smörgås 北"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (math.inf, "for ever"),
        (0, "over"),
        (-5, "over"),
        (0.2, "less than 1 s"),
        (59.7, "1 min"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (90061, "1 d 1 h"),
        (86400 * 30, "30 d"),
    ],
)
def test_times_are_for_people(seconds: float, text: str) -> None:
    assert for_people(seconds) == text


def test_times_for_programs_have_no_infinity() -> None:
    assert [seconds_left(until, 10.0) for until in (math.inf, 12.5, 3.0)] == [None, 2.5, 0.0]
