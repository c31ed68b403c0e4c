"""Translate Name beside dnspython on Trio: all ask one dnsmasq, in one process.

Each lookup is for A and AAAA of a name that nobody asked for before, unless it says "remembered". dnspython is given
no cache. The ways take turns, round by round.
"""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Address, ip_address
from typing import TypeAlias

import trio

from benchmarks._host import SETTLING_SECONDS, host
from benchmarks._table import Line
from trimif._model import DomainId, DomainView, SourceAddress, TranslationOutcome
from trimif._names import NameService

HOST, SERVER, DEAD = "198.51.100.10", "198.51.100.1", "198.51.100.3"
ZONE = "names.example.com"
ROUNDS, LOOKUPS, IN_FLIGHT, DISTINCT, REPEATED = 5, 200, 50, 10_000, 2_000

Look: TypeAlias = Callable[[str], Awaitable[None]]
_numbers = itertools.count()


def names() -> Iterator[Line]:
    """CPU and rate of lookups, of what is remembered, and a first server that is dead."""
    with _network() as view:
        yield from trio.run(_compare, view)


@contextmanager
def _network() -> Iterator[DomainView]:
    with host() as far:
        plug = f"link add up0 type veth peer name lan0 netns {far.path}"
        with host(plug, f"address add {HOST}/24 dev up0", "link set up0 up") as near:
            far.run(["ip", "address", "add", f"{SERVER}/24", "dev", "lan0"], check=True)
            far.run(["ip", "link", "set", "lan0", "up"], check=True)
            server = far.popen(_dnsmasq(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                time.sleep(SETTLING_SECONDS)
                with near.entered():
                    yield _view()
            finally:
                server.terminate()
                server.wait()


def _dnsmasq() -> list[str]:
    addresses = [f"--address=/{ZONE}/{address}" for address in ("203.0.113.9", "2001:db8::9")]
    alone = ["--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--pid-file", "--local-ttl=600"]
    return ["dnsmasq", "--keep-in-foreground", *alone, "--bind-interfaces", f"--listen-address={SERVER}", *addresses]


def _view() -> DomainView:
    import socket

    return DomainView(
        DomainId("up0"),
        "up0/benchmark",
        socket.if_nametoindex("up0"),
        addresses=(SourceAddress(IPv4Address(HOST), 24),),
        dns_servers=(IPv4Address(SERVER),),
    )


async def _compare(view: DomainView) -> list[Line]:
    ours, resolver, exchange = _trimif(view), _resolver(), _two_exchanges
    for look in (ours, resolver, exchange):
        await look(_fresh())  # imports
    cpu = await _in_turns([ours, resolver, exchange], partial(_measure, time.process_time, 1))
    wall = await _in_turns([ours, resolver], partial(_measure, time.perf_counter, 1))
    many = await _in_turns([ours, resolver], partial(_measure, time.perf_counter, IN_FLIGHT))
    cost, what = "CPU of a lookup of A and AAAA", "lookups of A and AAAA,"
    return [
        Line(cost, cpu[0] * 1e6, "dnspython, one asyncquery.udp", cpu[2] * 1e6 / 2, target=1.3),
        Line(cost, cpu[0] * 1e6, "dnspython, asyncquery.udp twice", cpu[2] * 1e6),
        Line(cost, cpu[0] * 1e6, "dnspython's resolver, Trio", cpu[1] * 1e6),
        _rate(f"{what} 1 in flight", wall, None),
        _rate(f"{what} {IN_FLIGHT} in flight", many, 1.3),
        Line(f"{what} {DISTINCT} names", 1 / await _measure(time.perf_counter, IN_FLIGHT, ours, DISTINCT), unit="1/s"),
        Line("a remembered lookup", await _remembered(ours) * 1e6, "30 us", 30, target=1.0),
        *await _dead_first(view),
    ]


def _rate(what: str, seconds: list[float], target: float | None) -> Line:
    ours, theirs = (1 / each for each in seconds)
    return Line(what, ours, "dnspython's resolver, Trio", theirs, "1/s", target, at_least=True)


async def _in_turns(looks: list[Look], measure: Callable[[Look], Awaitable[float]]) -> list[float]:
    """The best of each: what else the machine does only adds."""
    rounds = [[await measure(look) for look in looks] for _ in range(ROUNDS)]
    return [min(each) for each in zip(*rounds, strict=True)]


async def _measure(clock: Callable[[], float], in_flight: int, look: Look, lookups: int = LOOKUPS) -> float:
    """Seconds of a lookup."""

    async def some() -> None:
        for _ in range(lookups // in_flight):
            await look(_fresh())

    before = clock()
    async with trio.open_nursery() as nursery:
        for _ in range(in_flight):
            nursery.start_soon(some)
    return (clock() - before) / lookups


async def _remembered(look: Look) -> float:
    name = _fresh()
    await look(name)
    before = time.perf_counter()
    for _ in range(REPEATED):
        await look(name)
    return (time.perf_counter() - before) / REPEATED


async def _dead_first(view: DomainView) -> list[Line]:
    from attrs import evolve

    look, lines = _trimif(evolve(view, dns_servers=(ip_address(DEAD), ip_address(SERVER)))), list[Line]()
    for what, limit in (("the first server is dead: the first lookup", 300.0), ("and the next one", 0.0)):
        before = time.perf_counter()
        await look(_fresh())
        target = 1.0 if limit else None
        milliseconds = (time.perf_counter() - before) * 1e3
        lines.append(Line(what, milliseconds, "300 ms" if limit else "", limit, "ms", target))
    return lines


def _fresh() -> str:
    return f"n{next(_numbers)}.{ZONE}"


def _trimif(view: DomainView) -> Look:
    service = NameService(("hosts", "dns"))

    async def look(name: str) -> None:
        told: list[object] = []
        outcome = await service.translate(view, name, told.append, note=_ignore, note_malformed=_ignore)
        assert (outcome, len(told)) == (TranslationOutcome.ANSWERED, 2), (outcome, told)

    return look


def _ignore(said: object) -> None:
    pass


def _resolver() -> Look:
    import dns.asyncresolver

    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [SERVER]

    async def look(name: str) -> None:
        assert len(list((await resolver.resolve_name(f"{name}.")).addresses())) == 2

    return look


async def _two_exchanges(name: str) -> None:
    import dns.asyncquery
    import dns.message

    for kind in ("AAAA", "A"):
        assert (await dns.asyncquery.udp(dns.message.make_query(name, kind), SERVER)).answer
