"""The lease file of pyroute2's DHCP client: captured, mutated, and anything at all."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._facts import Lease
from trimif._information import Information, LeaseTimes, RawOption
from trimif._model import Origin, Route
from trimif._wire.pyroute2_lease import parse_lease

# What pyroute2's client wrote when it had a lease of dnsmasq and had asked for options 26, 42, 119 and 121, too.
OPTIONS: dict[str, Any] = {
    "message_type": 5,
    "server_id": "198.51.100.1",
    "lease_time": 120,
    "renewal_time": 60,
    "rebinding_time": 105,
    "subnet_mask": "255.255.255.0",
    "broadcast_address": "198.51.100.255",
    "router": ["198.51.100.1"],
    "ntp_servers": ["198.51.100.1"],
    "classless_static_route": [0, 198, 51, 100, 1, 24, 203, 0, 113, 198, 51, 100, 1],
    "interface_mtu": 1460,
    "domain_name": "isp.example",
    "domain_search": list(b"\x07example\x03org\x00\x01a\x07example\x03com\x00"),
    "name_server": ["198.51.100.1"],
}
CONTENT: dict[str, Any] = {
    "ack": {
        "op": 2,
        "htype": 1,
        "hlen": 6,
        "hops": 0,
        "xid": 1126941908,
        "secs": 0,
        "flags": 32768,
        "ciaddr": "0.0.0.0",
        "yiaddr": "198.51.100.12",
        "siaddr": "198.51.100.1",
        "giaddr": "0.0.0.0",
        "chaddr": "e2:b4:2c:a0:11:b5",
        "sname": "",
        "file": "",
        "cookie": "63:82:53:63",
        "options": OPTIONS,
    },
    "interface": "eth0",
    "server_mac": "a6:59:7c:82:36:af",
    "obtained": 1795417150.3605795,
}
CAPTURED = json.dumps(CONTENT, indent=2)

OBTAINED = datetime.fromtimestamp(CONTENT["obtained"], UTC).timestamp()  # to the microsecond
ROUTER = IPv4Address("198.51.100.1")
LEASE = Lease(
    interface="eth0",
    origin=Origin("pyroute2", ROUTER),
    address=IPv4Address("198.51.100.12"),
    prefix_length=24,
    valid_until=OBTAINED + 120,
    routers=(ROUTER,),
    routes=(Route(IPv4Network("0.0.0.0/0"), ROUTER), Route(IPv4Network("203.0.113.0/24"), ROUTER)),
    dns_servers=(ROUTER,),
    search_domains=("example.org", "a.example.com"),
    ntp_servers=(ROUTER,),
    mtu=1460,
    data=(
        (Information.LEASE, LeaseTimes(OBTAINED + 60, OBTAINED + 105, OBTAINED + 120)),
        (Information.RAW_OPTIONS, (RawOption(28, bytes([198, 51, 100, 255])),)),
    ),
)


def parse(content: object) -> Lease:
    return parse_lease(content if isinstance(content, str) else json.dumps(content), datetime.timestamp)


def with_options(**options: object) -> dict[str, Any]:
    changed = {name: value for name, value in (OPTIONS | options).items() if value is not None}
    return CONTENT | {"ack": CONTENT["ack"] | {"options": changed}}


def test_a_captured_lease() -> None:
    assert parse(CAPTURED) == LEASE


def test_without_a_search_list_the_domain_name_counts() -> None:
    assert parse(with_options(domain_search=None)).search_domains == ("isp.example",)


def test_a_search_list_that_is_decoded_already() -> None:
    assert parse(with_options(domain_search=["a.example.", "b.example"])).search_domains == ("a.example", "b.example")


def test_an_infinite_lease() -> None:
    assert parse(with_options(lease_time=-1)).valid_until == math.inf


@pytest.mark.parametrize(
    ("name", "value", "information", "datum"),
    [
        ("dhcp_captive_portal", list(b"https://portal.example/api"), "CAPTIVE_PORTAL", "https://portal.example/api"),
        ("ipv6_only_preferred", [0, 0, 7, 8], "IPV6_ONLY_WAIT", 1800.0),
        ("private_proxy_autodiscovery", list(b"http://wpad.example/"), "WEB_PROXY", "http://wpad.example/"),
        ("vendor_specific_information", "ANDROID_METERED", "METERED", True),
    ],
)
def test_options_that_have_a_type(name: str, value: object, information: str, datum: object) -> None:
    assert dict(parse(with_options(**{name: value})).data)[Information.named(information)] == datum


@pytest.mark.parametrize(
    ("name", "value", "raw"),
    [
        ("option224", [1, 2, 255], RawOption(224, b"\1\2\xff")),
        ("host_name", "me", RawOption(12, b"me")),
        ("time_offset", -3600, RawOption(2, (-3600).to_bytes(4, "big", signed=True))),
        ("default_ttl", 64, RawOption(23, b"\x40")),
        ("dhcp_captive_portal", [32], RawOption(114, b" ")),
    ],
)
def test_options_that_have_none(name: str, value: object, raw: RawOption) -> None:
    assert raw in dict(parse(with_options(**{name: value})).data)[Information.RAW_OPTIONS]


@pytest.mark.parametrize(
    ("option", "field", "value"),
    [
        ("subnet_mask", "prefix_length", 32),
        ("router", "routers", ()),
        ("name_server", "dns_servers", ()),
        ("ntp_servers", "ntp_servers", ()),
        ("classless_static_route", "routes", ()),
        ("interface_mtu", "mtu", None),
    ],
)
@pytest.mark.parametrize("wrong", ["nonsense", 7, 1e999, math.nan, ["nonsense"], [300], [[1]], {}, True, None])
def test_an_option_with_wrong_content_is_left_out(option: str, field: str, value: object, wrong: object) -> None:
    assert getattr(parse(with_options(**{option: wrong})), field) == value


@pytest.mark.parametrize(
    "content",
    [
        "",
        CAPTURED[:400],
        "[" * 100_000,
        [],
        None,
        {},
        CONTENT | {"interface": None},
        CONTENT | {"interface": "no/name"},
        CONTENT | {"ack": []},
        CONTENT | {"ack": {}},
        CONTENT | {"ack": CONTENT["ack"] | {"yiaddr": "2001:db8::1"}},
        CONTENT | {"ack": CONTENT["ack"] | {"yiaddr": 3325256713}},
        CONTENT | {"obtained": "yesterday"},
        CONTENT | {"obtained": math.nan},
        CONTENT | {"obtained": 1e300},
        with_options(lease_time=None),
        with_options(lease_time=10**30),
        with_options(lease_time=True),
    ],
)
def test_what_does_not_make_a_lease_is_malformed(content: object) -> None:
    with pytest.raises(MalformedInput):
        parse(content)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(sorted(OPTIONS)), json_values)
def test_any_value_of_any_option_gives_a_lease_or_malformed_input(option: str, value: object) -> None:
    try:
        lease = parse(with_options(**{option: value}))
    except MalformedInput:
        assert option == "lease_time"
        return
    assert lease.address == LEASE.address


@given(st.sampled_from(sorted(CONTENT)), json_values)
def test_any_value_of_any_member_gives_a_lease_or_malformed_input(member: str, value: object) -> None:
    try:
        lease = parse(CONTENT | {member: value})
    except MalformedInput:
        return
    assert isinstance(lease, Lease)


@given(st.text(max_size=100) | st.builds(lambda at, new: CAPTURED[:at] + new, st.integers(0, 900), st.text(max_size=3)))
def test_any_text_gives_a_lease_or_malformed_input(text: str) -> None:
    try:
        lease = parse(text)
    except MalformedInput:
        return
    assert isinstance(lease, Lease)
