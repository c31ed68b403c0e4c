"""Name translation against a server with every fault, through real sockets between network namespaces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import evolve

from trimif._errors import MalformedInput
from trimif._model import DomainView, IPAddress, TranslationOutcome
from trimif._names._told import Told
from trimif.testing._faulty_dns import FORGED, TRUE, FaultyServer
from trimif.testing._uplinks import TwoUplinks, open_two_uplinks

from .translating import translate

pytestmark = pytest.mark.lab

SERVERS = ("198.51.100.65", "2001:db8:b::1")
HOSTS = Path(__file__).parent / "no-such-hosts-file"


@pytest.fixture
def clock() -> trio.testing.MockClock:
    """Jumps when all is quiet for long enough that packets in flight have surely arrived."""
    return trio.testing.MockClock(autojump_threshold=0.2)


@pytest.fixture
def net() -> Iterator[TwoUplinks]:
    with open_two_uplinks() as net, net.host.entered():
        yield net


@pytest.fixture
async def server(net: TwoUplinks, nursery: trio.Nursery) -> FaultyServer:
    server = FaultyServer(net.b, ip_address(SERVERS[0]))
    await nursery.start(server.run)
    return server


@pytest.fixture
async def second_server(net: TwoUplinks, nursery: trio.Nursery) -> FaultyServer:
    server = FaultyServer(net.b, ip_address(SERVERS[1]))
    await nursery.start(server.run)
    return server


class Translated:
    """What was told, and when."""

    def __init__(self) -> None:
        self.told: list[tuple[IPAddress, float]] = []
        self.began = trio.current_time()

    def tell(self, address: IPAddress) -> None:
        self.told.append((address, trio.current_time() - self.began))

    async def run(self, view: DomainView, name: str) -> TranslationOutcome:
        return await translate(view, name, self.tell, hosts=str(HOSTS))

    @property
    def addresses(self) -> set[IPAddress]:
        addresses = [address for address, _ in self.told]
        assert len(addresses) == len(set(addresses))
        return set(addresses)


async def run(view: DomainView, name: str) -> tuple[TranslationOutcome, set[IPAddress]]:
    translated = Translated()
    outcome = await translated.run(view, name)
    assert trio.current_time() - translated.began < 31
    return outcome, translated.addresses


FAITHFUL = ["ok", "twice", "wrongid", "wrongquestion", "query", "wrongport", "garbage", "uppercase", "truncated"]
FAITHFUL += ["noedns", "alias", "chain-8", "late-1500"]


@pytest.mark.parametrize("label", FAITHFUL)
async def test_the_truth_is_told_and_nothing_else(
    net: TwoUplinks, server: FaultyServer, clock: trio.testing.MockClock, label: str
) -> None:
    outcome, addresses = await run(net.view("up-b", servers=SERVERS[:1]), f"{label}.example")
    assert outcome is TranslationOutcome.ANSWERED
    assert addresses == set(TRUE)
    assert not addresses & set(FORGED)


VAIN = {
    "drop": TranslationOutcome.TIMED_OUT,
    "late-12000": TranslationOutcome.TIMED_OUT,
    "servfail": TranslationOutcome.REFUSED,
    "refused": TranslationOutcome.REFUSED,
    "formerr": TranslationOutcome.REFUSED,
    "lame": TranslationOutcome.REFUSED,
    "self": TranslationOutcome.REFUSED,
    "ping": TranslationOutcome.REFUSED,
    "chain-9": TranslationOutcome.REFUSED,
    "nxdomain": TranslationOutcome.NO_SUCH_NAME,
    "dangling": TranslationOutcome.NO_SUCH_NAME,
    "empty": TranslationOutcome.NO_DATA,
    "nxdomainv6": TranslationOutcome.NO_DATA,
}


@pytest.mark.parametrize("label", VAIN)
async def test_outcomes(net: TwoUplinks, server: FaultyServer, clock: trio.testing.MockClock, label: str) -> None:
    assert await run(net.view("up-b", servers=SERVERS[:1]), f"{label}.example") == (VAIN[label], set())


async def test_malformed_answers_are_counted_and_passed_over(net: TwoUplinks, server: FaultyServer) -> None:
    faults: list[MalformedInput] = []
    told: list[IPAddress] = []
    view = net.view("up-b", servers=SERVERS[:1])
    outcome = await translate(view, "garbage.example", told.append, note_malformed=faults.append, hosts=str(HOSTS))
    assert outcome is TranslationOutcome.ANSWERED
    assert set(told) == set(TRUE)
    assert len(faults) == 4, "two kinds of garbage for each family"


async def test_one_family_is_enough(net: TwoUplinks, server: FaultyServer) -> None:
    view = net.view("up-b", servers=SERVERS[:1])
    assert await run(view, "onlyv4.example") == (TranslationOutcome.ANSWERED, {TRUE[0]})


async def test_a_late_family_holds_nothing_back(
    net: TwoUplinks, server: FaultyServer, clock: trio.testing.MockClock
) -> None:
    translated = Translated()
    outcome = await translated.run(net.view("up-b", servers=SERVERS[:1]), "latev6-1800.example")
    assert outcome is TranslationOutcome.ANSWERED
    assert [address for address, _ in translated.told] == list(TRUE)
    assert translated.told[0][1] < 0.5
    assert translated.told[1][1] == pytest.approx(1.8, abs=0.2)


async def test_a_silent_family_holds_nothing_back(
    net: TwoUplinks, server: FaultyServer, clock: trio.testing.MockClock
) -> None:
    translated = Translated()
    outcome = await translated.run(net.view("up-b", servers=SERVERS[:1]), "dropv6.example")
    assert outcome is TranslationOutcome.ANSWERED
    ((address, when),) = translated.told
    assert address == TRUE[0]
    assert when < 0.5


@pytest.mark.parametrize(("count", "told"), [(20, 40), (32, 64), (33, 64), (900, 64)])
async def test_64_addresses_and_no_more(net: TwoUplinks, server: FaultyServer, count: int, told: int) -> None:
    outcome, addresses = await run(net.view("up-b", servers=SERVERS[:1]), f"many-{count}.example")
    assert len(addresses) == told
    assert outcome is (TranslationOutcome.TRUNCATED if 2 * count > 64 else TranslationOutcome.ANSWERED)


@pytest.mark.parametrize("label", ["servfail", "refused", "formerr", "lame", "self"])
async def test_a_failing_server_is_passed_at_once(
    net: TwoUplinks, server: FaultyServer, second_server: FaultyServer, label: str
) -> None:
    with trio.fail_after(1.5):  # less than one silence
        assert await run(net.view("up-b", servers=SERVERS), f"{label}.example") == (TranslationOutcome.REFUSED, set())
    kinds = ["A", "AAAA"] * 2  # each server twice for each family
    assert sorted(asked.kind for asked in server.asked) == sorted(kinds)
    assert sorted(asked.kind for asked in second_server.asked) == sorted(kinds)


async def test_a_dead_server_is_passed_at_once(net: TwoUplinks, second_server: FaultyServer) -> None:
    """Nothing listens at the first server: ICMP says so."""
    with trio.fail_after(1.5):
        assert (await run(net.view("up-b", servers=SERVERS), "ok.example"))[1] == set(TRUE)


async def test_a_silent_server_is_passed_after_a_while(
    net: TwoUplinks, second_server: FaultyServer, clock: trio.testing.MockClock
) -> None:
    net.b.run(["nft", "-f", "-"], input=b"table ip t {\nchain i {\ntype filter hook input priority 0\ndrop\n}\n}\n")
    translated = Translated()
    assert await translated.run(net.view("up-b", servers=SERVERS), "ok.example") is TranslationOutcome.ANSWERED
    assert translated.addresses == set(TRUE)
    assert all(when == pytest.approx(0.25, abs=0.2) for _, when in translated.told)


async def test_servers_that_the_domain_does_not_reach(net: TwoUplinks, server: FaultyServer) -> None:
    """Not through loopback, not at the other uplink's address: passed without a packet (law 10)."""
    view = net.view("up-b", servers=["127.0.0.53", "198.51.100.10", "::1", SERVERS[0]])
    assert await run(view, "ok.example") == (TranslationOutcome.ANSWERED, set(TRUE))
    assert not net.capture_a.dns_queries()


async def test_link_local_servers(net: TwoUplinks, nursery: trio.Nursery) -> None:
    """RDNSS options often tell the router's link-local address; here it is the same on both uplinks."""
    net.b.run(["sysctl", "-qw", "net.ipv6.bindv6only=1"], check=True)
    server = FaultyServer(net.b, ip_address("::"))
    await nursery.start(server.run)
    view = net.view("up-b", servers=["fe80::1"])
    assert await run(view, "ok.example") == (TranslationOutcome.ANSWERED, set(TRUE))
    assert await run(view, "truncated.example") == (TranslationOutcome.ANSWERED, set(TRUE))
    assert {str(packet.source) for packet in net.capture_b.dns_queries()} == {"fe80::10"}
    assert not net.capture_a.dns_queries()


async def test_search_domains(net: TwoUplinks, server: FaultyServer) -> None:
    view = net.view("up-b", servers=SERVERS[:1], search=["nxdomain", "empty", "corp.example"])
    assert await run(view, "printer") == (TranslationOutcome.ANSWERED, set(TRUE))
    assert {asked.name for asked in server.asked} == {"printer.nxdomain."}
    server.asked.clear()
    assert await run(evolve(view, search_domains=("a.example", "b.example")), "nxdomain") == (
        TranslationOutcome.NO_SUCH_NAME,
        set(),
    )
    names = [asked.name for asked in server.asked if asked.kind == "A"]
    assert names == ["nxdomain.a.example.", "nxdomain.b.example.", "nxdomain."]


async def test_a_name_with_a_dot_is_tried_as_it_is_first(net: TwoUplinks, server: FaultyServer) -> None:
    view = net.view("up-b", servers=SERVERS[:1], search=["corp.example"])
    await run(view, "nxdomain.www")
    assert [asked.name for asked in server.asked if asked.kind == "A"] == [
        "nxdomain.www.",
        "nxdomain.www.corp.example.",
    ]
    server.asked.clear()
    await run(view, "nxdomain.www.")
    assert {asked.name for asked in server.asked} == {"nxdomain.www."}


async def test_international_names(net: TwoUplinks, server: FaultyServer) -> None:
    assert (await run(net.view("up-b", servers=SERVERS[:1]), "Bücher.example"))[1] == set(TRUE)
    assert {asked.name for asked in server.asked} == {"xn--bcher-kva.example."}


async def test_ids_and_ports_are_fresh(net: TwoUplinks, server: FaultyServer) -> None:
    view = net.view("up-b", servers=SERVERS[:1])
    for number in range(8):
        await run(view, f"ok-{number}.example")
    assert len({asked.query.id for asked in server.asked}) > 12
    assert len({packet.source_port for packet in net.capture_b.dns_queries()}) > 12


@pytest.mark.parametrize("uplink", ["up-a", "up-b"])
@pytest.mark.parametrize("name", ["ok.example", "truncated.example"])
async def test_queries_leave_by_the_domains_uplink(
    net: TwoUplinks, nursery: trio.Nursery, uplink: str, name: str
) -> None:
    """Both networks have a server of the same address, which only the default routes lead to."""
    for far in (net.a, net.b):
        await nursery.start(FaultyServer(far, ip_address("203.0.113.80")).run)
    assert (await run(net.view(uplink, servers=["203.0.113.80"]), name))[1] == set(TRUE)
    right, wrong = (net.capture_a, net.capture_b) if uplink == "up-a" else (net.capture_b, net.capture_a)
    own = {"up-a": "198.51.100.10", "up-b": "198.51.100.70"}[uplink]
    assert {str(packet.source) for packet in right.dns_queries()} == {own}
    assert not wrong.dns_queries()
    assert bool(right.syns()) is name.startswith("truncated")
    assert not wrong.syns()


async def test_the_captures_would_catch_an_unbound_query(net: TwoUplinks) -> None:
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as unbound:
        await unbound.bind(("198.51.100.70", 0))
        query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02ok\x07example\x00\x00\x01\x00\x01"
        await unbound.sendto(query, ("203.0.113.80", 53))
    assert net.capture_a.dns_queries(name="ok.example")
    assert not net.capture_b.dns_queries()


async def test_each_address_is_told_once() -> None:
    heard: list[IPAddress] = []
    told = Told(heard.append)
    for address in (*TRUE, *TRUE, *FORGED):
        told.add(address)
    assert heard == [*TRUE, *FORGED]
    await trio.lowlevel.checkpoint()


async def test_no_servers(net: TwoUplinks) -> None:
    assert await run(net.view("up-b"), "ok.example") == (TranslationOutcome.NO_SERVERS, set())


NO_NAMES = ["a" * 64 + ".example", "a" + ".b" * 127, "a..b", ".", "", "\ud800.example", "\N{SNOWMAN}.example"]


@pytest.mark.parametrize("name", NO_NAMES, ids=range(len(NO_NAMES)))
async def test_names_that_the_dns_can_not_have(net: TwoUplinks, server: FaultyServer, name: str) -> None:
    assert await run(net.view("up-b", servers=SERVERS[:1]), name) == (TranslationOutcome.NO_SUCH_NAME, set())
    assert not server.asked


async def test_what_the_host_knows_is_not_asked(net: TwoUplinks, server: FaultyServer, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("203.0.113.9 printer.example\n")
    translated = Translated()
    view = net.view("up-b", servers=SERVERS[:1])
    for name in ("printer.example", "Printer.Example.", "198.51.100.7", "localhost"):
        assert await translate(view, name, translated.tell, hosts=str(hosts)) is TranslationOutcome.ANSWERED
    expected = ["203.0.113.9", "203.0.113.9", "198.51.100.7", "127.0.0.1", "::1"]
    assert [str(address) for address, _ in translated.told] == expected
    assert not server.asked


async def test_cancelled_it_leaves_no_socket(net: TwoUplinks, server: FaultyServer) -> None:
    def sockets() -> int:
        return sum(os.path.realpath(each.path).split(":")[0].endswith("socket") for each in os.scandir("/proc/self/fd"))

    before = sockets()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, net.view("up-b", servers=SERVERS[:1]), "drop.example")
        while len(server.asked) < 2:
            await trio.testing.wait_all_tasks_blocked()
        assert sockets() == before + 2
        nursery.cancel_scope.cancel()
    assert sockets() == before


async def test_an_error_of_the_teller_comes_out(net: TwoUplinks, server: FaultyServer) -> None:
    def tell(address: IPAddress) -> None:
        raise RuntimeError("mine")

    view = net.view("up-b", servers=SERVERS[:1])
    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="mine")):
        await translate(view, "onlyv4.example", tell, hosts=str(HOSTS))
