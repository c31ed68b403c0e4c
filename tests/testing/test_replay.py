"""Replay: a recording gives its messages again, and where the core has changed its mind it says so."""

from __future__ import annotations

import pytest

from trimif import AnnounceInterfaces, ProvisioningDomainAnnouncement, TranslateName
from trimif.testing import FIGURE_2, FactsLine, Line, LinkGone, MalformedInput, MessageLine, check_laws, replay
from trimif.testing._simulated_facts import ipv6, link


def test_facts_alone_are_enough() -> None:
    replayed = replay([FactsLine(10.0, (LINKS[0], *ipv6(2, 15.0))), FactsLine(20.0, (LinkGone(2),))])
    assert replayed.lines() == [
        "0 Interface eth0: ethernet, up, MTU 1500",
        "0 PD eth0/ipv6",
        "0 Element RA of eth0/ipv6 from fe80::2",
        "0 Address 2001:db8:2::10/64 of eth0/ipv6, valid 5 s",
        "5 No Address 2001:db8:2::10 of eth0/ipv6",
        "5 No Element RA of eth0/ipv6",
        "5 No PD eth0/ipv6",
        "10 No Interface eth0",
    ]
    assert replayed.recorded == []
    check_laws(replayed.history, at_rest=replayed.snapshot)


def test_where_a_replay_goes_another_way_it_says_so() -> None:
    facts: list[Line] = [FactsLine(10.0, FIGURE_2), FactsLine(12.5, (LinkGone(3),))]
    whole = replay(facts)
    assert whole.lines()[-1] == "2.5 No Interface wa0"
    received = [line for line in whole.history if "Announcement" in type(line.message).__name__]
    early, late = ([line for line in received if (line.time == 12.5) is later] for later in (False, True))
    assert replay([facts[0], *early, facts[1], *late]).differences() == []
    # as if a mistake of the core's, mended since, had withdrawn the interface before the address
    wrong = replay([facts[0], *early, facts[1], late[-1], *late[1:-1], late[0]])
    assert set(wrong.differences()) <= {f"{sign} No {what}" for sign in "-+" for what in ("Interface wa0", GONE)}
    assert len(wrong.differences()) >= 2
    # and as if the recording had been cut off
    assert replay([facts[0], *early, facts[1], *late[:-1]]).differences() == ["+ No Interface wa0"]


GONE = "Address 2001:db8:3::10 of wa0/ipv6"


def test_work_is_left_out_and_nonsense_is_refused() -> None:
    whole = replay([FactsLine(10.0, FIGURE_2)])
    announced = (line.message for line in whole.history)
    (domain, *_) = (each.domain for each in announced if isinstance(each, ProvisioningDomainAnnouncement))
    asked: list[Line] = [
        FactsLine(10.0, FIGURE_2),
        MessageLine(11.0, AnnounceInterfaces()),
        MessageLine(11.0, TranslateName(domain, "www.example.org", 1)),
    ]
    replayed = replay(asked)
    assert len(replayed.lines()) == 3, "what is asked for, and no more"
    assert not any(isinstance(line.message, TranslateName) for line in replayed.history)
    with pytest.raises(MalformedInput):
        replay(["{}"])
    assert replay([]).history == []


def test_time_that_was_recorded_passes_as_it_did() -> None:
    """News came in the moment in which an address ended: only the recording knows which was first."""
    begin = FactsLine(10.0, (*LINKS, *ipv6(2, 15.0)))
    ends, news = FactsLine(15.0, ()), FactsLine(15.0, (LinkGone(3),))
    gone = "5 No Address 2001:db8:2::10 of eth0/ipv6"
    ended_first, told_first = replay([begin, ends, news]).lines(), replay([begin, news, ends]).lines()
    assert ended_first.index(gone) < ended_first.index("5 No Interface usb0")
    assert told_first.index(gone) > told_first.index("5 No Interface usb0")


LINKS = (link(2, "eth0"), link(3, "usb0"))
