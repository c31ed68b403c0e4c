"""Looking at one interface: all contributions to its domains, what was fetched for them, and when to look again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from attrs import field, frozen

from trimif._core._evidence import Clock, Contribution, Evidence, Scene, claims_of, frozen_data, put_in
from trimif._core._evidence_of_leases import contributions_of_leases, leased_addresses, no_longer_than_leased
from trimif._core._evidence_of_people import configurations_of, contributions_of_people
from trimif._core._evidence_of_routers import contributions_of_routers
from trimif._core._host import HeldAddress, Host, Received
from trimif._facts import AdditionalInformation, AddressFact, PortalStatus
from trimif._information import Data, Datum, Information
from trimif._model import ElementType, Family, InterfaceDetails, InterfaceKind, Origin, Value

CARRIER_SECONDS = 5.0
"""How long domains outlive the loss of carrier: a cable that is plugged in again at once ends nothing."""
UNTOLD = (InterfaceKind.ETHERNET, InterfaceKind.OTHER)
"""What the kernel calls what it does not know better; a manager may."""


@frozen(repr=False, eq=False)
class Gathered(Value):
    """What is known of an interface at one moment.

    Attributes:
        addresses: the usable ones that some contribution claims, in the kernel's order.
        fetched: the additional information of explicit domains, by their ids.
        portals: what the APIs of captive portals said, by their URIs.
        until: the first moment at which any of this may change by itself.
    """

    evidence: Evidence
    details: InterfaceDetails
    addresses: tuple[AddressFact, ...] = ()
    fetched: dict[str, Contribution] = field(factory=dict)
    portals: dict[str, Contribution] = field(factory=dict)
    until: float = math.inf


def gather(host: Host, index: int, now: float) -> Gathered:
    """Look at one interface. One that is down, or long without carrier, has nothing (DESIGN §5)."""
    link, clock = host.links[index], Clock(now)
    since = host.no_carrier_since.get(index)
    lost = since is not None and not clock.running(since + CARRIER_SECONDS)
    held = () if lost or not link.up else tuple(_usable(host, index, clock))
    scene = Scene(host, index, held, clock)
    if lost or not link.up:
        return Gathered(Evidence(link.name, link.kind), _details(scene, ()), until=clock.until)
    ends = leased_addresses(scene)
    by_dhcpv6 = frozenset(address for address in ends if address.version == 6)
    dynamic = [*contributions_of_routers(scene, by_dhcpv6), *contributions_of_leases(scene)]
    claimed = claims_of(dynamic)
    # One whose lease has just ended is static at once: a client that is started again must not end the domain.
    unclaimed = [each for each in held if each.fact.address not in claimed] if claimed else list(held)
    contributions = (*dynamic, *contributions_of_people(scene, unclaimed))
    claimed = claims_of(contributions)
    addresses = tuple(no_longer_than_leased(fact, ends) for fact in scene.usable if fact.address in claimed)
    details = _details(scene, contributions)
    evidence = Evidence(link.name, details.kind, contributions)
    return Gathered(evidence, details, addresses, dict(_fetched(scene)), dict(_portals(scene)), clock.until)


def _usable(host: Host, index: int, clock: Clock) -> Iterator[HeldAddress]:
    """Link-local addresses alone make no PD; tentative and dadfailed addresses are not announced (DESIGN §5)."""
    for held in host.addresses.get(index, {}).values():
        if not held.fact.tentative and not held.link_local and clock.running(held.fact.valid_until):
            yield held


# ---------------------------------------------------------------- the interface itself


def _details(scene: Scene, contributions: Iterable[Contribution]) -> InterfaceDetails:
    link, told = scene.host.links[scene.index], list(configurations_of(scene))
    kinds = [value for held in told for information, value in held.fact.data if information is Information.LINK_TYPE]
    metered = [value for held in told for information, value in held.fact.data if information is Information.METERED]
    for each in contributions:
        metered += each.values(Information.METERED)
    return InterfaceDetails(
        kind=kinds[0] if kinds and link.kind in UNTOLD else link.kind,
        mtu=link.mtu,
        up=link.up,
        carrier=link.carrier,
        metered=any(metered) if metered else None,  # who says that it costs money has a reason
    )


# ---------------------------------------------------------------- what was fetched


def _fetched(scene: Scene) -> Iterator[tuple[str, Contribution]]:
    for (index, identifier), held in scene.host.additional.items():
        information = held.fact.information
        if index == scene.index and information is not None and scene.clock.running(information.expires):
            told: Data = (
                (Information.PVD_INFORMATION, information),
                (Information.SPLIT_DOMAINS, information.dns_zones),
                (Information.VALID_UNTIL, information.expires),
            )
            if information.metered is not None:
                told += ((Information.METERED, information.metered),)
            yield identifier, _contribution(ElementType.PVD, "pvd", told, held, information.expires)


def _portals(scene: Scene) -> Iterator[tuple[str, Contribution]]:
    for (index, uri), held in scene.host.portals.items():
        if index == scene.index and held.fact.information is not None:
            told: Data = ((Information.PORTAL, held.fact.information),)
            yield uri, _contribution(ElementType.PORTAL, "portal", told, held, math.inf)


def _contribution(
    kind: ElementType,
    source: str,
    told: Data,
    held: Received[AdditionalInformation] | Received[PortalStatus],
    until: float,
) -> Contribution:
    data: dict[Information[object], list[Datum[object]]] = {}
    put_in(data, told, Datum(None, Origin(source), held.received, until))
    return Contribution(kind, Family.IPV6, Origin(source), frozen_data(data))
