"""Face 2: channels, blocks and actions that live inside an interface or a domain, and end with it."""

from __future__ import annotations

import gc
import socket

import pytest
import trio
import trio.testing

import trimif
from trimif import (
    AddressAnnouncement,
    ConfigurationElementAnnouncement,
    ConnectFailed,
    DomainGone,
    ElementType,
    Family,
    Information,
    InterfaceGone,
    InterfaceKind,
    NoAddressAnnouncement,
    NoConfigurationElementAnnouncement,
    NotConnectedReason,
    TranslationOutcome,
)
from trimif._facts import LinkGone
from trimif.testing import FIGURE_2, Peer, SimulatedHost, open_simulated_mif
from trimif.testing._simulated_facts import ipv4, link


async def test_each_interface_and_domain_is_told_once() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif, mif.interfaces() as interfaces:
        names = [(await interfaces.receive()).name for _ in range(3)]
        assert names == ["lo", "eth0", "wa0"]
        host.report(link(2, "lan0"))  # a rename is no new interface
        with pytest.raises(trio.WouldBlock):
            interfaces.receive_nowait()
        lan0 = mif.interface("lan0")
        async with lan0.domains() as domains:
            found = [await domains.receive(), await domains.receive()]
            assert [domain.name for domain in found] == ["lan0/ipv4", "lan0/ipv6"]
            with pytest.raises(trio.WouldBlock):
                domains.receive_nowait()


async def test_objects_are_one_for_each_id_and_know_what_they_are() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif:
        domain = mif.domain("eth0/ipv4")
        assert domain is mif.domain("eth0/ipv4")
        assert domain.interface is mif.interface("eth0")
        assert domain.families == {Family.IPV4}
        assert domain.interface.kind is InterfaceKind.ETHERNET
        assert (domain.explicit_id, domain.metered, domain.usable, domain.gone) == (None, None, True, False)
        assert repr(domain) == "<ProvisioningDomain eth0/ipv4>"
        host.report(link(2, "lan0"))
        assert domain.name == "lan0/ipv4"
        host.report(LinkGone(2))
        assert domain.gone
        assert repr(domain) == "<ProvisioningDomain lan0/ipv4, gone>"
        assert not domain.usable
        for what in ("interface", "domain"):
            with pytest.raises(
                LookupError, match=r"no (interface|provisioning domain) named 'eth0.*'; there are .*wa0"
            ):
                getattr(mif, what)("eth0" if what == "interface" else "eth0/ipv4")
        await trio.lowlevel.checkpoint()


async def test_loops_end_by_themselves_after_the_last_words() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    seen: list[object] = []

    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:
        domain = mif.domain("eth0/ipv4")

        async def watch_addresses() -> None:
            async with domain.addresses() as addresses:
                seen.extend([type(each) async for each in addresses])

        async def watch_elements() -> None:
            async with domain.elements() as elements:
                seen.extend([type(each) async for each in elements])

        async def watch_domains() -> None:
            async with domain.interface.domains() as domains:
                seen.extend([each.name async for each in domains])

        for watch in (watch_addresses, watch_elements, watch_domains):
            nursery.start_soon(watch)
        await trio.testing.wait_all_tasks_blocked()
        host.report(LinkGone(2))
    assert sorted(map(str, seen)) == sorted(
        map(
            str,
            [
                AddressAnnouncement,
                NoAddressAnnouncement,
                ConfigurationElementAnnouncement,
                NoConfigurationElementAnnouncement,
                "eth0/ipv4",
                "eth0/ipv6",
            ],
        )
    )
    assert mif.statistics().subscribers == 0
    assert not mif._tied


async def test_a_channel_of_what_is_gone_has_ended() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif:
        domain = mif.domain("eth0/ipv4")
        host.report(LinkGone(2))
        async with domain.addresses() as addresses, domain.interface.domains() as domains:
            assert [each async for each in addresses] == []
            assert [each async for each in domains] == []
        async with domain.translate("www.example.org") as answers:
            assert [each async for each in answers] == []
        assert answers.outcome is TranslationOutcome.DOMAIN_GONE


async def test_actions_on_what_is_gone_name_it_and_the_reason() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif:
        domain = mif.domain("eth0/ipv4")
        host.report(LinkGone(2))
        with pytest.raises(
            DomainGone, match=r"provisioning domain eth0/ipv4 is gone: its interface eth0 is gone"
        ) as gone:
            await domain.connect("203.0.113.1", 80)
        assert (gone.value.name, gone.value.reason) == ("eth0/ipv4", "its interface eth0 is gone: the host lost it")
        with pytest.raises(DomainGone):
            await domain.resolve("www.example.org")
        with pytest.raises(DomainGone):
            domain.get(ElementType.DHCPV4, Information.DNS_SERVERS)
        with pytest.raises(DomainGone):
            with domain.fail_when_gone():
                await trio.sleep_forever()
        with pytest.raises(InterfaceGone, match="interface eth0 is gone"):
            async with domain.interface.open_nursery():
                await trio.sleep_forever()


async def test_translate_streams_and_then_says_how_it_ended(autojump_clock: trio.testing.MockClock) -> None:
    names = {("eth0/ipv4", "www.example.org"): [(0.1, "203.0.113.1"), (2.0, "203.0.113.2")]}
    host = SimulatedHost(initial=FIGURE_2, names=names)
    async with open_simulated_mif(host) as mif:
        domain = mif.domain("eth0/ipv4")
        began = trio.current_time()
        async with domain.translate("www.example.org") as answers:
            first = await answers.receive()
            assert str(first.address) == "203.0.113.1"
            assert trio.current_time() - began == pytest.approx(0.1)
            running = answers.outcome
            assert running is None
            assert [str(each.address) async for each in answers] == ["203.0.113.2"]
            assert answers.outcome is TranslationOutcome.ANSWERED
        assert [str(each) for each in await domain.resolve("www.example.org")] == ["203.0.113.1", "203.0.113.2"]
        host.names["eth0/ipv4", "none.example"] = []
        with pytest.raises(socket.gaierror, match=r"none\.example has no address in eth0/ipv4: no such name"):
            await domain.resolve("none.example")
        with pytest.raises(ValueError, match="is not the name"):
            async with domain.translate("a b"):
                pass


async def test_leaving_a_translation_stops_it() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif:
        async with mif.domain("eth0/ipv4").translate("slow.example"):
            await trio.testing.wait_all_tasks_blocked()
        await trio.testing.wait_all_tasks_blocked()
        assert host.unwound == ["lookup of slow.example in eth0/ipv4"]


async def test_a_translation_ends_with_its_domain() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:

        async def look_up() -> None:
            async with mif.domain("eth0/ipv4").translate("slow.example") as answers:
                assert [each async for each in answers] == []
            assert answers.outcome is TranslationOutcome.DOMAIN_GONE

        nursery.start_soon(look_up)
        await trio.testing.wait_all_tasks_blocked()
        host.report(LinkGone(2))


async def test_connect_gives_a_stream_or_says_why_not() -> None:
    refused = Peer(0, NotConnectedReason.REFUSED)
    host = SimulatedHost(
        initial=FIGURE_2, peers={("eth0/ipv4", "203.0.113.1"): Peer(), ("eth0/ipv4", "203.0.113.2"): refused}
    )
    async with open_simulated_mif(host) as mif:
        domain = mif.domain("eth0/ipv4")
        await (await domain.connect("203.0.113.1", 80)).aclose()
        await (await domain.connect("203.0.113.1", 80, source="198.51.2.10")).aclose()
        with pytest.raises(ConnectFailed, match="refused") as failed:
            await domain.connect("203.0.113.2", 80)
        assert failed.value.reason is NotConnectedReason.REFUSED
        with pytest.raises(ValueError, match="'peer' is not an IPv4 or IPv6 address"):
            await domain.connect("peer", 80)
        async with trio.open_nursery() as nursery:

            async def connect() -> None:
                with pytest.raises(DomainGone, match="eth0/ipv4"):
                    await domain.connect("203.0.113.9", 80)

            nursery.start_soon(connect)
            await trio.testing.wait_all_tasks_blocked()
            host.report(LinkGone(2))


async def test_get_is_typed_data_or_none() -> None:
    async with open_simulated_mif(SimulatedHost(initial=FIGURE_2)) as mif:
        domain = mif.domain("eth0/ipv4")
        servers = domain.get(ElementType.DHCPV4, Information.DNS_SERVERS)
        assert servers is not None
        assert [str(server) for server in servers] == ["198.51.2.1"]
        assert domain.get(ElementType.RA, Information.DNS_SERVERS) is None
        assert domain.get(ElementType.DHCPV4, Information.MTU) is None
        await trio.lowlevel.checkpoint()


async def test_blocks_end_with_their_owner_the_domains_before_the_interfaces() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    order: list[str] = []
    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:

        async def block(name: str) -> None:
            owner = mif.domain(name) if "/" in name else mif.interface(name)
            with owner.move_on_when_gone() as scope:
                try:
                    await trio.sleep_forever()
                finally:
                    with trio.CancelScope(shield=True):
                        await trio.lowlevel.checkpoint()
                    order.append(name)
            assert scope.cancelled_caught

        for name in ("eth0", "eth0/ipv6", "eth0/ipv4", "wa0"):
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(block, name)
        await trio.testing.wait_all_tasks_blocked()
        host.report(LinkGone(2))
        await trio.testing.wait_all_tasks_blocked()
        assert order == ["eth0/ipv4", "eth0/ipv6", "eth0"]
        host.report(LinkGone(3))
    assert order == ["eth0/ipv4", "eth0/ipv6", "eth0", "wa0"]


async def test_a_shielded_block_delays_those_above_it_and_no_announcement() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    release = trio.Event()
    order: list[str] = []
    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:
        eth0 = mif.interface("eth0")

        async def stubborn() -> None:
            with mif.domain("eth0/ipv4").move_on_when_gone(), trio.CancelScope(shield=True):
                await release.wait()
            order.append("domain")

        async def above() -> None:
            with eth0.move_on_when_gone():
                await trio.sleep_forever()
            order.append("interface")

        nursery.start_soon(stubborn)
        nursery.start_soon(above)
        await trio.testing.wait_all_tasks_blocked()
        async with eth0.domains() as domains:
            host.report(LinkGone(2))
            assert [domain.name async for domain in domains] == [], "it had not been told of any before"
        await trio.testing.wait_all_tasks_blocked()
        assert order == []
        release.set()
    assert order == ["domain", "interface"]


async def test_fail_when_gone_and_open_nursery_raise_bare() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:

        async def fail() -> None:
            with pytest.raises(DomainGone, match="eth0/ipv4"):
                with mif.domain("eth0/ipv4").fail_when_gone():
                    await trio.sleep_forever()

        async def nested() -> None:
            with pytest.raises(DomainGone, match="eth0/ipv6"):
                async with mif.domain("eth0/ipv6").open_nursery() as inner:
                    inner.start_soon(trio.sleep_forever)
                    inner.start_soon(trio.sleep_forever)

        nursery.start_soon(fail)
        nursery.start_soon(nested)
        await trio.testing.wait_all_tasks_blocked()
        host.report(LinkGone(2))


async def test_blocks_that_end_first_leave_nothing() -> None:
    async with open_simulated_mif(SimulatedHost(initial=FIGURE_2)) as mif:
        domain = mif.domain("eth0/ipv4")
        with domain.fail_when_gone() as scope:
            await trio.lowlevel.checkpoint()
        assert not scope.cancelled_caught
        with domain.fail_when_gone() as scope:
            scope.cancel()
            await trio.lowlevel.checkpoint()
        async with domain.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.checkpoint)
        assert not mif._scopes[domain.id]._children


async def test_cancel_ends_it_as_if_it_had_gone_and_readmit_lets_it_in_again() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif, mif.domain("eth0/ipv4").interface.domains() as domains:
        first = await domains.receive()
        assert first.name == "eth0/ipv4"
        await domains.receive()
        with pytest.raises(DomainGone, match="cancelled: too expensive"):
            with first.fail_when_gone():
                first.cancel("too expensive")
                await trio.sleep_forever()
        first.cancel("again, which does nothing")
        assert [each.name for each in mif._registry.domains() if "eth0" in each.name] == ["eth0/ipv6"]
        host.report(*ipv4(2, "eth0"))  # the host still has it, this MIF does not
        with pytest.raises(trio.WouldBlock):
            domains.receive_nowait()
        with pytest.raises(ValueError, match=r"named 'eth1/ipv4' was cancelled; .*eth0/ipv4"):
            mif.readmit("eth1/ipv4")
        mif.readmit("eth0/ipv4")
        second = await domains.receive()
        assert second.name == "eth0/ipv4"
        assert second.id != first.id


async def test_cancelling_an_interface_ends_its_domains_first() -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif:
        eth0, domain = mif.interface("eth0"), mif.domain("eth0/ipv4")
        eth0.cancel("flying")
        assert eth0.gone
        assert domain.gone
        mif.readmit("eth0")
        assert mif.interface("eth0") is not eth0
        assert mif.domain("eth0/ipv4").id != domain.id
        mif.interface("eth0").cancel("again")
        host.report(LinkGone(2), link(2, "eth0"))
        assert mif.interface("eth0").name == "eth0", "another link of that name is nobody's business"
        await trio.lowlevel.checkpoint()


async def test_check_takes_subscriptions_and_consumes_nothing() -> None:
    host = SimulatedHost(initial=[link(2, "eth0")])
    async with open_simulated_mif(host) as mif, mif.interfaces() as interfaces:
        assert await trimif.check(interfaces) == {interfaces}
        assert (await interfaces.receive()).name == "eth0"
        host.report(link(2, "lan0"))
        with pytest.raises(trio.WouldBlock):  # a rename is news for the subscriber, and no item
            trimif.check_nowait(interfaces)
        host.report(link(3, "wa0"))
        assert trimif.check_nowait(interfaces) == {interfaces}
        assert trimif.check_nowait(interfaces) == {interfaces}
        assert interfaces.receive_nowait().name == "wa0"


async def test_two_readers_on_one_channel_are_one_too_many() -> None:
    async with open_simulated_mif(SimulatedHost()) as mif, mif.interfaces() as interfaces:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(interfaces.receive)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await interfaces.receive()
            nursery.cancel_scope.cancel()
        await interfaces.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await interfaces.receive()
        with pytest.raises(ValueError, match="max_buffer_size is -1"):
            async with mif.interfaces(max_buffer_size=-1):
                pass


async def test_nobody_holds_what_nobody_holds() -> None:
    async with open_simulated_mif(SimulatedHost(initial=FIGURE_2)) as mif:
        mif.domain("eth0/ipv4")
        gc.collect()
        assert not [each for each in mif._registry._objects.values() if each() is not None]
        await trio.lowlevel.checkpoint()
