"""`check_laws`: histories that break one law each, made by hand, and the law that is named for it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from trimif import (
    AddressAnnouncement,
    AnnounceAddress,
    AnnounceInterfaces,
    Announcement,
    AnnounceProvisioningDomain,
    ConfigurationData,
    ConnectToAddress,
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
    NoInterfaceAnnouncement,
    NoProvisioningDomainAnnouncement,
    NotConnected,
    NotConnectedReason,
    ProvisioningDomainAnnouncement,
    Request,
    StopAnnouncingInterfaces,
    StopTranslatingName,
    TranslateName,
    TranslationOutcome,
)
from trimif.testing import FactsLine, LawBroken, LinkGone, MessageLine, SimulatedHost, check_laws, open_simulated_mif

ETH0, DOMAIN = InterfaceId("i1"), DomainId("d1")
ADDRESS = ip_address("198.51.100.7")
DETAILS = InterfaceDetails(InterfaceKind.ETHERNET, 1500, up=True, carrier=True)

ASK, ASK_DOMAINS, ASK_ADDRESSES = AnnounceInterfaces(), AnnounceProvisioningDomain(ETH0), AnnounceAddress(DOMAIN)
INTERFACE = InterfaceAnnouncement(ETH0, "eth0", DETAILS)
PD = ProvisioningDomainAnnouncement(ETH0, DOMAIN, "eth0/ipv4", frozenset({Family.IPV4}))
TOLD = AddressAnnouncement(DOMAIN, ADDRESS, 24)
NO_ADDRESS, NO_PD = NoAddressAnnouncement(DOMAIN, ADDRESS), NoProvisioningDomainAnnouncement(ETH0, DOMAIN)
NO_INTERFACE = NoInterfaceAnnouncement(ETH0)
TRANSLATE = TranslateName(DOMAIN, "www.example.org", 1)
FINISHED = NameTranslationFinished(1, TranslationOutcome.DOMAIN_GONE)
CONNECT = ConnectToAddress(DOMAIN, "203.0.113.1", 80, 1)
GET_DNS, GET_MTU = (
    GetConfigurationData(DOMAIN, ElementType.DHCPV4, which) for which in (Information.DNS_SERVERS, Information.MTU)
)
MTU = ConfigurationData(DOMAIN, ElementType.DHCPV4, Information.MTU, 1500)

Messages = list[Request | Announcement]
UP: Messages = [ASK, INTERFACE, ASK_DOMAINS, PD, ASK_ADDRESSES, TOLD]
DOWN: Messages = [NO_ADDRESS, NO_PD, NO_INTERFACE]

KEPT: list[Messages] = [
    [],
    UP + DOWN,
    [*UP, TRANSLATE, NameTranslation(1, ADDRESS), FINISHED, *DOWN],
    [*UP, TRANSLATE, CONNECT, FINISHED, NotConnected(1, NotConnectedReason.DOMAIN_GONE), *DOWN],
    [*UP, TRANSLATE, StopTranslatingName(1), *DOWN],
    [*UP, GET_MTU, MTU],
    [*UP, StopAnnouncingInterfaces(), ASK, INTERFACE],
]
BROKEN: list[tuple[int, Messages]] = [
    (1, [ASK, ASK_DOMAINS, PD]),
    (1, [ASK, INTERFACE, ASK_DOMAINS, ASK_ADDRESSES, PD, NO_PD, TOLD]),
    (2, [*UP, NO_PD]),
    (2, [*UP, NO_INTERFACE]),
    (2, [*UP, TRANSLATE, NO_ADDRESS, NO_PD, FINISHED]),
    (2, [*UP, CONNECT, *DOWN]),
    (3, [ASK, NO_INTERFACE]),
    (3, [ASK, INTERFACE, INTERFACE]),
    (3, [*UP, NO_ADDRESS, NO_ADDRESS]),
    (5, [INTERFACE]),
    (5, [ASK, INTERFACE, StopAnnouncingInterfaces(), NO_INTERFACE]),
    (5, [*UP, TRANSLATE, StopTranslatingName(1), NameTranslation(1, ADDRESS)]),
    (5, [*UP, NotConnected(1, NotConnectedReason.REFUSED)]),
    (6, [*UP, GET_DNS, GET_MTU, MTU]),
    (6, [*UP, MTU]),
    (9, [ASK, INTERFACE, NO_INTERFACE, INTERFACE]),
]


@pytest.mark.parametrize("history", KEPT)
def test_a_history_that_keeps_the_laws_passes(history: Messages) -> None:
    check_laws(history)
    check_laws(MessageLine(0.0, message) for message in history)
    check_laws([FactsLine(0.0, (LinkGone(2),)), *history])


@pytest.mark.parametrize(("law", "history"), BROKEN)
def test_the_law_that_is_broken_is_named(law: int, history: Messages) -> None:
    with pytest.raises(LawBroken, match=f"^law {law}: ") as caught:
        check_laws(history)
    assert caught.value.law == law


async def test_truth_at_rest_is_checked_where_the_host_is_known() -> None:
    host = SimulatedHost()
    host.add_link("eth0")
    async with open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
        subscriber.post(ASK)
        told = await subscriber.receive()
        check_laws([ASK, told], at_rest=mif.snapshot())
        check_laws([], at_rest=mif.snapshot())
        with pytest.raises(LawBroken, match=r"^law 4: "):
            check_laws([ASK], at_rest=mif.snapshot())
        with pytest.raises(LawBroken, match=r"^law 7: .* was never answered"):
            check_laws([ASK, told, GET_MTU], at_rest=mif.snapshot())
        host.set_carrier("eth0", False)
        with pytest.raises(LawBroken, match=r"^law 4: .* is true"):
            check_laws([ASK, told], at_rest=mif.snapshot())
