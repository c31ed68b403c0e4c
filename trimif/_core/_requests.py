"""What each request of a subscriber does to the core: the draft's table of messages, row by row."""

from __future__ import annotations

from typing import Any, TypeVar, assert_never

from trimif._core._core import Core, Effect
from trimif._core._mailbox import Mailbox, Pending
from trimif._information import Information
from trimif._messages import (
    AddressAnnouncement,
    AnnounceAddress,
    AnnounceConfigurationElement,
    AnnounceInterfaces,
    Announcement,
    AnnounceProvisioningDomain,
    ConfigurationData,
    ConfigurationElementAnnouncement,
    ConnectToAddress,
    ConnectToAddressFromAddress,
    GetConfigurationData,
    InterfaceAnnouncement,
    NoAddressAnnouncement,
    NoConfigurationData,
    NoConfigurationElementAnnouncement,
    NoInterfaceAnnouncement,
    NoProvisioningDomainAnnouncement,
    ProvisioningDomainAnnouncement,
    Request,
    StopAnnouncingAddress,
    StopAnnouncingConfigurationElement,
    StopAnnouncingInterfaces,
    StopAnnouncingProvisioningDomains,
    StopConnecting,
    StopTranslatingName,
    TranslateName,
)
from trimif._model import DomainId, ElementType, InterfaceId

T = TypeVar("T")

SUBSCRIBE = (AnnounceInterfaces, AnnounceProvisioningDomain, AnnounceConfigurationElement, AnnounceAddress)
UNSUBSCRIBE = (
    StopAnnouncingInterfaces,
    StopAnnouncingProvisioningDomains,
    StopAnnouncingConfigurationElement,
    StopAnnouncingAddress,
)
WORK = (TranslateName, ConnectToAddress, ConnectToAddressFromAddress)


def post(core: Core, mailbox: Mailbox, request: Request) -> list[Effect]:
    """Do what `request` asks, as one step.

    Raises:
        ValueError: an id in it was never issued, or is in use.
        TypeError: it is not a request.
        TooManyRequests: the bound on outstanding requests is reached.
    """
    if isinstance(request, WORK):
        _begin(core, Pending(mailbox, request))
    elif isinstance(request, GetConfigurationData):
        _get(core, mailbox, request)
    elif isinstance(request, StopTranslatingName):
        core.withdraw(mailbox, ("translation", request.translation_id))
    elif isinstance(request, StopConnecting):
        core.withdraw(mailbox, ("connect", request.connection_id))
    elif isinstance(request, SUBSCRIBE):
        _announce(core, mailbox, request)
    elif isinstance(request, UNSUBSCRIBE):
        _stop(core, mailbox, request)
    else:
        raise TypeError(
            f"{request!r} is not a request: post one of the messages of draft 3.5, an AnnounceInterfaces say"
        )
    return core.take_effects()


def _announce(
    core: Core,
    mailbox: Mailbox,
    request: AnnounceInterfaces | AnnounceProvisioningDomain | AnnounceConfigurationElement | AnnounceAddress,
) -> None:
    interests = mailbox.interests
    match request:
        case AnnounceInterfaces():
            if not interests.interfaces:
                interests.interfaces = True
                for each in mailbox.interfaces_in_queue():
                    _catch_up_with_gone(mailbox, each)
                for each in core.interfaces:
                    mailbox.compare(each)
        case AnnounceProvisioningDomain(interface=interface):
            core.check_interface(interface)
            if not core.presence(interface):
                _catch_up_with_gone(mailbox, interface)
            elif interface not in interests.domains:
                interests.domains.add(interface)
                mailbox.compare(interface)
        case AnnounceConfigurationElement(domain=domain):
            core.check_domain(domain)
            owner = core.interface_of(domain)
            if owner is not None and domain not in interests.elements:
                interests.elements.add(domain)
                mailbox.compare(owner)
        case AnnounceAddress(domain=domain, lifetimes=lifetimes):
            core.check_domain(domain)
            owner = core.interface_of(domain)
            if owner is not None and interests.addresses.get(domain) is not lifetimes:
                interests.addresses[domain] = lifetimes
                mailbox.compare(owner)
        case _:
            assert_never(request)


def _catch_up_with_gone(mailbox: Mailbox, interface: InterfaceId) -> None:
    """News that wait of an interface that is gone would come without the parent that was just asked for (law 1)."""
    if interface in mailbox.interfaces_in_queue():
        mailbox.compare(interface)


def _stop(
    core: Core,
    mailbox: Mailbox,
    request: StopAnnouncingInterfaces
    | StopAnnouncingProvisioningDomains
    | StopAnnouncingConfigurationElement
    | StopAnnouncingAddress,
) -> None:
    interests = mailbox.interests
    match request:
        case StopAnnouncingInterfaces():
            interests.interfaces = False
            mailbox.forget(lambda message: isinstance(message, InterfaceAnnouncement | NoInterfaceAnnouncement))
        case StopAnnouncingProvisioningDomains(interface=interface):
            core.check_interface(interface)
            interests.domains.discard(interface)
            mailbox.forget(lambda message: _of_interface(message, interface))
        case StopAnnouncingConfigurationElement(domain=domain):
            core.check_domain(domain)
            interests.elements.discard(domain)
            kinds = ConfigurationElementAnnouncement | NoConfigurationElementAnnouncement
            mailbox.forget(lambda message: isinstance(message, kinds) and message.domain == domain)
        case StopAnnouncingAddress(domain=domain):
            core.check_domain(domain)
            interests.addresses.pop(domain, None)
            mailbox.forget(lambda message: _is_address_of(message, domain))
        case _:
            assert_never(request)


def _of_interface(message: Announcement, interface: InterfaceId) -> bool:
    match message:
        case ProvisioningDomainAnnouncement(interface=owner) | NoProvisioningDomainAnnouncement(interface=owner):
            return owner == interface
        case _:
            return False


def _is_address_of(message: Announcement, domain: DomainId) -> bool:
    return isinstance(message, AddressAnnouncement | NoAddressAnnouncement) and message.domain == domain


def _begin(core: Core, pending: Pending) -> None:
    core.check_domain(pending.request.domain)
    if pending.key in pending.mailbox.outstanding:
        kind, identifier = pending.key
        raise ValueError(f"{kind}_id {identifier!r} is in use by a request that is still outstanding: choose another")
    core.begin(pending)


def configuration_data(core: Core, domain: DomainId, element: ElementType, information: Information[T]) -> T | None:
    """Data of a configuration element, None if there is none: `GetConfigurationData` without messages."""
    answer = _look_up(core, GetConfigurationData(domain, element, information))
    return answer.data if isinstance(answer, ConfigurationData) else None


def _get(core: Core, mailbox: Mailbox, request: GetConfigurationData[Any]) -> None:
    core.check_domain(request.domain)
    mailbox.check_room()
    mailbox.answer(_look_up(core, request))


def _look_up(core: Core, request: GetConfigurationData[Any]) -> ConfigurationData[Any] | NoConfigurationData:
    def no(reason: str) -> NoConfigurationData:
        return NoConfigurationData(request.domain, request.element, request.information, reason)

    domain = core.domain(request.domain)
    if domain is None:
        return no("the provisioning domain is gone")
    element = domain.element(request.element)
    if element is None:
        return no(f"the domain has no configuration element {request.element.name}")
    if request.information in element.data:
        data, provenance = element.data[request.information], element.provenance[request.information]
        return ConfigurationData(request.domain, request.element, request.information, data, provenance)
    said = _said_of_the_interface(core, request)
    return said or no(f"its {request.element.name} says nothing of {request.information.name}")


def _said_of_the_interface(core: Core, request: GetConfigurationData[Any]) -> ConfigurationData[Any] | None:
    """What holds for all domains of an interface: its sort, and whether it is metered."""
    details = core.details(request.domain)
    told = {Information.LINK_TYPE: details.kind, Information.METERED: details.metered} if details is not None else {}
    value = told.get(request.information)
    if value is None:
        return None
    return ConfigurationData(request.domain, request.element, request.information, value)
