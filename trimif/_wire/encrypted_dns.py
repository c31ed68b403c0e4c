"""The encrypted DNS option of router advertisements, type 144 (RFC 9463, 6.1).

::

    octets 2–3   service priority
    octets 4–7   lifetime; 0 says "no longer be used", ffffffff for ever
    octets 8–9   length of the name, then the authentication domain name in the form of RFC 1035
    2 octets     length of the addresses, then IPv6 addresses
    2 octets     length of the service parameters, then those
                 padding with zeros

All that follows the name is missing if the name is all that is told ("ADN-only mode", RFC 9463, 3.1.6); then zeros
of the padding may stand where it would be. DHCP's options 162 and 144 are alike, but not the same.
"""

from __future__ import annotations

import struct
from ipaddress import IPv6Address

from trimif._information import EncryptedDnsServer
from trimif._wire.domain_names import decode_name, encode_name
from trimif._wire.neighbour_discovery_fields import expect, pack
from trimif._wire.service_parameters import encode_service_parameters, parse_service_parameters

__all__ = ["decode_encrypted_dns", "encode_encrypted_dns"]

_HEAD = struct.Struct("!HI")
_LENGTH = struct.Struct("!H")


def decode_encrypted_dns(content: bytes) -> tuple[EncryptedDnsServer, int]:
    """Decode an option's content, from its third octet on; returns the server and its lifetime in seconds.

    Raises:
        MalformedInput: it fails one of the "DNR validation checks" of RFC 9463, 3.1.8: the receiver discards it.
    """
    expect(len(content) >= _HEAD.size, "an encrypted DNS option is too short")
    priority, seconds = _HEAD.unpack_from(content)
    packed_name, rest = _split_counted(content[_HEAD.size :])
    name, end = decode_name(packed_name)
    expect(end == len(packed_name), "an authentication domain name is followed by something")
    if not any(rest):
        return EncryptedDnsServer(priority, name), seconds
    packed_addresses, rest = _split_counted(rest)
    packed_parameters, _padding = _split_counted(rest)
    addresses = _addresses(packed_addresses)
    return EncryptedDnsServer(priority, name, addresses, *parse_service_parameters(packed_parameters)), seconds


def encode_encrypted_dns(server: EncryptedDnsServer, seconds: int) -> bytes:
    """Encode an option's content; the way back.

    Raises:
        ValueError: the name is none, a number does not fit its field, an address is not IPv6; or there are service
            parameters and no address, which the option can't say.
    """
    name = encode_name(server.name)
    head = pack(_HEAD, server.priority, seconds) + pack(_LENGTH, len(name)) + name
    parameters = encode_service_parameters(server.alpn, server.port, server.doh_path, server.parameters)
    if not server.addresses:
        if parameters:
            raise ValueError(f"the encrypted name server {server.name} has service parameters, but no address")
        return head
    if any(address.version != 6 for address in server.addresses):
        raise ValueError("router advertisements have no room for IPv4 addresses of encrypted name servers")
    addresses = b"".join(address.packed for address in server.addresses)
    return head + pack(_LENGTH, len(addresses)) + addresses + pack(_LENGTH, len(parameters)) + parameters


def _split_counted(octets: bytes) -> tuple[bytes, bytes]:
    """What a length of two octets counts, and what follows that."""
    expect(len(octets) >= _LENGTH.size, "an encrypted DNS option lacks a length")
    (length,) = _LENGTH.unpack_from(octets)
    end = _LENGTH.size + length
    expect(len(octets) >= end, "a field of an encrypted DNS option overruns it")
    return octets[_LENGTH.size : end], octets[end:]


def _addresses(packed: bytes) -> tuple[IPv6Address, ...]:
    """ "The host MUST silently discard multicast and host loopback addresses" (RFC 9463, 6.2)."""
    expect(len(packed) % 16 == 0, "the addresses of an encrypted name server are cut short")
    told = [IPv6Address(packed[offset : offset + 16]) for offset in range(0, len(packed), 16)]
    usable = tuple(each for each in told if not (each.is_multicast or each.is_loopback or each.is_unspecified))
    expect(bool(usable), "an encrypted name server has no valid address")
    return usable
