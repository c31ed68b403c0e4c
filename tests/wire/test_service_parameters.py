"""Service parameters of encrypted name servers (RFC 9460, RFC 9461, RFC 9463)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._wire.service_parameters import encode_service_parameters, parse_service_parameters

# alpn=h2,dot port=8443 dohpath=/dns-query{?dns} key65280=x
SEVERAL = bytes.fromhex(
    "0001 0007 02 6832 03 646f740003 0002 20fb0007 0010 2f646e732d71756572797b3f646e737dff00 0001 78"
)
PARAMETERS = ((1, b"\x02h2\x03dot"), (3, b"\x20\xfb"), (7, b"/dns-query{?dns}"), (0xFF00, b"x"))


def test_all_that_have_a_type_and_one_that_has_none() -> None:
    assert parse_service_parameters(SEVERAL) == (("h2", "dot"), 8443, "/dns-query{?dns}", PARAMETERS)
    assert encode_service_parameters(("h2", "dot"), 8443, "/dns-query{?dns}", PARAMETERS[3:]) == SEVERAL


def test_none_at_all() -> None:
    assert parse_service_parameters(b"") == ((), None, None, ())
    assert encode_service_parameters((), None, None) == b""


def test_protocols_that_are_not_text_are_not_told() -> None:
    """RFC 8701: "0x0A0A" and such are there so that receivers learn to ignore them."""
    alpn, *_, parameters = parse_service_parameters(bytes.fromhex("0001 0006 02 0a0a 02 6832"))
    assert alpn == ("h2",)
    assert parameters == ((1, bytes.fromhex("020a0a026832")),)


def test_mandatory_parameters_that_are_understood() -> None:
    octets = bytes.fromhex("0000 0004 0001 0003  0001 0003 026832  0002 0000  0003 0002 01bb")
    alpn, port, doh_path, _ = parse_service_parameters(octets)
    assert (alpn, port, doh_path) == (("h2",), 443, None)


@pytest.mark.parametrize(
    "octets",
    [
        "0003 00",
        "0003 0002 01",
        "0003 0003 01bb00",
        "0003 0002 0000",
        "0003 0002 01bb 0001 0003 026832",
        "0003 0002 01bb 0003 0002 01bb",
        "0001 0000",
        "0001 0001 00",
        "0001 0004 02683200",
        "0001 0003 036832",
        "0002 0000",
        "0001 0003 026832 0002 0001 00",
        "0007 0004 2f646e73ff",
        "0007 0003 646e73",
        "0007 0001 2f",
        "0007 0005 2f2020646e73",
        "0004 0004 c6336401",
        "0006 0010 20010db8000000000000000000000001",
        "0000 0000",
        "0000 0001 00",
        "0000 0002 0003",
        "0000 0002 0000",
        "0000 0004 0003 0001 0001 0003 026832 0003 0002 01bb",
        "0000 0004 0003 0003 0003 0002 01bb",
        "0000 0002 0005 0005 0001 00",
    ],
)
def test_what_makes_the_option_malformed(octets: str) -> None:
    with pytest.raises(MalformedInput):
        parse_service_parameters(bytes.fromhex(octets))


@pytest.mark.parametrize(
    "fields",
    [
        (("x" * 200,) * 400, None, None),
        (("x" * 256,), None, None),
        (("é",), None, None),
        ((), 65536, None),
        ((), None, "é"),
    ],
    ids=["too long", "too long an identifier", "identifier", "port", "path"],
)
def test_what_does_not_fit_is_not_encoded(fields: tuple[tuple[str, ...], int | None, str | None]) -> None:
    with pytest.raises(ValueError, match=r"service parameter|range|ascii"):
        encode_service_parameters(*fields)


@given(
    st.binary(max_size=60)
    | st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=5)), max_size=4)
    .map(dict)
    .map(lambda values: b"".join(bytes([0, key, 0, len(values[key])]) + values[key] for key in sorted(values)))
)
def test_any_octets_give_parameters_or_malformed_input(octets: bytes) -> None:
    try:
        found = parse_service_parameters(octets)
    except MalformedInput:
        return
    assert encode_service_parameters(*found) == octets
