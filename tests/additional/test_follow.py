"""Explicit domains come, change and go; their additional information follows (RFC 8801, 4)."""

from __future__ import annotations

import math
import ssl
from functools import partial

import pytest
import trio
import trio.testing
from attrs import evolve

from trimif import ElementType, Information, PvdInformation, PvdOption
from trimif._additional import follow_additional_information
from trimif._facts import AdditionalInformation
from trimif.testing._servers_https import HttpAnswer

from .world import (
    EXPLICIT,
    NAME,
    PREFIX,
    PVD_TYPE,
    World,
    advertise,
    answer,
    certified,
    date,
    document,
    open_world,
    trusting,
)

Clock = trio.testing.MockClock
OPTION = PvdOption(NAME, http=True)


async def open_followed(world: World, option: PvdOption = OPTION) -> None:
    await world.serve(NAME, domain=EXPLICIT)
    await world.follow()
    advertise(world, option)
    await trio.sleep(1)


def information(world: World) -> PvdInformation | None:
    return world.data(ElementType.PVD, Information.PVD_INFORMATION)


async def test_it_becomes_an_element_of_the_domain(autojump_clock: Clock) -> None:
    async with open_world() as world:
        world.respond = lambda _request: answer(dnsZones=["corp.example"], noInternet=True, metered=True)
        await open_followed(world)
        told = information(world)
        assert told is not None
        assert (told.identifier, told.dns_zones, told.no_internet, told.metered) == (
            NAME,
            ("corp.example",),
            True,
            True,
        )
        assert world.told() == [(0.0, True)]
        assert {name for _, name, _ in world.host.dialled} == {EXPLICIT}
        assert world.limitations() == []


async def test_also_what_was_there_before(autojump_clock: Clock) -> None:
    async with open_world() as world:
        await world.serve(NAME, domain=EXPLICIT)
        advertise(world, OPTION)
        await world.follow()
        await trio.sleep(1)
        assert information(world) is not None


async def test_without_the_h_flag_nobody_is_asked(autojump_clock: Clock) -> None:
    async with open_world() as world:
        await open_followed(world, evolve(OPTION, http=False))
        await trio.sleep(10_000)
        assert (world.requests, world.facts) == ([], [])


async def test_the_implicit_domain_has_none(autojump_clock: Clock) -> None:
    async with open_world() as world:
        await world.follow()
        advertise(world, None)
        await trio.sleep(10_000)
        assert (world.requests, world.facts) == ([], [])


async def test_it_waits_for_an_address(autojump_clock: Clock) -> None:
    async with open_world() as world:
        await world.serve(NAME, domain=EXPLICIT)
        await world.follow()
        advertise(world, OPTION, address=False)
        await trio.sleep(100)
        assert world.host.dialled == []
        advertise(world, OPTION)
        await trio.sleep(1)
        assert world.times() == [100]


async def test_it_is_updated_in_the_second_half_of_its_life(autojump_clock: Clock) -> None:
    async with open_world() as world:
        await open_followed(world)
        await trio.sleep(7000)
        assert world.times() == pytest.approx([0, 2700, 5400], abs=5)
        assert [there for _, there in world.told()] == [True, True, True]


async def test_a_new_sequence_number(autojump_clock: Clock) -> None:
    """The old information is taken back at once, the new one fetched after a random delay."""
    async with open_world() as world:
        await open_followed(world)
        await trio.sleep(99)
        advertise(world, evolve(OPTION, sequence=1, delay=5))
        await trio.sleep(50)
        assert world.told() == [(0, True), (100, False), (100 + 2**15 / 2000, True)]
        assert world.times() == [0, 100 + 2**15 / 2000]


async def test_a_new_sequence_number_in_the_middle_of_a_fetch(autojump_clock: Clock) -> None:
    async with open_world() as world:
        world.respond = lambda _request: HttpAnswer(document(), PVD_TYPE, pause=math.inf)
        await open_followed(world)
        world.respond = lambda _request: answer()
        advertise(world, evolve(OPTION, sequence=1))
        await trio.sleep(0.1)
        assert world.host.open_streams() == []
        await trio.sleep(20)
        assert world.times() == [0, 10]  # "RECOMMENDED to be 10 seconds"
        assert world.told() == [(10, True)]
        assert world.limitations() == []


async def test_the_h_flag_goes(autojump_clock: Clock) -> None:
    async with open_world() as world:
        await open_followed(world)
        advertise(world, evolve(OPTION, http=False))
        await trio.sleep(10_000)
        assert world.told() == [(0, True), (1, False)]
        assert len(world.requests) == 1


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (HttpAnswer(document(), PVD_TYPE, 404), "404"),
        (HttpAnswer(b"<html>", PVD_TYPE), "JSON"),
        (answer(identifier="evil.example"), "another domain"),
        (HttpAnswer(document(), PVD_TYPE, pause=math.inf), "40 seconds"),
    ],
)
async def test_who_fails_once_is_not_asked_again(autojump_clock: Clock, bad: HttpAnswer, why: str) -> None:
    async with open_world() as world:
        world.respond = lambda _request: bad
        await open_followed(world)
        await trio.sleep(1000)
        advertise(world, evolve(OPTION, sequence=1))
        await trio.sleep(10_000)
        assert len(world.requests) == 1
        assert world.told() == []
        [limitation] = world.limitations()
        assert limitation.source == "pvd"
        assert f"{NAME} on eth0" in limitation.missing
        assert why in limitation.missing
        assert "mend it" in limitation.remedy
        assert limitation in world.mif.statistics().limitations


async def test_a_bad_certificate(autojump_clock: Clock) -> None:
    async with open_world() as world:
        await world.serve(NAME, domain=EXPLICIT)
        await world.serve(NAME, domain=EXPLICIT, context=certified("evil.example"))
        await world.follow()
        advertise(world, OPTION)
        await trio.sleep(10_000)
        assert len(world.host.dialled) == 1
        [limitation] = world.limitations()
        assert "Hostname mismatch" in limitation.missing
        assert "ssl_context" in limitation.remedy


async def test_an_update_that_fails(autojump_clock: Clock) -> None:
    """What is known counts until it expires."""
    async with open_world() as world:
        await open_followed(world)
        world.respond = lambda _request: HttpAnswer(status=500)
        await trio.sleep(10_000)
        assert len(world.requests) == 2
        assert [there for _, there in world.told()] == [True, False]
        assert world.told()[1][0] == pytest.approx(3600, abs=5)


async def test_it_expires_in_the_middle_of_an_update(autojump_clock: Clock) -> None:
    """The same as always: the slow server does not prolong it, and prefixes are looked at meanwhile."""
    async with open_world() as world:
        world.respond = lambda _request: answer(expires=date(60))
        await open_followed(world)
        world.respond = lambda _request: HttpAnswer(document(), PVD_TYPE, pause=math.inf)
        await trio.sleep(49)
        assert len(world.requests) == 2
        advertise(world, OPTION, prefixes=[PREFIX, "2001:db8:b::/64"])
        await trio.sleep(1)
        assert [there for _, there in world.told()] == [True, False]
        advertise(world, OPTION, prefixes=["2001:db8:b::/64"], seconds=0)
        await trio.sleep(30)
        assert [there for _, there in world.told()] == [True, False, True, False]
        assert world.told()[-1][0] == pytest.approx(60, abs=2)


async def test_a_server_that_can_not_be_reached_is_tried_again(autojump_clock: Clock) -> None:
    async with open_world() as world:
        await world.follow()
        world.host.add_name(EXPLICIT, NAME)
        advertise(world, OPTION)
        await trio.sleep(65)
        [limitation] = world.limitations()
        assert "no such name" in limitation.missing
        await world.serve(NAME, domain=EXPLICIT)
        await trio.sleep(10)
        assert world.times() == [70]
        assert world.told() == [(70, True)]


async def test_information_counts_only_while_it_covers_every_prefix(autojump_clock: Clock) -> None:
    async with open_world() as world:
        await open_followed(world)
        advertise(world, OPTION, prefixes=[PREFIX, "2001:db8:b::/64"])
        await trio.sleep(1)
        assert information(world) is None
        [limitation] = world.limitations()
        assert "2001:db8:b::/64" in limitation.missing
        world.respond = lambda _request: answer(prefixes=["2001:db8::/32"])
        advertise(world, evolve(OPTION, sequence=1), prefixes=[PREFIX, "2001:db8:b::/64"])
        await trio.sleep(20)
        assert information(world) is not None
        assert [there for _, there in world.told()] == [True, False, True]


async def test_a_domain_that_goes_takes_it_along(autojump_clock: Clock) -> None:
    async with open_world() as world:
        await open_followed(world)
        advertise(world, OPTION, seconds=50)
        await trio.sleep(99)
        assert world.told() == [(0, True), (51, False)]
        advertise(world, OPTION)
        await trio.sleep(1)
        assert world.told()[2:] == [(100, True)]
        world.host.remove_link("eth0")
        await trio.sleep(1)
        assert world.told()[3:] == [(101, False)]


async def test_it_also_ends_with_cancel_and_begins_again_with_readmit(autojump_clock: Clock) -> None:
    async with open_world() as world:
        await open_followed(world)
        world.mif.domain(EXPLICIT).cancel("no more")
        await trio.sleep(1)
        assert [there for _, there in world.told()] == [True, False]
        world.mif.readmit(EXPLICIT)
        await trio.sleep(20)
        assert world.times() == [0, 10]


async def test_a_router_that_speaks_for_two_domains(autojump_clock: Clock) -> None:
    other = "other.example.com"
    async with open_world() as world:
        world.respond = lambda request: answer(identifier=request.headers["host"])
        await open_followed(world)
        await world.serve(other, domain=f"eth0/{other}")
        advertise(world, PvdOption(other, http=True))
        await trio.sleep(1)
        for name in (NAME, other):
            told = world.data(ElementType.PVD, Information.PVD_INFORMATION, f"eth0/{name}")
            assert told is not None
            assert told.identifier == name


async def test_five_requests_in_ten_seconds_for_all_domains(autojump_clock: Clock) -> None:
    names = [f"{number}.example.com" for number in range(12)]

    async with open_world() as world:
        world.respond = lambda request: answer(identifier=request.headers["host"])
        for name in names:
            await world.serve(name, domain=f"eth0/{name}")
        await world.follow()
        for number, name in enumerate(names, 1):
            advertise(world, PvdOption(name, http=True), router=number)
        await trio.sleep(60)
        assert world.times() == [0.0] * 5 + [10.0] * 5 + [20.0] * 2
        assert len(world.told()) == 12


async def test_ten_failures_end_it_until_the_link_has_been_down(autojump_clock: Clock) -> None:
    names = [f"{number}.example.com" for number in range(12)]

    async with open_world() as world:
        world.respond = lambda _request: HttpAnswer(status=404)
        for name in names:
            await world.serve(name, domain=f"eth0/{name}")
        await world.follow()
        for number, name in enumerate(names, 1):
            advertise(world, PvdOption(name, http=True), router=number)
        await trio.sleep(1000)
        assert len(world.requests) == 10
        assert "too many requests failed" in world.limitations()[-1].missing
        world.respond = lambda request: answer(identifier=request.headers["host"])
        world.host.set_carrier("eth0", False)
        await trio.sleep(1)
        world.host.set_carrier("eth0", True)
        await trio.sleep(1000)
        assert len(world.told()) == 12


async def test_what_goes_wrong_on_one_interface_is_no_matter_of_another(autojump_clock: Clock) -> None:
    async with open_world() as world:
        world.respond = lambda _request: HttpAnswer(status=404)
        await open_followed(world)
        world.respond = lambda _request: answer()
        world.index = world.host.add_link("eth1")
        await world.serve(NAME, domain=f"eth1/{NAME}")
        advertise(world, OPTION)
        await trio.sleep(1)
        [told] = [fact for _, fact in world.facts if isinstance(fact, AdditionalInformation)]
        assert told.index == world.index


# ---------------------------------------------------------------- beginning and end


async def test_the_mif_closes_in_the_middle_of_a_fetch(autojump_clock: Clock) -> None:
    async with open_world() as world:
        world.respond = lambda _request: HttpAnswer(document(), PVD_TYPE, pause=math.inf)
        await open_followed(world)
        assert len(world.host.open_streams()) == 1
    assert world.host.open_streams() == []


async def test_it_returns_when_the_mif_has_closed(autojump_clock: Clock) -> None:
    async with trio.open_nursery() as outside:
        async with open_world() as world:
            follow = partial(follow_additional_information, ssl_context=trusting())
            await outside.start(follow, world.mif, world._report)
            await world.serve(NAME, domain=EXPLICIT)
            advertise(world, OPTION)
            await trio.sleep(1)
            assert information(world) is not None
        with trio.fail_after(1):
            await trio.testing.wait_all_tasks_blocked()
    assert [there for _, there in world.told()] == [True, False]


async def test_the_mif_may_close_at_any_moment(autojump_clock: Clock) -> None:
    """Lookups and connects that are about to begin find it closed: that is an end like any other."""
    for checkpoints in range(80):
        async with trio.open_nursery() as outside:
            async with open_world() as world:
                await world.serve(NAME, domain=EXPLICIT)
                follow = partial(follow_additional_information, ssl_context=trusting())
                await outside.start(follow, world.mif, world._report)
                advertise(world, OPTION)
                for _ in range(checkpoints):
                    await trio.lowlevel.checkpoint()
        assert [there for _, there in world.told()] in ([], [True, False])
        assert world.host.open_streams() == []
    assert world.told() != []


@pytest.mark.parametrize("attribute", ["check_hostname", "verify_mode"])
async def test_a_context_that_does_not_check_is_refused(autojump_clock: Clock, attribute: str) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    if attribute == "verify_mode":
        context.verify_mode = ssl.CERT_NONE
    async with open_world() as world:
        with pytest.raises(ValueError, match="check certificates and the names"):
            await follow_additional_information(world.mif, world._report, ssl_context=context)


async def test_limitations_have_a_bound(autojump_clock: Clock) -> None:
    """A network may have any number of names for what does not work."""
    async with open_world() as world:
        await world.follow()
        for number in range(100):
            name = f"{number}.example.com"
            world.host.add_name(f"eth0/{name}", name)
            advertise(world, PvdOption(name, http=True), seconds=5)
            await trio.sleep(20)
        assert len(world.limitations()) == 50
