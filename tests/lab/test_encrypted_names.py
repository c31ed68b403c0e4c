"""Encrypted DNS with a real unbound behind one of two uplinks: by this uplink only, and never in the clear."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from time import perf_counter

import pytest
import trio
import trustme

from trimif._errors import ConnectFailed, MalformedInput
from trimif._information import EncryptedDnsServer
from trimif._model import Family, NotConnectedReason
from trimif._names._encrypted import EncryptedSession
from trimif._names._encrypted_choice import choose
from trimif._names._question import Addresses, NoSuchName, Reply, ask_for, read_name
from trimif.testing._servers_unbound import DOH_PATH, run_unbound
from trimif.testing._uplinks import ROUTERS, TwoUplinks, open_two_uplinks

pytestmark = pytest.mark.lab

AUTHORITY = trustme.CA()
NAME, ZONE = "dns.isp-b.example", "example.com"
PORTS = {"dot": 853, "h2": 443}
RECORDS = [
    "host.example.com. 300 A 203.0.113.2",
    "host.example.com. 300 AAAA 2001:db8:ff::2",
    *(f"many.example.com. 300 AAAA 2001:db8:ff::{number:x}" for number in range(0x100, 0x180)),
    *(f"n{number}.example.com. 300 A 203.0.113.{number}" for number in range(200)),
]
EVERY_WAY = [
    pytest.param(protocol, server, id=f"{protocol} {server}") for protocol in PORTS for server in ROUTERS["up-b"]
]


@pytest.fixture
def net(lab_programs: None) -> Iterator[TwoUplinks]:
    certificate = AUTHORITY.issue_cert(NAME)
    chain = [each.bytes() for each in certificate.cert_chain_pems]
    key = certificate.private_key_pem.bytes()
    with open_two_uplinks() as net:
        with run_unbound(net.b, ROUTERS["up-b"], ZONE, RECORDS, key=key, certificates=chain), net.host.entered():
            yield net


def open_session(net: TwoUplinks, protocol: str, server: str, uplink: str = "up-b") -> EncryptedSession:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.configure_trust(context)
    told = EncryptedDnsServer(1, NAME, (ip_address(server),), (protocol,), doh_path=f"{DOH_PATH}{{?dns}}")
    [way] = choose([told])
    return EncryptedSession(net.view(uplink), way, context=context)


async def ask(session: EncryptedSession, name: str, family: Family = Family.IPV4) -> Reply:
    read = read_name(f"{name}.{ZONE}")
    assert read is not None
    malformed: list[MalformedInput] = []
    with trio.fail_after(10):
        reply = await session.ask(ask_for(read, family), malformed.append)
    assert malformed == []
    return reply


@pytest.mark.parametrize(("protocol", "server"), EVERY_WAY)
async def test_it_is_asked_by_the_domains_uplink_and_in_no_other_way(
    net: TwoUplinks, protocol: str, server: str
) -> None:
    session = open_session(net, protocol, server)
    assert await ask(session, "host") == Addresses((ip_address("203.0.113.2"),))
    assert await ask(session, "host", Family.IPV6) == Addresses((ip_address("2001:db8:ff::2"),))
    assert await ask(session, "nobody") == NoSuchName()
    many = await ask(session, "many", Family.IPV6)
    assert isinstance(many, Addresses)
    assert len(many.addresses) == 128
    await session.aclose()
    assert [packet.destination_port for packet in net.capture_b.syns()] == [PORTS[protocol]]
    assert not net.capture_b.dns_queries()
    assert not [packet for packet in net.capture_a.packets if packet.protocol in ("tcp", "udp")]


@pytest.mark.parametrize(("protocol", "server"), EVERY_WAY)
async def test_many_at_once(net: TwoUplinks, protocol: str, server: str) -> None:
    session = open_session(net, protocol, server)
    told: dict[int, Reply] = {}

    async def ask_number(number: int) -> None:
        told[number] = await ask(session, f"n{number}")

    async with trio.open_nursery() as nursery:
        for number in range(200):
            nursery.start_soon(ask_number, number)
    session.close()
    assert told == {number: Addresses((ip_address(f"203.0.113.{number}"),)) for number in range(200)}
    assert len(net.capture_b.syns()) == 1


@pytest.mark.parametrize("protocol", PORTS)
async def test_no_way_inside_the_domain_is_no_way(net: TwoUplinks, protocol: str) -> None:
    """The server is reached by up-b alone; up-a's domain asks its own network, where nobody listens."""
    session = open_session(net, protocol, "203.0.113.80", "up-a")
    with pytest.raises(ConnectFailed) as caught:
        await ask(session, "host")
    assert caught.value.reason is NotConnectedReason.REFUSED
    assert not net.capture_b.syns()


@pytest.mark.parametrize("protocol", PORTS)
async def test_the_interface_goes_in_the_middle(net: TwoUplinks, protocol: str) -> None:
    """What is asked afterwards fails, and takes no other way, though the host has one."""
    session, later = (open_session(net, protocol, ROUTERS["up-b"][0]) for _ in range(2))
    assert await ask(session, "host") == Addresses((ip_address("203.0.113.2"),))
    net.host.run(["ip", "link", "delete", "up-b"], check=True)
    session.close()
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on what of the interface is gone first
        await ask(later, "host")
    assert not [packet for packet in net.capture_a.packets if packet.protocol in ("tcp", "udp")]


@pytest.mark.parametrize("protocol", PORTS)
async def test_the_first_answer_does_not_wait_for_an_acknowledgement(net: TwoUplinks, protocol: str) -> None:
    """Linux puts those off for 40 ms at least, and unbound's first answer would wait for ours."""
    seconds = []
    for _ in range(5):
        session = open_session(net, protocol, ROUTERS["up-b"][0])
        began = perf_counter()
        await ask(session, "host")
        seconds.append(perf_counter() - began)
        session.close()
    assert min(seconds) < 0.03
