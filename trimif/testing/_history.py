"""Histories: what one subscriber posted and received, in order, and the laws checked on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias, TypeGuard, cast, get_args, get_origin

from trimif._core import Snapshot
from trimif._messages import (
    Announcement,
    News,
    NoAddressAnnouncement,
    NoConfigurationElementAnnouncement,
    NoInterfaceAnnouncement,
    NoProvisioningDomainAnnouncement,
    Request,
    Withdrawal,
)
from trimif.testing._laws import LawChecker
from trimif.testing._lines import FactsLine, Line, MessageLine

__all__ = ["History", "check_laws", "is_request", "present_of"]

History: TypeAlias = Iterable[Line | Request | Announcement]
"""What passed between a program and the MIF API, in order. Facts may be among it, and mean nothing here."""

_REQUESTS: tuple[Any, ...] = tuple(get_origin(each) or each for each in get_args(Request))


def is_request(message: Request | Announcement) -> TypeGuard[Request]:
    """The message was posted, not received."""
    return isinstance(message, _REQUESTS)


def present_of(snapshot: Snapshot) -> dict[Withdrawal, News]:
    """All that there is to be announced, by the message that would withdraw it."""
    present: dict[Withdrawal, News] = {}
    for interface in snapshot.interfaces:
        root = interface.announcement.interface
        present[NoInterfaceAnnouncement(root)] = interface.announcement
        for domain in interface.domains:
            owner = domain.announcement.domain
            present[NoProvisioningDomainAnnouncement(root, owner)] = domain.announcement
            for element in domain.elements:
                said = element.announcement
                present[NoConfigurationElementAnnouncement(owner, said.element)] = said
            present.update((NoAddressAnnouncement(owner, each.address), each) for each in domain.addresses)
    return present


def check_laws(history: History, *, at_rest: Snapshot | None = None) -> None:
    """Check that a history keeps the laws, as far as one program can see them: 1, 2, 3, 5, 6 and 9.

    Args:
        history: requests and announcements in the order in which they were posted and received, by themselves or as
            the `MessageLine` of a `Recorder`. A request that was posted when its domain had gone already, which the
            program could not know yet, must be a line that says so: see `MessageLine`.
        at_rest: what the host is now, when it is quiet and everything was received: law 4 is checked, too.

    Raises:
        LawBroken: at the first breach.
    """
    checker = LawChecker()
    for item in history:
        if isinstance(item, FactsLine):
            continue
        line = item if isinstance(item, MessageLine) else MessageLine(0.0, item)
        if is_request(line.message):
            checker.posted(line.message, domain_is_there=not line.late)
        else:
            checker.received(cast(Announcement, line.message))
    if at_rest is not None:
        checker.at_rest(present_of(at_rest))
