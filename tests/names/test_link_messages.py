"""Messages to and from hosts on a link: what we ask, what answers mean, and that no octets do harm."""

from __future__ import annotations

import struct
import time
from contextlib import suppress
from ipaddress import ip_address

import dns.flags
import dns.message
import dns.name
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._model import Family, IPAddress
from trimif._names._link_messages import LinkQuestion, LinkReply, ask_link_for, link_name, read_link_reply
from trimif._names._llmnr import is_llmnr_name
from trimif._names._mdns import is_mdns_name

NAME = dns.name.from_text("printer.local.")
IPV4, IPV6 = ip_address("203.0.113.9"), ip_address("2001:db8::9")
RECORDS = ("printer.local. IN A 203.0.113.9", "printer.local. IN AAAA 2001:db8::9")


def reply_to(question: LinkQuestion, *records: str, flags: int = 0, first_question: int = 0) -> bytes:
    message = dns.message.make_response(dns.message.from_wire(question.octets))
    message.question = message.question[first_question:]
    message.flags |= flags
    for text in records:
        owner, kind, family, data = text.split(" ", 3)
        message.answer.append(dns.rrset.from_text(owner, 10, kind, family, data))
    return message.to_wire()


@pytest.fixture
def question() -> LinkQuestion:
    return ask_link_for(NAME, Family)


def test_a_question() -> None:
    both = dns.message.from_wire(ask_link_for(NAME, Family).octets)
    assert [each.to_text() for each in both.question] == ["printer.local. IN A", "printer.local. IN AAAA"]
    one = ask_link_for(NAME, [Family.IPV6])
    message = dns.message.from_wire(one.octets)
    assert [each.to_text() for each in message.question] == ["printer.local. IN AAAA"]
    assert (message.id, message.flags, message.edns) == (one.identifier, 0, -1)
    assert len({ask_link_for(NAME, Family).identifier for _ in range(20)}) > 15


def test_names_are_in_utf_8() -> None:
    name = link_name("Ku\N{COMBINING DIAERESIS}che.local")
    assert name is not None
    assert name.labels == ("K\N{LATIN SMALL LETTER U WITH DIAERESIS}che".encode(), b"local", b"")
    assert link_name("kitchen.local.") == link_name("Kitchen.LOCAL") != link_name("kitchen.locals")
    assert link_name("\N{SNOWMAN}" * 21) is not None
    for wrong in ("", ".", "a..local", "\N{SNOWMAN}" * 22, ".".join(["a" * 50] * 6)):
        assert link_name(wrong) is None


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_none(text: str) -> None:
    name = link_name(text)
    assert name is None or len(name.to_wire() or b"") <= 255


def test_which_names_are_for_whom() -> None:
    assert [name for name in ("printer", "printer.", "a.b", "") if is_llmnr_name(name)] == ["printer", "printer.", ""]
    assert all(map(is_mdns_name, ("printer.local", "printer.LOCAL.", "a.b.local")))
    assert not any(map(is_mdns_name, ("local", "local.", "printer", "local.example", "printer.local.example")))


@pytest.mark.parametrize(
    ("records", "addresses"),
    [
        (RECORDS, (IPV4, IPV6)),
        (RECORDS[1:], (IPV6,)),
        (("PRINTER.local. IN A 203.0.113.9",), (IPV4,)),
        (("printer.local. CLASS32769 TYPE1 \\# 4 cb007109",), (IPV4,)),  # with the bit "cache-flush"
        (("printer.local. CLASS32769 TYPE1 \\# 3 cb0071",), ()),
        (("printer.local. CLASS32769 TYPE28 \\# 4 cb007109",), ()),
        (("printer.local. HS TYPE1 \\# 4 cb007109",), ()),
        (("other.local. IN A 203.0.113.66", RECORDS[0]), (IPV4,)),
        (("printer.local. IN CNAME other.local.", "other.local. IN A 203.0.113.66"), ()),
        ((), ()),
    ],
)
def test_what_is_taken(question: LinkQuestion, records: tuple[str, ...], addresses: tuple[IPAddress, ...]) -> None:
    assert read_link_reply(reply_to(question, *records), question) == LinkReply(addresses)


def test_only_what_was_asked_for() -> None:
    question = ask_link_for(NAME, [Family.IPV4])
    assert read_link_reply(reply_to(question, *RECORDS), question) == LinkReply((IPV4,))


def test_some_repeat_only_the_question_that_they_answer(question: LinkQuestion) -> None:
    assert read_link_reply(reply_to(question, RECORDS[1], first_question=1), question) == LinkReply((IPV6,))


def test_no_answers(question: LinkQuestion) -> None:
    good = reply_to(question, *RECORDS)
    for other in (
        LinkQuestion(NAME, question.families, question.identifier ^ 1, question.octets),
        LinkQuestion(NAME, (Family.IPV6,), question.identifier, question.octets),
        LinkQuestion(dns.name.from_text("a.local."), question.families, question.identifier, question.octets),
    ):
        assert read_link_reply(good, other) is None
    assert read_link_reply(question.octets, question) is None  # our own question, come back
    assert read_link_reply(reply_to(question, *RECORDS, first_question=2), question) is None
    assert read_link_reply(good[:3] + b"\3" + good[4:], question) is None  # an error code
    assert read_link_reply(good[:2] + b"\xa0" + good[3:], question) is None  # another operation


def test_what_the_bits_say(question: LinkQuestion) -> None:
    for flags, reply in (
        (dns.flags.AA, LinkReply((IPV4, IPV6), conflict=True)),
        (dns.flags.RD, LinkReply((IPV4, IPV6), tentative=True)),
        (dns.flags.TC, LinkReply((IPV4, IPV6), cut=True)),
    ):
        assert read_link_reply(reply_to(question, *RECORDS, flags=flags), question) == reply


def test_a_cut_answer_has_what_fitted(question: LinkQuestion) -> None:
    octets = reply_to(question, *RECORDS, flags=dns.flags.TC)
    assert read_link_reply(octets[:-3], question) == LinkReply((IPV4,), cut=True)
    with pytest.raises(MalformedInput):
        read_link_reply(reply_to(question, *RECORDS)[:-3], question)


def test_malformed(question: LinkQuestion) -> None:
    head = question.octets[:2]
    for octets in (head, head + b"\x80\0", head + struct.pack("!5H", 0x8000, 1, 65535, 0, 0), head + b"\x80\0" * 6):
        with pytest.raises(MalformedInput):
            read_link_reply(octets, question)


@given(st.data())
def test_mutated_replies_do_no_harm(data: st.DataObject) -> None:
    question = ask_link_for(NAME, Family)
    octets = bytearray(reply_to(question, *RECORDS, flags=data.draw(st.sampled_from([0, dns.flags.TC]))))
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(2, len(octets)))
        end = data.draw(st.integers(start, min(start + 4, len(octets))))
        octets[start:end] = data.draw(st.binary(max_size=4) | st.just(bytes(octets[start:end]) * 2))
    check_harmless(question, bytes(octets))


@given(st.binary(max_size=200))
def test_random_octets_do_no_harm(octets: bytes) -> None:
    question = ask_link_for(NAME, Family)
    check_harmless(question, question.octets[:2] + octets)
    check_harmless(question, question.octets[:2] + b"\x82\0\0\1\0\1\0\0\0\0" + octets)


def check_harmless(question: LinkQuestion, octets: bytes) -> None:
    with suppress(MalformedInput):
        reply = read_link_reply(octets, question)
        assert reply is None or isinstance(reply, LinkReply)


@pytest.mark.parametrize("flags", [0x8000, 0x8200])
def test_the_worst_message_takes_bounded_time(question: LinkQuestion, flags: int) -> None:
    """9,000 octets of records with names as long as can be, through a chain of pointers."""
    labels = b"".join(b"\1" + bytes([97 + number % 26]) for number in range(120)) + b"\0"
    start = len(question.octets) + 12
    first = struct.pack("!HHHIH", 0xC00C, 65280, 1, 0, len(labels)) + labels
    others = b"".join(struct.pack("!HHHIHI", 0xC000 | start, 1, 1, 0, 4, number) for number in range(253))
    octets = struct.pack("!6H", question.identifier, flags, 2, 254, 0, 0) + question.octets[12:] + first + others
    began = time.process_time()
    assert read_link_reply(octets[:9000], question) is not None
    assert time.process_time() - began < 0.5
