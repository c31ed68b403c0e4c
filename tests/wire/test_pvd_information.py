"""PvD additional information (RFC 8801, 4.3): good objects, each rule broken alone, and garbage."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._information import PvdInformation
from trimif._wire.json_object import MAX_OCTETS
from trimif._wire.pvd_information import parse_pvd_information

GOOD: dict[str, Any] = {
    "identifier": "pvd.example.com.",
    "expires": "2027-05-23T06:00:00Z",
    "prefixes": ["2001:db8:1::/48", "2001:db8:4::/48"],
}
EXPIRES = datetime(2027, 5, 23, 6, tzinfo=UTC).timestamp()


def parse(octets: bytes) -> PvdInformation:
    return parse_pvd_information(octets, datetime.timestamp)


def parse_members(**members: Any) -> PvdInformation:
    return parse(json.dumps(GOOD | members).encode())


def test_the_example_of_the_rfc() -> None:
    octets = json.dumps(GOOD).encode()
    assert parse(octets) == PvdInformation(
        "pvd.example.com",
        EXPIRES,
        (IPv6Network("2001:db8:1::/48"), IPv6Network("2001:db8:4::/48")),
        text=octets.decode(),
    )


def test_what_is_optional() -> None:
    vendor = {"private-key": ["private-value", 1.5, None]}
    told = parse_members(
        dnsZones=["Example.com", "sub.example.com.", "example.com"],
        noInternet=True,
        metered=False,
        identifier="PvD.Example.COM",
        **{"vendor-foo": vendor},
    )
    assert told.identifier == "pvd.example.com"
    assert told.dns_zones == ("example.com", "sub.example.com")
    assert (told.no_internet, told.metered) == (True, False)
    assert json.loads(told.text)["vendor-foo"] == vendor


@pytest.mark.parametrize(
    ("member", "attribute", "default"),
    [
        ({"dnsZones": "example.com"}, "dns_zones", ()),
        ({"dnsZones": [1, None, "", "a b", "x" * 64, "\ud800", "-"]}, "dns_zones", ("-",)),
        ({"noInternet": 1}, "no_internet", False),
        ({"noInternet": "true"}, "no_internet", False),
        ({"metered": 0}, "metered", None),
        ({"metered": {"yes": True}}, "metered", None),
    ],
)
def test_an_optional_key_of_the_wrong_type_is_left_out(member: Any, attribute: str, default: Any) -> None:
    assert getattr(parse_members(**member), attribute) == default


@pytest.mark.parametrize("key", list(GOOD))
@pytest.mark.parametrize("value", [None, 1, True, {}, [1], [None], "", "nonsense\n", ["x"], [["2001:db8::/32"]], "é"])
def test_a_mandatory_key_that_is_wrong_refuses_all(key: str, value: Any) -> None:
    with pytest.raises(MalformedInput):
        parse_members(**{key: value})


@pytest.mark.parametrize("key", list(GOOD))
def test_a_mandatory_key_that_is_missing_refuses_all(key: str) -> None:
    members = {name: value for name, value in GOOD.items() if name != key}
    with pytest.raises(MalformedInput, match=key):
        parse(json.dumps(members).encode())


@pytest.mark.parametrize(
    "prefix", ["2001:db8::", "2001:db8::/129", "2001:db8::/-1", "2001:db8::/٣٢", "fe80::%1/64", "1.2.3/24", "/", "::/"]
)
def test_one_prefix_that_is_none_refuses_all(prefix: str) -> None:
    with pytest.raises(MalformedInput):
        parse_members(prefixes=["2001:db8::/32", prefix])


def test_prefixes_are_normalised() -> None:
    told = parse_members(prefixes=["2001:DB8:1::7/48", "::/0", "198.51.100.7/24"])
    assert told.prefixes == (IPv6Network("2001:db8:1::/48"), IPv6Network("::/0"), IPv4Network("198.51.100.0/24"))
    assert parse_members(prefixes=[]).prefixes == ()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-05-23T06:00:00Z", datetime(2027, 5, 23, 6, tzinfo=UTC)),
        ("2027-05-23t06:00:00.25z", datetime(2027, 5, 23, 6, 0, 0, 250_000, UTC)),
        ("2027-05-23 08:30:00.123456789+02:30", datetime(2027, 5, 23, 6, 0, 0, 123_456, UTC)),
        ("2027-05-22T23:00:00-07:00", datetime(2027, 5, 23, 6, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2027-05-23T06:00:00-00:00", datetime(2027, 5, 23, 6, tzinfo=UTC)),
    ],
)
def test_dates_and_times(text: str, moment: datetime) -> None:
    assert parse_members(expires=text).expires == moment.timestamp()


@given(
    st.datetimes(datetime(1970, 1, 3), datetime(9998, 1, 1)),
    st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
@settings(max_examples=100)
def test_every_date_and_time_comes_back(naive: datetime, zone: timezone) -> None:
    moment = naive.replace(tzinfo=zone)
    assert parse_members(expires=moment.isoformat()).expires == moment.timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "2027-05-23",
        "2027-05-23T06:00:00",
        "2027-05-23T06:00Z",
        "2027-02-29T06:00:00Z",
        "2027-05-23T24:00:00Z",
        "2027-05-23T06:00:61Z",
        "2027-05-23T06:00:00+24:00",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:60Z",
        "٢٠٢٧-05-23T06:00:00Z",
        " 2027-05-23T06:00:00Z",
    ],
)
def test_other_dates_refuse_all(text: str) -> None:
    with pytest.raises(MalformedInput):
        parse_members(expires=text)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
        json.dumps(GOOD).encode("utf-16"),
        json.dumps(GOOD).encode() + b"{}",
        b'{"identifier": "pvd.example.com", ' + json.dumps(GOOD).encode()[1:],
        json.dumps(GOOD).encode()[:-1] + b', "x": {"a": 1, "a": 1}}',
        json.dumps(GOOD).encode()[:-1] + b', "x": NaN}',
        json.dumps(GOOD).encode()[:-1] + b', "x": -Infinity}',
        json.dumps(GOOD).encode()[:-1] + b', "x": "\xff"}',
        json.dumps(GOOD).encode()[:-1] + b', "x": ' + b"[" * 33 + b"]" * 33 + b"}",
        json.dumps(GOOD | {"x": "y" * MAX_OCTETS}).encode(),
    ],
)
def test_what_is_no_i_json_object_is_refused(octets: bytes) -> None:
    with pytest.raises(MalformedInput):
        parse(octets)


def test_brackets_in_strings_are_no_depth() -> None:
    assert json.loads(parse_members(x=["[" * 100, '\\"{[' * 100]).text)["x"][0] == "[" * 100


def test_numbers_beyond_all_measure_are_ignored_where_they_mean_nothing() -> None:
    octets = json.dumps(GOOD).encode()[:-1] + b', "x": ' + b"9" * 60_000 + b', "y": -1e999999}'
    assert parse(octets).identifier == "pvd.example.com"


@pytest.mark.parametrize(
    "octets",
    [
        b"[" * 2**20,
        b'{"a":' * 10_000,
        b'"' * 60_001,
        b'{"a": "' + b'\\"' * 32_000,
        b'{"a": ' + b"9" * 65_000 + b"}",
        b"{" + b",".join(b'"%d":0' % number for number in range(7_000)) + b"}",
        b'{"prefixes": [' + b",".join([b'"::/0"'] * 9_000) + b"]}",
    ],
)
def test_hostile_documents_take_no_time(octets: bytes) -> None:
    before = time.process_time()
    with pytest.raises(MalformedInput):
        parse(octets)
    assert time.process_time() - before < 0.5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def parse_anything(octets: bytes) -> None:
    try:
        told = parse(octets)
    except MalformedInput:
        return
    assert json.loads(told.text)["expires"]
    hash(told)


@given(st.binary(max_size=300))
@example(b"\x00")
def test_any_octets_are_information_or_malformed(octets: bytes) -> None:
    parse_anything(octets)


@given(st.dictionaries(st.sampled_from([*GOOD, "dnsZones", "noInternet", "metered", "x"]), JSON))
@settings(max_examples=100)
def test_any_object_is_information_or_malformed(members: dict[str, Any]) -> None:
    parse_anything(json.dumps(GOOD | members).encode())


@given(st.data())
def test_any_change_of_a_good_one_is_information_or_malformed(data: st.DataObject) -> None:
    octets = bytearray(json.dumps(GOOD | {"dnsZones": ["example.com"], "noInternet": True}).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    parse_anything(bytes(octets))
