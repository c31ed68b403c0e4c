"""Router advertisements of every sort: back and forth, mutated, made of anything at all, and as long as can be."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._facts import RouterAdvertisement
from trimif._wire.neighbour_discovery import encode_router_advertisement, parse_router_advertisement
from trimif._wire.neighbour_discovery_options import RAW_OPTIONS

from .advertisements import INDEX, ROUTER, advertisements

HEADER = bytes.fromhex("86000000 40 00 0708 00000000 00000000")
LARGEST = 65535


def parse(octets: bytes, now: float = 0.0) -> RouterAdvertisement:
    return parse_router_advertisement(INDEX, ROUTER, octets, now)


@given(advertisements())
def test_what_was_encoded_is_parsed_as_it_was(case: tuple[RouterAdvertisement, float]) -> None:
    advertisement, now = case
    assert parse(encode_router_advertisement(advertisement, now), now) == advertisement


def assert_sane(octets: bytes) -> None:
    """Any octets give a value or `MalformedInput`; and the value is what its own octets say."""
    try:
        advertisement = parse(octets)
    except MalformedInput:
        return
    assert parse(encode_router_advertisement(advertisement)) == advertisement
    assert_plain(advertisement)
    if advertisement.domain is not None:
        assert_plain(advertisement.domain.content)


def assert_plain(said: RouterAdvertisement) -> None:
    texts = [domain for domain, _ in said.search_domains] + [server.name for server, _ in said.encrypted_dns]
    texts += [said.captive_portal or "", said.domain.option.identifier if said.domain else ""]
    assert all(text.isprintable() and text.isascii() for text in texts)
    assert len(said.raw_options) <= RAW_OPTIONS


framed_options = st.lists(
    st.tuples(st.sampled_from([3, 5, 21, 24, 25, 31, 37, 38, 144, 200]), st.binary(max_size=46)), max_size=6
).map(
    lambda options: b"".join(
        bytes([kind, (9 + len(body)) // 8]) + body.ljust(8 * ((9 + len(body)) // 8) - 2, b"\0")
        for kind, body in options
    )
)


@given(st.binary(max_size=300))
def test_any_octets(octets: bytes) -> None:
    assert_sane(octets)


@given(framed_options)
def test_any_octets_in_frames(octets: bytes) -> None:
    assert_sane(HEADER + octets)


@given(framed_options, st.sampled_from(["0000", "2000"]))
def test_any_octets_in_frames_in_a_pvd_option(octets: bytes, flags: str) -> None:
    content = bytes.fromhex(f"{flags} 0000 01 61 00") + bytes(7) + octets
    assert_sane(HEADER + bytes([21, (2 + len(content)) // 8]) + content)


@given(advertisements(), st.data())
def test_mutations(case: tuple[RouterAdvertisement, float], data: st.DataObject) -> None:
    octets = bytearray(encode_router_advertisement(*case))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    assert_sane(bytes(octets[: data.draw(st.integers(0, len(octets)))]))


# ---------------------------------------------------------------- as long as can be


def filled(option: bytes) -> bytes:
    """A message of the greatest length that is made of one option, over and over."""
    return HEADER + option * ((LARGEST - len(HEADER)) // len(option))


def one_option(kind: int, head: bytes, item: bytes) -> bytes:
    """The longest option of a type, whose list is made of one item."""
    return bytes([kind, 255]) + (head + item * 3000)[:2038]


SHORT_NAMES = b"\x01a\x00"
PVD = bytes.fromhex("0000 0000 0161 00") + bytes(7)

WORST = {
    "unknown": bytes.fromhex("c801000000000000"),
    "wrong": bytes.fromhex("0501000000000000"),
    "routes": bytes.fromhex("1801000000000064"),
    "prefixes": bytes.fromhex("030440c000000e10000007080000000020010db8000a00000000000000000000"),
    "servers": bytes([25, 255]) + bytes(6) + bytes.fromhex("20010db8000a00000000000000000053") * 127,
    "names": bytes([31, 255]) + bytes(6) + SHORT_NAMES * 677 + b"\0",
    "names that are wrong at the end": one_option(31, bytes(6), SHORT_NAMES)[:-1] + b"\x40",
    "one long name": one_option(31, bytes(6), b"\x01a"),
    "portals": one_option(37, b"https:", b"x"),
    "PvD options": bytes.fromhex("1502 0000 0000 0161 00") + bytes(7),
    "long PvD options": one_option(21, PVD, bytes.fromhex("0501000000000000")),
    "parameters": one_option(
        144, bytes.fromhex("0001 00000000 0003 0161 00 0010 20010db8000a00000000000000000053 0700"), b"\0"
    ),
}


@pytest.mark.parametrize("option", WORST.values(), ids=WORST)
def test_the_longest_messages_take_bounded_time_and_memory(option: bytes) -> None:
    """Measured: 22 ms and 44 octets for one of the message, at worst. The limits leave room for slow machines."""
    octets = filled(option)
    assert LARGEST - len(option) < len(octets) <= LARGEST
    begun = time.process_time()
    parse(octets)
    assert time.process_time() - begun < 0.5
    tracemalloc.start()
    kept = parse(octets)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * LARGEST
    assert_plain(kept)
