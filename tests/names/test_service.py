"""One name service over many translations: what it remembers, whom it asks, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network, ip_address
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import evolve

from trimif._information import EncryptedDnsServer, NameServerSaid
from trimif._model import DomainView, IPAddress, TranslationOutcome
from trimif._name_systems import Tell
from trimif._names import NameService
from trimif.testing._faulty_dns import FAULTS, TRUE, Asked, FaultyServer, Sent
from trimif.testing._uplinks import TwoUplinks, open_two_uplinks

pytestmark = pytest.mark.lab

SERVERS = ("198.51.100.65", "2001:db8:b::1")
HOSTS = str(Path(__file__).parent / "no-such-hosts-file")
TTL = 5.0  # of all that the server says
ANSWERED, NO_SUCH_NAME = TranslationOutcome.ANSWERED, TranslationOutcome.NO_SUCH_NAME


@pytest.fixture
def clock() -> trio.testing.MockClock:
    """Jumps when all is quiet for long enough that packets in flight have surely arrived."""
    return trio.testing.MockClock(autojump_threshold=0.2)


@pytest.fixture
def net() -> Iterator[TwoUplinks]:
    with open_two_uplinks() as net, net.host.entered():
        yield net


@pytest.fixture
def view(net: TwoUplinks) -> DomainView:
    return net.view("up-b", servers=SERVERS[:1])


@pytest.fixture
async def server(net: TwoUplinks, nursery: trio.Nursery) -> FaultyServer:
    server = FaultyServer(net.b, ip_address(SERVERS[0]))
    await nursery.start(server.run)
    return server


class Asker:
    """One service, what it told last, and what was said of all."""

    def __init__(self, *systems: str | Own) -> None:
        self.service = NameService(systems or ("hosts", "dns"), hosts=HOSTS)
        self.told: list[IPAddress] = []
        self.said: list[NameServerSaid] = []

    async def ask(self, view: DomainView, name: str, *systems: str) -> TranslationOutcome:
        self.told.clear()
        tell, note = self.told.append, self.said.append
        order = systems or None
        return await self.service.translate(
            view, name, tell, systems=order, note=note, note_malformed=lambda malformed: None
        )


class Own:
    """A name system of a program's, that knows one address for everything."""

    name = "mine"

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def translate(self, domain: DomainView, name: str, tell: Tell) -> TranslationOutcome:
        await trio.lowlevel.checkpoint()
        self.asked.append(name)
        tell(ip_address("203.0.113.5"))
        return ANSWERED


async def test_an_answer_holds_for_its_time_to_live_and_not_longer(
    view: DomainView, server: FaultyServer, clock: trio.testing.MockClock
) -> None:
    asker = Asker()
    for seconds, questions in ((0.0, 2), (TTL - 2, 2), (4.0, 4)):
        await trio.sleep(seconds)
        assert await asker.ask(view, "OK.example" if questions == 2 else "ok.example") is ANSWERED
        assert set(asker.told) == set(TRUE)
        assert len(server.asked) == questions


def _no_such_name(asked: Asked) -> list[Sent]:
    import dns.message
    import dns.rrset

    (sent,) = FAULTS["nxdomain"](asked)
    message = dns.message.from_wire(sent.octets)
    soa = "ns.example. mail.example. 1 60 60 60 5"
    message.authority.append(dns.rrset.from_text("example.", 60, "IN", "SOA", soa))
    return [Sent(message.to_wire())]


async def test_that_there_is_no_such_name_holds_as_long_as_its_zone_says(
    view: DomainView, server: FaultyServer, clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAULTS, "missing", _no_such_name)
    asker = Asker()
    for seconds, questions in ((0.0, 2), (TTL - 2, 2), (4.0, 4)):
        await trio.sleep(seconds)
        assert await asker.ask(view, "missing.example") is NO_SUCH_NAME
        assert len(server.asked) == questions


async def test_equal_questions_in_flight_are_one_packet(view: DomainView, server: FaultyServer) -> None:
    asker, outcomes = Asker(), list[TranslationOutcome]()

    async def ask() -> None:
        note, malformed = asker.said.append, lambda malformed: None
        told = list[IPAddress]()
        outcome = await asker.service.translate(
            view, "late-100.example", told.append, note=note, note_malformed=malformed
        )
        assert set(told) == set(TRUE)
        outcomes.append(outcome)

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(ask)
    assert outcomes == [ANSWERED] * 20
    assert sorted(asked.kind for asked in server.asked) == ["A", "AAAA"]


async def test_a_dead_server_costs_its_time_once(
    net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock
) -> None:
    net.b.run(["nft", "-f", "-"], input=b"table ip t {\nchain i {\ntype filter hook input priority 0\ndrop\n}\n}\n")
    await nursery.start(FaultyServer(net.b, ip_address(SERVERS[1])).run)
    asker, view = Asker(), net.view("up-b", servers=SERVERS)
    began = trio.current_time()
    assert await asker.ask(view, "first.example") is ANSWERED
    assert 0.1 < trio.current_time() - began <= 0.3
    asker.said.clear()
    began = trio.current_time()
    assert await asker.ask(view, "second.example") is ANSWERED
    assert trio.current_time() - began < 0.15
    assert {str(said.server) for said in asker.said} == {SERVERS[1]}


SAID = {"ok": "answered", "nxdomain": "no such name", "empty": "no data", "servfail": "SERVFAIL", "drop": "timed out"}


@pytest.mark.parametrize("label", SAID)
async def test_what_servers_said(
    view: DomainView, server: FaultyServer, clock: trio.testing.MockClock, label: str
) -> None:
    asker = Asker()
    await asker.ask(view, f"{label}.example")
    assert {(each.system, str(each.server), each.said) for each in asker.said} == {("dns", SERVERS[0], SAID[label])}
    assert {each.question for each in asker.said} == {f"{label}.example. A", f"{label}.example. AAAA"}
    assert all(0 <= each.seconds < 31 for each in asker.said)


async def test_forgotten_with_the_domain_and_with_its_servers(view: DomainView, server: FaultyServer) -> None:
    asker = Asker()
    await asker.ask(view, "ok.example")
    await asker.ask(evolve(view, search_domains=("example",)), "ok.example")
    assert len(server.asked) == 2, "other facts do not matter"
    asker.service.forget(view.domain)
    await asker.ask(view, "ok.example")
    assert len(server.asked) == 4
    await asker.ask(evolve(view, dns_servers=(*view.dns_servers, ip_address(SERVERS[1]))), "ok.example")
    assert len(server.asked) > 4


async def test_a_server_that_folds_case_is_asked_again_once(view: DomainView, server: FaultyServer) -> None:
    asker = Asker()
    await asker.ask(view, "uppercase.example", "dns")
    again = len(server.asked)
    assert again == 4, "each family once in mixed case and once without"
    await asker.ask(view, "uppercase.second.example", "dns")
    assert len(server.asked) == again + 2
    assert all(asked.query.question[0].name.to_text().islower() for asked in server.asked[again:])


async def test_systems_are_asked_in_their_order(view: DomainView, server: FaultyServer) -> None:
    own = Own()
    asker = Asker("hosts", own, "dns")
    assert await asker.ask(view, "ok.example") is ANSWERED
    assert (list(map(str, asker.told)), own.asked, server.asked) == (["203.0.113.5"], ["ok.example"], [])
    assert [each.system for each in asker.said] == ["mine"]
    assert await asker.ask(view, "ok.example", "dns", "mine") is ANSWERED
    assert set(asker.told) == set(TRUE)
    assert own.asked == ["ok.example"]


async def test_systems_that_there_are_not() -> None:
    await trio.lowlevel.checkpoint()
    with pytest.raises(ValueError, match="no name system 'nis'; there are 'hosts', 'dns', 'mdns', 'llmnr', 'mine'"):
        Asker(Own(), "nis")
    with pytest.raises(ValueError, match="two name systems have one name"):
        Asker("dns", "dns")


@pytest.mark.parametrize("name", ["hidden.onion", "nothing.invalid", "printer.local"])
async def test_names_that_are_no_business_of_the_dns(view: DomainView, server: FaultyServer, name: str) -> None:
    assert await Asker().ask(view, name) is not ANSWERED
    assert not server.asked


PREFIX = IPv6Network("2001:db8:64::/96")  # the well-known one is not for documentation addresses (RFC 6052, 3.1)
SYNTHESISED = IPv6Address("2001:db8:64::203.0.113.80")


def _ipv6_only(view: DomainView) -> DomainView:
    addresses = tuple(each for each in view.addresses if each.address.version == 6)
    return evolve(view, addresses=addresses, dns_servers=(ip_address(SERVERS[1]),))


async def test_nat64_addresses_come_after_the_ipv4_ones(net: TwoUplinks, nursery: trio.Nursery) -> None:
    await nursery.start(FaultyServer(net.b, ip_address(SERVERS[1])).run)
    asker, view = Asker(), evolve(net.view("up-b", servers=SERVERS[1:]), pref64=(PREFIX,))
    await asker.ask(view, "onlyv4.example")
    assert asker.told == [TRUE[0]], "it has IPv4"
    await asker.ask(_ipv6_only(view), "onlyv4.example")
    assert asker.told == [TRUE[0], SYNTHESISED]
    await asker.ask(_ipv6_only(view), "203.0.113.80")
    assert asker.told == [TRUE[0], SYNTHESISED]


async def test_a_nat64_is_found_in_the_dns(
    net: TwoUplinks, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dns.message
    import dns.rrset

    def ipv4only(asked: Asked) -> list[Sent]:
        response = dns.message.make_response(asked.query)
        response.flags |= 0x80  # RA
        addresses = ("2001:db8:64::c000:aa", "2001:db8:64::c000:ab")
        response.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "AAAA", *addresses))
        return [Sent(response.to_wire())]

    monkeypatch.setitem(FAULTS, "ipv4only", ipv4only)
    await nursery.start(FaultyServer(net.b, ip_address(SERVERS[1])).run)
    asker = Asker()
    await asker.ask(_ipv6_only(net.view("up-b")), "onlyv4.example")
    assert asker.told == [TRUE[0], SYNTHESISED]


async def test_torn_down_in_the_middle_nothing_is_asked_elsewhere(
    net: TwoUplinks, view: DomainView, server: FaultyServer
) -> None:
    asker = Asker()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(asker.ask, view, "drop.example")
        while len(server.asked) < 2:
            await trio.testing.wait_all_tasks_blocked()
        net.host.run(["ip", "link", "set", "up-b", "down"], check=True)
        asker.service.forget(view.domain)
        with trio.move_on_after(1):
            await asker.ask(view, "ok.example")
        nursery.cancel_scope.cancel("the domain is gone")
    assert net.capture_b.dns_queries(name="drop.example")
    assert not net.capture_a.dns_queries()


async def test_plain_servers_are_asked_when_the_encrypted_ones_fail(view: DomainView, server: FaultyServer) -> None:
    """Nothing listens at the port of DNS over TLS: TCP says so."""
    encrypted = EncryptedDnsServer(1, "dns.example", (ip_address(SERVERS[0]),), ("dot",))
    asker = Asker()
    assert await asker.ask(evolve(view, encrypted_dns=(encrypted,)), "ok.example") is ANSWERED
    assert set(asker.told) == set(TRUE)
    assert "dns.example over" in asker.said[0].said
    assert asker.said[-1].said == "answered"
