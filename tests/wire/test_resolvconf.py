"""resolvconf's records, and name servers in all forms that managers write."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._information import DnsServerSelection, EncryptedDnsServer, Information
from trimif._wire.link_dns import ENTRIES, LinkDns, NameServer, parse_domains, parse_server, parse_servers
from trimif._wire.resolvconf import interface_of_record, parse_record

A, B = IPv4Address("198.51.100.1"), IPv6Address("2001:db8::1")


# ---------------------------------------------------------------- records


def test_a_record() -> None:
    octets = b"# made by hand\nnameserver 198.51.100.1 # first\n nameserver\t2001:db8::1\nsearch a.example b.example\n"
    assert parse_record(octets) == LinkDns((NameServer(A), NameServer(B)), ("a.example", "b.example"))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("domain a.example", ("a.example",)),
        ("domain a.example\nsearch b.example", ("b.example",)),
        ("search b.example\ndomain a.example", ("b.example",)),
        ("search a.example\nsearch b.example.", ("b.example",)),
        ("search .", ()),
        ("search", ()),
        ("searching a.example", ()),
        ("; search a.example", ()),
        ("search evil\033[2J a.example", ("a.example",)),
    ],
)
def test_search_domains(text: str, names: tuple[str, ...]) -> None:
    assert parse_record(text.encode()).search_domains == names


@pytest.mark.parametrize("text", ["", "nameserver", "nameserver here", "nameserver 0.0.0.0", "options ndots:3", "\0\0"])
def test_a_record_that_says_nothing(text: str) -> None:
    assert parse_record(text.encode()) == LinkDns()


@settings(max_examples=300)
@given(st.binary(max_size=200) | st.text(alphabet="nameserv 198.51:#;\n\tch", max_size=80).map(str.encode))
def test_any_octets_are_a_record(octets: bytes) -> None:
    assert isinstance(parse_record(octets).data(), tuple)


@pytest.mark.parametrize(
    ("record", "interface"),
    [
        ("eth0", "eth0"),
        ("eth0.dhclient", "eth0"),
        ("eth0.ip6.dhclient", "eth0"),
        ("eth0.10", "eth0.10"),
        ("eth0.10.dhclient", "eth0.10"),
        ("tun.wg0", "wg0"),
        ("wlan7.dhclient", "wlan7"),  # it isn't there: by convention
        ("wlan7.10.dhclient", "wlan7.10"),
        ("wlan7", "wlan7"),
    ],
)
def test_the_interface_of_a_record(record: str, interface: str) -> None:
    assert interface_of_record(record, {"eth0", "eth0.10", "wg0"}.__contains__) == interface


@pytest.mark.parametrize("record", ["", ".", "eth0.dhclient_new.4711", ".eth0", "a.b.c.d.e.f.g.h.i", "x" * 16, "a b"])
def test_a_record_without_interface(record: str) -> None:
    with pytest.raises(MalformedInput):
        interface_of_record(record, lambda name: False)


# ---------------------------------------------------------------- name servers


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("198.51.100.1", NameServer(A)),
        ("2001:db8::1", NameServer(B)),
        ("198.51.100.1:5353", NameServer(A, 5353)),
        ("[2001:db8::1]:5353", NameServer(B, 5353)),
        ("198.51.100.1#dns.example.", NameServer(A, None, "dns.example")),
        ("[2001:db8::1]:853%eth0#dns.example", NameServer(B, 853, "dns.example")),
        ("fe80::1%eth0", NameServer(ip_address("fe80::1"))),
        ("2001:db8::1:53", NameServer(ip_address("2001:db8::1:53"))),
    ],
)
def test_name_servers(text: str, server: NameServer) -> None:
    assert parse_server(text) == server


@pytest.mark.parametrize(
    "text",
    ["", "dns.example", "0.0.0.0", "::", "198.51.100", "198.51.100.1:0", "198.51.100.1:65536", "198.51.100.1#", "1:2",
     "198.51.100.1#b@d", "[198.51.100.1", "198.51.100.1 ", "１９８.51.100.1", "198.51.100.1%" + "x" * 16],
)  # fmt: skip
def test_no_name_servers(text: str) -> None:
    with pytest.raises(MalformedInput):
        parse_server(text)


# ---------------------------------------------------------------- as typed data


def test_what_is_not_told_is_absent() -> None:
    assert LinkDns().data() == ()
    assert LinkDns((NameServer(A),), default_route=True).data() == ((Information.DNS_SERVERS, (A,)),)


def test_a_server_on_another_port_can_not_be_asked_as_others_are() -> None:
    servers = (NameServer(A, 53), NameServer(B, 853, "dns.example"))
    assert LinkDns(servers).data() == (
        (Information.DNS_SERVERS, (A,)),
        (Information.ENCRYPTED_DNS, (EncryptedDnsServer(2, "dns.example", (B,), ("dot",), 853),)),
    )


@pytest.mark.parametrize(("default_route", "more"), [(False, ()), (True, (".",))])
def test_which_names_a_server_is_for(default_route: bool, more: tuple[str, ...]) -> None:
    dns = LinkDns((NameServer(A),), ("office.example",), ("corp.example",), default_route)
    assert dns.data() == (
        (Information.DNS_SERVERS, (A,)),
        (Information.SEARCH_DOMAINS, ("office.example",)),
        (Information.SPLIT_DOMAINS, ("corp.example",)),
        (Information.DNS_SELECTION, (DnsServerSelection(A, 0, ("corp.example", "office.example", *more)),)),
    )


def test_two_programs_of_one_link() -> None:
    one, two = LinkDns((NameServer(A),), ("a.example",)), LinkDns((NameServer(A), NameServer(B)), (), ("b.example",))
    assert one + two == LinkDns((NameServer(A), NameServer(B)), ("a.example",), ("b.example",))


def test_of_a_list_without_end_only_the_beginning_is_read() -> None:
    words = ["no-server"] * ENTRIES
    assert parse_servers([*words[1:], str(A)]) == (NameServer(A),)
    assert parse_servers([*words, str(A)]) == ()
    assert parse_domains(f"{number}.example" for number in range(2 * ENTRIES))[-1] == f"{ENTRIES - 1}.example"
