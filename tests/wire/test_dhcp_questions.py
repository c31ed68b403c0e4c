"""Questions to DHCP servers as octets, what answers them, and the times between them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from ipaddress import IPv4Address
from itertools import islice, pairwise

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._wire import dhcpv4_message, dhcpv6_message
from trimif._wire.dhcp_questions import (
    LinkLayerAddress,
    dhcpv4_waits,
    dhcpv6_waits,
    inform,
    information_request,
    longest_wait,
    parse_inform_answer,
    parse_information_answer,
    refresh_seconds,
)
from trimif._wire.dhcpv6_message import DHCPv6Message

LINK = LinkLayerAddress(1, b"\2\0\0\0\x0a\2")
NO_LINK = LinkLayerAddress(65534, b"")
DUID = b"\0\3\0\1" + LINK.octets
ADDRESS = IPv4Address("198.51.100.9")
REPLY = DHCPv6Message(dhcpv6_message.REPLY, 7, ((1, DUID), (2, b"server")))


def test_dhcpinform() -> None:
    asked = dhcpv4_message.parse_message(inform(7, ADDRESS, LINK))
    assert (asked.reply, asked.kind, asked.transaction) == (False, dhcpv4_message.INFORM, 7)
    assert (asked.client_address, asked.your_address) == (ADDRESS, IPv4Address(0))
    assert (asked.hardware_type, asked.hardware_address) == (1, LINK.octets)
    assert {1, 6, 108, 114, 119, 121, 162} < set(asked.options[55])
    assert not {50, 51, 54} & asked.options.keys()  # "MUST NOT" (RFC 2131, table 5)


def test_an_answer_to_dhcpinform() -> None:
    asked = dhcpv4_message.parse_message(inform(7, ADDRESS, LINK))
    answer = evolve(asked, reply=True, kind=dhcpv4_message.ACK, options={53: b"\5", 6: ADDRESS.packed})
    assert parse_inform_answer(dhcpv4_message.encode_message(answer), 7, LINK) == answer
    for wrong in (asked, evolve(answer, kind=6), evolve(answer, transaction=8), evolve(answer, hardware_address=b"\2")):
        with pytest.raises(MalformedInput):
            parse_inform_answer(dhcpv4_message.encode_message(evolve(wrong, options={})), 7, LINK)


def test_information_request() -> None:
    asked = dhcpv6_message.parse_message(information_request(7, 1.5, LINK))
    assert (asked.kind, asked.transaction) == (11, 7)
    assert asked.first(1) == DUID
    assert asked.first(8) == (150).to_bytes(2, "big")
    assert asked.first(2) is None
    wanted = asked.first(6) or b""
    assert {23, 24, 32, 83, 103, 144} <= {int.from_bytes(wanted[at : at + 2], "big") for at in range(0, len(wanted), 2)}
    long_ago = dhcpv6_message.parse_message(information_request(7, 1e9, NO_LINK))
    assert (long_ago.first(1), long_ago.first(8)) == (None, b"\xff\xff")


def test_an_answer_to_an_information_request() -> None:
    assert parse_information_answer(dhcpv6_message.encode_message(REPLY), 7, LINK) == REPLY
    fine = evolve(REPLY, options=(*REPLY.options, (13, b"\0\0")))
    assert parse_information_answer(dhcpv6_message.encode_message(fine), 7, LINK) == fine
    nobody = evolve(REPLY, options=REPLY.options[1:])
    assert parse_information_answer(dhcpv6_message.encode_message(nobody), 7, NO_LINK) == nobody
    for wrong in (
        evolve(REPLY, kind=2),
        evolve(REPLY, transaction=8),
        nobody,
        evolve(REPLY, options=REPLY.options[:1]),
        evolve(REPLY, options=((1, DUID + b"\0"), (2, b"server"))),
        evolve(REPLY, options=(*REPLY.options, (13, b"\0\1"))),
        evolve(REPLY, options=(*REPLY.options, (13, b""))),
    ):
        with pytest.raises(MalformedInput):
            parse_information_answer(dhcpv6_message.encode_message(wrong), 7, LINK)


@given(st.binary(max_size=300))
def test_any_octets_are_an_answer_or_malformed(octets: bytes) -> None:
    for parse in (parse_inform_answer, parse_information_answer):
        try:
            assert parse(octets, 7, LINK).transaction == 7
        except MalformedInput:
            continue


def first(waits: Iterator[float], count: int = 20) -> list[float]:
    return list(islice(waits, count))


def test_the_times_between_questions() -> None:
    def middle(low: float, high: float) -> float:
        return (low + high) / 2

    assert first(dhcpv4_waits(middle), 12) == [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]
    assert first(dhcpv6_waits(middle), 13) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600]
    assert first(dhcpv6_waits(middle, 60), 8) == [1, 2, 4, 8, 16, 32, 60, 60]


@given(st.randoms(use_true_random=False))
def test_the_times_are_random_within_their_bounds(chance: random.Random) -> None:
    for seconds, nominal in zip(first(dhcpv4_waits(chance.uniform), 5), (4, 8, 16, 32, 64), strict=True):
        assert nominal - 1 <= seconds <= nominal + 1
    waits = first(dhcpv6_waits(chance.uniform, 600))
    assert 0.9 <= waits[0] <= 1.1
    assert all(1.8 * one <= other or other >= 540 for one, other in pairwise(waits))
    assert max(waits) <= 660


@pytest.mark.parametrize(
    ("octets", "longest", "refresh"),
    [
        (None, 3600, 86400),
        ((59).to_bytes(4, "big"), 3600, 600),
        ((60).to_bytes(4, "big"), 60, 600),
        ((86400).to_bytes(4, "big"), 86400, 86400),
        ((86401).to_bytes(4, "big"), 3600, 86401),
        (b"\xff" * 4, 3600, math.inf),
        (b"\0\1", 3600, 86400),
    ],
)
def test_times_that_the_server_sets(octets: bytes | None, longest: float, refresh: float) -> None:
    told = () if octets is None else ((83, octets), (32, octets))
    message = evolve(REPLY, options=told)
    assert (longest_wait(message), refresh_seconds(message)) == (longest, refresh)
