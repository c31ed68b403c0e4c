"""Handlers within handlers, within blocks, beside background tasks, behind shields: the tree waits for all its guests,
and no guest waits for the tree.

What hangs here hangs for ever: `run` makes a failure of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio
import trio.testing

from trimif import ConnectToAddress, DomainGone, Interface, Mif, ProvisioningDomain, StopConnecting, TranslateName
from trimif._facts import LinkGone
from trimif.testing import FIGURE_2, SimulatedHost, open_simulated_mif

from .bounded import bounded

SECONDS = 5.0


def run(main: Callable[[], Awaitable[object]]) -> None:
    with bounded(SECONDS):
        trio.run(main)


async def sleep(_owner: object) -> None:
    await trio.sleep_forever()


async def end_of_the_mif(_host: SimulatedHost, _mif: Mif) -> None:
    await trio.lowlevel.checkpoint()


async def interface_goes(host: SimulatedHost, _mif: Mif) -> None:
    host.report(LinkGone(2))
    await trio.testing.wait_all_tasks_blocked()


async def interface_is_cancelled(_host: SimulatedHost, mif: Mif) -> None:
    mif.interface("eth0").cancel("no more of it")
    await trio.testing.wait_all_tasks_blocked()


async def link_is_set_down(host: SimulatedHost, _mif: Mif) -> None:
    host.set_up("eth0", False)
    await trio.testing.wait_all_tasks_blocked()


ENDS = [end_of_the_mif, interface_goes, interface_is_cancelled, link_is_set_down]
End = Callable[[SimulatedHost, Mif], Awaitable[None]]


@pytest.mark.parametrize("end", ENDS)
def test_a_handler_that_serves_all_domains(end: End) -> None:
    """It is the first of its interface, so its turn comes before that of the handlers it serves on the second one."""

    async def main() -> None:
        host = SimulatedHost(initial=FIGURE_2)
        async with trio.open_nursery() as nursery:
            async with open_simulated_mif(host) as mif:

                async def serve_all(_domain: ProvisioningDomain) -> None:
                    await mif.serve_domains(sleep)

                await nursery.start(mif.serve_domains, serve_all)
                await trio.testing.wait_all_tasks_blocked()
                await end(host, mif)
            nursery.cancel_scope.cancel()

    run(main)


@pytest.mark.parametrize("end", ENDS)
def test_a_block_of_one_domain_that_serves_all(end: End) -> None:
    async def main() -> None:
        host = SimulatedHost(initial=FIGURE_2)
        async with trio.open_nursery() as nursery:
            async with open_simulated_mif(host) as mif:

                async def serve_all(name: str) -> None:
                    with mif.domain(name).move_on_when_gone():
                        await mif.serve_domains(sleep)

                async def serve_the_best(name: str) -> None:
                    with mif.domain(name).move_on_when_gone(), suppress(trio.ClosedResourceError):
                        await mif.serve_best_domain(sleep)

                for name in ("eth0/ipv4", "eth0/ipv6", "wa0/ipv6"):
                    nursery.start_soon(serve_all, name)
                    nursery.start_soon(serve_the_best, name)
                await trio.testing.wait_all_tasks_blocked()
                await end(host, mif)
            nursery.cancel_scope.cancel()

    run(main)


@pytest.mark.parametrize("end", ENDS)
def test_a_handler_of_an_interface_that_serves_its_domains(end: End) -> None:
    async def main() -> None:
        host = SimulatedHost(initial=FIGURE_2)

        async def serve_domains(interface: Interface) -> None:
            async with interface.open_nursery() as nursery:
                nursery.start_soon(interface.serve_domains, sleep)

        async with trio.open_nursery() as nursery:
            async with open_simulated_mif(host) as mif:
                await nursery.start(mif.serve_interfaces, serve_domains)
                await trio.testing.wait_all_tasks_blocked()
                await end(host, mif)
            nursery.cancel_scope.cancel()

    run(main)


@pytest.mark.parametrize("end", ENDS)
def test_a_shielded_connect_in_a_handler_fails_and_the_handler_goes_on(end: End) -> None:
    failures: list[str] = []

    async def main() -> None:
        host = SimulatedHost(initial=FIGURE_2)

        async def connect(domain: ProvisioningDomain) -> None:
            with trio.CancelScope(shield=True):
                try:
                    await domain.connect("203.0.113.9", 80)
                except DomainGone:
                    failures.append(domain.name)

        async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:
            await nursery.start(mif.serve_domains, connect)
            await trio.testing.wait_all_tasks_blocked()
            await end(host, mif)
            for interface in ("eth0", "wa0"):
                if any(interface == each.name for each in mif._registry.interfaces()):
                    mif.interface(interface).cancel("the test is done")
            nursery.cancel_scope.cancel()

    run(main)
    assert sorted(failures) == ["eth0/ipv4", "eth0/ipv6", "wa0/ipv6"]


def test_a_shielded_connect_in_a_block_in_a_handler_of_another_domain() -> None:
    """The block's turn comes before the handler's, which it must not wait for."""

    async def main() -> None:
        host = SimulatedHost(initial=FIGURE_2)
        async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:

            async def connect(domain: ProvisioningDomain) -> None:
                if domain.name == "eth0/ipv6":
                    first = mif.domain("eth0/ipv4")
                    with first.move_on_when_gone(), trio.CancelScope(shield=True):
                        with pytest.raises(DomainGone):
                            await first.connect("203.0.113.9", 80)

            await nursery.start(mif.serve_domains, connect)
            await trio.testing.wait_all_tasks_blocked()
            host.report(LinkGone(2))
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    run(main)


def test_a_task_that_a_handler_left_behind_is_none_of_its_business() -> None:
    """It was started by the handler in a nursery of somebody else, and goes on when the handler has ended."""
    outcomes: list[str] = []

    async def main() -> None:
        host = SimulatedHost(initial=FIGURE_2)
        host.add_name("wa0/ipv6", "a.example", "2001:db8::9", after=0.1)
        async with open_simulated_mif(host) as mif, trio.open_nursery() as outer, trio.open_nursery() as nursery:

            async def background() -> None:
                outcomes.extend(map(str, await mif.domain("wa0/ipv6").resolve("a.example")))
                with pytest.raises(DomainGone):
                    await mif.domain("wa0/ipv6").connect("203.0.113.9", 80)
                outcomes.append("gone")

            async def serve_in_background() -> None:
                await mif.serve_domains(listed, where=lambda domain: domain.name == "wa0/ipv6")

            async def listed(domain: ProvisioningDomain) -> None:
                try:
                    await trio.sleep_forever()
                finally:
                    outcomes.append("handler")

            async def leave_behind(domain: ProvisioningDomain) -> None:
                if domain.name == "eth0/ipv4":
                    outer.start_soon(background)
                    outer.start_soon(serve_in_background)
                    await trio.sleep_forever()

            await nursery.start(mif.serve_domains, leave_behind)
            await trio.testing.wait_all_tasks_blocked()
            host.report(LinkGone(2))
            await trio.testing.wait_all_tasks_blocked()
            await trio.sleep(0.2)
            await trio.testing.wait_all_tasks_blocked()
            assert outcomes == ["2001:db8::9"]
            host.report(LinkGone(3))
            await trio.testing.wait_all_tasks_blocked()
            assert sorted(outcomes[1:]) == ["gone", "handler"]
            nursery.cancel_scope.cancel()
            outer.cancel_scope.cancel()

    run(main)


async def test_stop_holds_for_what_a_handler_asked_for_that_has_ended() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif, mif.open_subscriber() as shared, trio.open_nursery() as nursery:
        wa0 = mif.domain("wa0/ipv6")

        async def ask(domain: ProvisioningDomain) -> None:
            await trio.lowlevel.checkpoint()
            if domain.name == "eth0/ipv4":
                shared.post(ConnectToAddress(wa0.id, "203.0.113.9", 80, "mine"))
                shared.post(TranslateName(wa0.id, "a.example", "mine"))

        await nursery.start(mif.serve_domains, ask)
        await trio.testing.wait_all_tasks_blocked()
        host.report(LinkGone(2))
        await trio.testing.wait_all_tasks_blocked()
        assert len(mif._work) == 2
        shared.post(StopConnecting("mine"))
        await trio.testing.wait_all_tasks_blocked()
        assert host.unwound == ["connect to 203.0.113.9 in wa0/ipv6"]
        shared.close()
        await trio.testing.wait_all_tasks_blocked()
        assert host.unwound[1:] == ["lookup of a.example in wa0/ipv6"]
        nursery.cancel_scope.cancel()


async def test_domains_that_go_in_one_step_end_one_after_the_other() -> None:
    for _ in range(50):
        host = SimulatedHost(initial=FIGURE_2)
        order: list[str] = []

        async def handle(domain: ProvisioningDomain, order: list[str] = order) -> None:
            try:
                await domain.connect("203.0.113.9", 80)
            finally:
                with trio.CancelScope(shield=True):
                    await trio.testing.wait_all_tasks_blocked()
                order.append(domain.name)

        async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:
            await nursery.start(mif.serve_domains, handle)
            await trio.testing.wait_all_tasks_blocked()
            host.set_up("eth0", False)
            await trio.testing.wait_all_tasks_blocked(0.001)
            assert order == ["eth0/ipv4", "eth0/ipv6"]
            nursery.cancel_scope.cancel()


async def test_a_block_can_be_entered_once() -> None:
    async with open_simulated_mif(SimulatedHost(initial=FIGURE_2)) as mif:
        block = mif.domain("eth0/ipv4").move_on_when_gone()
        with block:
            await trio.lowlevel.checkpoint()
        with pytest.raises(RuntimeError, match="entered already"):
            with block:
                raise AssertionError("never reached")
