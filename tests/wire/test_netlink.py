"""Framing: messages, attributes, errors; and every parser of rtnetlink against octets that mean harm."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._wire.netlink import NLMSG_DONE, NLMSG_ERROR, Message, attributes, error_number, messages
from trimif._wire.netlink_facts import decode, unsaid
from trimif._wire.netlink_routes import route_entry

SAMPLES = {
    name: bytes.fromhex(octets)
    for name, octets in (
        line.split()
        for line in Path(__file__).with_name("netlink_samples.txt").read_text().splitlines()
        if not line.startswith("#")
    )
}
KINDS = [16, 17, 20, 21, 24, 25, 68]


def frame(kind: int, body: bytes, flags: int = 0, sequence: int = 0, port: int = 0) -> bytes:
    padding = b"\0" * (-len(body) % 4)
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, port) + body + padding


messages_ = st.builds(
    Message,
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=64),
)


@given(st.lists(messages_, max_size=5))
def test_messages_are_split_as_they_were_framed(given_messages: list[Message]) -> None:
    datagram = b"".join(frame(each.kind, each.body, each.flags, each.sequence, each.port) for each in given_messages)
    assert list(messages(datagram)) == given_messages


def test_what_came_before_a_cut_off_message_is_given() -> None:
    split = messages(frame(16, b"good") + frame(17, b"cut off")[:-4])
    assert next(split).body == b"good"
    with pytest.raises(MalformedInput, match="23 octets is in 20"):
        next(split)


@pytest.mark.parametrize("length", [0, 15, 17, 0xFFFFFFFF])
def test_impossible_lengths_of_messages(length: int) -> None:
    with pytest.raises(MalformedInput):
        list(messages(struct.pack("=IHHII", length, 16, 0, 0, 0)))


@given(st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=20), max_size=5))
def test_attributes_are_read_as_they_were_written(given_attributes: dict[int, bytes]) -> None:
    body = b"head"
    for kind, payload in given_attributes.items():
        body += struct.pack("=HH", 4 + len(payload), kind | 0x8000) + payload + b"\0" * (-len(payload) % 4)
    assert attributes(body, 4) == given_attributes


@pytest.mark.parametrize("length", [0, 3, 9, 0xFFFF])
def test_impossible_lengths_of_attributes(length: int) -> None:
    with pytest.raises(MalformedInput):
        attributes(struct.pack("=HHI", length, 1, 0), 0)


def test_errors() -> None:
    assert error_number(Message(NLMSG_ERROR, 0, 1, 1, struct.pack("=i", -101))) == 101
    assert error_number(Message(NLMSG_DONE, 0, 1, 1, struct.pack("=i", 0))) == 0
    assert error_number(Message(NLMSG_DONE, 0, 1, 1, b"")) == 0
    for body in (b"", b"\0\0", struct.pack("=i", 1), struct.pack("=i", -5000)):
        with pytest.raises(MalformedInput):
            error_number(Message(NLMSG_ERROR, 0, 1, 1, body))


def read_everything(datagram: bytes) -> int:
    """Read a datagram as the source does, and also as answers; how many messages said something."""
    said = 0
    try:
        for message in messages(datagram):
            for parse in (lambda each: decode(each, 1000.0), unsaid, route_entry, error_number):
                with contextlib.suppress(MalformedInput):
                    said += bool(parse(message))
    except MalformedInput:
        pass
    return said


@given(st.binary(max_size=400))
@example(b"\0" * 16)
def test_random_octets(octets: bytes) -> None:
    read_everything(octets)


@given(st.sampled_from(KINDS), st.binary(max_size=200))
def test_random_bodies(kind: int, body: bytes) -> None:
    read_everything(frame(kind, body))


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_mutated_samples(name: str, data: st.DataObject) -> None:
    octets = bytearray(SAMPLES[name])
    assert read_everything(bytes(octets)) or name == "bridge-port-left"
    for position in data.draw(st.lists(st.integers(0, len(octets) - 1), min_size=1, max_size=8)):
        octets[position] = data.draw(st.integers(0, 255))
    read_everything(bytes(octets[: data.draw(st.integers(0, len(octets)))]))


def test_a_long_datagram_takes_no_longer_than_its_length_deserves() -> None:
    smallest_attributes = struct.pack("=HH", 4, 1) * 15000
    (message,) = messages(frame(24, bytes([2, 24, 0, 0, 254, 3, 0, 1]) + bytes(4) + smallest_attributes))
    with pytest.raises(MalformedInput):
        decode(message, 0.0)
    next_hops = struct.pack("=HBBi", 8, 0, 0, 3) * 8000
    multipath = struct.pack("=HH", 4 + len(next_hops), 9) + next_hops
    (message,) = messages(frame(24, bytes([2, 0, 0, 0, 254, 3, 0, 1]) + bytes(4) + multipath))
    assert len(decode(message, 0.0)) == 8000
