"""Service parameters: how to speak to an encrypted name server (RFC 9460, 2.2; RFC 9461; RFC 9463, 3.1.5).

Each is a key and a value, both behind two octets; the same form in router advertisements (option 144), DHCPv6
(option 144) and DHCPv4 (option 162). "Clients MUST consider an RR malformed if … the end of the RDATA occurs within
a SvcParam; SvcParamKeys are not in strictly increasing numeric order; the SvcParamValue for a SvcParamKey does not
have the expected format": then the receiver discards the option that they are in (RFC 9463, 3.1.8).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from trimif._errors import MalformedInput

__all__ = ["ServiceParameters", "encode_service_parameters", "parse_service_parameters"]

MANDATORY = 0  # RFC 9460, 14.3.2
ALPN = 1
NO_DEFAULT_ALPN = 2
PORT = 3
IPV4_HINT = 4
IPV6_HINT = 6
DOH_PATH = 7  # RFC 9461, 5

UNDERSTOOD = frozenset({MANDATORY, ALPN, NO_DEFAULT_ALPN, PORT, DOH_PATH})

_HEAD = struct.Struct("!HH")
_NUMBER = struct.Struct("!H")
_PATH = re.compile(rb"/[!-~]*")
_PROTOCOL = re.compile(rb"[!-~]{1,255}")


class ServiceParameters(NamedTuple):
    """The fields of an `EncryptedDnsServer` that have these names."""

    alpn: tuple[str, ...] = ()
    port: int | None = None
    doh_path: str | None = None
    parameters: tuple[tuple[int, bytes], ...] = ()


def parse_service_parameters(octets: bytes) -> ServiceParameters:
    """Parse service parameters that fill `octets`; the typed ones come first, then all of them, as they came.

    Protocol identifiers that are not text, which RFC 8701 reserves so that receivers learn to ignore them, are only
    in the last part.

    Raises:
        MalformedInput: they do not follow their format; or the server can't be used, because a parameter that is
            not understood is mandatory (RFC 9460, 8), or because they hint at addresses, which RFC 9463, 3.1.8 forbids.
    """
    parameters = tuple(_split(octets))
    values = dict(parameters)
    if IPV4_HINT in values or IPV6_HINT in values:
        raise MalformedInput("an encrypted name server's service parameters have hints at addresses")
    _check_mandatory(values)
    if NO_DEFAULT_ALPN in values and (ALPN not in values or values[NO_DEFAULT_ALPN]):
        raise MalformedInput("there is no default protocol, and no other one")
    return ServiceParameters(
        _protocols(values.get(ALPN)), _port(values.get(PORT)), _doh_path(values.get(DOH_PATH)), parameters
    )


def encode_service_parameters(
    alpn: tuple[str, ...], port: int | None, doh_path: str | None, parameters: tuple[tuple[int, bytes], ...] = ()
) -> bytes:
    """Encode service parameters: the way back. What is among `parameters` need not be repeated, and wins if it is.

    Raises:
        ValueError: a number or a text does not fit its field.
    """
    values = dict(parameters)
    try:
        if alpn:
            values.setdefault(ALPN, b"".join(bytes([len(each)]) + each.encode("ascii") for each in alpn))
        if port is not None:
            values.setdefault(PORT, _NUMBER.pack(port))
        if doh_path is not None:
            values.setdefault(DOH_PATH, doh_path.encode("ascii"))
        return b"".join(_HEAD.pack(key, len(value)) + value for key, value in sorted(values.items()))
    except struct.error as error:
        raise ValueError(f"a service parameter has no room for its value: {error}") from None


def _split(octets: bytes) -> Iterator[tuple[int, bytes]]:
    offset, previous = 0, -1
    while offset < len(octets):
        if offset + _HEAD.size > len(octets):
            raise MalformedInput("a service parameter is cut short")
        key, length = _HEAD.unpack_from(octets, offset)
        offset += _HEAD.size
        if key <= previous or offset + length > len(octets):
            raise MalformedInput(f"the service parameter {key} comes out of order, or is cut short")
        yield key, octets[offset : offset + length]
        offset, previous = offset + length, key


def _check_mandatory(values: Mapping[int, bytes]) -> None:
    """Its value is a list of keys: ascending, each of them present, and not its own (RFC 9460, 8)."""
    if MANDATORY not in values:
        return
    value = values[MANDATORY]
    if not value or len(value) % 2:
        raise MalformedInput("the list of mandatory service parameters has the wrong length")
    keys = [key for (key,) in _NUMBER.iter_unpack(value)]
    if keys != sorted(set(keys)) or MANDATORY in keys or not values.keys() >= set(keys):
        raise MalformedInput("the list of mandatory service parameters is not in order, or one of them is missing")
    if not UNDERSTOOD.issuperset(keys):
        raise MalformedInput("a service parameter that is mandatory is not understood")


def _protocols(value: bytes | None) -> tuple[str, ...]:
    """ "At least one alpn-id prefixed by its length as a single octet" (RFC 9460, 7.1.1)."""
    found: list[bytes] = []
    offset = 0
    while value is not None and (offset < len(value) or not found):
        length = value[offset] if offset < len(value) else 0
        identifier = value[offset + 1 : offset + 1 + length]
        if not length or len(identifier) < length:
            raise MalformedInput("a list of protocols is empty, or cut short")
        found.append(identifier)
        offset += 1 + length
    return tuple(each.decode("ascii") for each in found if _PROTOCOL.fullmatch(each))


def _port(value: bytes | None) -> int | None:
    if value is None:
        return None
    if len(value) != _NUMBER.size or not any(value):
        raise MalformedInput("a port has the wrong length, or is 0")
    return int(_NUMBER.unpack(value)[0])


def _doh_path(value: bytes | None) -> str | None:
    """A URI template "in relative form", which "MUST contain a 'dns' variable" (RFC 9461, 5)."""
    if value is None:
        return None
    if not _PATH.fullmatch(value) or b"dns" not in value:
        raise MalformedInput("the path for DNS over HTTPS is not a template with the variable dns")
    return value.decode("ascii")
