"""D-Bus messages: what jeepney writes, in either order of octets, and what no bus would let through."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jeepney import DBusAddress, Endianness, new_error, new_method_call, new_signal  # type: ignore[import-untyped,unused-ignore]

from trimif._errors import MalformedInput
from trimif._wire.bus_message import Message, parse_message
from trimif._wire.bus_values import DEPTH, Place, read_values

Case = tuple[str, Any, Any]
"""A signature, what jeepney makes octets of, and what comes out: there variants are pairs, here what they hold."""

ADDRESS = DBusAddress("/a/b", "org.example", "a.b")
RANGES = {"y": 8, "q": 16, "u": 32, "t": 64}
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)


def simple(kind: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    return values.map(lambda value: (kind, value, value))


basic: st.SearchStrategy[Case] = st.one_of(
    *(simple(kind, st.integers(0, 2**bits - 1)) for kind, bits in RANGES.items()),
    *(
        simple(kind, st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
        for kind, bits in zip("nix", (16, 32, 64), strict=True)
    ),
    simple("d", st.floats(allow_nan=False)),
    simple("b", st.booleans()),
    simple("s", texts),
    simple("o", st.just("/a")),
    simple("g", st.just("a{sv}")),
)


def array(case: Case) -> Case:
    kind, value, plain = case
    return ("ay", bytes([value] * 2), bytes([plain] * 2)) if kind == "y" else (f"a{kind}", [value] * 2, [plain] * 2)


def structure(cases: list[Case]) -> Case:
    kinds, values, plain = zip(*cases, strict=True)
    return f"({''.join(kinds)})", values, plain


def dictionary(key: Case, item: Case) -> Case:
    return f"a{{{key[0]}{item[0]}}}", {key[1]: item[1]}, {key[2]: item[2]}


cases = st.recursive(
    basic,
    lambda inner: st.one_of(
        inner.map(array),
        st.lists(inner, min_size=1, max_size=4).map(structure),
        st.builds(dictionary, basic, inner),
        inner.map(lambda case: ("v", case[:2], case[2])),
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.lists(cases, max_size=4), st.sampled_from(list(Endianness)))
def test_what_was_written_is_read_as_it_was(written: list[Case], order: Endianness) -> None:
    signal = new_signal(ADDRESS, "C", "".join(kind for kind, _, _ in written), tuple(value for _, value, _ in written))
    signal.header.endianness = order
    message = parse_message(signal.serialise(7))
    assert message == Message(
        "signal", path="/a/b", interface="a.b", member="C", body=tuple(plain for _, _, plain in written)
    )


def test_an_error() -> None:
    call = new_method_call(ADDRESS, "C")
    call.serialise(9)
    call.header.serial = 9
    message = parse_message(new_error(call, "a.b.Failed", "s", ("why",)).serialise(1))
    assert (message.kind, message.reply_to, message.error, message.body) == ("error", 9, "a.b.Failed", ("why",))


def read(signature: str, octets: str) -> tuple[Any, ...]:
    return read_values(signature, Place(bytes.fromhex(octets), 0, "<"))


@pytest.mark.parametrize(
    ("signature", "octets"),
    [
        ("a()", "04000000 00000000 00000000"),  # an array that never ends, if nobody takes care
        ("()", ""),
        ("a", "00000000"),
        ("(u", "01000000"),
        ("u)", "01000000"),
        ("a{u}", "00000000 00000000"),
        ("a{vs}", "00000000 00000000"),
        ("a{sss}", "00000000 00000000"),
        ("{ss}", "00000000"),
        ("m", "00"),
        ("a" * (DEPTH + 2) + "y", "00000000"),
        ("(" * 100 + "y" + ")" * 100, "00"),
        ("y" * 256, "00" * 256),
        ("v", "02757500 00000000 00000000"),  # of two types
        ("v", "0000"),  # of none
        ("v", "017600" * (DEPTH + 1)),
        ("b", "02000000"),
        ("s", "01000000 6161"),  # no zero at its end
        ("s", "02000000 610000"),  # one before its end
        ("s", "01000000 ff00"),
        ("s", "ffffffff 6100"),
        ("ay", "05000000 00"),
        ("au", "ffffffff 00000000"),
        ("as", "05000000 02000000 616100"),  # its element is longer
        ("u", "000000"),
    ],
)
def test_values_that_are_none(signature: str, octets: str) -> None:
    with pytest.raises(MalformedInput):
        read(signature, octets)


def test_variants_in_variants_end_somewhere() -> None:
    assert read("v", "017600" * (DEPTH - 1) + "01790007") == (7,)


GOOD = new_signal(ADDRESS, "C", "u", (7,)).serialise(1)


@pytest.mark.parametrize(
    "octets",
    [
        b"x" + GOOD[1:],
        b"l\x09" + GOOD[2:],  # a type of message that there is not
        GOOD + b"more",
        GOOD[:-1],
        GOOD.replace(b"\1\1o\0", b"\5\1o\0"),  # the serial of a call is a path
        GOOD.replace(b"\3\1s\0", b"\5\1s\0"),
        b"",
    ],
)
def test_messages_that_are_none(octets: bytes) -> None:
    with pytest.raises(MalformedInput):
        parse_message(octets)


def test_fields_that_are_unknown_are_ignored() -> None:
    assert parse_message(GOOD.replace(b"\3\1s\0", b"\x63\1s\0")).member is None
