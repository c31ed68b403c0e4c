"""For the tests of the netlink source: a namespace as host, what the source told about it, and what ``ip`` says."""

from __future__ import annotations

import json
import math
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from typing import Any, TypeAlias

import trio

from trimif._facts import (
    AddressFact,
    AddressGone,
    AllAddresses,
    AllLinks,
    AllRoutes,
    Fact,
    Limitation,
    LinkFact,
    LinkGone,
    RouteFact,
    RouteGone,
    RouterAdvertisement,
)
from trimif._sources._source import Source
from trimif._sources.netlink import PAUSE_SECONDS
from trimif.testing._namespaces import Namespace

State: TypeAlias = tuple[frozenset[Any], frozenset[Any], frozenset[Any]]
"""Links, addresses and routes, in a form that facts and ``ip`` share."""


def configure(namespace: Namespace, *lines: str) -> None:
    """Run commands of ``ip``, one a line, in one process."""
    namespace.run(["ip", "-batch", "-"], input="\n".join(lines).encode(), check=True)


def make_pair(namespace: Namespace, name: str) -> None:
    """Make a link with somebody at its other end, both up; its link-local addresses are not tentative any more."""
    namespace.write_sysctl("net/ipv6/conf/default/accept_dad", 0)
    configure(
        namespace,
        f"link add {name} type veth peer name {name}-peer",
        f"link set {name} up",
        f"link set {name}-peer up",
    )
    deadline = time.monotonic() + 5
    while any(tentative for _, _, _, tentative, *_ in truth(namespace)[1]) and time.monotonic() < deadline:
        time.sleep(0.01)


class Mirror:
    """Keeps the tables as facts say they should be; its `report` is what a source reports to."""

    def __init__(self) -> None:
        self.links: dict[int, LinkFact] = {}
        self.addresses: dict[Any, AddressFact] = {}
        self.routes: dict[RouteFact, RouteFact] = {}
        self.advertisements: list[RouterAdvertisement] = []
        self.limitations: list[Limitation] = []
        self.reports: list[tuple[Fact, ...]] = []
        self.after_report: Callable[[], object] = lambda: None

    def report(self, facts: Sequence[Fact]) -> None:
        self.reports.append(tuple(facts))
        for fact in facts:
            self._apply(fact)
        self.after_report()

    def _apply(self, fact: Fact) -> None:
        match fact:
            case LinkFact(index=index):
                self.links[index] = fact
            case AddressFact(index=index, address=address, prefix_length=length):
                self.addresses[index, address, length] = fact
            case RouteFact():
                self.routes.pop(fact, None)
                self.routes[fact] = fact
            case AddressGone(index=index, address=address, prefix_length=length):
                self.addresses.pop((index, address, length), None)
            case RouteGone(route=route):
                self.routes.pop(route, None)
            case LinkGone(index=index):
                self.links.pop(index, None)
                self.addresses = {key: each for key, each in self.addresses.items() if each.index != index}
                self.routes = {each: each for each in self.routes.values() if each.index != index}
            case AllLinks(links=links):
                self.links = {each.index: each for each in links}
            case AllAddresses(addresses=addresses):
                self.addresses = {(each.index, each.address, each.prefix_length): each for each in addresses}
            case AllRoutes(routes=routes):
                self.routes = {each: each for each in routes}
            case RouterAdvertisement():
                self.advertisements.append(fact)
            case Limitation():
                self.limitations.append(fact)
            case _:
                raise AssertionError(f"a netlink source does not report {fact}")

    def state(self) -> State:
        return (
            frozenset((each.index, each.name, each.mtu, each.up, each.carrier) for each in self.links.values()),
            frozenset(
                (
                    each.index,
                    each.address,
                    each.prefix_length,
                    each.tentative,
                    each.temporary,
                    each.valid_until == math.inf,
                    each.preferred_until == math.inf,
                )
                for each in self.addresses.values()
            ),
            frozenset(
                (
                    each.index,
                    each.destination,
                    each.gateway,
                    each.metric,
                    each.table,
                    int(each.protocol),
                    each.expires == math.inf,
                )
                for each in self.routes.values()
            ),
        )


@asynccontextmanager
async def following(source: Source) -> AsyncIterator[Mirror]:
    mirror = Mirror()
    async with trio.open_nursery() as nursery:
        await nursery.start(source.run, mirror.report)
        yield mirror
        nursery.cancel_scope.cancel("the test is done")


# ---------------------------------------------------------------- what ip says


def truth(namespace: Namespace) -> State:
    """The state of the namespace according to ``ip -json``."""
    links = _ip(namespace, "link")
    indices = {link["ifname"]: link["ifindex"] for link in links}
    return (
        frozenset(_link(link) for link in links),
        frozenset(
            _address(each["ifindex"], address) for each in _ip(namespace, "address") for address in each["addr_info"]
        ),
        frozenset(
            route
            for family, everywhere in (("-4", "0.0.0.0/0"), ("-6", "::/0"))
            for each in _ip(namespace, family, "route", "show", "table", "all")
            for route in _routes(each, everywhere, indices)
        ),
    )


def _ip(namespace: Namespace, *arguments: str) -> list[dict[str, Any]]:
    finished = namespace.run(["ip", "-N", "-details", "-json", *arguments], capture_output=True, check=True)
    return json.loads(finished.stdout or b"[]")  # type: ignore[no-any-return]


def _link(link: dict[str, Any]) -> tuple[Any, ...]:
    flags = link["flags"]
    return link["ifindex"], link["ifname"], link["mtu"], "UP" in flags, "LOWER_UP" in flags


def _address(index: int, address: dict[str, Any]) -> tuple[Any, ...]:
    return (
        index,
        ip_address(address["local"]),
        address["prefixlen"],
        bool(address.get("tentative")) or bool(address.get("dadfailed")),
        bool(address.get("temporary")),
        address["valid_life_time"] == 0xFFFFFFFF,
        address["preferred_life_time"] == 0xFFFFFFFF,
    )


def _routes(route: dict[str, Any], everywhere: str, indices: dict[str, int]) -> list[tuple[Any, ...]]:
    if route["type"] != "1" or route["table"] == "255":
        return []
    destination = everywhere if route["dst"] == "default" else route["dst"]
    return [
        (
            indices[hop["dev"]],
            ip_network(destination),
            _gateway(hop),
            route.get("metric", 0),
            int(route["table"]),
            int(route["protocol"]),
            "expires" not in route,
        )
        for hop in route.get("nexthops", [route])
        if "dead" not in hop.get("flags", [])
    ]


def _gateway(hop: dict[str, Any]) -> Any:
    text = hop.get("gateway") or hop.get("via", {}).get("host")
    return None if text is None else ip_address(text)


async def until(condition: Callable[[], bool]) -> None:
    """Poll an outside process (the kernel, ``ip``), for 20 seconds at most."""
    with trio.fail_after(20):
        while True:
            await trio.sleep(0.01)
            if condition():
                return


def start_batch(namespace: Namespace) -> subprocess.Popen[Any]:
    """Start ``ip`` so that it waits for commands; it ends when its standard input does."""
    return namespace.popen(["ip", "-batch", "-"], stdin=subprocess.PIPE)


async def run_beside(process: subprocess.Popen[Any], lines: Sequence[str]) -> None:
    """Feed a running ``ip -batch -`` and wait for its end, while other tasks run."""
    assert process.stdin is not None
    os.set_blocking(process.stdin.fileno(), False)
    async with trio.lowlevel.FdStream(os.dup(process.stdin.fileno())) as stream:
        process.stdin.close()
        await stream.send_all("\n".join(lines).encode())
    await until(lambda: process.poll() is not None)
    assert process.returncode == 0


async def wait_for_truth(mirror: Mirror, namespace: Namespace) -> None:
    """Wait until what was told is what is, and stays so."""
    with trio.move_on_after(10):
        while True:
            at_rest = await is_at_rest(mirror)
            if at_rest and mirror.state() == truth(namespace):
                return
    told, is_ = mirror.state(), truth(namespace)
    assert [told_ - is__ for told_, is__ in zip(told, is_, strict=True)] == [frozenset()] * 3, "told, and not so"
    assert [is__ - told_ for told_, is__ in zip(told, is_, strict=True)] == [frozenset()] * 3, "so, and not told"


async def is_at_rest(mirror: Mirror) -> bool:
    """Whether nothing is told for longer than the source waits from one dump to the next."""
    before = len(mirror.reports)
    await trio.sleep(3 * PAUSE_SECONDS)
    return len(mirror.reports) == before
