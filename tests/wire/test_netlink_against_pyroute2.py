"""Our decoder of rtnetlink beside pyroute2's, on what a kernel said, on what was changed in it, and on inventions.

Where both make sense of a message, they say the same; ours raises nothing but `MalformedInput`, or the tests fail.
"""

from __future__ import annotations

import logging
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from trimif._errors import MalformedInput
from trimif._facts import Fact
from trimif._model import Family
from trimif._sources._netlink_socket import open_socket, receive_datagram, receive_nowait, subscribe
from trimif._sources._pyroute2_facts import facts_of
from trimif._wire.netlink import NLMSG_DONE, attributes, messages
from trimif._wire.netlink_facts import RTM_NEWNDUSEROPT, decode
from trimif._wire.netlink_requests import dump_addresses, dump_links, dump_routes
from trimif.testing._namespaces import Namespace

NOW = 1000.0
NEWLINK, DELLINK, NEWADDR, DELADDR, NEWROUTE, DELROUTE = KINDS = (16, 17, 20, 21, 24, 25)
IFLA_IFNAME, RTA_MULTIPATH, RTA_ENCAP = 3, 9, 22

LINES = Path(__file__).with_name("netlink_samples.txt").read_text().splitlines()
SAMPLES = dict(line.split() for line in LINES if not line.startswith(("#", "option-")))


@pytest.fixture(scope="module", autouse=True)
def pyroute2_is_quiet() -> Iterator[None]:
    """It logs a traceback for each attribute that it can't decode."""
    logger = logging.getLogger("pyroute2.netlink")
    logger.disabled = True
    yield
    logger.disabled = False


def told(facts: Sequence[Fact]) -> list[str]:
    """In words, because a route's `expires` does not count when routes are compared."""
    return [repr(each) for each in facts]


def read_by_pyroute2(datagram: bytes) -> list[list[str]]:
    return [told(facts_of(message, NOW)) for message in MarshalRtnl().parse(datagram)]


def read_by_us(datagram: bytes) -> list[list[str]]:
    return [told(decode(message, NOW)) for message in messages(datagram)]


# ---------------------------------------------------------------- captured


@pytest.mark.parametrize("name", SAMPLES)
def test_captured_messages(name: str) -> None:
    datagram = bytes.fromhex(SAMPLES[name])
    assert read_by_us(datagram) == read_by_pyroute2(datagram)


LINKS = [
    "link add veth0 type veth peer name veth1",
    "link add veth2 type veth peer name veth3",
    "link add dummy0 type dummy",
    "link add bridge0 type bridge",
    "link add vlan0 link veth0 type vlan id 7",
    "link add macvlan0 link veth0 type macvlan",
    "link add ipvlan0 link veth0 type ipvlan",
    "link add vxlan0 type vxlan id 7 dev veth0 dstport 4789",
    "link add bond0 type bond",
    "link add vrf0 type vrf table 1001",
    "link add ifb0 type ifb",
    "link add sit1 type sit local 198.51.100.10 remote 198.51.100.20",
    "link add ipip0 type ipip local 198.51.100.10 remote 198.51.100.20",
    "link add gre1 type gre local 198.51.100.10 remote 198.51.100.20",
    "link add gretap1 type gretap local 198.51.100.10 remote 198.51.100.20",
    "link add ip6tnl1 type ip6tnl local 2001:db8:a::10 remote 2001:db8:a::20",
    "link add wg0 type wireguard",
    "tuntap add tun0 mode tun",
    "tuntap add tap0 mode tap",
    "link property add dev veth2 altname some-other-name",
    "link set veth2 alias words",
    "link set veth1 master bridge0",
]
CHANGES = [
    "link set lo up",
    "link set veth0 up",
    "link set veth1 up",
    "link set veth2 up mtu 1400",
    "address add 198.51.100.10/26 dev veth0 label veth0:1",
    "address add 198.51.100.11/26 dev veth0 valid_lft 1000 preferred_lft 500",
    "address add 198.51.100.200 peer 198.51.100.201/32 dev veth0",
    "address add 2001:db8:a::10/64 dev veth0 nodad",
    "address add 2001:db8:a::11/64 dev veth0 valid_lft 1000 preferred_lft 0 nodad",
    "address add 2001:db8:a::12 peer 2001:db8:a::13/128 dev veth0 nodad",
    "address add 2001:db8:a::14/64 dev veth0",
    "address add 203.0.113.1/28 dev veth2",
    "nexthop add id 5 via 2001:db8:a::7 dev veth0",
    "route add default via 198.51.100.1 dev veth0 metric 100",
    "route add default via 198.51.100.1 dev veth0 table 1000",
    "route add ::/0 via 2001:db8:a::1 dev veth0 metric 100 pref high",
    "route add 203.0.113.64/26 nexthop via 198.51.100.1 weight 3 nexthop dev veth2",
    "route add 203.0.113.128/26 via inet6 2001:db8:a::1 dev veth0",
    "route add 203.0.113.192/28 via 198.51.100.1 mtu lock 1400 advmss 1300 realm 3 src 198.51.100.11",
    "route add 203.0.113.193/32 tos 0x10 via 198.51.100.1 onlink dev veth0",
    "route add blackhole 203.0.113.194/32",
    "route add unreachable 203.0.113.195/32",
    "route add throw 203.0.113.196/32 table 70000",
    "route add 203.0.113.197/32 encap ip id 7 dst 198.51.100.20 dev veth0",
    "route add 2001:db8:f::/48 nexthop via 2001:db8:a::1 dev veth0 nexthop via 2001:db8:a::2 dev veth0",
    "route add 2001:db8:e::/48 via 2001:db8:a::1 expires 500",
    "route add 2001:db8:d::/48 from 2001:db8:c::/48 via 2001:db8:a::1",
    "route add 2001:db8:7::/48 nhid 5",
    "route add prohibit 2001:db8:b::/48",
    "link set veth2 down",
    "route replace 203.0.113.192/28 via 198.51.100.2",
    "route delete 203.0.113.64/26",
    "link set veth0 name wan0",
    "link delete bridge0",
]


@pytest.mark.lab
async def test_what_a_kernel_says() -> None:
    facts: set[str] = set()
    for datagram in await capture():
        ours = read_by_us(datagram)
        assert ours == read_by_pyroute2(datagram)
        facts.update(fact for message in ours for fact in message)
    for kind in ("LinkFact", "LinkGone", "AddressFact", "RouteFact", "RouteGone"):
        assert any(fact.startswith(kind) for fact in facts), f"no {kind}"
    assert len(facts) >= 50


async def capture() -> list[bytes]:
    """Every event of a namespace's life, and dumps of its tables in the end; what this kernel can't do is left out."""
    namespace = Namespace("captured")
    try:
        with namespace.entered(), subscribe(1 << 22) as events, open_socket() as dumps:
            for command in LINKS + CHANGES:
                namespace.run(["ip", *command.split()], capture_output=True, check=False)
            datagrams = list(iter(lambda: receive_nowait(events), None))
            for request in (dump_links(1), dump_addresses(2), *(dump_routes(3, family) for family in Family)):
                dumps.send(request)
                datagrams += await read_dump(dumps)
    finally:
        namespace.close()
    return [each for each in datagrams if not any(message.kind == RTM_NEWNDUSEROPT for message in messages(each))]


async def read_dump(dumps: socket.socket) -> list[bytes]:
    datagrams: list[bytes] = []
    while not datagrams or NLMSG_DONE not in {message.kind for message in messages(datagrams[-1])}:
        datagrams.append(await receive_datagram(dumps))
    return datagrams


# ---------------------------------------------------------------- changed and invented


def compare(kind: int, body: bytes) -> bool:
    """Whether both made sense of the message; they agree then."""
    datagram = struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body + b"\0" * (-len(body) % 4)
    try:
        ours = read_by_us(datagram)
    except MalformedInput:
        return False
    if is_misread_by_pyroute2(kind, body):
        return False
    try:
        theirs = read_by_pyroute2(datagram)
    except Exception:  # pyroute2 says nowhere what its parser may raise
        return False
    assert ours == theirs
    return True


def is_misread_by_pyroute2(kind: int, body: bytes) -> bool:
    """What is known to go wrong there (0.9.7); no kernel says any of this."""
    try:
        if kind in (NEWLINK, DELLINK):
            return attributes(body, 16).get(IFLA_IFNAME, b"").startswith(b"\0")  # the name that comes after it is read
        if kind in (NEWROUTE, DELROUTE):
            found = attributes(body, 12)
            return RTA_ENCAP in found or is_misread_multipath(found.get(RTA_MULTIPATH, b""))
    except MalformedInput:
        pass  # in a message about something that neither reads
    return False


def is_misread_multipath(paths: bytes) -> bool:
    """A next hop is read beyond the attribute's end, or for ever if its length is 0.

    An encapsulation's type is looked for in steps as long as the attributes say, so also for ever.
    """
    offset = 0
    while offset + 8 <= len(paths):
        length = int.from_bytes(paths[offset : offset + 2], sys.byteorder)
        if length < 8 or RTA_ENCAP in attributes(paths[offset : offset + length], 8):
            return True
        offset += (length + 3) & ~3
    return offset != len(paths)


@given(st.sampled_from(sorted(SAMPLES)), st.data())
@settings(deadline=None)
def test_changed_messages(name: str, data: st.DataObject) -> None:
    (message,) = messages(bytes.fromhex(SAMPLES[name]))
    body = bytearray(message.body)
    assert compare(message.kind, bytes(body))
    for position in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=4)):
        body[position] = data.draw(st.integers(0, 255))
    compare(message.kind, bytes(body))


def attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


payloads = st.one_of(
    *(st.binary(min_size=size, max_size=size) for size in (1, 4, 8, 12, 16, 20, 32)), st.binary(max_size=40)
)
chains = st.lists(st.builds(attribute, st.integers(0, 30), payloads), max_size=6).map(b"".join)
next_hops = st.builds(
    lambda flags, index, chain: struct.pack("=HBBi", 8 + len(chain), flags, 0, index) + chain,
    st.sampled_from([0, 0, 1]),
    st.integers(1, 9),
    st.lists(st.builds(attribute, st.sampled_from([5, 18]), payloads), max_size=2).map(b"".join),
)
multipaths = st.lists(next_hops, max_size=4).map(b"".join).map(lambda hops: attribute(RTA_MULTIPATH, hops))
families = st.sampled_from([0, 2, 10, 7])
octets = st.integers(0, 255)
links = st.builds(
    struct.Struct("=BxHiII").pack,
    families,
    st.integers(0, 900),
    st.integers(-1, 9),
    st.integers(0, 1 << 17),
    st.just(0),
)
addresses = st.builds(struct.Struct("=BBBBi").pack, families, st.integers(0, 130), octets, octets, st.integers(-1, 9))
routes = st.builds(
    struct.Struct("=BBBBBBBBI").pack,
    families,
    st.integers(0, 130),
    octets,
    octets,
    st.sampled_from([254, 255, 7]),
    octets,
    octets,
    st.sampled_from([1, 1, 2]),
    st.sampled_from([0, 0, 1, 0x200]),
)


@given(st.sampled_from([NEWLINK, DELLINK]), links, chains)
@settings(deadline=None)
def test_invented_links(kind: int, head: bytes, chain: bytes) -> None:
    compare(kind, head + attribute(3, b"name\0") + attribute(4, b"\xdc\5\0\0") + chain)


@given(st.sampled_from([NEWADDR, DELADDR]), addresses, chains)
@settings(deadline=None)
def test_invented_addresses(kind: int, head: bytes, chain: bytes) -> None:
    size = 4 if head[0] == 2 else 16
    compare(kind, head + attribute(1, bytes(size)) + chain)


@given(st.sampled_from([NEWROUTE, DELROUTE]), routes, chains, multipaths)
@settings(deadline=None)
def test_invented_routes(kind: int, head: bytes, chain: bytes, multipath: bytes) -> None:
    size = 4 if head[0] == 2 else 16
    compare(kind, head + attribute(1, bytes(size)) + chain + multipath)


@given(st.sampled_from(KINDS), st.binary(max_size=100))
@settings(deadline=None)
def test_random_bodies(kind: int, body: bytes) -> None:
    compare(kind, body)
