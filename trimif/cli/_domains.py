"""What several commands need to know of the host: which domains there are, and when they have had time to come up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import trio
from cyclopts import Parameter
from cyclopts.validators import Number

from trimif import (
    AnnounceAddress,
    AnnounceConfigurationElement,
    AnnounceInterfaces,
    Announcement,
    AnnounceProvisioningDomain,
    DomainSnapshot,
    Information,
    InterfaceAnnouncement,
    InterfaceKind,
    InterfaceSnapshot,
    Limitation,
    Mif,
    ProvisioningDomainAnnouncement,
    Subscriber,
)
from trimif.cli._terminal import escape

__all__ = [
    "GroupingName",
    "LeaseDirectories",
    "Seconds",
    "UnknownDomain",
    "describe_limitations",
    "domain_of",
    "select_domains",
    "subscribe_further",
    "wait_settled",
]


LeaseDirectories: TypeAlias = Annotated[
    Sequence[Path],
    Parameter(
        name="--leases",
        negative=(),
        show_default=False,
        help="A directory with lease files of a DHCP client that runs elsewhere than usual, besides the usual ones.",
    ),
]
"""An option that most commands have."""


GroupingName: TypeAlias = Literal["family", "interface", "router"]
"""The policies that have a name; one's own function is for programs."""


Seconds: TypeAlias = Annotated[float, Parameter(validator=Number(gte=0))]
"""How long to wait at most."""


class UnknownDomain(Exception):
    """No domain has the name that was asked for; the text names those that there are."""


def subscribe_further(subscriber: Subscriber, message: Announcement) -> None:
    """Ask for all that is below what a message announces. A second time, trimif ignores it."""
    match message:
        case InterfaceAnnouncement(interface=interface):
            subscriber.post(AnnounceProvisioningDomain(interface))
        case ProvisioningDomainAnnouncement(domain=domain):
            subscriber.post(AnnounceConfigurationElement(domain))
            subscriber.post(AnnounceAddress(domain))


async def wait_settled(mif: Mif, patience: float, wanted: str | None = None) -> None:
    """Wait until every network that is up is known with its name servers, but no longer than that many seconds.

    `open_mif` does not wait for routers, which are only asked when it opens; they answer within the round trip.

    Args:
        wanted: the name of the one domain that matters.
    """
    async with mif.open_subscriber() as subscriber:
        subscriber.post(AnnounceInterfaces())
        with trio.move_on_after(patience):
            await _follow_until_settled(mif, subscriber, wanted)


async def _follow_until_settled(mif: Mif, subscriber: Subscriber, wanted: str | None) -> None:
    await trio.lowlevel.checkpoint()
    while not _is_settled(mif.snapshot().interfaces, wanted):
        subscribe_further(subscriber, await subscriber.receive())


def _is_settled(interfaces: Iterable[InterfaceSnapshot], wanted: str | None) -> bool:
    if wanted is not None:
        return any(_has_name_servers(each) for each in _domains(interfaces) if each.announcement.name == wanted)
    return all(
        interface.domains and all(_has_name_servers(domain) for domain in interface.domains)
        for interface in interfaces
        if not _is_loopback(interface) and interface.announcement.details.up and interface.announcement.details.carrier
    )


def _is_loopback(interface: InterfaceSnapshot) -> bool:
    return interface.announcement.details.kind is InterfaceKind.LOOPBACK


def _has_name_servers(domain: DomainSnapshot) -> bool:
    return any(Information.DNS_SERVERS in element.data for element in domain.elements)


def select_domains(mif: Mif, wanted: str | None, host: str) -> list[DomainSnapshot]:
    """The domains to ask about a host: the one that is wanted, else all that can know it.

    What is on this host is for those of the loopback interface, everything else for the others.

    Raises:
        UnknownDomain: the one that is wanted is not there.
    """
    interfaces = mif.snapshot().interfaces
    if wanted is None:
        return list(_domains(each for each in interfaces if _is_loopback(each) == _is_local(host)))
    found = [domain for domain in _domains(interfaces) if domain.announcement.name == wanted]
    if not found:
        names = ", ".join(domain.announcement.name for domain in _domains(interfaces))
        raise UnknownDomain(f"there is no provisioning domain {wanted!r}; there are {names or 'none'}")
    return found


def _domains(interfaces: Iterable[InterfaceSnapshot]) -> Iterator[DomainSnapshot]:
    for interface in interfaces:
        yield from interface.domains


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower().rpartition(".")[2] == "localhost"  # RFC 6761, 6.3


def domain_of(mif: Mif, stream: trio.SocketStream) -> str:
    """The name of the domain that a connection goes through, by its own address; escaped."""
    address = ip_address(stream.socket.getsockname()[0].partition("%")[0])
    for domain in _domains(mif.snapshot().interfaces):
        if any(each.address == address for each in domain.addresses):
            return escape(domain.announcement.name)
    return "no provisioning domain"


def describe_limitations(limitations: tuple[Limitation, ...]) -> Iterator[str]:
    """What can't be seen on this host, and what to do about it: two lines each, escaped."""
    for limitation in limitations:
        yield f"Not seen by {escape(limitation.source)}: {escape(limitation.missing)}"
        yield f"  Remedy: {escape(limitation.remedy)}"
