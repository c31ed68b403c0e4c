"""Questions to every host on a link, and what their answers say: octets in, values out, no I/O.

Multicast DNS (RFC 6762) and LLMNR (RFC 4795) both speak in messages of the DNS, with names in UTF-8 and not in IDNA
(RFC 6762, 16). An answer counts only if it has the question's id and repeats the question, or one of the two that were
put in one message: that is what tells it from other traffic on the link. It keeps nobody off: every host on the link
hears the question, and so can answer it. Only A and AAAA records of the very name are taken; aliases are not followed.
"""

from __future__ import annotations

import secrets
import struct
import unicodedata
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from attrs import frozen

from trimif._errors import MalformedInput
from trimif._model import Family, IPAddress

if TYPE_CHECKING:
    from dns.message import QueryMessage
    from dns.name import Name
    from dns.rdata import Rdata
    from dns.rrset import RRset

MOST_OCTETS = 9000  # of a message (RFC 6762, 17)
MOST_RECORDS = 256  # far more than the addresses of any host

RESPONSE, OPCODE, CONFLICT, CUT, TENTATIVE, CODE = 0x8000, 0x7800, 0x0400, 0x0200, 0x0100, 0x000F
CLASS_IN, CACHE_FLUSH = 1, 0x8000

_HEADER = struct.Struct("!HHHHHH")
_QUESTION = struct.Struct("!HH")
_TYPES = {Family.IPV4: 1, Family.IPV6: 28}  # A, AAAA


@frozen
class LinkQuestion:
    """One message to all hosts on a link: for the A records of a name, the AAAA records, or both.

    Attributes:
        families: IPV4 asks for A, IPV6 for AAAA.
        octets: the whole message.
    """

    name: Name
    families: tuple[Family, ...]
    identifier: int
    octets: bytes


@frozen
class LinkReply:
    """What one host said.

    Attributes:
        addresses: those of the name; none if the host bears the name, but has no such address.
        cut: the message was cut to fit into a datagram; there are more.
        conflict: of LLMNR alone: the host does not hold the name for its own only (RFC 4795, 2.1.1).
        tentative: of LLMNR alone: the host has not verified yet that the name is its own; nothing counts.
    """

    addresses: tuple[IPAddress, ...]
    cut: bool = False
    conflict: bool = False
    tentative: bool = False


def link_labels(name: str) -> tuple[bytes, ...]:
    """The labels of a name as they are sent on a link: UTF-8, precomposed (RFC 6762, 16; RFC 5198)."""
    text = unicodedata.normalize("NFC", name).removesuffix(".")
    return tuple(label.encode("utf-8", errors="replace") for label in text.split("."))


def link_name(name: str) -> Name | None:
    """The name as it is asked for on a link; None if it can't be one."""
    import dns.exception
    import dns.name

    labels = link_labels(name)
    if not all(labels):
        return None
    try:
        return dns.name.Name((*labels, b""))
    except dns.exception.DNSException:  # a label of more than 63 octets, a name of more than 255
        return None


def ask_link_for(name: Name, families: Iterable[Family]) -> LinkQuestion:
    """Make a question with a fresh random id. No flag is set: recursion is nobody's business on a link."""
    identifier, kinds = secrets.randbelow(1 << 16), tuple(families)
    wire = name.to_wire()
    assert wire is not None, "without a file it is returned"
    header = _HEADER.pack(identifier, 0, len(kinds), 0, 0, 0)
    octets = header + b"".join(wire + _QUESTION.pack(_TYPES[family], CLASS_IN) for family in kinds)
    return LinkQuestion(name, kinds, identifier, octets)


def identifier_of(octets: bytes) -> int:
    """The id of a message, 0 if it is too short to have one."""
    return int.from_bytes(octets[:2], "big")


def read_link_reply(octets: bytes, question: LinkQuestion) -> LinkReply | None:
    """What a message says to a question; None if it is no answer to it, or an error (RFC 6762, 18.11: ignored).

    Raises:
        MalformedInput: the octets are no DNS message.
    """
    if identifier_of(octets) != question.identifier:
        return None  # not worth a parse
    flags = _flags_of(octets)
    if not flags & RESPONSE or flags & (OPCODE | CODE):
        return None
    message = _parse(octets)
    if not _repeats(message, question):
        return None
    addresses = tuple(_addresses(message.answer, question))
    return LinkReply(addresses, bool(flags & CUT), bool(flags & CONFLICT), bool(flags & TENTATIVE))


def _flags_of(octets: bytes) -> int:
    if len(octets) < _HEADER.size:
        raise MalformedInput(f"{len(octets)} octets are no DNS message")
    _, flags, *counts = _HEADER.unpack_from(octets)
    if sum(counts) > MOST_RECORDS:
        raise MalformedInput(f"a message of more than {MOST_RECORDS} records")
    return int(flags)


def _parse(octets: bytes) -> QueryMessage:
    import dns.exception
    import dns.message

    try:
        # What does not fit is left out at its end, in the middle of a record if need be: the others still stand.
        message = dns.message.from_wire(octets, continue_on_error=bool(octets[2] & CUT >> 8))
    except (dns.exception.DNSException, ValueError) as error:
        raise MalformedInput(f"not a DNS message: {error!r}") from error
    if not isinstance(message, dns.message.QueryMessage):
        raise MalformedInput("a DNS message that answers no query")
    return message


def _repeats(message: QueryMessage, question: LinkQuestion) -> bool:
    """One of the questions is enough: some responders repeat only those that they have an answer to."""
    asked = {(question.name, _TYPES[family], CLASS_IN) for family in question.families}
    repeated = {(each.name, int(each.rdtype), int(each.rdclass)) for each in message.question}
    return bool(repeated) and repeated <= asked


def _addresses(answer: Sequence[RRset], question: LinkQuestion) -> Iterable[IPAddress]:
    kinds = {_TYPES[family] for family in question.families}
    for records in answer:
        # The bit "cache-flush" must not be set for us (RFC 6762, 6.7), but means no harm where it is.
        is_of_class = int(records.rdclass) & ~CACHE_FLUSH == CLASS_IN
        if records.name == question.name and is_of_class and int(records.rdtype) in kinds:
            yield from filter(None, (_address(record) for record in records))


def _address(record: Rdata) -> IPAddress | None:
    octets = record.to_wire() or b""
    size = {_TYPES[Family.IPV4]: 4, _TYPES[Family.IPV6]: 16}[int(record.rdtype)]
    if len(octets) != size:  # of a class that dnspython does not know, it takes any octets
        return None
    return IPv4Address(octets) if size == 4 else IPv6Address(octets)
