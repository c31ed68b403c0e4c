"""A DHCPv4 server for one client on one link: DISCOVER, OFFER, REQUEST, ACK (RFC 2131), and NAK for another address.

It is small because it remembers nothing: it offers the same address to whoever asks. Answers are broadcast, since a
client without an address can't be sent to through an ordinary UDP socket.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import trio
from attrs import frozen

from trimif._errors import MalformedInput
from trimif._wire.domain_names import encode_name
from trimif.testing._namespaces import Namespace

__all__ = ["DHCPv4Offer", "answer_dhcpv4", "serve_dhcpv4"]

SERVER_PORT = 67
CLIENT_PORT = 68

DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6

SUBNET_MASK, ROUTER, NAME_SERVERS, DOMAIN_NAME, MTU = 1, 3, 6, 15, 26
REQUESTED_ADDRESS, LEASE_TIME, MESSAGE_TYPE, SERVER_ID, PARAMETERS = 50, 51, 53, 54, 55
RENEWAL_TIME, REBINDING_TIME, DOMAIN_SEARCH = 58, 59, 119
PAD, END = 0, 255

_HEADER = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")  # RFC 2131, figure 1, with the cookie of RFC 2132, 2
_COOKIE = b"\x63\x82\x53\x63"
_BROADCAST_FLAG = 0x8000


@frozen
class DHCPv4Offer:
    """What the server gives.

    Attributes:
        address: the client's, one for all.
        server: the server's own address on the link, which is also its identifier.
        search_domain: options 15 and, if the client asks for it, 119.
        mtu: in octets.
        lease_time: in seconds; renewal after half of it.
    """

    address: IPv4Address
    network: IPv4Network
    server: IPv4Address
    routers: tuple[IPv4Address, ...] = ()
    dns_servers: tuple[IPv4Address, ...] = ()
    search_domain: str | None = None
    mtu: int | None = None
    lease_time: int = 3600


@frozen
class _Request:
    transaction: int
    seconds_flags: tuple[int, int]
    client_address: bytes
    hardware: bytes
    hardware_type: tuple[int, int]
    options: dict[int, bytes]

    @property
    def kind(self) -> int:
        return int.from_bytes(self.options.get(MESSAGE_TYPE, b""), "big")

    @property
    def wanted(self) -> bytes:
        """The address that it asks for: option 50, else the one that it has (RFC 2131, 4.3.2)."""
        return self.options.get(REQUESTED_ADDRESS, self.client_address)


def answer_dhcpv4(octets: bytes, offer: DHCPv4Offer) -> bytes | None:
    """The answer to a client's message, or None if it deserves none (a RELEASE, a message to another server).

    Raises:
        MalformedInput: it is not a DHCPv4 message of a client.
    """
    request = _parse(octets)
    if request.options.get(SERVER_ID, offer.server.packed) != offer.server.packed:
        return None
    if request.kind == DISCOVER:
        return _build(request, offer, OFFER)
    if request.kind == REQUEST:
        return _build(request, offer, ACK if request.wanted == offer.address.packed else NAK)
    return None


async def serve_dhcpv4(
    namespace: Namespace,
    device: str,
    offer: DHCPv4Offer,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on a device of a namespace until cancelled; started when the socket is bound."""
    with trio.socket.from_stdlib_socket(_open_endpoint(namespace, device)) as endpoint:
        task_status.started()
        while True:
            octets, _client = await endpoint.recvfrom(65536)
            try:
                answer = answer_dhcpv4(octets, offer)
            except MalformedInput:
                continue
            if answer is not None:
                await endpoint.sendto(answer, ("255.255.255.255", CLIENT_PORT))


def _open_endpoint(namespace: Namespace, device: str) -> socket.socket:
    endpoint = namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        endpoint.bind(("0.0.0.0", SERVER_PORT))
    except BaseException:
        endpoint.close()
        raise
    return endpoint


def _parse(octets: bytes) -> _Request:
    if len(octets) < _HEADER.size:
        raise MalformedInput(f"a DHCP message of {len(octets)} octets is too short")
    (operation, hardware_type, hardware_length, _hops, transaction, seconds, flags, client, *_rest) = (
        _HEADER.unpack_from(octets)
    )
    hardware, cookie = _rest[3], _rest[-1]
    if operation != 1 or cookie != _COOKIE:
        raise MalformedInput("not a DHCP message of a client")
    return _Request(
        transaction, (seconds, flags), client, hardware, (hardware_type, hardware_length), dict(_options(octets))
    )


def _options(octets: bytes) -> Iterator[tuple[int, bytes]]:
    offset = _HEADER.size
    while offset < len(octets) and (code := octets[offset]) != END:
        offset += 1
        if code == PAD:
            continue
        if offset >= len(octets) or offset + 1 + octets[offset] > len(octets):
            raise MalformedInput(f"DHCP option {code} overruns the message")
        yield code, octets[offset + 1 : offset + 1 + octets[offset]]
        offset += 1 + octets[offset]


def _build(request: _Request, offer: DHCPv4Offer, kind: int) -> bytes:
    given = b"" if kind == NAK else offer.address.packed
    seconds, flags = request.seconds_flags
    header = _HEADER.pack(
        2, *request.hardware_type, 0, request.transaction, seconds, flags | _BROADCAST_FLAG,
        request.client_address, given, b"", b"", request.hardware, b"", b"", _COOKIE,
    )  # fmt: skip
    told = _refusal(offer) if kind == NAK else _configuration(offer, request.options.get(PARAMETERS, b""))
    options = {MESSAGE_TYPE: bytes([kind]), **told}
    return header + b"".join(bytes([code, len(value)]) + value for code, value in options.items()) + bytes([END])


def _refusal(offer: DHCPv4Offer) -> dict[int, bytes]:
    return {SERVER_ID: offer.server.packed}


def _configuration(offer: DHCPv4Offer, asked: bytes) -> dict[int, bytes]:
    """All that the server has to say; option 119 only to who asks: not every client knows it."""
    told = {
        SERVER_ID: offer.server.packed,
        LEASE_TIME: struct.pack("!I", offer.lease_time),
        RENEWAL_TIME: struct.pack("!I", offer.lease_time // 2),
        REBINDING_TIME: struct.pack("!I", offer.lease_time * 7 // 8),
        SUBNET_MASK: offer.network.netmask.packed,
        ROUTER: b"".join(router.packed for router in offer.routers),
        NAME_SERVERS: b"".join(server.packed for server in offer.dns_servers),
        DOMAIN_NAME: (offer.search_domain or "").encode(),
        MTU: struct.pack("!H", offer.mtu) if offer.mtu is not None else b"",
    }
    if offer.search_domain is not None and DOMAIN_SEARCH in asked:
        told[DOMAIN_SEARCH] = encode_name(offer.search_domain)
    return {code: value for code, value in told.items() if value}
