"""What the encrypted transports have in common, and DNS over TLS's own framing: octets in, values out, no I/O.

A conversation is one connection's worth of questions and answers. It knows the messages by keys of its own, as
their ids serve no purpose against who guesses: over HTTPS all are 0, over TLS they only tell questions apart.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterator
from typing import Protocol, TypeAlias

from trimif._names._question import ServerFailed

MOST_OCTETS = 65535  # of a DNS message (RFC 1035, 4.2.2)
PADDING_OCTETS = 128
MOST_UNANSWERED = 256
"""Questions that nobody waits for any more and the server has not answered: with more, a new connection is better."""
MOST_UNASKED = 64
"""Answers that nobody asked for: with more, the server is up to no good."""

_NO_OPTIONS = struct.Struct("!HH")
_EMPTY_EDNS_TAIL = 11  # root, type, class, time to live, length
_TYPE_OPT, _OPTION_PADDING = 41, 12

Outcome: TypeAlias = bytes | ServerFailed
"""A DNS message; or why there will be none, though the connection is well."""


class Violation(ConnectionError):
    """The server does not keep to the protocol: the connection is of no use."""


class Conversation(Protocol):
    """Which octets mean what on one connection. Whatever raises `Violation` ends it."""

    @property
    def has_room(self) -> bool:
        """Another question may be asked now."""
        ...

    @property
    def ended(self) -> bool:
        """No other question can be asked, ever; those that are outstanding may still be answered."""
        ...

    def begin(self, message: bytes) -> tuple[int, int]:
        """Ask; only if there is room. Returns the key of the answer, and the id that the answer has to have."""
        ...

    def abandon(self, key: int) -> None:
        """Nobody waits for this answer any more."""
        ...

    def receive(self, octets: bytes) -> Iterator[tuple[int, Outcome]]:
        """What the server has sent: answers by their keys. Run it to its end."""
        ...

    def take_outgoing(self) -> bytes:
        """What is to be sent to the server."""
        ...


class DotConversation:
    """DNS over TLS: messages behind their lengths, as over TCP, answered in any order (RFC 7858, 3.3; RFC 7766)."""

    def __init__(self) -> None:
        self._outstanding: set[int] = set()
        self._abandoned: set[int] = set()
        self._unasked = 0
        self._received, self._outgoing = bytearray(), bytearray()

    @property
    def has_room(self) -> bool:
        """Always: the ids outnumber by far what anyone asks at once."""
        return True

    @property
    def ended(self) -> bool:
        """So much was left unanswered that the rest would be, too."""
        return len(self._abandoned) >= MOST_UNANSWERED

    def begin(self, message: bytes) -> tuple[int, int]:
        """Ask, under an id that no other question of this connection has (RFC 7766, 6.2.1)."""
        identifier = secrets.randbelow(1 << 16)
        while identifier in self._outstanding or identifier in self._abandoned:
            identifier = secrets.randbelow(1 << 16)
        self._outstanding.add(identifier)
        # Length and message together, in one record (RFC 7766, 8).
        self._outgoing += len(message).to_bytes(2, "big") + identifier.to_bytes(2, "big") + message[2:]
        return identifier, identifier

    def abandon(self, key: int) -> None:
        """Its id is not used again until the answer has come."""
        if key in self._outstanding:
            self._outstanding.remove(key)
            self._abandoned.add(key)

    def receive(self, octets: bytes) -> Iterator[tuple[int, Outcome]]:
        """Cut what has come into messages."""
        self._received += octets
        start = 0
        while (message := self._message_at(start)) is not None:
            start += 2 + len(message)
            key = int.from_bytes(message[:2], "big")
            if key in self._outstanding:
                self._outstanding.remove(key)
                yield key, message
            else:
                self._note_unasked(key)
        del self._received[:start]

    def take_outgoing(self) -> bytes:
        """The questions."""
        octets = bytes(self._outgoing)
        self._outgoing.clear()
        return octets

    def _message_at(self, start: int) -> bytes | None:
        """The message whose length stands there, if it has come whole."""
        end = start + 2 + int.from_bytes(self._received[start : start + 2], "big")
        return bytes(self._received[start + 2 : end]) if start + 2 <= len(self._received) >= end else None

    def _note_unasked(self, key: int) -> None:
        if key in self._abandoned:
            self._abandoned.remove(key)
            return
        self._unasked += 1
        if self._unasked > MOST_UNASKED:
            raise Violation("the server answers what nobody asked")


def pad(message: bytes) -> bytes:
    """Pad a question to "the closest multiple of 128 octets" (RFC 8467, 4.1; RFC 7830).

    One without EDNS, where padding belongs, stays as it is; and so does one with options of its own.
    """
    options = _NO_OPTIONS.pack(_TYPE_OPT, 0)
    tail = message[-_EMPTY_EDNS_TAIL:]
    if message[10:12] != b"\0\1" or tail[1:3] != options[:2] or tail[0] or tail[-2:] != b"\0\0":
        return message
    zeros = -(len(message) + 4) % PADDING_OCTETS
    padding = struct.pack("!HHH", 4 + zeros, _OPTION_PADDING, zeros)
    return message[:-2] + padding + bytes(zeros)
