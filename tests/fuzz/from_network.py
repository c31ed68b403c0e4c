"""Parsers of what routers, servers and name servers send: anybody on the link can write it."""

from __future__ import annotations

from datetime import datetime

from attrs import evolve

from trimif._facts import DHCPv6Lease, Lease, RouterAdvertisement
from trimif._information import EncryptedDnsServer, PortalInformation, PvdInformation, PvdOption
from trimif._model import Family
from trimif._names._question import Question, Reply, ask_for, read_reply
from trimif._wire import dhcp_questions, dhcpv4_message, dhcpv4_options, dhcpv6_message, dhcpv6_options
from trimif._wire.dhcpv4_message import DHCPv4Message
from trimif._wire.dhcpv4_options import DHCPv4Options
from trimif._wire.dhcpv6_message import DHCPv6Message
from trimif._wire.dhcpv6_options import DHCPv6Options
from trimif._wire.domain_names import decode_compressed_names, decode_name, decode_names, encode_name
from trimif._wire.encrypted_dns import decode_encrypted_dns, encode_encrypted_dns
from trimif._wire.json_object import MAX_OCTETS
from trimif._wire.neighbour_discovery import (
    encode_options,
    encode_router_advertisement,
    parse_kernel_options,
    parse_router_advertisement,
)
from trimif._wire.neighbour_discovery_domains import encode_domain_head, split_domain_head
from trimif._wire.neighbour_discovery_header import HEADER_OCTETS
from trimif._wire.portal import parse_portal
from trimif._wire.pvd_information import parse_pvd_information
from trimif._wire.service_parameters import ServiceParameters, encode_service_parameters, parse_service_parameters

from . import seeds
from .checks import is_recorded
from .parser import Parser, Register
from .seeds import INDEX, NOW, ROUTER, TRANSACTION

DATAGRAM = 65535
OPTION = 8 * 255 - 2  # of a router advertisement, its content

PARSERS: list[Parser] = []


def parser(*inputs: bytes, largest: int = DATAGRAM, **more: object) -> Register:
    return Parser.register(PARSERS, inputs, largest, **more)


# ---------------------------------------------------------------- router advertisements


def _said_again(said: RouterAdvertisement) -> bool:
    return router_advertisement(encode_router_advertisement(said, NOW)) == said and is_recorded(said)


@parser(*seeds.advertisements(), again=_said_again)
def router_advertisement(octets: bytes) -> RouterAdvertisement:
    return parse_router_advertisement(INDEX, ROUTER, octets, NOW)


@parser(
    *(each[HEADER_OCTETS:] for each in seeds.advertisements()),
    again=lambda said: kernel_options(encode_options(said, NOW)) == said,
)
def kernel_options(octets: bytes) -> RouterAdvertisement:
    return parse_kernel_options(INDEX, ROUTER, octets, NOW)


@parser(
    encode_domain_head(PvdOption("pvd.example", True, False, 3, 5), header=True) + b"rest",
    largest=OPTION,
    again=lambda said: domain_head(encode_domain_head(said[0], header=said[1]) + said[2]) == said,
)
def domain_head(octets: bytes) -> tuple[PvdOption, bool, bytes]:
    return split_domain_head(octets)


@parser(
    seeds.encrypted_dns_option(),
    largest=OPTION,
    again=lambda said: encrypted_dns_option(encode_encrypted_dns(*said)) == said,
)
def encrypted_dns_option(octets: bytes) -> tuple[EncryptedDnsServer, int]:
    return decode_encrypted_dns(octets)


@parser(
    seeds.service_parameters(),
    again=lambda said: service_parameters(encode_service_parameters(*said)) == said,
)
def service_parameters(octets: bytes) -> ServiceParameters:
    return parse_service_parameters(octets)


# ---------------------------------------------------------------- domain names

NAMES = (encode_name("example.org"), encode_name("example.org") + encode_name("a.b-c.d_e.example") + bytes(3))


@parser(*NAMES, again=lambda said: domain_name(encode_name(said[0]))[0] == said[0])
def domain_name(octets: bytes) -> tuple[str, int]:
    return decode_name(octets)


@parser(*NAMES, again=lambda said: domain_names(b"".join(map(encode_name, said))) == said)
def domain_names(octets: bytes) -> tuple[str, ...]:
    return decode_names(octets)


@parser(
    NAMES[0] + b"\1a\xc0\0\1b\xc0\x08\xc0\x0d",
    again=lambda said: tuple(decode_name(encode_name(each))[0] for each in said) == said,
)
def compressed_names(octets: bytes) -> tuple[str, ...]:
    return decode_compressed_names(octets)


# ---------------------------------------------------------------- DHCPv4

LINK = dhcp_questions.LinkLayerAddress(1, seeds.HARDWARE)


def _dhcpv4_again(said: DHCPv4Message) -> bool:
    told = evolve(said, options={53: bytes([said.kind]), **said.options})  # which an encoded message always has
    return dhcpv4_message.parse_message(dhcpv4_message.encode_message(said)) == told


@parser(*seeds.dhcpv4_messages(), again=_dhcpv4_again)
def dhcpv4(octets: bytes) -> DHCPv4Message:
    return dhcpv4_message.parse_message(octets)


@parser(*seeds.dhcpv4_messages(), again=lambda lease: is_recorded(lease))
def dhcpv4_lease(octets: bytes) -> Lease:
    """As a lease file of dhcpcd, or an acknowledgement."""
    message = dhcpv4_message.parse_message(octets)
    options = dhcpv4_options.read_options(message.options)
    return dhcpv4_options.lease_of("eth0", "dhcpcd", message.your_address, options, NOW)


@parser(*seeds.dhcpv4_messages())
def dhcpinform_answer(octets: bytes) -> DHCPv4Message:
    return dhcp_questions.parse_inform_answer(octets, TRANSACTION, LINK)


@parser(*(bytes([code]) + content for code, content in seeds.OPTIONS4.items()), errors=())
def dhcpv4_option(octets: bytes) -> DHCPv4Options:
    """Code and content, which may be as long as several pieces make it (RFC 3396)."""
    return dhcpv4_options.read_options({octets[0]: octets[1:]} if octets else {})


# ---------------------------------------------------------------- DHCPv6

REPLIES = (dhcpv6_message.encode_message(seeds.dhcpv6_message()),)


@parser(*REPLIES, again=lambda said: dhcpv6(dhcpv6_message.encode_message(said)) == said)
def dhcpv6(octets: bytes) -> DHCPv6Message:
    return dhcpv6_message.parse_message(octets)


@parser(*REPLIES, again=lambda lease: is_recorded(lease))
def dhcpv6_lease(octets: bytes) -> DHCPv6Lease:
    reply = dhcpv6_message.parse_message(octets)
    return dhcpv6_options.lease_of("eth0", "dhcpcd", dhcpv6_options.read_options(reply.options, NOW), ROUTER)


@parser(*REPLIES)
def information_answer(octets: bytes) -> tuple[DHCPv6Message, float, float]:
    reply = dhcp_questions.parse_information_answer(octets, TRANSACTION, LINK)
    return reply, dhcp_questions.longest_wait(reply), dhcp_questions.refresh_seconds(reply)


@parser(*(bytes([code]) + content for code, content in seeds.OPTIONS6), errors=())
def dhcpv6_option(octets: bytes) -> DHCPv6Options:
    """The lower octet of the code, and content."""
    return dhcpv6_options.read_options([(octets[0], octets[1:])] if octets else [], NOW)


# ---------------------------------------------------------------- names, additional information, portals

_ASKED = ask_for(seeds.QUESTION_NAME, Family.IPV4)
QUESTION = Question(_ASKED.name, _ASKED.family, 0x1234, b"\x12\x34" + _ASKED.octets[2:])


@parser(*seeds.answers(QUESTION))
def dns_answer(octets: bytes) -> Reply | None:
    """An answer after its id: what has a wrong one is not looked at."""
    return read_reply(b"\x12\x34" + octets, QUESTION)


@parser(*seeds.files("pvd."), largest=MAX_OCTETS + 1, json=True)
def pvd_information(octets: bytes) -> PvdInformation:
    return parse_pvd_information(octets, datetime.timestamp)


@parser(*seeds.files("portal."), largest=MAX_OCTETS + 1, json=True)
def portal(octets: bytes) -> PortalInformation:
    return parse_portal(octets, NOW)
