"""Messages of D-Bus (D-Bus specification, "Message Format"): a header, which says what the body is, and the body."""

from __future__ import annotations

import struct
from typing import Any

from attrs import frozen

from trimif._errors import MalformedInput
from trimif._wire.bus_values import Place, read_values

__all__ = ["HEAD_OCTETS", "Message", "message_length", "parse_message"]

HEAD_OCTETS = 16
"""So many are needed to tell how long a message is."""
MESSAGE_OCTETS = 16 << 20
"""A longer message is refused. The bus itself would allow 128 MiB."""

_KINDS = {1: "method_call", 2: "method_return", 3: "error", 4: "signal"}
_HEADER = "yyyyuua(yv)"
_SIGNATURE = 8
_FIELDS: dict[int, tuple[str, type]] = {
    1: ("path", str),
    2: ("interface", str),
    3: ("member", str),
    4: ("error", str),
    5: ("reply_to", int),
    7: ("sender", str),
    _SIGNATURE: ("signature", str),
}
"""What is of interest; others are ignored, as the specification asks."""


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


def message_length(head: bytes | bytearray) -> int:
    """The octets of a message that begins with these, which are `HEAD_OCTETS` at least.

    Raises:
        MalformedInput: this is not D-Bus, or the message is too long. Nothing after it can be read.
    """
    body, _serial, fields = struct.unpack_from(f"{_order(head)}III", head, 4)
    length = int(HEAD_OCTETS + (fields + 7) // 8 * 8 + body)
    if length > MESSAGE_OCTETS:
        raise MalformedInput(f"a message of {length} octets")
    return length


def parse_message(octets: bytes) -> Message:
    """Parse a whole message.

    Raises:
        MalformedInput: it is none. Other messages may follow it all the same.
    """
    place = Place(octets, 0, _order(octets))
    _order_mark, kind, _flags, _version, _length, _serial, pairs = read_values(_HEADER, place)
    if kind not in _KINDS:
        raise MalformedInput(f"a message of the type {kind}")
    fields: dict[str, Any] = {}
    for code, value in pairs:
        name, wanted = _FIELDS.get(code, ("", object))
        if not isinstance(value, wanted):
            raise MalformedInput(f"the {name} of a message is {value!r:.80}")
        fields[name] = value
    fields.pop("", None)
    place.align(8)
    body = read_values(fields.pop("signature", ""), place)
    if place.offset != len(octets):
        raise MalformedInput("a message is longer than its signature says")
    return Message(_KINDS[kind], body=body, **fields)


def _order(head: bytes | bytearray) -> str:
    order = {b"l": "<", b"B": ">"}.get(bytes(head[:1]))
    if order is None:
        raise MalformedInput(f"a message starts with {bytes(head[:1])!r}")
    return order
