"""systemd-networkd's state files: those that it wrote, the forms of later versions, and garbage."""

from __future__ import annotations

import math
from ipaddress import IPv4Address, IPv4Network, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._facts import Lease
from trimif._information import Information, LeaseTimes, RawOption
from trimif._model import Origin, Route
from trimif._wire.link_dns import LinkDns, NameServer
from trimif._wire.networkd import LinkFile, parse_lease, parse_link
from trimif._wire.systemd_files import parse_seconds, parse_variables

# What systemd-networkd 252 wrote with a lease of dnsmasq.
LEASE_FILE = b"""\
# This is private data. Do not parse.
ADDRESS=198.51.100.10
NETMASK=255.255.255.192
ROUTER=198.51.100.1
SERVER_ADDRESS=198.51.100.1
NEXT_SERVER=198.51.100.1
BROADCAST=198.51.100.63
MTU=1460
T1=60
T2=105
LIFETIME=120
DNS=198.51.100.1 198.51.100.3
NTP=198.51.100.1
DOMAINNAME=isp-a.example
DOMAIN_SEARCH_LIST=isp-a.example example.com
HOSTNAME=vm
CLASSLESS_ROUTES=203.0.113.64/26,198.51.100.1 0.0.0.0/0,198.51.100.1
CLIENTID=01020000000a02
"""
LEASE = Lease(
    interface="up-a",
    origin=Origin("networkd", IPv4Address("198.51.100.1")),
    address=IPv4Address("198.51.100.10"),
    prefix_length=26,
    valid_until=math.inf,
    routers=(IPv4Address("198.51.100.1"),),
    routes=(
        Route(IPv4Network("203.0.113.64/26"), IPv4Address("198.51.100.1")),
        Route(IPv4Network("0.0.0.0/0"), IPv4Address("198.51.100.1")),
    ),
    dns_servers=(IPv4Address("198.51.100.1"), IPv4Address("198.51.100.3")),
    search_domains=("isp-a.example", "example.com"),
    ntp_servers=(IPv4Address("198.51.100.1"),),
    mtu=1460,
)

# What it wrote of a tunnel that a person configured.
LINK_FILE = b"""\
# This is private data. Do not parse.
ADMIN_STATE=configured
OPER_STATE=routable
NETWORK_FILE=/run/systemd/network/20-vpn.network
DNS=198.51.100.129#dns.example.com [fd6d:6966:1::1]:5353
NTP=198.51.100.129 time.example.com
SIP=
DOMAINS=in.example
ROUTE_DOMAINS=corp.example .
LLMNR=yes
DNS_DEFAULT_ROUTE=no
"""


def changed(key: str, value: str) -> Lease:
    """The lease with one variable changed."""
    lines = [line for line in LEASE_FILE.splitlines() if not line.startswith(f"{key}=".encode())]
    return parse_lease(b"\n".join([*lines, f"{key}={value}".encode(), b""]), "up-a").lease


# ---------------------------------------------------------------- leases


def test_a_captured_lease() -> None:
    """No moment is in the file, so the lease has no end, and no other timer."""
    file = parse_lease(LEASE_FILE, "up-a")
    assert file.lease == LEASE
    assert (file.renewal, file.rebinding, file.lifetime) == (60, 105, 120)


def test_the_end_tells_when_the_timers_run_out() -> None:
    lease = parse_lease(LEASE_FILE, "up-a").ending(1000.0)
    assert lease.valid_until == 1000.0
    assert dict(lease.data) == {Information.LEASE: LeaseTimes(940.0, 985.0, 1000.0)}


def test_no_end_no_timers() -> None:
    assert parse_lease(LEASE_FILE, "up-a").ending(math.inf) == LEASE
    endless = LEASE_FILE.replace(b"LIFETIME=120", b"LIFETIME=infinity")
    assert parse_lease(endless, "up-a").ending(1000.0) == LEASE


def test_octets_that_have_a_type_get_it() -> None:
    """Option 43 with Android's hint that traffic costs money, and a private option."""
    lease = changed("VENDOR_SPECIFIC", b"ANDROID_METERED".hex())
    assert (Information.METERED, True) in lease.data
    assert changed("OPTION_224", "c0ffee").data == ((Information.RAW_OPTIONS, (RawOption(224, b"\xc0\xff\xee"),)),)


def test_a_domain_name_counts_where_there_is_no_search_list() -> None:
    assert changed("DOMAIN_SEARCH_LIST", "").search_domains == ("isp-a.example",)


def test_a_router_of_zeros_says_that_the_route_is_on_the_link() -> None:
    assert changed("CLASSLESS_ROUTES", "203.0.113.0/24,0.0.0.0").routes == (Route(IPv4Network("203.0.113.0/24")),)


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        ("NETMASK", "255.0.255.0", {"prefix_length": 32}),
        ("ROUTER", "router.example", {"routers": ()}),
        ("SERVER_ADDRESS", "here", {"origin": Origin("networkd")}),
        ("MTU", "20", {"mtu": None}),
        ("MTU", "²²²²", {"mtu": None}),
        ("DNS", "2001:db8::1", {"dns_servers": ()}),
        ("DOMAIN_SEARCH_LIST", "evil\033[2J example.com", {"search_domains": ("example.com",)}),
        ("CLASSLESS_ROUTES", "203.0.113.0/33,198.51.100.1", {"routes": ()}),
        ("CLASSLESS_ROUTES", "203.0.113.0/24", {"routes": ()}),
        ("T1", "soon", {}),
        ("OPTION_224", "no octets", {}),
        ("OPTION_999999", "00", {}),
    ],
)
def test_a_variable_with_wrong_content_is_left_out(key: str, value: str, field: dict[str, object]) -> None:
    lease = changed(key, value)
    assert {name: getattr(lease, name) for name in field} == field
    assert (lease.address, lease.data) == (LEASE.address, ())


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"ADDRESS=198.51.100.10\n",
        b"LIFETIME=120\n",
        b"ADDRESS=here\nLIFETIME=120\n",
        b"ADDRESS=198.51.100.10\nLIFETIME=soon\n",
        b"ADDRESS=198.51.100.10\nLIFETIME=120\nDNS=198.51",  # cut short
        b"ADDRESS=198.51.100.10\nLIFETIME=120\nwhat is this\n",
        b"\0" * 40,
    ],
)
def test_no_lease(octets: bytes) -> None:
    with pytest.raises(MalformedInput):
        parse_lease(octets, "up-a")


@pytest.mark.parametrize("length", range(0, len(LEASE_FILE), 7))
def test_a_file_that_is_cut_short_is_no_other_lease(length: int) -> None:
    """Cut between two lines it lacks options; cut within a line it is malformed."""
    try:
        lease = parse_lease(LEASE_FILE[:length], "up-a").lease
    except MalformedInput:
        return
    assert (lease.address, lease.prefix_length) == (LEASE.address, LEASE.prefix_length)


# ---------------------------------------------------------------- links


def test_a_captured_link() -> None:
    servers = (
        NameServer(IPv4Address("198.51.100.129"), None, "dns.example.com"),
        NameServer(IPv6Address("fd6d:6966:1::1"), 5353),
    )
    assert parse_link(LINK_FILE) == LinkFile(
        managed=True,
        dns=LinkDns(servers, ("in.example",), ("corp.example", "."), default_route=False),
        data=(
            (Information.NTP_SERVERS, (IPv4Address("198.51.100.129"),)),
            (Information.NTP_NAMES, ("time.example.com",)),
        ),
    )


@pytest.mark.parametrize("state", ["unmanaged", "pending", "initialized", ""])
def test_a_link_of_others(state: str) -> None:
    assert parse_link(LINK_FILE.replace(b"=configured", f"={state}".encode())) == LinkFile(managed=False)


# ---------------------------------------------------------------- the form of the files


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("525", 525),
        ("8min 45s", 525),
        ("1h", 3600),
        ("1w 1d", 691200),
        ("500ms", 0.5),
        ("infinity", math.inf),
    ],
)
def test_time_spans(text: str, seconds: float) -> None:
    """Seconds up to systemd 252, words since."""
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "s", "-1", "8 min", "8min  45s", "1e9", "9" * 11, "5 parsecs"])
def test_no_time_spans(text: str) -> None:
    with pytest.raises(MalformedInput):
        parse_seconds(text)


def test_variables() -> None:
    assert parse_variables(b'# comment\n; another\n\nA=1\nB="quoted"\nA=2\n') == {"A": "2", "B": "quoted"}


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_octets(octets: bytes) -> None:
    for parse in (lambda: parse_lease(octets, "up-a"), lambda: parse_link(octets)):
        try:
            parse()
        except MalformedInput:
            continue


@settings(max_examples=300)
@given(st.sampled_from([LEASE_FILE, LINK_FILE]), st.data())
def test_any_mutation(octets: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(octets)))
    mutated = octets[:at] + data.draw(st.binary(max_size=8)) + octets[at + data.draw(st.integers(0, 8)) :]
    for parse in (lambda: parse_lease(mutated, "up-a"), lambda: parse_link(mutated)):
        try:
            parse()
        except MalformedInput:
            continue
