"""Law 8: nothing outlives its scope, on any trigger; and one clean exception where only one happened."""

from __future__ import annotations

import gc
import signal
import weakref
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
import trio
import trio.testing

import trimif
from trimif import AnnounceInterfaces, ConnectToAddress, Mif, StaticConfiguration, Subscriber, TranslateName
from trimif._core import Core
from trimif._errors import MalformedInput
from trimif._facts import Fact, Limitation, LinkGone
from trimif._mif import run_element
from trimif._model import TranslationOutcome
from trimif._sources import Report, SourceStatistics
from trimif.testing import FIGURE_2, Peer, SimulatedHost, open_simulated_mif
from trimif.testing._simulated_facts import link

from .test_subscriber import learn_domains

TEARDOWN = [
    "lookup of a.example in eth0/ipv4",
    "lookup of b.example in eth0/ipv4",
    "connect to 203.0.113.9 in eth0/ipv4",
    "lookup of a.example in eth0/ipv6",
    "connect to 203.0.113.9 in eth0/ipv6",
    "lookup of a.example in wa0/ipv6",
    "connect to 203.0.113.9 in wa0/ipv6",
    "source",
]


class Oops(Exception):
    pass


def ask(subscriber: Subscriber) -> None:
    """Work that never ends, in all three domains, connects first."""
    domains = learn_domains(subscriber)
    for name in ("eth0/ipv4", "eth0/ipv6", "wa0/ipv6"):
        subscriber.post(ConnectToAddress(domains[name], "203.0.113.9", 80, name))
        subscriber.post(TranslateName(domains[name], "a.example", name))
    subscriber.post(TranslateName(domains["eth0/ipv4"], "b.example", "second"))


Trigger = Callable[[trio.CancelScope, SimulatedHost, Mif], Awaitable[None]]


async def end_of_body(_scope: trio.CancelScope, _host: SimulatedHost, _mif: Mif) -> None:
    await trio.testing.wait_all_tasks_blocked()


async def outside_cancel(scope: trio.CancelScope, _host: SimulatedHost, _mif: Mif) -> None:
    await trio.testing.wait_all_tasks_blocked()
    scope.cancel()
    await trio.sleep_forever()


async def error_in_the_body(_scope: trio.CancelScope, _host: SimulatedHost, _mif: Mif) -> None:
    await trio.testing.wait_all_tasks_blocked()
    raise Oops("body")


async def error_in_a_tree_task(_scope: trio.CancelScope, host: SimulatedHost, mif: Mif) -> None:
    await trio.testing.wait_all_tasks_blocked()

    async def crash() -> None:
        await trio.lowlevel.checkpoint()
        raise Oops("task")

    mif._root.start_soon(crash, name="crash", rank=(5,))
    await trio.sleep_forever()


async def interrupt(_scope: trio.CancelScope, _host: SimulatedHost, _mif: Mif) -> None:
    await trio.testing.wait_all_tasks_blocked()
    signal.raise_signal(signal.SIGINT)
    await trio.sleep_forever()


@pytest.mark.parametrize("trigger", [end_of_body, outside_cancel, error_in_the_body, error_in_a_tree_task, interrupt])
def test_one_order_of_teardown_whatever_ends_it(trigger: Trigger) -> None:
    hosts: list[SimulatedHost] = []

    async def main() -> None:
        host = hosts[-1]
        with trio.CancelScope() as scope:
            # the mailbox is left open, so that the MIF's own end is what is seen
            async with open_simulated_mif(host) as mif:
                stack = mif.open_subscriber()
                ask(await stack.__aenter__())
                try:
                    await trigger(scope, host, mif)
                finally:
                    kept.append(stack)

    failures: dict[Trigger, type[BaseException]] = {interrupt: KeyboardInterrupt, error_in_the_body: Oops}
    expected = {**failures, error_in_a_tree_task: Oops}.get(trigger)
    kept: list[object] = []
    for _ in range(30):
        hosts.append(SimulatedHost(initial=FIGURE_2))
        with nullcontext() if expected is None else pytest.raises(expected):
            trio.run(main)
        assert hosts[-1].unwound == TEARDOWN


async def test_news_end_the_work_of_what_is_gone_and_nothing_else() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
        ask(subscriber)
        await trio.testing.wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        host.report(LinkGone(2))
        await trio.testing.wait_all_tasks_blocked()
        assert host.unwound == TEARDOWN[:5]
        assert trio.lowlevel.current_statistics().tasks_living == tasks - 5
        assert len(mif._work) == 2
        assert len(mif._scopes) == 2, "wa0 and its domain"
        host.report(LinkGone(3))
        await trio.testing.wait_all_tasks_blocked()
        assert not mif._work
        assert not mif._scopes
        assert not mif._core._pending


async def test_a_flapping_host_leaves_nothing_behind() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif:
        await trio.testing.wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        scopes = len(mif._scopes)
        for _ in range(200):
            async with mif.open_subscriber() as subscriber:
                ask(subscriber)
                await trio.lowlevel.checkpoint()
                host.report(LinkGone(2), LinkGone(3), *FIGURE_2)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert len(mif._scopes) <= scopes + 4
        assert (mif._work, mif._core._pending, mif._core._mailboxes) == ({}, {}, {})


async def test_cancelled_at_any_checkpoint() -> None:
    """Cancel after one step, two steps, …, until a whole life of connects, lookups and news runs through."""

    async def life(host: SimulatedHost) -> None:
        async with open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
            ask(subscriber)
            for _ in range(3):
                await subscriber.receive() if host.peers else await trio.lowlevel.checkpoint()
            host.report(LinkGone(2))
            await (await mif.open_tcp_stream("2001:db8::9", 80)).aclose()

    for steps in range(1, 60):
        host = SimulatedHost(initial=FIGURE_2, peers={("wa0/ipv6", "2001:db8::9"): Peer()})
        for name in ("eth0/ipv4", "eth0/ipv6", "wa0/ipv6"):
            host.names[name, "a.example"] = [(0, "203.0.113.9")]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(life, host)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            finished = not nursery.child_tasks
            nursery.cancel_scope.cancel()
        assert host.open_streams() == []
    assert finished


async def test_a_failing_source_ends_the_mif_with_its_exception() -> None:
    class Failing(SimulatedHost):
        async def run(self, report: Report, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            await trio.lowlevel.checkpoint()
            raise Oops("no netlink")

    with pytest.raises(Oops, match="no netlink"):
        async with open_simulated_mif(Failing()):
            raise AssertionError("never reached")


async def test_a_source_with_a_nursery_of_its_own_fails_bare_too() -> None:
    class Failing(SimulatedHost):
        async def run(self, report: Report, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            report([])
            task_status.started()
            async with trio.open_nursery():
                await trio.lowlevel.checkpoint()
                raise Oops("netlink died")

    with pytest.raises(Oops, match="netlink died"):
        async with open_simulated_mif(Failing()):
            await trio.sleep_forever()


async def test_what_the_body_raises_leaves_bare() -> None:
    with pytest.raises(Oops) as caught:
        async with open_simulated_mif(SimulatedHost(initial=FIGURE_2)) as mif, mif.open_subscriber() as subscriber:
            ask(subscriber)
            raise Oops("body")
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


async def test_a_mif_is_garbage_once_it_is_closed() -> None:
    async with open_simulated_mif(SimulatedHost(initial=FIGURE_2)) as mif:
        await trio.lowlevel.checkpoint()
        gone = weakref.ref(mif._core)
    del mif
    gc.collect()
    assert gone() is None


async def test_an_unknown_grouping_is_refused() -> None:
    with pytest.raises(ValueError, match="grouping is 'colour'; there are 'family'"):
        async with trimif.open_mif(grouping="colour"):
            pass


def test_static_configuration_names_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="'dns' is not an IPv4 or IPv6 address"):
        StaticConfiguration("vpn0", ["dns"])
    with pytest.raises(TypeError, match=r"'192\.0\.2\.1' is one string"):
        StaticConfiguration("vpn0", "192.0.2.1")


async def test_malformed_answers_of_name_servers_are_counted() -> None:
    class HostOfRubbish(SimulatedHost):
        async def translate(self, *_: Any, note_malformed: Callable[[MalformedInput], None], **__: Any) -> Any:
            note_malformed(MalformedInput("rubbish"))
            await trio.lowlevel.checkpoint()
            return TranslationOutcome.TIMED_OUT

    host = HostOfRubbish(initial=FIGURE_2)
    mif = Mif(Core("sim"), [host], names=host, connect=host.connect)
    async with run_element(mif), mif.open_subscriber() as subscriber:
        subscriber.post(TranslateName(learn_domains(subscriber)["eth0/ipv4"], "a.example", 1))
        await subscriber.receive()
        assert mif.statistics().malformed_answers == 1


async def test_limitations_are_said_once() -> None:
    missing = Limitation("router advertisements", "no CAP_NET_RAW", "run as root")
    host = SimulatedHost(initial=[missing, missing])
    async with open_simulated_mif(host) as mif:
        await trio.lowlevel.checkpoint()
        host.report(missing)
        assert mif.statistics().limitations == (missing,)
        assert mif.statistics().sources == (SourceStatistics("simulated"),)


async def test_what_is_recorded_replays_into_the_same_host() -> None:
    recorded: list[tuple[float, Sequence[Fact]]] = []
    host = SimulatedHost(initial=FIGURE_2)
    mif = Mif(
        Core("sim"),
        [host],
        lambda now, facts: recorded.append((now, facts)),
        names=host,
        connect=host.connect,
    )
    async with run_element(mif):
        await trio.lowlevel.checkpoint()
        host.report(LinkGone(3), link(4, "usb0"))
        replayed = Core("sim")
        for now, facts in recorded:
            replayed.apply(facts, now)
        assert replayed.snapshot() == mif.snapshot()


async def test_subscribers_are_independent() -> None:
    host = SimulatedHost(initial=[link(2, "eth0")])
    async with open_simulated_mif(host) as mif, mif.open_subscriber() as one, mif.open_subscriber() as other:
        one.post(AnnounceInterfaces())
        assert len([await one.receive()]) == 1
        with pytest.raises(trio.WouldBlock):
            other.receive_nowait()
        assert mif.statistics().subscribers == 2


async def test_what_is_remembered_of_names_ends_with_the_mif_after_the_last_lookup() -> None:
    class HostWithMemory(SimulatedHost):
        def forget_all(self) -> None:
            self.unwound.append("memory")

    host = HostWithMemory(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
        subscriber.post(TranslateName(learn_domains(subscriber)["eth0/ipv4"], "a.example", 1))
        await trio.testing.wait_all_tasks_blocked()
    assert host.unwound[0] == "lookup of a.example in eth0/ipv4"
    assert host.unwound[-1] == "memory"
