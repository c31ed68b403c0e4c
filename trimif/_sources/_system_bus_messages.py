"""D-Bus messages on their way: calls into octets, and a stream of octets into messages; where jeepney is met.

jeepney authenticates and puts calls together. Messages that come are taken apart in `trimif._wire.bus_message`: one
that can't be read costs only that message, whatever is in it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from trimif._errors import MalformedInput
from trimif._wire.bus_message import HEAD_OCTETS, MESSAGE_OCTETS, Message, message_length, parse_message

__all__ = ["MESSAGE_OCTETS", "Decoder", "Message", "authenticate", "encode_call", "jeepney_is_there"]

NO_REPLY_EXPECTED, NO_AUTO_START = 0x1, 0x2
_SERIAL_LIMIT = 1 << 32

logger = logging.getLogger(__name__)


def jeepney_is_there() -> bool:
    """Whether the library is installed. The first call imports it."""
    try:
        import jeepney.low_level  # type: ignore[import-untyped,unused-ignore] # noqa: F401
    except ImportError:
        return False
    return True


def authenticate() -> tuple[Any, bytes]:
    """jeepney's state machine of the authentication, and what to send when that has succeeded."""
    from jeepney.auth import BEGIN, Authenticator  # type: ignore[import-untyped,unused-ignore]

    return Authenticator(), BEGIN


def encode_call(
    serial: int,
    destination: str,
    path: str,
    interface: str,
    member: str,
    signature: str = "",
    body: tuple[Any, ...] = (),
    *,
    reply: bool = True,
) -> bytes:
    """A method call, which never makes the bus start a daemon that is not running: who looks must not change things.

    Args:
        reply: one is wanted.
    """
    from jeepney import DBusAddress, MessageFlag, new_method_call

    call = new_method_call(DBusAddress(path, destination, interface), member, signature or None, body)
    call.header.flags = MessageFlag(NO_AUTO_START | (0 if reply else NO_REPLY_EXPECTED))
    return bytes(call.serialise(serial % _SERIAL_LIMIT))


class Decoder:
    """Makes messages of a stream of octets."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, octets: bytes) -> Iterator[Message | None]:
        """The messages that these octets complete; None for one that can't be read.

        Raises:
            MalformedInput: this is not D-Bus, or a message is too long. Nothing after it can be read.
        """
        self._buffer += octets
        while len(self._buffer) >= HEAD_OCTETS:
            length = message_length(self._buffer)
            if len(self._buffer) < length:
                return
            frame = bytes(self._buffer[:length])
            del self._buffer[:length]
            yield _parsed(frame)


def _parsed(frame: bytes) -> Message | None:
    try:
        return parse_message(frame)
    except MalformedInput as fault:
        logger.debug("a message of %d octets can't be read: %s", len(frame), fault)
        return None
