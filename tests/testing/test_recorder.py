"""The recorder: a subscriber's place, words to assert on, and the laws on the way and at the end."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trimif import (
    AddressAnnouncement,
    AnnounceInterfaces,
    InterfaceAnnouncement,
    NameTranslationFinished,
    StopAnnouncingInterfaces,
    TranslateName,
    TranslationOutcome,
)
from trimif.testing import (
    FIGURE_2,
    LawBroken,
    LinkGone,
    Recorder,
    SimulatedHost,
    check_laws,
    dump_line,
    load_line,
    open_recorder,
    open_simulated_mif,
)
from trimif.testing._simulated_facts import link

Clock = trio.testing.MockClock


async def test_it_stands_in_the_place_of_a_subscriber(mock_clock: Clock) -> None:
    host = SimulatedHost(initial=[link(2, "eth0")])
    async with open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
        async with Recorder(mif, subscriber) as recorder:
            recorder.post(AnnounceInterfaces())
            announced = await recorder.receive()
            assert isinstance(announced, InterfaceAnnouncement)
            mock_clock.jump(1.5)
            host.report(LinkGone(2))
            gone = recorder.receive_nowait()
            with pytest.raises(trio.WouldBlock):
                recorder.receive_nowait()
            recorder.post(StopAnnouncingInterfaces())
        assert [(line.time, line.message) for line in recorder.history] == [
            (0, AnnounceInterfaces()),
            (0, announced),
            (1.5, gone),
            (1.5, StopAnnouncingInterfaces()),
        ]
        assert await recorder.lines() == ["0 Interface eth0: ethernet, up, MTU 1500", "1.5 No Interface eth0"]
        assert await recorder.lines() == [], "since the last time"
        with pytest.raises(trio.ClosedResourceError):
            subscriber.receive_nowait()


async def test_waiting_for_what_will_be_told(autojump_clock: Clock) -> None:
    host = SimulatedHost()
    async with open_simulated_mif(host) as mif, open_recorder(mif) as recorder, trio.open_nursery() as nursery:

        async def happen() -> None:
            await trio.sleep(5)
            host.add_link("eth0")
            await trio.sleep(5)
            host.add_lease("eth0", "198.51.100.7/24")

        nursery.start_soon(happen)
        with trio.fail_after(11):
            await recorder.when(lambda: "eth0/ipv4" in recorder.domains())
        assert trio.current_time() == 10


async def test_the_history_can_be_kept_and_checked_later(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif, open_recorder(mif) as recorder:
        host.report(LinkGone(2))
        await recorder.lines()
        check_laws(recorder.history, at_rest=mif.snapshot())
        assert [load_line(dump_line(line)) for line in recorder.history] == recorder.history
        check_laws(line.message for line in recorder.history)


async def test_a_request_that_comes_too_late_is_marked(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with open_simulated_mif(host) as mif, open_recorder(mif) as recorder:
        domain = recorder.domains()["eth0/ipv4"]
        recorder.post(TranslateName(domain, "www.example.org", 1))
        host.report(LinkGone(2))
        recorder.post(TranslateName(domain, "www.example.org", 2))  # it is gone, and nobody has read that
        await recorder.lines()
        asked = [line for line in recorder.history if isinstance(line.message, TranslateName)]
        assert [line.late for line in asked] == [False, True]
        assert recorder.history[-1].message == NameTranslationFinished(2, TranslationOutcome.DOMAIN_GONE)
        assert [load_line(dump_line(line)) for line in recorder.history] == recorder.history
        check_laws(recorder.history)
        with pytest.raises(LawBroken, match="before the last answer"):
            check_laws(line.message for line in recorder.history)


async def test_a_broken_law_comes_out_of_the_block_by_itself(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2)
    with pytest.raises(LawBroken) as caught:
        async with open_simulated_mif(host) as mif, open_recorder(mif) as recorder:
            (news, *_) = (m.message for m in recorder.history if isinstance(m.message, AddressAnnouncement))
            recorder._take(news)  # as if the MIF said it again
    assert caught.value.law == 3


async def test_at_the_end_what_was_told_is_what_is(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2)
    with pytest.raises(LawBroken) as caught:
        async with open_simulated_mif(host) as mif, open_recorder(mif) as recorder:
            recorder._laws.told.popitem()  # as if the MIF had never said it
    assert caught.value.law == 4


async def test_what_the_body_raises_comes_out_by_itself(autojump_clock: Clock) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with open_simulated_mif(SimulatedHost()) as mif, open_recorder(mif):
            raise KeyError("mine")


async def test_a_small_buffer_collapses_to_the_present(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=[link(2, "eth0")])
    async with open_simulated_mif(host) as mif, open_recorder(mif, max_buffer_size=1) as recorder:
        for number in range(10):
            host.report(link(2, f"eth{number}"))
        lines = await recorder.lines()
        assert len(lines) < 10
        assert lines[-1] == "0 Interface eth9: ethernet, up, MTU 1500"
