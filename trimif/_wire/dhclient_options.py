"""The options in ISC's lease files, which have names and are printed by their type: back to codes and octets.

Names and formats are those of ISC DHCP 4.4 (:manpage:`dhcp-options(5)`). A format has a letter for each value:

====== ============================================================================
``I``  an IPv4 address, ``6`` an IPv6 address
``B``  an unsigned number of one octet, ``S`` of two, ``L`` of four; ``l`` a signed one
``T``  a time of four octets, or ``infinite``
``f``  ``true`` or ``false``
``t``  a text to the end
``d``  a domain name, ``D`` all that follow
``X``  octets to the end, hexadecimal or a string
``R``  the same in decimal, as the rows of a classless route
``A``  all that is before this letter, repeated; ``a``: the last letter before this one
====== ============================================================================

An option without name in the tables appears as ``unknown-N``, in format ``X``; one with a name that only the
client's configuration knows can't be told, but for well-known ones, such as Debian's for option 121.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from itertools import chain, cycle

from trimif._errors import MalformedInput
from trimif._wire.dhclient_text import Statement, read_number
from trimif._wire.dhcp_values import expect
from trimif._wire.domain_names import encode_name

__all__ = ["encode_dhcpv4_options", "encode_dhcpv6_options"]

_DHCPV4 = """
1 subnet-mask I; 2 time-offset l; 3 routers IA; 4 time-servers IA; 5 ien116-name-servers IA;
6 domain-name-servers IA; 7 log-servers IA; 8 cookie-servers IA; 9 lpr-servers IA; 10 impress-servers IA;
11 resource-location-servers IA; 12 host-name t; 13 boot-size S; 14 merit-dump t; 15 domain-name t; 16 swap-server I;
17 root-path t; 18 extensions-path t; 19 ip-forwarding f; 20 non-local-source-routing f; 21 policy-filter IIA;
22 max-dgram-reassembly S; 23 default-ip-ttl B; 24 path-mtu-aging-timeout L; 25 path-mtu-plateau-table SA;
26 interface-mtu S; 27 all-subnets-local f; 28 broadcast-address I; 29 perform-mask-discovery f; 30 mask-supplier f;
31 router-discovery f; 32 router-solicitation-address I; 33 static-routes IIA; 34 trailer-encapsulation f;
35 arp-cache-timeout L; 36 ieee802-3-encapsulation f; 37 default-tcp-ttl B; 38 tcp-keepalive-interval L;
39 tcp-keepalive-garbage f; 40 nis-domain t; 41 nis-servers IA; 42 ntp-servers IA; 43 vendor-encapsulated-options X;
44 netbios-name-servers IA; 45 netbios-dd-server IA; 46 netbios-node-type B; 47 netbios-scope t; 48 font-servers IA;
49 x-display-manager IA; 50 dhcp-requested-address I; 51 dhcp-lease-time L; 52 dhcp-option-overload B;
53 dhcp-message-type B; 54 dhcp-server-identifier I; 55 dhcp-parameter-request-list BA; 56 dhcp-message t;
57 dhcp-max-message-size S; 58 dhcp-renewal-time L; 59 dhcp-rebinding-time L; 60 vendor-class-identifier X;
61 dhcp-client-identifier X; 62 nwip-domain t; 64 nisplus-domain t; 65 nisplus-servers IA; 66 tftp-server-name t;
67 bootfile-name t; 68 mobile-ip-home-agent IA; 69 smtp-server IA; 70 pop-server IA; 71 nntp-server IA;
72 www-server IA; 73 finger-server IA; 74 irc-server IA; 75 streettalk-server IA;
76 streettalk-directory-assistance-server IA; 77 user-class t; 78 slp-directory-agent fIa; 79 slp-service-scope ft;
85 nds-servers IA; 86 nds-tree-name t; 87 nds-context t; 88 bcms-controller-names D; 89 bcms-controller-address IA;
91 client-last-transaction-time L; 92 associated-ip IA; 93 pxe-system-type SA; 94 pxe-interface-id BBB;
97 pxe-client-id BX; 98 uap-servers t; 99 geoconf-civic X; 100 pcode t; 101 tcode t; 108 v6-only-preferred L;
112 netinfo-server-address IA; 113 netinfo-server-tag t; 114 default-url t; 116 auto-config B;
117 name-service-search SA; 118 subnet-selection I; 119 domain-search D; 121 rfc3442-classless-static-routes R;
121 classless-static-routes R; 121 rfc3442-classless-routes R; 121 classless-routes R; 121 option-121 R;
136 pana-agent IA; 137 v4-lost d; 138 capwap-ac-v4 IA; 141 sip-ua-cs-domains D; 143 ipv4-address-andsf IA;
146 rdnss-selection BIID; 150 tftp-server-address IA; 159 v4-portparams BBS; 160 v4-captive-portal t;
209 loader-configfile t; 210 loader-pathprefix t; 211 loader-reboottime L; 213 v4-access-domain d;
249 ms-classless-static-routes R; 252 wpad t
"""
_DHCPV6 = """
1 client-id X; 2 server-id X; 7 preference B; 12 unicast 6; 18 interface-id X; 21 sip-servers-names D;
22 sip-servers-addresses 6A; 23 name-servers 6A; 24 domain-search D; 27 nis-servers 6A; 28 nisp-servers 6A;
29 nis-domain-name D; 30 nisp-domain-name D; 31 sntp-servers 6A; 32 info-refresh-time T; 33 bcms-server-d D;
34 bcms-server-a 6A; 36 geoconf-civic X; 37 remote-id X; 38 subscriber-id X; 40 pana-agent 6A;
41 new-posix-timezone t; 42 new-tzdb-timezone t; 51 v6-lost d; 52 capwap-ac-v6 6A; 57 v6-access-domain d;
58 sip-ua-cs-list D; 59 bootfile-url t; 60 bootfile-param X; 61 client-arch-type SA; 62 nii BBB; 64 aftr-name d;
65 erp-local-domain-name d; 74 rdnss-selection 6BD; 82 solmax-rt L; 83 inf-max-rt L; 88 dhcp4-o-dhcp6-server 6A;
103 v6-captive-portal t; 143 ipv6-address-andsf 6A
"""
_UNKNOWN = re.compile(r"unknown-([0-9]{1,5})")
_SIGNED = re.compile(r"-?[0-9]{1,10}")
_DHCPV6_SPACE = "dhcp6."
_END_OF_TEXT = frozenset("tDXR")
"""Formats that take all words that are left."""


def _table(text: str) -> Mapping[str, tuple[int, str]]:
    rows = (row.split() for row in text.split(";"))
    return {name: (int(code), form) for code, name, form in rows}


_TABLE_V4 = _table(_DHCPV4)
_TABLE_V6 = _table(_DHCPV6)


def encode_dhcpv4_options(options: Mapping[str, Statement]) -> dict[int, bytes]:
    """Options by code, in the form of `trimif._wire.dhcpv4_options.read_options`; of two with one code the first."""
    found: dict[int, bytes] = {}
    for code, octets in _encoded(options, _TABLE_V4):
        found.setdefault(code, octets)
    return found


def encode_dhcpv6_options(options: Mapping[str, Statement]) -> list[tuple[int, bytes]]:
    """Codes and octets, in the form of `trimif._wire.dhcpv6_options.read_options`."""
    ours = {name: words for name, words in options.items() if name.startswith(_DHCPV6_SPACE)}
    return list(_encoded({name.removeprefix(_DHCPV6_SPACE): words for name, words in ours.items()}, _TABLE_V6))


def _encoded(options: Mapping[str, Statement], table: Mapping[str, tuple[int, str]]) -> Iterator[tuple[int, bytes]]:
    for name, words in options.items():
        unknown = _UNKNOWN.fullmatch(name)
        row = (int(unknown[1]), "X") if unknown else table.get(name)
        if row is None:
            continue
        try:
            yield row[0], _encode(row[1], words)
        except MalformedInput:
            continue


def _encode(form: str, words: Statement) -> bytes:
    """The octets of an option; raises MalformedInput where the words are not of that format."""
    expect(bool(words), "the option has no value")
    octets = []
    position = 0
    for letter in _letters(form):
        if position >= len(words):
            break
        end = len(words) if letter in _END_OF_TEXT else position + 1
        octets.append(_ENCODERS[letter](words[position:end]))
        position = end
    expect(position == len(words), f"there are more values than {form} has")
    expect(form[-1] in "Aa" or len(octets) == len(form), f"there are fewer values than {form} has")
    expect(form[-1] != "A" or len(octets) % (len(form) - 1) == 0, "the last of the values is cut short")
    return b"".join(octets)


def _letters(form: str) -> Iterator[str]:
    if form[-1] == "A":
        return cycle(form[:-1])
    return chain(form[:-2], cycle(form[-2])) if form[-1] == "a" else iter(form)


def _unsigned(size: int) -> Callable[[Statement], bytes]:
    def encode(words: Statement) -> bytes:
        value = read_number(words[0])
        expect(value < 1 << 8 * size, f"{value} is more than {size} octets hold")
        return value.to_bytes(size, "big")

    return encode


def _signed(words: Statement) -> bytes:
    expect(bool(_SIGNED.fullmatch(words[0])), f"{words[0]!r} is not a number")
    return (int(words[0]) & 0xFFFFFFFF).to_bytes(4, "big")


def _time(words: Statement) -> bytes:
    return b"\xff" * 4 if words[0] == "infinite" else _unsigned(4)(words)


def _flag(words: Statement) -> bytes:
    expect(words[0] in ("true", "false"), f"{words[0]!r} is neither true nor false")
    return bytes([words[0] == "true"])


def _ipv4(words: Statement) -> bytes:
    try:
        return IPv4Address(words[0]).packed
    except ValueError:
        raise MalformedInput(f"{words[0]!r} is not an IPv4 address") from None


def _ipv6(words: Statement) -> bytes:
    try:
        return IPv6Address(words[0].partition("%")[0]).packed
    except ValueError:
        raise MalformedInput(f"{words[0]!r} is not an IPv6 address") from None


def _string(word: str) -> bytes:
    """The octets of a string. What is no Latin-1 was never one octet of dhclient's."""
    return word.removeprefix('"').encode("latin-1", "replace")


def _text(words: Statement) -> bytes:
    expect(len(words) == 1, "one text was to be there")
    return _string(words[0])


def _names(words: Statement) -> bytes:
    """Each string is a name, or several with blanks between them."""
    return b"".join(_name(name) for word in words for name in word.removeprefix('"').split())


def _name(name: str) -> bytes:
    try:
        return b"\0" if name == "." else encode_name(name)
    except ValueError as error:
        raise MalformedInput(str(error)) from None


def _hexadecimal(words: Statement) -> bytes:
    """Some vendors print option 121 as rows of decimal octets even where it has no name."""
    if len(words) > 1 or "." in words[0]:
        return _rows(words)
    return _string(words[0]) if words[0].startswith('"') else _row(words[0], ":", 16)


def _rows(words: Statement) -> bytes:
    return b"".join(map(_route, words))


def _route(word: str) -> bytes:
    """A printed part of a route: a string, hexadecimal ``1a:cb:0``, or decimal ``26``, ``26.203.0.113``."""
    if word.startswith('"'):
        return _string(word)
    return _row(word, ":", 16) if ":" in word else _row(word, ".", 10)


def _row(word: str, separator: str, base: int) -> bytes:
    octets = [read_number(part, base) for part in word.split(separator)]
    expect(all(octet <= 255 for octet in octets), f"{word!r} is not a row of octets")
    return bytes(octets)


_ENCODERS: Mapping[str, Callable[[Statement], bytes]] = {
    "I": _ipv4,
    "6": _ipv6,
    "B": _unsigned(1),
    "S": _unsigned(2),
    "L": _unsigned(4),
    "l": _signed,
    "T": _time,
    "f": _flag,
    "t": _text,
    "d": _names,
    "D": _names,
    "X": _hexadecimal,
    "R": _rows,
}
