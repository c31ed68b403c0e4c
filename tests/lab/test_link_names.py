"""Names on a link with real hosts that bear them: avahi (multicast DNS) and systemd-resolved (both)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from trimif._model import DomainView, TranslationOutcome
from trimif._names._llmnr import ask_llmnr
from trimif._names._mdns import ask_mdns
from trimif.testing._lab_bus import PrivateBus
from trimif.testing._lab_private_host import PrivateHost
from trimif.testing._lab_resolved import why_not_unpacked
from trimif.testing._lab_responders import AVAHI_PACKAGES, LinkResolved, start_avahi
from trimif.testing._uplinks import ADDRESSES, ROUTERS, TwoUplinks, open_two_uplinks

pytestmark = pytest.mark.lab

ANSWERED, TIMED_OUT = TranslationOutcome.ANSWERED, TranslationOutcome.TIMED_OUT
IPV4, IPV6 = ADDRESSES["up-b"]
ROUTER4, ROUTER6 = ROUTERS["up-b"]


@pytest.fixture
def net(lab_programs: None) -> Iterator[TwoUplinks]:
    with open_two_uplinks() as net, net.host.entered():
        yield net


@pytest.fixture
def neighbour(net: TwoUplinks, tmp_path: Path) -> Iterator[PrivateHost]:
    """On the link of ``up-b``."""
    with PrivateHost(net.b, tmp_path) as host:
        yield host


def need(*packages: str) -> None:
    for reason in filter(None, map(why_not_unpacked, packages)):
        (pytest.fail if os.environ.get("TRIMIF_REQUIRE_LAB") == "1" else pytest.skip)(reason)


async def ask(system: Callable[..., Any], view: DomainView, name: str) -> tuple[TranslationOutcome, set[str]]:
    told: list[str] = []
    with trio.fail_after(3.5):
        outcome = await system(view, name, lambda address: told.append(str(address)), note_malformed=_no_fault)
    return outcome, set(told)


def _no_fault(malformed: Exception) -> None:
    pytest.fail(f"a real responder is not understood: {malformed}")


async def test_avahi(net: TwoUplinks, neighbour: PrivateHost) -> None:
    """By IPv6 it tells AAAA records alone, and answers from its global address although asked from a link-local one."""
    need(*AVAHI_PACKAGES)
    start_avahi(neighbour, "lan0", "printer")
    assert await ask(ask_mdns, net.view("up-b"), "printer.local") == (ANSWERED, {ROUTER4, ROUTER6})
    assert await ask(ask_mdns, net.view("up-b", IPV4), "Printer.LOCAL.") == (ANSWERED, {ROUTER4, ROUTER6})
    assert await ask(ask_mdns, net.view("up-b", IPV6), "printer.local") == (ANSWERED, {ROUTER6})
    assert not net.capture_a.dns_queries()
    async with trio.open_nursery() as nursery:  # another name on its link, and its name on another link
        nursery.start_soon(check_silence, net.view("up-b"), "scanner.local")
        nursery.start_soon(check_silence, net.view("up-a"), "printer.local")
    assert {query.dns_name for query in net.capture_a.dns_queries()} == {"printer.local"}


async def check_silence(view: DomainView, name: str) -> None:
    assert await ask(ask_mdns, view, name) == (TIMED_OUT, set())


async def test_avahi_with_link_local_addresses_only(net: TwoUplinks, neighbour: PrivateHost) -> None:
    need(*AVAHI_PACKAGES)
    for address in (f"{ROUTER4}/26", f"{ROUTER6}/64"):
        net.b.run(["ip", "address", "delete", address, "dev", "lan0"], check=True)
    start_avahi(neighbour, "lan0", "printer")
    assert await ask(ask_mdns, net.view("up-b", IPV6), "printer.local") == (ANSWERED, {"fe80::1%up-b"})


@pytest.mark.parametrize(("protocol", "system", "suffix"), [("llmnr", ask_llmnr, ""), ("mdns", ask_mdns, ".local")])
async def test_resolved(
    net: TwoUplinks, neighbour: PrivateHost, tmp_path: Path, protocol: str, system: Callable[..., Any], suffix: str
) -> None:
    """By IPv4 it tells A records alone, by IPv6 AAAA records alone."""
    need("systemd-resolved")
    with PrivateBus(net.b, tmp_path) as bus:
        neighbour.use_bus(bus)
        resolved = LinkResolved(neighbour, bus)
        resolved.control(protocol, "lan0", "yes")
        name = resolved.NAME + suffix
        addresses = {ROUTER4, ROUTER6, "fe80::1%up-b"}
        with trio.fail_after(15):  # it asks the link first whether somebody else has its name: tentative answers
            while (told := await ask(system, net.view("up-b"), name)) != (ANSWERED, addresses):
                print(told)
                await trio.sleep(0.05)
        assert await ask(system, net.view("up-b", IPV4), name.upper()) == (ANSWERED, {ROUTER4})
        assert await ask(system, net.view("up-b", IPV6), name.upper()) == (ANSWERED, addresses - {ROUTER4})
        assert await ask(system, net.view("up-b"), f"scanner{suffix}") == (TIMED_OUT, set())
        assert not net.capture_a.dns_queries()
