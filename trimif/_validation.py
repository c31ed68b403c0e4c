"""What is checked where a message is built: the error names the value, and says what would be right."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from trimif._model import IPAddress

if TYPE_CHECKING:
    from attrs import Attribute

NAME_OCTETS = 253  # RFC 1035, 2.3.4, less the root label
LABEL_OCTETS = 63


def to_address(value: IPAddress | str) -> IPAddress:
    """Text to an address; the error names what is wrong and shows what would be right."""
    try:
        return ip_address(value)
    except ValueError:
        raise ValueError(f"{value!r} is not an IPv4 or IPv6 address, for example '198.51.100.7'") from None


def to_port(value: Any) -> int:
    """A TCP port, or an error that says what one is."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
        raise ValueError(f"{value!r} is not a TCP port: an integer from 1 to 65535")
    return value


def check_identifier(_instance: object, attribute: Attribute[Hashable], value: Hashable) -> None:
    try:
        hash(value)
    except TypeError:
        raise TypeError(f"{attribute.name} {value!r} is not hashable: use a number or a string") from None


def check_name(_instance: object, _attribute: Attribute[str], value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"name {value!r} is not a string")
    reason = _name_fault(value)
    if reason is not None:
        raise ValueError(f"{value!r} is not the name of a network node: {reason}; right would be 'www.example.org'")


def to_systems(value: Iterable[str] | None) -> tuple[str, ...] | None:
    """The names of name systems, or an error that shows how to give them."""
    if value is None:
        return None
    systems: tuple[Any, ...] = tuple(value)
    if isinstance(value, str) or not all(isinstance(each, str) and each for each in systems):
        raise TypeError(f"systems is {value!r}; give the names of name systems in their order, ('hosts', 'dns') say")
    return systems


def _name_fault(name: str) -> str | None:
    stripped = name.removesuffix(".")
    if not stripped:
        return "it is empty"
    if any(character.isspace() or not character.isprintable() for character in stripped):
        return "it has white space or control characters"
    if any(not label for label in stripped.split(".")):
        return "it has an empty label"
    try:
        octets = stripped.encode("utf-8")
    except UnicodeEncodeError:
        return "it is not valid Unicode text"
    if stripped.isascii() and any(len(label) > LABEL_OCTETS for label in octets.split(b".")):
        return f"a label is longer than {LABEL_OCTETS} octets"
    return f"it is longer than {NAME_OCTETS} octets" if len(octets) > NAME_OCTETS else None
