"""The core: facts, requests and `now` in; ordered announcements and effects out. No I/O, no clock, no Trio."""

from trimif._core._core import Abandon, Begin, Core, Discard, Effect, Ended
from trimif._core._evidence import Contribution, Evidence
from trimif._core._grouping import GROUPINGS, Group, Grouping, by_family, by_interface, by_router, grouping_named
from trimif._core._mailbox import Mailbox, Pending
from trimif._core._requests import configuration_data, post
from trimif._core._snapshot import DomainSnapshot, ElementSnapshot, InterfaceSnapshot, Snapshot

__all__ = [
    "Abandon",
    "Begin",
    "Contribution",
    "Core",
    "Discard",
    "DomainSnapshot",
    "Effect",
    "ElementSnapshot",
    "Ended",
    "Evidence",
    "GROUPINGS",
    "Group",
    "Grouping",
    "InterfaceSnapshot",
    "Mailbox",
    "Pending",
    "Snapshot",
    "by_family",
    "by_interface",
    "by_router",
    "configuration_data",
    "grouping_named",
    "post",
]
