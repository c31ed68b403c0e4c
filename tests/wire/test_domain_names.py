"""Domain names in the form of RFC 1035, alone, in rows, and compressed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._wire.domain_names import decode_compressed_names, decode_name, decode_names, encode_name

from .advertisements import names


@given(names, st.binary(max_size=5), st.binary(max_size=5))
def test_a_name_in_the_middle(name: str, before: bytes, after: bytes) -> None:
    octets = before + encode_name(name) + after
    assert decode_name(octets, len(before)) == (name, len(octets) - len(after))


@given(st.lists(names, max_size=6))
def test_names_come_back(domains: list[str]) -> None:
    octets = b"".join(map(encode_name, domains))
    assert decode_names(octets + bytes(5)) == tuple(domains)
    assert decode_compressed_names(octets) == tuple(domains)


def test_compressed_names_are_the_example_of_rfc_3397() -> None:
    octets = b"\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04"
    assert decode_compressed_names(octets) == ("eng.apple.com", "marketing.apple.com")


@pytest.mark.parametrize(
    "octets",
    [b"\xc0\x00", b"\x01a\xc0\x00", b"\x01a\xc0\x02", b"\x01a\xc0", b"\x01a\x00\x01b\xc0\x09", b"\x01a\x00\x80"],
    ids=["itself", "own start", "own end", "cut short", "forwards", "reserved"],
)
def test_pointers_that_do_not_lead_backwards_are_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedInput):
        decode_compressed_names(octets)


def test_a_name_of_255_octets_is_the_longest() -> None:
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    assert decode_names(encode_name(longest)) == (longest,)
    with pytest.raises(ValueError, match="longer"):
        encode_name(longest + "d")
    with pytest.raises(MalformedInput, match="longer"):
        decode_names(b"\x3f" + b"a" * 63 + encode_name(longest)[:-1] + b"\0")


@given(st.binary(max_size=200))
def test_any_octets_give_names_or_malformed_input(octets: bytes) -> None:
    for decode in (decode_names, decode_compressed_names):
        try:
            found = decode(octets)
        except MalformedInput:
            continue
        assert all(encode_name(name) for name in found)
