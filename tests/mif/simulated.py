"""The simulated host of `trimif.testing`, by the names that these tests use."""

from __future__ import annotations

import trio

from trimif import Announcement, Subscriber
from trimif.testing._peer import Peer
from trimif.testing._simulated import SimulatedHost, open_simulated_mif
from trimif.testing._simulated_facts import FIGURE_2, LOOPBACK, address, ipv4, ipv6, link

__all__ = [
    "FIGURE_2",
    "LOOPBACK",
    "Peer",
    "SimulatedHost",
    "address",
    "drain",
    "ipv4",
    "ipv6",
    "link",
    "open_simulated",
]

open_simulated = open_simulated_mif


def drain(subscriber: Subscriber) -> list[Announcement]:
    """Everything that can be received without waiting."""
    messages = []
    while True:
        try:
            messages.append(subscriber.receive_nowait())
        except trio.WouldBlock:
            return messages
