"""D-Bus messages: octets and frozen values; the one place where jeepney is met.

jeepney marshals and unmarshals. What is ours is the framing, so that a message which it can't read costs only that
message, and the end of variants: jeepney gives a variant as a pair of signature and value, which looks just like a
structure of two fields; here the signature decides, and what comes out has no variants any more.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from trimif._errors import MalformedInput

__all__ = ["Decoder", "Message", "authenticate", "encode_call", "jeepney_is_there"]

MESSAGE_OCTETS = 16 << 20
"""A longer message is refused, and the connection with it. The bus itself would allow 128 MiB."""

NO_REPLY_EXPECTED, NO_AUTO_START = 0x1, 0x2
_HEAD = 16
_SERIAL_LIMIT = 1 << 32

logger = logging.getLogger(__name__)


@frozen
class Message:
    """A message that came from the bus.

    Attributes:
        kind: ``"method_return"``, ``"error"``, ``"signal"`` or ``"method_call"``.
        reply_to: the serial of the call that it answers.
        sender: the unique name of its sender, which the bus itself fills in.
        error: the name of the error.
        body: variants are replaced by what they hold.
    """

    kind: str
    reply_to: int | None = None
    sender: str | None = None
    path: str | None = None
    interface: str | None = None
    member: str | None = None
    error: str | None = None
    body: tuple[Any, ...] = ()


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
        while len(self._buffer) >= _HEAD:
            length = _length(self._buffer)
            if len(self._buffer) < length:
                return
            frame = bytes(self._buffer[:length])
            del self._buffer[:length]
            yield _decoded(frame)


def _length(buffer: bytearray) -> int:
    """The length of the message that starts here (D-Bus specification, "Message Format")."""
    order = {ord("l"): "<", ord("B"): ">"}.get(buffer[0])
    if order is None:
        raise MalformedInput(f"a message starts with {bytes(buffer[:1])!r}")
    body, _serial, fields = struct.unpack_from(f"{order}III", buffer, 4)
    length = int(_HEAD + (fields + 7) // 8 * 8 + body)
    if length > MESSAGE_OCTETS:
        raise MalformedInput(f"a message of {length} octets")
    return length


def _decoded(frame: bytes) -> Message | None:
    from jeepney.low_level import HeaderFields, Parser

    try:
        (message,) = Parser().feed(frame)
        fields = message.header.fields
        signature = fields.get(HeaderFields.signature, "")
        return Message(
            message.header.message_type.name,
            fields.get(HeaderFields.reply_serial),
            fields.get(HeaderFields.sender),
            fields.get(HeaderFields.path),
            fields.get(HeaderFields.interface),
            fields.get(HeaderFields.member),
            fields.get(HeaderFields.error_name),
            tuple(_plain(kind, value) for kind, value in zip(_types(signature), message.body, strict=True)),
        )
    except Exception as fault:  # jeepney documents none, and has struct's, assertions, and everything in between
        logger.debug("a message of %d octets can't be read: %r", len(frame), fault)
        return None


def _plain(kind: str, value: Any) -> Any:
    """The value without variants; `kind` is its signature, one complete type."""
    match kind[0]:
        case "v":
            return _plain(*value)
        case "(":
            return tuple(_plain(each, item) for each, item in zip(_types(kind[1:-1]), value, strict=True))
        case "a" if kind[1] == "{":
            of_key, of_item = _types(kind[2:-1])
            return {_plain(of_key, key): _plain(of_item, item) for key, item in value.items()}
        case "a" if kind[1] != "y":
            return [_plain(kind[1:], item) for item in value]
    return value


def _types(signature: str) -> Iterator[str]:
    """The complete types that a signature is a row of."""
    start = depth = 0
    for end, character in enumerate(signature, 1):
        depth += (character in "({") - (character in ")}")
        if depth == 0 and character != "a":
            yield signature[start:end]
            start = end
