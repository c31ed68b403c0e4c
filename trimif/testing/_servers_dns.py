"""A DNS server with one small zone, over UDP: A and AAAA, "no such name", "no data", and REFUSED for other types' work.

Each network of a test or of the demo has its own, so that one name can have different addresses in each.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from typing import TypeAlias

import trio

from trimif._errors import MalformedInput
from trimif._model import IPAddress
from trimif.testing._namespaces import Namespace

__all__ = ["Zone", "answer_dns", "serve_dns"]

PORT = 53
TIME_TO_LIVE = 60  # seconds

Zone: TypeAlias = Mapping[str, Sequence[IPAddress]]
"""The addresses of each name; names in lower case, without the trailing dot."""


def answer_dns(octets: bytes, zone: Zone) -> bytes:
    """The answer to a query.

    Raises:
        MalformedInput: it is not a query that can be answered.
    """
    import dns.exception
    import dns.flags
    import dns.message
    import dns.rcode
    import dns.rdataclass
    import dns.rdatatype
    import dns.rrset

    try:
        query = dns.message.from_wire(octets)
        response = dns.message.make_response(query)
        (question,) = query.question
    except (dns.exception.DNSException, ValueError) as error:
        raise MalformedInput(f"not a DNS query: {error}") from None
    response.flags |= dns.flags.AA | dns.flags.RA
    addresses = zone.get(question.name.to_text(omit_final_dot=True).lower())
    if addresses is None:
        response.set_rcode(dns.rcode.NXDOMAIN)
    else:
        kind = dns.rdatatype.to_text(question.rdtype)
        texts = [str(address) for address in addresses if _record_type(address) == kind]
        if texts:
            response.answer.append(dns.rrset.from_text(question.name, TIME_TO_LIVE, dns.rdataclass.IN, kind, *texts))
    return response.to_wire()


async def serve_dns(
    namespace: Namespace,
    address: IPAddress,
    zone: Zone,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on an address of a namespace until cancelled; started when the socket is bound."""
    with trio.socket.from_stdlib_socket(_open_endpoint(namespace, address)) as endpoint:
        task_status.started()
        while True:
            octets, client = await endpoint.recvfrom(65536)
            try:
                answer = answer_dns(octets, zone)
            except MalformedInput:
                continue
            await endpoint.sendto(answer, client)


def _record_type(address: IPAddress) -> str:
    return "A" if isinstance(address, IPv4Address) else "AAAA"


def _open_endpoint(namespace: Namespace, address: IPAddress) -> socket.socket:
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    endpoint = namespace.socket(family, socket.SOCK_DGRAM)
    try:
        endpoint.bind((str(address), PORT))
    except BaseException:
        endpoint.close()
        raise
    return endpoint
