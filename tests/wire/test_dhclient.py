"""ISC dhclient's lease file: captured ones, the forms that its manual page promises, and garbage."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._facts import Lease
from trimif._information import DnsServerSelection, EncryptedDnsServer, Information, LeaseTimes, RawOption
from trimif._model import Origin, Route
from trimif._wire.dhclient import parse_leases

# What dhclient 4.4.3 wrote when it had a lease of dnsmasq, renewed it, and released it.
BOUND = r"""default-duid "\000\001\000\0012\225\247n\002\000\000\000\012\002";
lease {
  interface "up-a";
  fixed-address 198.51.100.10;
  option subnet-mask 255.255.255.192;
  option routers 198.51.100.1;
  option dhcp-lease-time 120;
  option default-url "https://portal.isp-a.example/api";
  option dhcp-message-type 5;
  option domain-name-servers 198.51.100.1,198.51.100.3;
  option dhcp-server-identifier 198.51.100.1;
  option domain-search "isp-a.example.", "example.com.";
  option interface-mtu 1460;
  option dhcp-renewal-time 60;
  option ntp-servers 198.51.100.1;
  option rfc3442-classless-static-routes 26,203,0,113,64,198,51,100,1,0,198,51,100,1;
  option broadcast-address 198.51.100.63;
  option dhcp-rebinding-time 105;
  option host-name "vm";
  option domain-name "isp-a.example";
  renew 0 2026/11/22 13:16:28;
  rebind 0 2026/11/22 13:17:14;
  expire 0 2026/11/22 13:17:29;
}
"""
RENEWED = "lease {" + BOUND.partition("lease {")[2].replace("13:17:29", "13:17:47")
RELEASED = "lease {" + BOUND.partition("lease {")[2].replace("13:17:29", "13:16:30")

EXPIRY = datetime(2026, 11, 22, 13, 17, 29, tzinfo=UTC).timestamp()
LEASE = Lease(
    interface="up-a",
    origin=Origin("dhclient", IPv4Address("198.51.100.1")),
    address=IPv4Address("198.51.100.10"),
    prefix_length=26,
    valid_until=EXPIRY,
    routers=(IPv4Address("198.51.100.1"),),
    routes=(
        Route(IPv4Network("203.0.113.64/26"), IPv4Address("198.51.100.1")),
        Route(IPv4Network("0.0.0.0/0"), IPv4Address("198.51.100.1")),
    ),
    dns_servers=(IPv4Address("198.51.100.1"), IPv4Address("198.51.100.3")),
    search_domains=("isp-a.example", "example.com"),
    ntp_servers=(IPv4Address("198.51.100.1"),),
    mtu=1460,
    data=(
        (Information.LEASE, LeaseTimes(EXPIRY - 61, EXPIRY - 15, EXPIRY)),
        (Information.CAPTIVE_PORTAL, "https://portal.isp-a.example/api"),
        (Information.RAW_OPTIONS, (RawOption(12, b"vm"), RawOption(28, bytes([198, 51, 100, 63])))),
    ),
)


def parse(text: str) -> tuple[Lease, ...]:
    leases = parse_leases(text, datetime.timestamp)
    assert all(isinstance(each, Lease) for each in leases)
    return tuple(each for each in leases if isinstance(each, Lease))


def lease(*statements: str, expire: str = "never") -> Lease:
    """The lease of a small file with these statements in it."""
    start = 'lease { interface "eth0"; fixed-address 198.51.100.9;'
    (found,) = parse(f"{start} {' '.join(statements)} expire {expire}; }}")
    return found


# ---------------------------------------------------------------- what dhclient writes


def test_a_captured_lease() -> None:
    assert parse(BOUND) == (LEASE,)


def test_the_last_lease_of_an_interface_counts() -> None:
    (renewed,) = parse(BOUND + RENEWED)
    assert renewed.valid_until == EXPIRY + 18
    (released,) = parse(BOUND + RENEWED + RELEASED)
    assert released.valid_until == EXPIRY - 59


def test_each_interface_has_its_own_lease() -> None:
    other = RENEWED.replace("up-a", "up-b")
    assert [each.interface for each in parse(BOUND + other + RELEASED)] == ["up-a", "up-b"]


def test_an_empty_file_has_no_lease() -> None:
    assert parse("") == parse(" \n# nothing yet\n") == ()


def test_a_last_lease_that_is_half_written_does_not_count() -> None:
    complete = RENEWED.rindex("}") + 1
    assert all(parse(BOUND + RENEWED[:length]) == (LEASE,) for length in range(complete))
    assert parse(BOUND + RENEWED[:complete]) != (LEASE,)


# ---------------------------------------------------------------- forms


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("0 2026/11/22 13:17:29", EXPIRY),
        ("epoch 1795353449", EXPIRY),
        ("epoch 1795353449; # Sun Nov 22 13:17:29 2026 }\n", EXPIRY),
        ("never", math.inf),
    ],
)
def test_times(written: str, seconds: float) -> None:
    assert lease(expire=written).valid_until == seconds


@pytest.mark.parametrize(
    "written",
    [
        "rfc3442-classless-static-routes 26,203,0,113,64,198,51,100,1,0,198,51,100,1",
        "classless-static-routes 26,203,0,113,64,198,51,100,1,0,198,51,100,1",
        "classless-static-routes 26.203.0.113.64 198.51.100.1, 0 198.51.100.1",
        "unknown-121 1a:cb:0:71:40:c6:33:64:1:0:c6:33:64:1",
        r'unknown-121 "\032\313\000q@\3063d\001\000\3063d\001"',
    ],
    ids=["Debian", "octets", "descriptors", "hexadecimal", "string"],
)
def test_forms_of_option_121(written: str) -> None:
    assert lease(f"option {written};").routes == LEASE.routes


def test_an_on_link_route_has_no_gateway() -> None:
    routes = lease("option unknown-121 18:cb:0:71:0:0:0:0;").routes
    assert routes == (Route(IPv4Network("203.0.113.0/24")),)


def test_without_a_search_list_the_domain_name_counts() -> None:
    assert lease('option domain-name "corp.example branch.example";').search_domains == (
        "corp.example",
        "branch.example",
    )


def test_escapes_and_braces_in_strings_are_text() -> None:
    found = lease(r'option host-name "a\"b}\\;{"; filename "}\n"; option domain-name "\145xample.org";')
    assert found.search_domains == ("example.org",)
    assert lease(r'option domain-name "\x65xample\x2eorg";').search_domains == ("example.org",)


SELECTION = DnsServerSelection(IPv4Address("198.51.100.53"), 1, ("corp.example", "."))


@pytest.mark.parametrize(
    ("written", "information", "datum"),
    [
        ("v6-only-preferred 1800", "IPV6_ONLY_WAIT", 1800.0),
        ("unknown-108 0:0:7:8", "IPV6_ONLY_WAIT", 1800.0),
        ('unknown-114 "https://portal.example/"', "CAPTIVE_PORTAL", "https://portal.example/"),
        ('rdnss-selection 1 198.51.100.53 0.0.0.0 "corp.example.", "."', "DNS_SELECTION", (SELECTION,)),
        ('wpad "http://wpad.example/proxy.pac\\000"', "WEB_PROXY", "http://wpad.example/proxy.pac"),
        ('vendor-encapsulated-options "ANDROID_METERED"', "METERED", True),
        (
            "unknown-162 0:10:0:1:d:3:64:6e:73:7:65:78:61:6d:70:6c:65:0",
            "ENCRYPTED_DNS",
            (EncryptedDnsServer(1, "dns.example"),),
        ),
        ("unknown-224 a:b:c", "RAW_OPTIONS", (RawOption(224, b"\x0a\x0b\x0c"),)),
        ("unknown-224 a", "RAW_OPTIONS", (RawOption(224, b"\x0a"),)),
        ("time-offset -3600", "RAW_OPTIONS", (RawOption(2, b"\xff\xff\xf1\xf0"),)),
        ("policy-filter 192.0.2.1 192.0.2.2", "RAW_OPTIONS", (RawOption(21, b"\xc0\0\2\1\xc0\0\2\2"),)),
        ("slp-directory-agent true 192.0.2.1", "RAW_OPTIONS", (RawOption(78, b"\1\xc0\0\2\1"),)),
    ],
)
def test_options_that_have_a_type_and_that_have_none(written: str, information: str, datum: object) -> None:
    assert dict(lease(f"option {written};").data)[Information.named(information)] == datum


def test_the_times_of_a_lease_that_was_written_without_them() -> None:
    assert dict(lease().data)[Information.LEASE] == LeaseTimes(None, None, math.inf)


def test_without_a_mask_the_address_is_alone() -> None:
    assert lease().prefix_length == 32


@pytest.mark.parametrize(
    "statement",
    [
        "option subnet-mask 255.0.255.0;",
        "option routers router.example;",
        "option routers 198.51.100;",
        "option domain-name-servers 2001:db8::1;",
        'option domain-search "two words here!";',
        r'option domain-name "evil\033[2J";',
        "option interface-mtu 20;",
        "option interface-mtu lots;",
        "option interface-mtu;",
        "option dhcp-server-identifier;",
        "option rfc3442-classless-static-routes 33,1,2,3,4,5,198,51,100,1;",
        "option rfc3442-classless-static-routes 24,203,0,113,198,51,100;",
        "option rfc3442-classless-static-routes 24,203,0,256,198,51,100,1;",
        "option unknown-121 18:cb:zz;",
        "option unknown-70000000 1;",
        "option dhcp-renewal-time 4294967296;",
        "option static-routes 198.51.100.1;",
        "option broadcast-address 198.51.100.255 198.51.100.255;",
        "option ip-forwarding maybe;",
        "option my-own 12;",
        "option host-name;",
        "renew soon;",
        "option ;",
        ";",
    ],
)
def test_an_option_with_wrong_content_is_left_out(statement: str) -> None:
    without_raw = tuple(each for each in lease(statement).data if each[0] != Information.RAW_OPTIONS)
    assert evolve(lease(statement), data=without_raw) == lease()


# ---------------------------------------------------------------- what is no lease file


@pytest.mark.parametrize(
    "text",
    [
        "\x00" * 40,
        "}",
        "lease { } }",
        "lease { }",
        'lease { interface "eth0"; expire never; }',
        "lease { fixed-address 198.51.100.9; expire never; }",
        'lease { interface "eth0"; fixed-address 198.51.100.9; }',
        'lease { interface "eth0"; fixed-address 198.51.100.9; expire 0 2026/13/22 13:17:29; }',
        'lease { interface "eth0"; fixed-address 198.51.100.9; expire epoch 99999999999999999; }',
        'lease { interface "eth0"; fixed-address 198.51.100.9; expire soon; }',
        'lease { interface "eth0"; fixed-address 2001:db8::9; expire never; }',
        'lease { interface "../eth0"; fixed-address 198.51.100.9; expire never; }',
        'lease { interface "eth0 eth1"; fixed-address 198.51.100.9; expire never; }',
        'lease { interface "an-interface-name"; fixed-address 198.51.100.9; expire never; }',
    ],
)
def test_garbage_is_malformed(text: str) -> None:
    with pytest.raises(MalformedInput):
        parse(text)


@given(st.text(max_size=200) | st.text('lease{};"\\# \n0epoch', max_size=200))
def test_any_text_gives_leases_or_malformed_input(text: str) -> None:
    try:
        leases = parse(text)
    except MalformedInput:
        return
    assert all(isinstance(each, Lease) for each in leases)


@given(st.integers(0, len(BOUND) - 1), st.characters(), st.integers(0, 3))
def test_mutations_of_a_captured_lease(position: int, character: str, removed: int) -> None:
    text = BOUND[:position] + character + BOUND[position + removed :]
    try:
        leases = parse(text)
    except MalformedInput:
        return
    assert all(name.isascii() and name.isprintable() for each in leases for name in each.search_domains)


def test_deep_nesting_and_long_strings_are_harmless() -> None:
    assert parse("{" * 200_000) == ()
    assert parse('x "' + "\\a" * 200_000) == ()
    assert parse("x " * 200_000) == ()
