"""The host as one frozen tree, for programs that want to look once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from trimif._information import Information
from trimif._messages import (
    AddressAnnouncement,
    ConfigurationElementAnnouncement,
    InterfaceAnnouncement,
    ProvisioningDomainAnnouncement,
)

__all__ = ["DomainSnapshot", "ElementSnapshot", "InterfaceSnapshot", "Snapshot"]


@frozen
class ElementSnapshot:
    """A configuration element and all that it says."""

    announcement: ConfigurationElementAnnouncement
    data: Mapping[Information[Any], Any]


@frozen
class DomainSnapshot:
    """A provisioning domain with its elements and addresses."""

    announcement: ProvisioningDomainAnnouncement
    elements: tuple[ElementSnapshot, ...]
    addresses: tuple[AddressAnnouncement, ...]


@frozen
class InterfaceSnapshot:
    """An interface with its domains."""

    announcement: InterfaceAnnouncement
    domains: tuple[DomainSnapshot, ...]


@frozen
class Snapshot:
    """All interfaces at one moment."""

    interfaces: tuple[InterfaceSnapshot, ...]
