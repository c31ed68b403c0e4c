"""Domain names in the wire form of RFC 1035, as DNSSL (RFC 8106) and DHCP option 119 (RFC 3397) carry them.

A name is a row of labels, each an octet of length and that many octets, ended by the root label, a zero octet.
DNSSL forbids compression; option 119 allows pointers to what came before. Names end up in resolvers, on terminals
and in log files, so a label may have only letters, digits, hyphens and underscores (internationalised names
travel as A-labels, RFC 5891): anything else is refused, not repaired.
"""

from __future__ import annotations

import re

from trimif._errors import MalformedInput

__all__ = ["check_domain_name", "decode_compressed_names", "decode_name", "decode_names", "encode_name"]

LABEL_OCTETS = 63
NAME_OCTETS = 255  # RFC 1035, 2.3.4: with every length octet and the root label
COMPRESSED_OCTETS = 4096  # each name may visit every octet before it, so their number must have a bound
POINTER = 0xC0  # RFC 1035, 4.1.4

_LABEL = re.compile(rb"[A-Za-z0-9_-]{1,63}")


def decode_name(octets: bytes, offset: int = 0) -> tuple[str, int]:
    """Decode the one uncompressed name at `offset`.

    Returns:
        The name, without a trailing dot, and the offset of what follows it.

    Raises:
        MalformedInput: a label overruns or is not plain text, or the name is too long, or the root.
    """
    return _decode_name(octets, offset, compressed=False)


def decode_names(octets: bytes) -> tuple[str, ...]:
    """Decode uncompressed names that fill `octets`, padded with zeros at the end (RFC 8106, 5.2).

    Returns:
        The names in their order, without a trailing dot.

    Raises:
        MalformedInput: a label overruns or is not plain text, a name is too long, or the padding is not zero.
    """
    names = []
    offset = 0
    while offset < len(octets) and octets[offset]:
        name, offset = _decode_name(octets, offset, compressed=False)
        names.append(name)
    if any(octets[offset:]):
        raise MalformedInput("something other than padding follows the last domain name")
    return tuple(names)


def decode_compressed_names(octets: bytes) -> tuple[str, ...]:
    """Decode names that fill `octets`, each of which may end in a pointer to an earlier place (RFC 3397, 2).

    Returns:
        The names in their order, without a trailing dot.

    Raises:
        MalformedInput: as :func:`decode_names` does, and for a pointer that does not lead backwards.
    """
    if len(octets) > COMPRESSED_OCTETS:
        raise MalformedInput(f"{len(octets)} octets of domain names are more than a DHCP message holds")
    names = []
    offset = 0
    while offset < len(octets):
        name, offset = _decode_name(octets, offset, compressed=True)
        names.append(name)
    return tuple(names)


def encode_name(name: str) -> bytes:
    """Encode a name, uncompressed; a trailing dot makes no difference.

    Raises:
        ValueError: a label is empty, too long or not plain text, or the name is too long.
    """
    labels = name.removesuffix(".").encode("ascii", "replace").split(b".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{name!r} is not a domain name, for example 'example.org'")
    octets = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    if len(octets) > NAME_OCTETS:
        raise ValueError(f"{name!r} is longer than {NAME_OCTETS} octets")
    return octets


def check_domain_name(name: str) -> str:
    """Return a name that a lease file gives as text, without trailing dot.

    Raises:
        MalformedInput: it is not a domain name.
    """
    try:
        encode_name(name)
    except ValueError as error:
        raise MalformedInput(str(error)) from None
    return name.removesuffix(".")


def _decode_name(octets: bytes, offset: int, *, compressed: bool) -> tuple[str, int]:
    """Decode the name at `offset`; return it and the offset of what follows it."""
    labels: list[bytes] = []
    start, end, length = offset, 0, 1
    while octet := _octet(octets, offset):
        if compressed and octet & POINTER == POINTER:
            target = (octet & ~POINTER) << 8 | _octet(octets, offset + 1)
            end = end or offset + 2
            # Strictly backwards from where the present run of labels began: each jump gets nearer to 0, none loops.
            if target >= start:
                raise MalformedInput("a compression pointer does not lead backwards")
            start = offset = target
            length += 1  # … and a chain of pointers has a bound
            _check_length(length)
            continue
        label = octets[offset + 1 : offset + 1 + octet]
        length += 1 + octet
        _check_length(length)
        _check_label(label, octet)
        labels.append(label)
        offset += 1 + octet
    if not labels:
        raise MalformedInput("the root is no search domain")
    return b".".join(labels).decode("ascii"), end or offset + 1


def _octet(octets: bytes, offset: int) -> int:
    try:
        return octets[offset]
    except IndexError:
        raise MalformedInput("a domain name goes on behind the end") from None


def _check_length(octets: int) -> None:
    if octets > NAME_OCTETS:
        raise MalformedInput(f"a domain name is longer than {NAME_OCTETS} octets")


def _check_label(label: bytes, octets: int) -> None:
    if octets > LABEL_OCTETS or len(label) < octets:
        raise MalformedInput(f"a label of {octets} octets is too long, or cut short")
    if not _LABEL.fullmatch(label):
        raise MalformedInput(f"{label!r} is no label of a host's domain name")
