"""Questions to name servers and what their answers say: octets in, values out, no I/O (RFC 1035).

An answer counts only if it has the question's id and repeats the question (RFC 5452, 9.1; that it came from the
server and port asked is the exchange's to check). Everything else that arrives is either somebody else's, and
:func:`read_reply` gives None, or malformed.
"""

from __future__ import annotations

import secrets
import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeAlias

from attrs import field, frozen

from trimif._errors import MalformedInput
from trimif._model import Family, IPAddress

if TYPE_CHECKING:
    from dns.message import QueryMessage
    from dns.name import Name
    from dns.rdatatype import RdataType

# DNS Flag Day 2020: the largest answer that is not fragmented on any usual path.
EDNS_OCTETS = 1232
# More than any answer about addresses has; 64 KiB hold four times as many, which take dnspython most of a second.
MOST_RECORDS = 1024
RECURSION_DESIRED, CLASS_IN, TYPE_OPT = 0x0100, 1, 41

_HEADER = struct.Struct("!HHHHHH")
_QUESTION = struct.Struct("!HH")
_EDNS = struct.pack("!BHHIH", 0, TYPE_OPT, EDNS_OCTETS, 0, 0)  # RFC 6891, 6.1.2: root, OPT, size, flags, no options


@frozen
class Question:
    """One question, as it is sent.

    Attributes:
        family: IPV4 asks for A records, IPV6 for AAAA.
        identifier: random, so that only who sees the question can answer it.
        octets: the whole message.
        mixed_case: the letters of the name are upper or lower case at random, and an answer has to repeat them.
    """

    name: Name
    family: Family
    identifier: int
    octets: bytes
    mixed_case: bool = False


@frozen
class Addresses:
    """The server's answer: the addresses of the name, none if it has none of that family.

    Attributes:
        ttl: for how many seconds it may be remembered: the least of the chain; of no addresses, by the SOA record
            (RFC 2308, 5), 0 if there was none.
    """

    addresses: tuple[IPAddress, ...]
    ttl: float = field(default=0.0, eq=False)


@frozen
class Alias:
    """The name is another's alias, and the server told no more: ask for that one (RFC 1034, 3.6.2)."""

    name: Name
    ttl: float = field(default=0.0, eq=False)


@frozen
class NoSuchName:
    """The name does not exist, in any family (RFC 8020).

    Attributes:
        ttl: for how many seconds that may be remembered (RFC 2308, 5), 0 if the server did not say.
    """

    ttl: float = field(default=0.0, eq=False)


@frozen
class Truncated:
    """The answer did not fit: ask by TCP (RFC 7766)."""


@frozen
class CaseLost:
    """The answer repeats the question in other letters: a server that does not keep their case, or a guess."""


@frozen
class ServerFailed:
    """The server can't or won't answer; another one may."""

    code: str


Reply: TypeAlias = Addresses | Alias | NoSuchName | Truncated | CaseLost | ServerFailed


def read_name(name: str) -> Name | None:
    """The name as the DNS has it, absolute, with IDNA 2008 (RFC 5891); None if it can't be a name in the DNS."""
    import dns.exception
    import dns.name

    try:
        read = dns.name.from_text(name, idna_codec=dns.name.IDNA_2008_Practical)
    except (dns.exception.DNSException, UnicodeError, ValueError):
        return None
    return None if read == dns.name.root else read


def ask_for(name: Name, family: Family, *, edns: bool = True, mixed_case: bool = False) -> Question:
    """Make a question with a fresh random id.

    It is put together by hand: a message object of dnspython costs ten times as much.

    Args:
        edns: offer to take answers larger than 512 octets (RFC 6891). Some servers stumble over it.
        mixed_case: vary the case of the letters at random, which who guesses has to guess as well
            (draft-vixie-dnsext-dns0x20). Some servers do not keep it.
    """
    identifier = secrets.randbelow(1 << 16)
    wire = name.to_wire()
    assert wire is not None, "without a file it is returned"
    if mixed_case:
        wire = _with_mixed_case(wire)
    header = _HEADER.pack(identifier, RECURSION_DESIRED, 1, 0, 0, 1 if edns else 0)
    octets = header + wire + _QUESTION.pack(_type_of(family), CLASS_IN) + (_EDNS if edns else b"")
    return Question(name, family, identifier, octets, mixed_case)


def _with_mixed_case(wire: bytes) -> bytes:
    """Lengths of labels are less than 64, so they are never taken for letters."""
    bits = secrets.randbits(len(wire))
    return bytes(
        octet ^ 0x20 if chr(octet).isascii() and chr(octet).isalpha() and bits >> place & 1 else octet
        for place, octet in enumerate(wire)
    )


def _type_of(family: Family) -> RdataType:
    import dns.rdatatype

    return dns.rdatatype.A if family is Family.IPV4 else dns.rdatatype.AAAA


def read_reply(octets: bytes, question: Question) -> Reply | None:
    """What a message says to a question; None if it is no answer to it.

    Raises:
        MalformedInput: the octets are no DNS message.
    """
    if int.from_bytes(octets[:2], "big") != question.identifier:
        return None  # not worth a parse: a flood of guesses must cost us little
    message, cut = _parse(octets)
    if not _answers(message, question):
        return None
    if question.mixed_case and message.question and not _repeats(octets, question):
        return CaseLost()
    return Truncated() if cut else _meaning(message, question)


def _repeats(octets: bytes, question: Question) -> bool:
    end = _HEADER.size + len(question.name.to_wire() or b"")
    return octets[_HEADER.size : end] == question.octets[_HEADER.size : end]


def _parse(octets: bytes) -> tuple[QueryMessage, bool]:
    """The message, and whether it was cut to fit into a datagram."""
    import dns.exception
    import dns.message

    if sum(int.from_bytes(octets[start : start + 2], "big") for start in (4, 6, 8, 10)) > MOST_RECORDS:
        raise MalformedInput(f"a DNS message of more than {MOST_RECORDS} records")
    try:
        message, cut = dns.message.from_wire(octets, raise_on_truncation=True), False
    except dns.message.Truncated as truncated:
        message, cut = truncated.message(), True  # type: ignore[no-untyped-call]
    except (dns.exception.DNSException, ValueError) as error:
        raise MalformedInput(f"not a DNS message: {error!r}") from error
    if not isinstance(message, dns.message.QueryMessage):
        raise MalformedInput("a DNS message that answers no query")
    return message, cut


def _answers(message: QueryMessage, question: Question) -> bool:
    """Does it repeat the question? Servers that fail may leave it out (they did not read it)."""
    import dns.flags
    import dns.rdataclass

    if not message.flags & dns.flags.QR:
        return False
    if not message.question:
        return _failure_code(message) is not None
    asked = message.question[0]
    return len(message.question) == 1 and (asked.name, asked.rdtype, asked.rdclass) == (
        question.name,  # names compare without regard to case
        _type_of(question.family),
        dns.rdataclass.IN,
    )


def _meaning(message: QueryMessage, question: Question) -> Reply:
    code = _failure_code(message)
    return ServerFailed(code) if code is not None else _content(message, question)


def _failure_code(message: QueryMessage) -> str | None:
    """The response code in words if it says that this server is of no use (RFC 1035, 4.1.1), else None."""
    import dns.rcode

    code = message.rcode()
    return None if code in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) else dns.rcode.to_text(code)


def _content(message: QueryMessage, question: Question) -> Reply:
    import dns.exception
    import dns.rcode

    try:
        chain = message.resolve_chaining()
    except dns.exception.DNSException as error:  # the chain loops, or contradicts itself
        return ServerFailed(type(error).__name__)
    if message.rcode() == dns.rcode.NXDOMAIN:
        return NoSuchName(chain.minimum_ttl if _is_final(message) else 0.0)
    if chain.answer is not None:
        return Addresses(tuple(ip_address(record.to_text()) for record in chain.answer), chain.minimum_ttl)
    if chain.canonical_name != question.name and not _is_final(message):
        return Alias(chain.canonical_name, chain.minimum_ttl)
    return _nothing(message, chain.minimum_ttl)


def _is_final(message: QueryMessage) -> bool:
    """A SOA record says that the end of the chain was looked up, and has no such data (RFC 2308, 2.2)."""
    import dns.rdatatype

    return any(records.rdtype == dns.rdatatype.SOA for records in message.authority)


def _nothing(message: QueryMessage, ttl: float) -> Reply:
    """No data; unless the server neither knows the zone nor asks others: then it has only told us to go elsewhere."""
    import dns.flags

    lame = not message.flags & (dns.flags.AA | dns.flags.RA)
    if _is_final(message):
        return Addresses((), ttl)
    return ServerFailed("lame") if lame else Addresses(())
