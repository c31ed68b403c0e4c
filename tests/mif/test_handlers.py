"""Face 3: handlers that the library owns, started and ended with what they handle, in one order on every trigger."""

from __future__ import annotations

import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial

import pytest
import trio
import trio.testing

from trimif import Family, Interface, InterfaceKind, Mif, Policy, ProvisioningDomain
from trimif._facts import LinkGone
from trimif.testing import FIGURE_2, Peer, SimulatedHost, open_simulated_mif
from trimif.testing._simulated_facts import LOOPBACK, ipv4, ipv6, link

RUNS = 300


class Oops(Exception):
    pass


async def test_a_handler_runs_for_each_domain_and_ends_with_it() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    log: list[str] = []

    async def handle(domain: ProvisioningDomain) -> None:
        log.append(f"+{domain.name}")
        try:
            await trio.sleep_forever()
        finally:
            log.append(f"-{domain.name}{' gone' if domain.gone else ''}")

    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:
        await nursery.start(mif.serve_domains, handle)
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(log) == ["+eth0/ipv4", "+eth0/ipv6", "+wa0/ipv6"]
        host.report(LinkGone(2))
        await trio.testing.wait_all_tasks_blocked()
        assert log[3:] == ["-eth0/ipv4 gone", "-eth0/ipv6 gone"]
        host.report(link(4, "usb0"), *ipv6(4))
        await trio.testing.wait_all_tasks_blocked()
        assert log[5:] == ["+usb0/ipv6"]
        nursery.cancel_scope.cancel()
    assert log[6:] == ["-wa0/ipv6", "-usb0/ipv6"]


async def test_filters_choose_the_domains() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    names: list[str] = []

    async def note(domain: ProvisioningDomain) -> None:
        names.append(domain.name)
        await trio.lowlevel.checkpoint()

    def wanted(domain: ProvisioningDomain) -> bool:
        return Family.IPV6 in domain.families and domain.interface.kind is InterfaceKind.ETHERNET

    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: mif.serve_domains(note, where=wanted, task_status=task_status))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert sorted(names) == ["eth0/ipv6", "wa0/ipv6"]


async def test_interfaces_are_served_too() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    log: list[str] = []

    heard = log.append

    async def handle(interface: Interface) -> None:
        try:
            async with interface.domains() as domains:
                async for domain in domains:
                    heard(domain.name)
        finally:
            log.append(f"-{interface.name}")

    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:
        await nursery.start(mif.serve_interfaces, handle)
        await trio.testing.wait_all_tasks_blocked()
        assert {"eth0/ipv4", "eth0/ipv6", "wa0/ipv6"} <= set(log)
        assert not [line for line in log if line.startswith("-")]
        host.report(LinkGone(2))
        await trio.testing.wait_all_tasks_blocked()
        assert [line for line in log if line.startswith("-")] == ["-eth0"]
        nursery.cancel_scope.cancel()
    assert [line for line in log if line.startswith("-")] == ["-eth0", "-lo", "-wa0"]


async def test_the_domains_of_one_interface_are_served_until_it_goes() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    log: list[str] = []

    async def handle(domain: ProvisioningDomain) -> None:
        log.append(domain.name)
        await trio.sleep_forever()

    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:
        nursery.start_soon(mif.interface("eth0").serve_domains, handle)
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(log) == ["eth0/ipv4", "eth0/ipv6"]
        host.report(LinkGone(2))
        await trio.testing.wait_all_tasks_blocked()
        assert not nursery.child_tasks, "it has returned"
        host.report(link(2, "eth0"), *ipv4(2, "eth0"), *ipv6(2))
        log.clear()
        only = partial(mif.interface("eth0").serve_domains, where=lambda domain: Family.IPV4 in domain.families)
        nursery.start_soon(only, handle)
        await trio.testing.wait_all_tasks_blocked()
        assert log == ["eth0/ipv4"]
        host.report(LinkGone(2))


async def test_a_handler_that_raises_ends_the_serving_bare() -> None:
    host = SimulatedHost(initial=FIGURE_2)

    async def handle(domain: ProvisioningDomain) -> None:
        await trio.lowlevel.checkpoint()
        if domain.name == "eth0/ipv6":
            raise Oops(domain.name)
        await trio.sleep_forever()

    async with open_simulated_mif(host) as mif:
        with pytest.raises(Oops, match="eth0/ipv6"):
            await mif.serve_domains(handle)
        assert mif.domain("eth0/ipv6").name == "eth0/ipv6"
        assert mif.statistics().subscribers == 0


async def test_handlers_in_a_lent_nursery_outlive_the_serving() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    log: list[str] = []

    async def handle(domain: ProvisioningDomain) -> None:
        try:
            await trio.sleep_forever()
        finally:
            log.append(domain.name)

    async with open_simulated_mif(host) as mif, trio.open_nursery() as lent:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                await nursery.start(
                    lambda task_status: mif.serve_domains(handle, handler_nursery=lent, task_status=task_status)
                )
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        assert log == []
        host.report(LinkGone(3))
        await trio.testing.wait_all_tasks_blocked()
        assert log == ["wa0/ipv6"]
        lent.cancel_scope.cancel()


async def test_a_lent_nursery_that_is_closed_leaves_no_guest() -> None:
    async def handle(domain: ProvisioningDomain) -> None:
        raise AssertionError("it can't be started")

    async with open_simulated_mif(SimulatedHost(initial=FIGURE_2)) as mif:
        async with trio.open_nursery() as closed:
            pass
        with pytest.raises(RuntimeError, match="closed"):
            await mif.serve_domains(handle, handler_nursery=closed)
        # and the MIF can close, which waits for all guests


# ---------------------------------------------------------------- one order on every trigger

ORDER = [
    "lookup of a.example in eth0/ipv4",
    "connect to 203.0.113.9 in eth0/ipv4",
    "task of eth0/ipv4",
    "handler of eth0/ipv4",
    "lookup of a.example in eth0/ipv6",
    "connect to 203.0.113.9 in eth0/ipv6",
    "task of eth0/ipv6",
    "handler of eth0/ipv6",
    "lookup of a.example in wa0/ipv6",
    "connect to 203.0.113.9 in wa0/ipv6",
    "task of wa0/ipv6",
    "handler of wa0/ipv6",
    "source",
]
Trigger = Callable[[trio.CancelScope, SimulatedHost, Mif], Awaitable[None]]


async def news(_scope: trio.CancelScope, host: SimulatedHost, _mif: Mif) -> None:
    host.report(LinkGone(2))
    await trio.testing.wait_all_tasks_blocked()
    host.report(LinkGone(3))
    await trio.testing.wait_all_tasks_blocked()


async def outside_cancel(scope: trio.CancelScope, _host: SimulatedHost, _mif: Mif) -> None:
    scope.cancel()
    await trio.sleep_forever()


async def error_in_the_body(_scope: trio.CancelScope, _host: SimulatedHost, _mif: Mif) -> None:
    await trio.lowlevel.checkpoint()
    raise Oops("body")


async def error_in_a_tree_task(_scope: trio.CancelScope, _host: SimulatedHost, mif: Mif) -> None:
    async def crash() -> None:
        await trio.lowlevel.checkpoint()
        raise Oops("task")

    mif._root.start_soon(crash, name="crash", rank=(9,))
    await trio.sleep_forever()


async def interrupt(_scope: trio.CancelScope, _host: SimulatedHost, _mif: Mif) -> None:
    await trio.lowlevel.checkpoint()
    signal.raise_signal(signal.SIGINT)
    await trio.sleep_forever()


@pytest.mark.parametrize("trigger", [news, outside_cancel, error_in_the_body, error_in_a_tree_task, interrupt])
def test_lookups_connects_and_handlers_end_in_one_order(trigger: Trigger) -> None:
    host: SimulatedHost

    async def handle(domain: ProvisioningDomain) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(look_up, domain)
                nursery.start_soon(shield, domain)
                await domain.connect("203.0.113.9", 80)
        finally:
            with trio.CancelScope(shield=True):
                for _ in range(random.randrange(4)):
                    await trio.lowlevel.checkpoint()
            host.unwound.append(f"handler of {domain.name}")

    async def shield(domain: ProvisioningDomain) -> None:
        """A user's task that takes its time to end: its handler, and all after it, waits."""
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                for _ in range(random.randrange(4)):
                    await trio.lowlevel.checkpoint()
            host.unwound.append(f"task of {domain.name}")

    async def look_up(domain: ProvisioningDomain) -> None:
        async with domain.translate("a.example") as answers:
            async for _ in answers:
                pass
            await trio.sleep_forever()

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:
                await nursery.start(mif.serve_domains, handle)
                await trio.testing.wait_all_tasks_blocked()
                await trigger(scope, host, mif)
                nursery.cancel_scope.cancel()

    failures: dict[Trigger, type[BaseException]] = {
        interrupt: KeyboardInterrupt,
        error_in_the_body: Oops,
        error_in_a_tree_task: Oops,
    }
    expected = failures.get(trigger)
    for _ in range(RUNS):
        host = SimulatedHost(initial=FIGURE_2)
        if expected is None:
            with nullcontext():
                trio.run(main)
        elif trigger is error_in_a_tree_task:
            with pytest.raises(expected):
                trio.run(main)
        else:  # the nursery in the body makes a group of it, as nurseries do
            with pytest.RaisesGroup(expected, allow_unwrapped=True, flatten_subgroups=True):
                trio.run(main)
        assert host.unwound == ORDER


# ---------------------------------------------------------------- the best domain


async def test_the_best_domain_is_the_cheapest_usable_one() -> None:
    host = SimulatedHost(initial=LOOPBACK)
    async with open_simulated_mif(host) as mif:
        assert mif.best_domain() is None
        host.report(link(2, "eth0"), *ipv6(2), *ipv4(2, "eth0"), link(3, "wa0"), *ipv6(3))
        best = mif.best_domain()
        assert best is not None
        assert best is await mif.wait_domain()
        ipv4_only = mif.best_domain(Policy(families={Family.IPV4}))
        assert ipv4_only is not None
        assert ipv4_only.name == "eth0/ipv4"
        assert mif.best_domain(Policy(where=lambda domain: domain.name.startswith("tun"))) is None
        wa0 = mif.best_domain(Policy(where=lambda domain: domain.interface.name == "wa0"))
        assert wa0 is not None
        assert wa0.name == "wa0/ipv6"
        assert mif.best_domain(Policy(avoid_metered=True)) is best


async def test_a_roaming_client_in_three_lines() -> None:
    host = SimulatedHost(initial=FIGURE_2, peers={("wa0/ipv6", "2001:db8::9"): Peer()})
    tried: list[str] = []

    async def client(domain: ProvisioningDomain) -> str:
        tried.append(domain.name)
        async with await domain.connect("2001:db8::9" if "ipv6" in domain.name else "203.0.113.9", 80):
            return domain.name

    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:

        async def roam() -> None:
            assert await mif.serve_best_domain(client) == "wa0/ipv6"

        nursery.start_soon(roam)
        await trio.testing.wait_all_tasks_blocked()
        host.report(LinkGone(2))
    assert tried[0].startswith("eth0/")
    assert tried[-1] == "wa0/ipv6"
    assert len(tried) == 2


@pytest.mark.parametrize("switch", [False, True])
async def test_it_switches_to_a_better_domain_only_when_asked(switch: bool) -> None:
    host = SimulatedHost(initial=[link(3, "wa0"), *ipv6(3)])
    tried: list[str] = []
    better: set[str] = set()

    async def client(domain: ProvisioningDomain) -> None:
        tried.append(domain.name)
        await trio.sleep_forever()

    def is_wanted(domain: ProvisioningDomain) -> bool:
        return not better or domain.interface.name in better

    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:
        policy = Policy(where=is_wanted)
        nursery.start_soon(partial(mif.serve_best_domain, client, policy=policy, switch_to_better=switch))
        await trio.testing.wait_all_tasks_blocked()
        better.add("eth0")
        host.report(link(2, "eth0"), *ipv6(2))
        await trio.testing.wait_all_tasks_blocked()
        assert tried == (["wa0/ipv6", "eth0/ipv6"] if switch else ["wa0/ipv6"])
        nursery.cancel_scope.cancel()


async def test_a_client_that_raises_ends_it_bare() -> None:
    async def client(domain: ProvisioningDomain) -> None:
        await trio.lowlevel.checkpoint()
        raise Oops(domain.name)

    async with open_simulated_mif(SimulatedHost(initial=FIGURE_2)) as mif:
        for switch in (False, True):
            with pytest.raises(Oops, match="eth0"):
                await mif.serve_best_domain(client, switch_to_better=switch)
