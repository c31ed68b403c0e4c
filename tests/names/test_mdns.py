"""One-shot multicast questions between network namespaces: what multicast DNS and LLMNR share, and multicast DNS."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Any

import dns.message
import dns.rcode
import dns.rrset
import pytest
import trio
import trio.testing
from attrs import evolve, frozen

from trimif._errors import MalformedInput
from trimif._model import DomainView, IPAddress, SourceAddress, TranslationOutcome
from trimif._names._link_queries import LinkProtocol
from trimif._names._llmnr import LLMNR, ask_llmnr
from trimif._names._mdns import MDNS, ask_mdns
from trimif.testing._link_responder import LinkAnswer, LinkResponder, answer_link, link_host
from trimif.testing._uplinks import ADDRESSES, PEERS, ROUTERS, TwoUplinks, open_two_uplinks

pytestmark = pytest.mark.lab

TRUE = (ip_address("203.0.113.9"), ip_address("2001:db8:ff::9"))
FORGED = (ip_address("203.0.113.66"), ip_address("2001:db8:ff::66"))
ANSWERED, TIMED_OUT, NO_SERVERS = (
    TranslationOutcome.ANSWERED,
    TranslationOutcome.TIMED_OUT,
    TranslationOutcome.NO_SERVERS,
)


@frozen
class System:
    """One of the two protocols, and the name that the responder of a test has in it."""

    protocol: LinkProtocol
    ask: Callable[..., Any]
    name: str


SYSTEMS = {"mdns": System(MDNS, ask_mdns, "host.local"), "llmnr": System(LLMNR, ask_llmnr, "host")}
both_systems = pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS.keys())


@pytest.fixture
def clock() -> trio.testing.MockClock:
    """Jumps when all is quiet for long enough that packets in flight have surely arrived."""
    return trio.testing.MockClock(autojump_threshold=0.1)


@pytest.fixture
def net() -> Iterator[TwoUplinks]:
    with open_two_uplinks() as net, net.host.entered():
        yield net


class Asked:
    """What was told, and when."""

    def __init__(self) -> None:
        self.began = trio.current_time()
        self.told: list[tuple[IPAddress, float]] = []
        self.malformed: list[MalformedInput] = []

    async def run(
        self, view: DomainView, system: System, name: str | None = None
    ) -> tuple[TranslationOutcome, set[str]]:
        outcome = await system.ask(view, name or system.name, self._tell, note_malformed=self.malformed.append)
        assert len({address for address, _ in self.told}) == len(self.told) <= 64
        return outcome, {str(address) for address, _ in self.told}

    def _tell(self, address: IPAddress) -> None:
        self.told.append((address, self.seconds))

    @property
    def seconds(self) -> float:
        return trio.current_time() - self.began


def texts(*addresses: IPAddress) -> set[str]:
    return set(map(str, addresses))


async def respond(
    nursery: trio.Nursery, net: TwoUplinks, system: System, behave: Callable[[bytes], Sequence[LinkAnswer]]
) -> LinkResponder:
    responder = LinkResponder(net.b, "lan0", system.protocol, behave)
    await nursery.start(responder.run)
    return responder


def truth(system: System) -> Callable[[bytes], Sequence[LinkAnswer]]:
    return link_host({system.name: TRUE})


@both_systems
@pytest.mark.parametrize("addresses", [(), ADDRESSES["up-b"][:1], ADDRESSES["up-b"][1:]], ids=["both", "ipv4", "ipv6"])
async def test_found(
    net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock, system: System, addresses: tuple[str, ...]
) -> None:
    """Law 10: the question leaves by the domain's interface only, in its families, from an address of that link."""
    responder = await respond(nursery, net, system, truth(system))
    asked = Asked()
    assert await asked.run(net.view("up-b", *addresses), system, system.name.upper()) == (ANSWERED, texts(*TRUE))
    assert asked.seconds < 0.2
    assert {each.hop_limit for each in responder.asked} == {255}
    queries = net.capture_b.dns_queries(name=system.name)
    sources = {"198.51.100.70": "224.0.0.", "fe80::10": "ff02::"}
    if addresses:
        del sources["fe80::10" if "." in addresses[0] else "198.51.100.70"]
    assert {str(query.source) for query in queries} == sources.keys()
    assert all(str(query.destination).startswith(sources[str(query.source)]) for query in queries)
    assert {query.destination_port for query in queries} == {system.protocol.port}
    assert not {query.source_port for query in queries} & {5353, 5355}
    assert not net.capture_a.dns_queries()


@both_systems
async def test_not_there(net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock, system: System) -> None:
    """Three times, the protocol's interval apart, then it is over."""
    responder = await respond(nursery, net, system, truth(system))
    asked = Asked()
    assert await asked.run(net.view("up-b", "198.51.100.70"), system, f"no{system.name}") == (TIMED_OUT, set())
    assert asked.seconds == pytest.approx(3 * system.protocol.interval, abs=0.2)
    assert len(responder.asked) == 3 * len(system.protocol.messages)
    assert len(set(responder.asked)) == len(system.protocol.messages)


@both_systems
async def test_lost_questions_are_repeated(
    net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock, system: System
) -> None:
    heard: list[bytes] = []

    def behave(octets: bytes) -> Sequence[LinkAnswer]:
        heard.append(octets)
        return truth(system)(octets) if heard.count(octets) == 3 else ()

    await respond(nursery, net, system, behave)
    asked = Asked()
    assert await asked.run(net.view("up-b", "198.51.100.70"), system) == (ANSWERED, texts(*TRUE))
    assert all(when == pytest.approx(2 * system.protocol.interval, abs=0.2) for _, when in asked.told)


@both_systems
async def test_in_real_time(net: TwoUplinks, system: System) -> None:
    """A domain's whole answer to a name that nobody bears."""
    with trio.fail_after(3.5):
        assert await Asked().run(net.view("up-b"), system) == (TIMED_OUT, set())


def changed(change: Callable[[Any], object]) -> Callable[[bytes], list[LinkAnswer]]:
    """A forgery with something wrong."""

    def forge(octets: bytes) -> list[LinkAnswer]:
        message = answer_link(octets, FORGED)
        change(message)
        return [LinkAnswer(message.to_wire())]

    return forge


def change_id(message: Any) -> None:
    message.id ^= 0x5555


def change_question(message: Any) -> None:
    message.question = dns.message.make_query("other.local.", message.question[0].rdtype).question


def add_question(message: Any) -> None:
    message.question += dns.message.make_query(message.question[0].name, "TXT").question


def change_direction(message: Any) -> None:
    message.flags ^= dns.flags.QR


def change_owner(message: Any) -> None:
    for records in message.answer:
        records.name = dns.name.from_text("other.local.")


def make_alias(message: Any) -> None:
    addresses, name = message.answer, message.question[0].name
    change_owner(message)
    message.answer = [dns.rrset.from_text(name, 10, "IN", "CNAME", "other.local."), *addresses]


def from_elsewhere(octets: bytes) -> list[LinkAnswer]:
    forged = answer_link(octets, FORGED).to_wire()
    return [LinkAnswer(forged, source=peer) for peer in PEERS] + [LinkAnswer(forged, port=5354)]


def garbage(octets: bytes) -> list[LinkAnswer]:
    return [LinkAnswer(each) for each in (b"", octets[:2], octets[:2] + b"\x80\0" + b"\xff" * 40)]


HOSTILE = {
    "wrong id": changed(change_id),
    "wrong question": changed(change_question),
    "more questions": changed(add_question),
    "a question": changed(change_direction),
    "an error": changed(lambda message: message.set_rcode(dns.rcode.NXDOMAIN)),
    "off the link, or from another port": from_elsewhere,
    "garbage": garbage,
}


@both_systems
@pytest.mark.parametrize("case", HOSTILE)
async def test_forgeries_are_passed_over(
    net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock, system: System, case: str
) -> None:
    """The forgery comes first, in each family; the truth follows."""

    def behave(octets: bytes) -> Sequence[LinkAnswer]:
        return [*HOSTILE[case](octets), *(evolve(each, delay=0.05) for each in truth(system)(octets))]

    await respond(nursery, net, system, behave)
    for addresses in ((), ADDRESSES["up-b"][:1]):
        asked = Asked()
        assert await asked.run(net.view("up-b", *addresses), system) == (ANSWERED, texts(*TRUE))
        assert bool(asked.malformed) is (case == "garbage")


@both_systems
async def test_the_kernel_lets_off_link_answers_through(
    net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock, system: System
) -> None:
    """So that it is us who pass them over: the same answers count where the domain says that they are on the link."""
    await respond(nursery, net, system, lambda octets: from_elsewhere(octets)[:2])
    view = net.view("up-b")
    wide = (SourceAddress(ip_address("198.51.100.70"), 1), SourceAddress(ip_address("2001:db8:b::10"), 32))
    assert await Asked().run(view, system) == (TIMED_OUT, set())
    assert await Asked().run(evolve(view, addresses=wide), system) == (ANSWERED, texts(*FORGED))


@both_systems
@pytest.mark.parametrize("change", [change_owner, make_alias])
async def test_other_names_records_are_not_taken(
    net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock, system: System, change: Callable[[Any], None]
) -> None:
    await respond(nursery, net, system, changed(change))
    assert await Asked().run(net.view("up-b"), system) == (TranslationOutcome.NO_DATA, set())


@both_systems
async def test_a_flood_of_addresses(
    net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock, system: System
) -> None:
    """10,000 of each family: 64 are told, and it is over."""

    def behave(octets: bytes) -> Sequence[LinkAnswer]:
        many = [[ip_address(int(first) + number) for number in range(10_000)] for first in FORGED]
        return [
            LinkAnswer(answer_link(octets, [*many[0][start : start + 50], *many[1][start : start + 50]]).to_wire())
            for start in range(0, 10_000, 50)
        ]

    await respond(nursery, net, system, behave)
    outcome, told = await Asked().run(net.view("up-b", "198.51.100.70"), system)
    assert (outcome, len(told)) == (TranslationOutcome.TRUNCATED, 64)


@both_systems
async def test_a_flood_of_garbage(
    net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock, system: System
) -> None:
    await respond(nursery, net, system, lambda octets: [LinkAnswer(octets[:2] + b"\xff")] * 1000)
    asked = Asked()
    assert await asked.run(net.view("up-b", "198.51.100.70"), system) == (TIMED_OUT, set())
    assert 0 < len(asked.malformed) <= 256


@both_systems
async def test_a_message_of_many_records_is_malformed(
    net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock, system: System
) -> None:
    counts = struct.pack("!5H", 0x8000, 1, 10_000, 0, 0)
    await respond(nursery, net, system, lambda octets: [LinkAnswer(octets[:2] + counts + octets[12:])])
    asked = Asked()
    assert await asked.run(net.view("up-b", "198.51.100.70"), system) == (TIMED_OUT, set())
    assert asked.malformed


@both_systems
async def test_link_local_addresses_bear_their_link(
    net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock, system: System
) -> None:
    await respond(nursery, net, system, link_host({system.name: [IPv6Address("fe80::1")]}))
    assert await Asked().run(net.view("up-b"), system) == (ANSWERED, {"fe80::1%up-b"})


@both_systems
async def test_a_domain_that_does_not_know_its_prefix(
    net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock, system: System
) -> None:
    """A DHCPv6 address has none; the responder answers from a global address, as avahi does."""
    router = ip_address(ROUTERS["up-b"][1])
    honest = truth(system)
    await respond(nursery, net, system, lambda octets: [evolve(each, source=router) for each in honest(octets)])
    view = evolve(net.view("up-b"), addresses=(SourceAddress(ip_address("2001:db8:b::10"), 128),))
    assert await Asked().run(view, system) == (ANSWERED, texts(*TRUE))


@both_systems
async def test_a_link_without_link_local_addresses(
    net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock, system: System
) -> None:
    """Then it is the domain's address, though the kernel would take another one of the interface's."""
    commands = [
        "address delete fe80::10/64 dev up-b",
        "address add 2001:db8:b::99/64 dev up-b nodad",
        "address change 2001:db8:b::10/64 dev up-b preferred_lft 0",
    ]
    net.host.run(["ip", "-batch", "-"], input="\n".join(commands).encode(), check=True)
    await respond(nursery, net, system, truth(system))
    assert await Asked().run(net.view("up-b", "2001:db8:b::10"), system) == (ANSWERED, texts(*TRUE))
    assert {str(query.source) for query in net.capture_b.dns_queries()} == {"2001:db8:b::10"}


@both_systems
async def test_the_hosts_own_responder(
    net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock, system: System
) -> None:
    responder = LinkResponder(net.host, "up-b", system.protocol, truth(system))
    await nursery.start(responder.run)
    for family in ADDRESSES["up-b"]:
        assert await Asked().run(net.view("up-b", family), system) == (ANSWERED, texts(*TRUE))


@both_systems
async def test_who_is_not_asked(net: TwoUplinks, clock: trio.testing.MockClock, system: System) -> None:
    """Names of other systems, domains without address, loopback: nothing is sent, and it is over at once."""
    view = net.view("up-b")
    names = {"mdns": ["host", "local", "host.example"], "llmnr": ["host.local", "a.b"]}[system.protocol.name]
    for name in (*names, "a" * 64, ".", f"..{system.name}"):
        assert await Asked().run(view, system, name) == (NO_SERVERS, set())
    for domain in (evolve(view, addresses=()), net.view("lo")):
        assert await Asked().run(domain, system) == (NO_SERVERS, set())
    assert trio.current_time() == pytest.approx(0, abs=0.2)
    assert not net.capture_a.dns_queries()
    assert not net.capture_b.dns_queries()


@both_systems
@pytest.mark.parametrize("command", ["link set up-b down", "link delete up-b"])
async def test_an_interface_that_is_down_or_gone(
    net: TwoUplinks, clock: trio.testing.MockClock, system: System, command: str
) -> None:
    view = net.view("up-b")
    net.host.run(["ip", *command.split()], check=True)
    assert await Asked().run(view, system) == (NO_SERVERS, set())
    assert not net.capture_a.dns_queries()


@both_systems
async def test_cancelled(net: TwoUplinks, clock: trio.testing.MockClock, system: System) -> None:
    """Before, while it asks, between two times: no socket is left."""
    view = net.view("up-b")
    before = len(os.listdir("/proc/self/fd"))
    for seconds in (0, 0.01, system.protocol.interval + 0.01):
        with trio.move_on_after(seconds) as scope:
            await Asked().run(view, system)
        assert scope.cancelled_caught
        assert len(os.listdir("/proc/self/fd")) == before
    assert await Asked().run(view, system) == (TIMED_OUT, set())
    assert len(os.listdir("/proc/self/fd")) == before


async def test_two_hosts_of_one_name(net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock) -> None:
    """The second one takes its time, 120 ms at most (RFC 6762, 6)."""
    system = SYSTEMS["mdns"]
    second = link_host({system.name: FORGED})
    await respond(nursery, net, system, truth(system))
    await respond(nursery, net, system, lambda octets: [evolve(each, delay=0.12) for each in second(octets)])
    asked = Asked()
    assert await asked.run(net.view("up-b", "198.51.100.70"), system) == (ANSWERED, texts(*TRUE, *FORGED))
    assert all(when < 0.1 for address, when in asked.told if address in TRUE)


async def test_names_in_utf_8(net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock) -> None:
    def behave(octets: bytes) -> Sequence[LinkAnswer]:
        assert "\x06küche".encode() in octets
        return [LinkAnswer(answer_link(octets, TRUE).to_wire())]

    await respond(nursery, net, SYSTEMS["mdns"], behave)
    assert await Asked().run(net.view("up-b"), SYSTEMS["mdns"], "küche.local") == (ANSWERED, texts(*TRUE))
