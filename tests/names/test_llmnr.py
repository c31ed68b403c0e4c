"""LLMNR between network namespaces: what its bits mean. What it shares with multicast DNS is in ``test_mdns.py``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from ipaddress import ip_address
from typing import TypeAlias

import dns.flags
import pytest
import trio
import trio.testing

from trimif._model import IPAddress, TranslationOutcome
from trimif._names._llmnr import INTERVAL_SECONDS, LLMNR, ask_llmnr
from trimif.testing._link_responder import LinkAnswer, LinkResponder, answer_link
from trimif.testing._uplinks import ADDRESSES, ROUTERS, TwoUplinks, open_two_uplinks

pytestmark = pytest.mark.lab

FIRST = (ip_address("203.0.113.9"), ip_address("2001:db8:ff::9"))
SECOND = (ip_address("203.0.113.19"), ip_address("2001:db8:ff::19"))
Respond: TypeAlias = Callable[..., Awaitable[LinkResponder]]
CONFLICT, TENTATIVE, CUT = dns.flags.AA, dns.flags.RD, dns.flags.TC  # the same bits have other names in the DNS


@pytest.fixture
def clock() -> trio.testing.MockClock:
    return trio.testing.MockClock(autojump_threshold=0.1)


@pytest.fixture
def net() -> Iterator[TwoUplinks]:
    with open_two_uplinks() as net, net.host.entered():
        yield net


@pytest.fixture
def respond(net: TwoUplinks, nursery: trio.Nursery) -> Respond:
    async def respond(addresses: Sequence[IPAddress], flags: int = 0, delay: float = 0) -> LinkResponder:
        def behave(octets: bytes) -> Sequence[LinkAnswer]:
            message = answer_link(octets, addresses)
            message.flags |= flags
            return [LinkAnswer(message.to_wire(), delay)]

        responder = LinkResponder(net.b, "lan0", LLMNR, behave)
        await nursery.start(responder.run)
        return responder

    return respond


async def ask(net: TwoUplinks, *addresses: str) -> tuple[TranslationOutcome, set[IPAddress], float]:
    """Ask in a domain of IPv4 alone, or of these addresses."""
    told: list[IPAddress] = []
    began = trio.current_time()
    view = net.view("up-b", *(addresses or ADDRESSES["up-b"][:1]))
    outcome = await ask_llmnr(view, "host", told.append, note_malformed=lambda malformed: pytest.fail(str(malformed)))
    return outcome, set(told), trio.current_time() - began


async def test_a_host_that_holds_the_name_alone_is_enough(
    net: TwoUplinks, clock: trio.testing.MockClock, respond: Respond
) -> None:
    await respond(FIRST)
    await respond(SECOND, delay=0.3)
    outcome, told, seconds = await ask(net)
    assert (outcome, told) == (TranslationOutcome.ANSWERED, set(FIRST))
    assert seconds < 0.2


async def test_hosts_that_share_a_name_are_all_heard(
    net: TwoUplinks, clock: trio.testing.MockClock, respond: Respond
) -> None:
    await respond(FIRST, CONFLICT)
    await respond(SECOND, CONFLICT, delay=0.1)
    outcome, told, seconds = await ask(net)
    assert (outcome, told) == (TranslationOutcome.ANSWERED, {*FIRST, *SECOND})
    assert seconds == pytest.approx(INTERVAL_SECONDS, abs=0.2)


async def test_a_host_that_is_not_sure_of_its_name_does_not_count(
    net: TwoUplinks, clock: trio.testing.MockClock, respond: Respond
) -> None:
    await respond(FIRST, TENTATIVE)
    assert (await ask(net))[:2] == (TranslationOutcome.TIMED_OUT, set())
    await respond(SECOND)
    assert (await ask(net))[:2] == (TranslationOutcome.ANSWERED, set(SECOND))


async def test_one_family_is_enough(net: TwoUplinks, clock: trio.testing.MockClock, respond: Respond) -> None:
    """An empty answer says that the host has no such address: nothing to wait for."""
    responder = await respond(FIRST[:1])
    outcome, told, seconds = await ask(net)
    assert (outcome, told) == (TranslationOutcome.ANSWERED, set(FIRST[:1]))
    assert seconds < 0.2
    assert len(responder.asked) == 2


async def test_a_host_without_address(net: TwoUplinks, clock: trio.testing.MockClock, respond: Respond) -> None:
    await respond([])
    outcome, told, seconds = await ask(net)
    assert (outcome, told) == (TranslationOutcome.NO_DATA, set())
    assert seconds < 0.2


async def test_a_cut_answer_is_told_as_far_as_it_goes(
    net: TwoUplinks, clock: trio.testing.MockClock, respond: Respond
) -> None:
    await respond(FIRST, CUT)
    assert (await ask(net))[:2] == (TranslationOutcome.TRUNCATED, set(FIRST))


def answer_in_own_family(octets: bytes) -> Sequence[LinkAnswer]:
    """By IPv4 with A, and by IPv6, later, with AAAA; the other is empty, as systemd-resolved does it."""
    router4, router6 = map(ip_address, ROUTERS["up-b"])
    by_ipv4, by_ipv6 = (answer_link(octets, [address]).to_wire() for address in FIRST)
    return [LinkAnswer(by_ipv4, source=router4), LinkAnswer(by_ipv6, 0.1, source=router6)]


async def test_a_host_that_tells_each_family_its_own(
    net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock
) -> None:
    """That AAAA records are lacking by IPv4 does not end the wait for those by IPv6."""
    await nursery.start(LinkResponder(net.b, "lan0", LLMNR, answer_in_own_family).run)
    outcome, told, seconds = await ask(net, *ADDRESSES["up-b"])
    assert (outcome, told) == (TranslationOutcome.ANSWERED, set(FIRST))
    assert seconds < INTERVAL_SECONDS
    assert (await ask(net))[:2] == (TranslationOutcome.ANSWERED, {FIRST[0]})


async def test_a_host_of_one_family_alone(
    net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock
) -> None:
    """Nobody answers by IPv6: that is not waited for to the end."""
    source = ip_address(ROUTERS["up-b"][0])

    def behave(octets: bytes) -> Sequence[LinkAnswer]:
        return [LinkAnswer(answer_link(octets, FIRST[:1]).to_wire(), source=source)]

    await nursery.start(LinkResponder(net.b, "lan0", LLMNR, behave).run)
    outcome, told, seconds = await ask(net, *ADDRESSES["up-b"])
    assert (outcome, told) == (TranslationOutcome.ANSWERED, set(FIRST[:1]))
    assert seconds == pytest.approx(INTERVAL_SECONDS, abs=0.2)


async def test_one_family_may_say_it_all(net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock) -> None:
    source = ip_address(ROUTERS["up-b"][0])

    def behave(octets: bytes) -> Sequence[LinkAnswer]:
        return [LinkAnswer(answer_link(octets, FIRST).to_wire(), source=source)]

    await nursery.start(LinkResponder(net.b, "lan0", LLMNR, behave).run)
    outcome, told, seconds = await ask(net, *ADDRESSES["up-b"])
    assert (outcome, told) == (TranslationOutcome.ANSWERED, set(FIRST))
    assert seconds < 0.2


async def test_what_is_answered_is_not_asked_again(
    net: TwoUplinks, nursery: trio.Nursery, clock: trio.testing.MockClock
) -> None:
    """The answer about AAAA is lost, always."""

    def behave(octets: bytes) -> Sequence[LinkAnswer]:
        return [LinkAnswer(answer_link(octets, FIRST).to_wire())] if octets.endswith(b"\0\1\0\1") else []

    responder = LinkResponder(net.b, "lan0", LLMNR, behave)
    await nursery.start(responder.run)
    outcome, told, seconds = await ask(net)
    assert (outcome, told) == (TranslationOutcome.ANSWERED, set(FIRST[:1]))
    assert seconds == pytest.approx(3 * INTERVAL_SECONDS, abs=0.2)
    assert [asked.octets.endswith(b"\0\1\0\1") for asked in responder.asked] == [False, True, False, False]
