"""Messages in words, one line each, with names in place of opaque ids.

The names are learned from the announcements that pass by, so every message must be shown to the same `Describer`,
in order. The words are the draft's; PD is short for provisioning domain, as in its figure 2.
"""

from __future__ import annotations

import math
from functools import singledispatchmethod
from typing import Any

from trimif._messages import (
    AddressAnnouncement,
    AnnounceAddress,
    AnnounceConfigurationElement,
    AnnounceInterfaces,
    AnnounceProvisioningDomain,
    ConfigurationData,
    ConfigurationElementAnnouncement,
    Connected,
    ConnectToAddress,
    ConnectToAddressFromAddress,
    GetConfigurationData,
    InterfaceAnnouncement,
    NameTranslation,
    NameTranslationFinished,
    NoAddressAnnouncement,
    NoConfigurationData,
    NoConfigurationElementAnnouncement,
    NoInterfaceAnnouncement,
    NoProvisioningDomainAnnouncement,
    NotConnected,
    ProvisioningDomainAnnouncement,
    StopAnnouncingAddress,
    StopAnnouncingConfigurationElement,
    StopAnnouncingInterfaces,
    StopAnnouncingProvisioningDomains,
    StopConnecting,
    StopTranslatingName,
    TranslateName,
)
from trimif._model import DomainId, ElementType, InterfaceId
from trimif.testing._data_words import describe_data
from trimif.testing._text import escape, for_people

__all__ = ["ELEMENT_NAMES", "Describer", "describe_interface"]

ELEMENT_NAMES = {
    ElementType.RA: "RA",
    ElementType.DHCPV6: "DHCPv6",
    ElementType.DHCPV4: "DHCPv4",
    ElementType.STATIC: "static",
    ElementType.PVD: "PvD information",
    ElementType.PORTAL: "captive portal",
}


def describe_interface(announcement: InterfaceAnnouncement) -> str:
    """``eth0: ethernet, up, MTU 1500``; escaped."""
    details = announcement.details
    state = "down" if not details.up else "up" if details.carrier else "up, no carrier"
    metered = {None: "", True: ", metered", False: ", not metered"}[details.metered]
    return f"{escape(announcement.name)}: {details.kind.value}, {state}, MTU {details.mtu}{metered}"


class Describer:
    """Says what a message means; remembers the names of interfaces and domains.

    Args:
        now: the time of the last message, in seconds on Trio's clock; `describe` sets it.
    """

    def __init__(self) -> None:
        self._names: dict[InterfaceId | DomainId, str] = {}
        self._now = math.nan

    def name(self, identifier: InterfaceId | DomainId) -> str:
        """The name that was announced last, escaped, or the id itself."""
        return self._names.get(identifier) or escape(identifier.token)

    def describe(self, message: object, now: float) -> str:
        """One line without its end, safe for a terminal.

        Args:
            now: when the message passed, on the clock of its deadlines.
        """
        self._now = now
        return self._say(message)

    @singledispatchmethod
    def _say(self, message: Any) -> str:
        raise TypeError(f"{message!r} is not a message of the MIF API")

    # ------------------------------------------------------------ subscriptions

    @_say.register
    def _(self, _message: AnnounceInterfaces) -> str:
        return "Announce Interfaces"

    @_say.register
    def _(self, _message: StopAnnouncingInterfaces) -> str:
        return "Stop Announcing Interfaces"

    @_say.register
    def _(self, message: AnnounceProvisioningDomain) -> str:
        return f"Announce PDs of {self.name(message.interface)}"

    @_say.register
    def _(self, message: StopAnnouncingProvisioningDomains) -> str:
        return f"Stop Announcing PDs of {self.name(message.interface)}"

    @_say.register
    def _(self, message: AnnounceConfigurationElement) -> str:
        return f"Announce Elements of {self.name(message.domain)}"

    @_say.register
    def _(self, message: StopAnnouncingConfigurationElement) -> str:
        return f"Stop Announcing Elements of {self.name(message.domain)}"

    @_say.register
    def _(self, message: AnnounceAddress) -> str:
        return f"Announce Addresses of {self.name(message.domain)}"

    @_say.register
    def _(self, message: StopAnnouncingAddress) -> str:
        return f"Stop Announcing Addresses of {self.name(message.domain)}"

    # ------------------------------------------------------------ news and withdrawals

    @_say.register
    def _(self, message: InterfaceAnnouncement) -> str:
        self._names[message.interface] = escape(message.name)
        return f"Interface {describe_interface(message)}"

    @_say.register
    def _(self, message: NoInterfaceAnnouncement) -> str:
        return f"No Interface {self.name(message.interface)}"

    @_say.register
    def _(self, message: ProvisioningDomainAnnouncement) -> str:
        self._names[message.domain] = escape(message.name)
        explicit = f", explicit {escape(message.explicit_id)}" if message.explicit_id else ""
        return f"PD {escape(message.name)}{explicit}"

    @_say.register
    def _(self, message: NoProvisioningDomainAnnouncement) -> str:
        return f"No PD {self.name(message.domain)}"

    @_say.register
    def _(self, message: ConfigurationElementAnnouncement) -> str:
        element, origin = ELEMENT_NAMES[message.element], message.origin
        return f"Element {element} of {self.name(message.domain)} from {escape(origin.server or origin.source)}"

    @_say.register
    def _(self, message: NoConfigurationElementAnnouncement) -> str:
        return f"No Element {ELEMENT_NAMES[message.element]} of {self.name(message.domain)}"

    @_say.register
    def _(self, message: AddressAnnouncement) -> str:
        address = f"{message.address}/{message.prefix_length}"
        return f"Address {address} of {self.name(message.domain)}, valid {for_people(message.valid_until - self._now)}"

    @_say.register
    def _(self, message: NoAddressAnnouncement) -> str:
        return f"No Address {message.address} of {self.name(message.domain)}"

    # ------------------------------------------------------------ requests and their answers

    @_say.register
    def _(self, message: GetConfigurationData) -> str:  # type: ignore[type-arg]  # singledispatch wants a plain class
        return f"Get {self._datum(message)}"

    @_say.register
    def _(self, message: ConfigurationData) -> str:  # type: ignore[type-arg]
        return f"{self._datum(message)}: {describe_data(message.information, message.data, self._now)}"

    @_say.register
    def _(self, message: NoConfigurationData) -> str:
        return f"No {self._datum(message)}: {escape(message.reason)}"

    def _datum(self, message: GetConfigurationData[Any] | ConfigurationData[Any] | NoConfigurationData) -> str:
        return f"{message.information.name} of {self.name(message.domain)} by {ELEMENT_NAMES[message.element]}"

    @_say.register
    def _(self, message: TranslateName) -> str:
        return f"Translate Name {escape(message.name)} in {self.name(message.domain)}"

    @_say.register
    def _(self, message: StopTranslatingName) -> str:
        return f"Stop Translating Name ({escape(message.translation_id)})"

    @_say.register
    def _(self, message: NameTranslation) -> str:
        return f"Name Translation ({escape(message.translation_id)}): {message.address}"

    @_say.register
    def _(self, message: NameTranslationFinished) -> str:
        return f"Name Translation Finished ({escape(message.translation_id)}): {message.outcome.value}"

    @_say.register
    def _(self, message: ConnectToAddress) -> str:
        return f"Connect to {message.address} port {message.port} through {self.name(message.domain)}"

    @_say.register
    def _(self, message: ConnectToAddressFromAddress) -> str:
        return f"Connect to {message.address} port {message.port} from {message.source}"

    @_say.register
    def _(self, message: StopConnecting) -> str:
        return f"Stop Connecting ({escape(message.connection_id)})"

    @_say.register
    def _(self, message: Connected) -> str:
        return f"Connected ({escape(message.connection_id)})"

    @_say.register
    def _(self, message: NotConnected) -> str:
        return f"Not Connected ({escape(message.connection_id)}): {message.reason.value}"
