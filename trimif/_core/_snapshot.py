"""The host as one frozen tree, for programs that want to look once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from trimif._information import Datum, Information
from trimif._messages import (
    AddressAnnouncement,
    ConfigurationElementAnnouncement,
    InterfaceAnnouncement,
    ProvisioningDomainAnnouncement,
)
from trimif._model import Value

__all__ = ["DomainSnapshot", "ElementSnapshot", "InterfaceSnapshot", "Snapshot"]


@frozen(repr=False, eq=False)
class ElementSnapshot(Value):
    """A configuration element and all that it says.

    Attributes:
        provenance: where each item of the data came from, when, and until when it is valid, as in `ConfigurationData`.
    """

    announcement: ConfigurationElementAnnouncement
    data: Mapping[Information[Any], Any]
    provenance: Mapping[Information[Any], tuple[Datum[Any], ...]] = field(factory=dict)


@frozen(repr=False, eq=False)
class DomainSnapshot(Value):
    """A provisioning domain with its elements and addresses."""

    announcement: ProvisioningDomainAnnouncement
    elements: tuple[ElementSnapshot, ...]
    addresses: tuple[AddressAnnouncement, ...]


@frozen(repr=False, eq=False)
class InterfaceSnapshot(Value):
    """An interface with its domains."""

    announcement: InterfaceAnnouncement
    domains: tuple[DomainSnapshot, ...]


@frozen(repr=False, eq=False)
class Snapshot(Value):
    """All interfaces at one moment."""

    interfaces: tuple[InterfaceSnapshot, ...]
