"""Reading without waiting."""

from __future__ import annotations

import trio

from trimif import Announcement, Subscriber


def drain(subscriber: Subscriber) -> list[Announcement]:
    """Everything that can be received without waiting."""
    messages = []
    while True:
        try:
            messages.append(subscriber.receive_nowait())
        except trio.WouldBlock:
            return messages
