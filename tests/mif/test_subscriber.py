"""POST, CHECK and GET: what a reader sees, also when it is cancelled, late, or told to stop."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trimif import (
    AddressAnnouncement,
    AnnounceAddress,
    AnnounceInterfaces,
    Announcement,
    AnnounceProvisioningDomain,
    Connected,
    ConnectToAddress,
    DomainId,
    GetConfigurationData,
    Information,
    InterfaceAnnouncement,
    InterfaceId,
    NameTranslationFinished,
    NoInterfaceAnnouncement,
    NotConnected,
    NotConnectedReason,
    ProvisioningDomainAnnouncement,
    StopAnnouncingInterfaces,
    StopConnecting,
    StopTranslatingName,
    Subscriber,
    TooManyRequests,
    TranslateName,
    TranslationOutcome,
    check,
)
from trimif._facts import LinkGone
from trimif._model import ElementType
from trimif.testing import FIGURE_2, Peer, SimulatedHost, open_simulated_mif
from trimif.testing._simulated_facts import address, link

from .draining import drain


def learn_domains(subscriber: Subscriber) -> dict[str, DomainId]:
    """Subscribe to all interfaces and domains; the ids by name."""
    domains: dict[str, DomainId] = {}
    subscriber.post(AnnounceInterfaces())
    while messages := drain(subscriber):
        for message in messages:
            if isinstance(message, InterfaceAnnouncement):
                subscriber.post(AnnounceProvisioningDomain(message.interface))
            if isinstance(message, ProvisioningDomainAnnouncement):
                domains[message.name] = message.domain
    return domains


async def test_iteration_tells_what_is_there_then_news_and_ends_with_the_mif() -> None:
    host = SimulatedHost(initial=[link(2, "eth0")])
    seen: list[Announcement] = []

    async def read(subscriber: Subscriber) -> None:
        seen.extend([message async for message in subscriber])

    async with trio.open_nursery() as nursery:
        async with open_simulated_mif(host) as mif:
            stack = mif.open_subscriber()
            subscriber = await stack.__aenter__()
            subscriber.post(AnnounceInterfaces())
            nursery.start_soon(read, subscriber)
            await trio.testing.wait_all_tasks_blocked()
            host.report(LinkGone(2))
            await trio.testing.wait_all_tasks_blocked()
        # the nursery ends because the iteration does
    assert [type(each) for each in seen] == [InterfaceAnnouncement, NoInterfaceAnnouncement]
    await stack.__aexit__(None, None, None)


async def test_a_cancelled_receive_takes_nothing() -> None:
    host = SimulatedHost(initial=[link(2, "eth0")])
    async with open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
        subscriber.post(AnnounceInterfaces())
        with trio.CancelScope() as scope:
            scope.cancel()
            await subscriber.receive()
        assert scope.cancelled_caught
        assert isinstance(await subscriber.receive(), InterfaceAnnouncement)


async def test_a_receive_that_is_cancelled_with_its_message_at_hand_loses_nothing() -> None:
    host = SimulatedHost()
    seen: list[Announcement] = []

    async def read() -> None:
        seen.append(await subscriber.receive())

    async with open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
        subscriber.post(AnnounceInterfaces())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            host.report(link(2, "eth0"))
            nursery.cancel_scope.cancel()
        assert len(seen + drain(subscriber)) == 1


async def test_stop_holds_against_a_reader_that_was_woken_but_has_not_run() -> None:
    """Law 5: "... queued ones included, and those already handed to a reader that has not woken"."""
    host = SimulatedHost()
    seen: list[Announcement] = []

    async def read() -> None:
        seen.append(await subscriber.receive())

    async with open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
        subscriber.post(AnnounceInterfaces())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            host.report(link(2, "eth0"))
            subscriber.post(StopAnnouncingInterfaces())
            await trio.testing.wait_all_tasks_blocked()
            assert seen == []
            nursery.cancel_scope.cancel()


async def test_two_readers_are_one_too_many() -> None:
    async with open_simulated_mif(SimulatedHost()) as mif, mif.open_subscriber() as subscriber:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(subscriber.receive)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError, match="another task"):
                await subscriber.receive()
            nursery.cancel_scope.cancel()


async def test_a_closed_subscriber_says_so() -> None:
    async with open_simulated_mif(SimulatedHost()) as mif:
        async with mif.open_subscriber() as subscriber:
            async with trio.open_nursery() as nursery:

                async def wait() -> None:
                    with pytest.raises(trio.ClosedResourceError):
                        await subscriber.receive()

                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                await subscriber.aclose()
            await subscriber.aclose()
        with pytest.raises(trio.ClosedResourceError, match="AnnounceInterfaces"):
            subscriber.post(AnnounceInterfaces())
        with pytest.raises(trio.ClosedResourceError):
            subscriber.receive_nowait()
        with pytest.raises(trio.ClosedResourceError):
            subscriber.check_nowait()


async def test_a_subscriber_ends_with_its_mif() -> None:
    host = SimulatedHost(initial=[link(2, "eth0")])
    async with open_simulated_mif(host) as mif:
        stack = mif.open_subscriber()
        subscriber = await stack.__aenter__()
        subscriber.post(AnnounceInterfaces())
    subscriber.check_nowait()
    assert isinstance(await subscriber.receive(), InterfaceAnnouncement)
    subscriber.check_nowait()
    with pytest.raises(trio.EndOfChannel):
        await subscriber.receive()
    with pytest.raises(trio.ClosedResourceError):
        subscriber.post(AnnounceInterfaces())
    await stack.__aexit__(None, None, None)
    with pytest.raises(trio.ClosedResourceError, match="open a subscriber"):
        async with mif.open_subscriber():
            pass


async def test_misuse_names_the_value_and_what_would_be_right() -> None:
    async with open_simulated_mif(SimulatedHost(initial=FIGURE_2)) as mif, mif.open_subscriber() as subscriber:
        domain = learn_domains(subscriber)["eth0/ipv4"]
        stranger = DomainId("other-d1")
        for request in (
            AnnounceAddress(stranger),
            TranslateName(stranger, "www.example.org", 1),
            ConnectToAddress(stranger, "203.0.113.1", 80, 1),
            GetConfigurationData(stranger, ElementType.RA, Information.MTU),
        ):
            with pytest.raises(ValueError, match=r"DomainId\('other-d1'\) was never issued by this MIF"):
                subscriber.post(request)
        for token in ("sim-i99", "sim-i0", "sim-i٣", "sim-i", "sim-i" + "9" * 5000):
            with pytest.raises(ValueError, match="was never issued"):
                subscriber.post(AnnounceProvisioningDomain(InterfaceId(token)))
        subscriber.post(TranslateName(domain, "www.example.org", "mine"))
        with pytest.raises(ValueError, match=r"translation_id 'mine' is in use"):
            subscriber.post(TranslateName(domain, "www.example.org", "mine"))
        with pytest.raises(TypeError, match="is not a request"):
            subscriber.post("hello")  # type: ignore[arg-type]
        for size in (0, -1, "many"):
            with pytest.raises(ValueError, match="max_buffer_size is"):
                async with mif.open_subscriber(max_buffer_size=size):  # type: ignore[arg-type]
                    pass


async def test_requests_are_bounded_until_their_answers_are_received() -> None:
    host = SimulatedHost(initial=FIGURE_2, names={("eth0/ipv4", "a.example"): [(0, "203.0.113.1")]})
    async with open_simulated_mif(host) as mif, mif.open_subscriber(max_outstanding=2) as subscriber:
        domain = learn_domains(subscriber)["eth0/ipv4"]
        subscriber.post(TranslateName(domain, "a.example", 1))
        subscriber.post(GetConfigurationData(domain, ElementType.DHCPV4, Information.DNS_SERVERS))
        with pytest.raises(TooManyRequests, match="2 requests"):
            subscriber.post(ConnectToAddress(domain, "203.0.113.1", 80, 1))
        assert subscriber.statistics().outstanding == 1
        await trio.testing.wait_all_tasks_blocked()
        assert len(drain(subscriber)) == 3
        subscriber.post(ConnectToAddress(domain, "203.0.113.1", 80, 1))


async def test_a_slow_reader_is_told_the_present_state_and_statistics_count_the_rest() -> None:
    host = SimulatedHost(initial=[link(2, "eth0")])
    async with open_simulated_mif(host) as mif, mif.open_subscriber(max_buffer_size=2) as subscriber:
        subscriber.post(AnnounceInterfaces())
        assert len(drain(subscriber)) == 1
        for mtu in range(1280, 1300):
            host.report(link(2, f"eth{mtu}"))
        messages = drain(subscriber)
        assert [message.name for message in messages if isinstance(message, InterfaceAnnouncement)] == ["eth1299"]
        statistics = subscriber.statistics()
        assert (statistics.skipped, statistics.received, statistics.queued) == (20, 2, 0)


async def test_lookups_and_connects_are_answered_through_the_mailbox() -> None:
    host = SimulatedHost(
        initial=FIGURE_2,
        names={("eth0/ipv4", "a.example"): [(0, "203.0.113.1"), (0, "2001:db8::1")]},
        peers={
            ("eth0/ipv4", "203.0.113.1"): Peer(),
            ("eth0/ipv4", "203.0.113.2"): Peer(0, NotConnectedReason.REFUSED),
        },
    )
    async with open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
        domain = learn_domains(subscriber)["eth0/ipv4"]
        subscriber.post(TranslateName(domain, "a.example", "t"))
        answers = [await subscriber.receive() for _ in range(3)]
        assert answers[-1] == NameTranslationFinished("t", TranslationOutcome.ANSWERED)
        subscriber.post(ConnectToAddress(domain, "203.0.113.2", 80, "no"))
        refused = await subscriber.receive()
        assert isinstance(refused, NotConnected)
        assert (refused.connection_id, refused.reason) == ("no", NotConnectedReason.REFUSED)
        subscriber.post(ConnectToAddress(domain, "203.0.113.1", 80, "yes"))
        connected = await subscriber.receive()
        assert isinstance(connected, Connected)
    assert host.open_streams() == [connected.stream], "it belongs to its receiver"
    await connected.stream.aclose()


@pytest.mark.parametrize("how", ["stop", "close"])
async def test_a_connection_that_nobody_receives_is_closed(how: str) -> None:
    host = SimulatedHost(initial=FIGURE_2, peers={("eth0/ipv4", "203.0.113.1"): Peer()})
    async with open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
        subscriber.post(ConnectToAddress(learn_domains(subscriber)["eth0/ipv4"], "203.0.113.1", 80, 1))
        await trio.testing.wait_all_tasks_blocked()
        assert len(host.open_streams()) == 1
        if how == "stop":
            subscriber.post(StopConnecting(1))
        else:
            subscriber.close()
        assert host.open_streams() == []


async def test_stopped_work_ends_and_its_id_can_be_used_again() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
        domain = learn_domains(subscriber)["eth0/ipv4"]
        subscriber.post(TranslateName(domain, "slow.example", 1))
        subscriber.post(ConnectToAddress(domain, "203.0.113.9", 80, 1))
        await trio.testing.wait_all_tasks_blocked()
        subscriber.post(StopTranslatingName(1))
        subscriber.post(StopConnecting(1))
        subscriber.post(TranslateName(domain, "slow.example", 1))
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(host.unwound) == ["connect to 203.0.113.9 in eth0/ipv4", "lookup of slow.example in eth0/ipv4"]
        assert drain(subscriber) == []


async def test_lifetimes_are_told_on_request_only_unless_they_get_shorter(
    autojump_clock: trio.testing.MockClock,
) -> None:
    now = trio.current_time()
    host = SimulatedHost(initial=[link(2, "eth0"), address(2, "198.51.100.1", valid_until=now + 100)])
    async with open_simulated_mif(host) as mif:
        async with mif.open_subscriber() as plain, mif.open_subscriber() as curious:
            host.report(address(2, "198.51.100.1", valid_until=now + 100))
            with trio.fail_after(10):
                plain.post(AnnounceInterfaces())
                (interface,) = drain(plain)
                assert isinstance(interface, InterfaceAnnouncement)
                plain.post(AnnounceProvisioningDomain(interface.interface))
                domain = await plain.receive()  # static, after two seconds
                assert isinstance(domain, ProvisioningDomainAnnouncement)
            plain.post(AnnounceAddress(domain.domain))
            curious.post(AnnounceAddress(domain.domain, lifetimes=True))
            assert len(drain(plain)) == len(drain(curious)) == 1
            host.report(address(2, "198.51.100.1", valid_until=now + 101.5))
            assert drain(plain) == drain(curious) == [], "a move under 2 s is no change"
            host.report(address(2, "198.51.100.1", valid_until=now + 200))
            assert drain(plain) == []
            (longer,) = drain(curious)
            assert isinstance(longer, AddressAnnouncement)
            assert longer.valid_until == now + 200
            host.report(address(2, "198.51.100.1", valid_until=now + 50))
            assert len(drain(plain)) == len(drain(curious)) == 1


async def test_what_is_async_has_a_checkpoint() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif:
        with trio.testing.assert_checkpoints():
            stack = mif.open_subscriber()
            subscriber = await stack.__aenter__()
        subscriber.post(AnnounceInterfaces())
        with trio.testing.assert_checkpoints():
            await subscriber.check()
        with trio.testing.assert_checkpoints():
            await check(subscriber)
        with trio.testing.assert_checkpoints():
            await subscriber.receive()
        with trio.testing.assert_checkpoints():
            await mif.wait_domain()
        with trio.testing.assert_checkpoints():
            await subscriber.aclose()
        await stack.__aexit__(None, None, None)
