"""DNS messages: what we ask, what answers mean, and that no octets do harm."""

from __future__ import annotations

import struct
import time
from ipaddress import ip_address

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._model import Family
from trimif._names._question import (
    Addresses,
    Alias,
    CaseLost,
    NoSuchName,
    Question,
    ServerFailed,
    Truncated,
    ask_for,
    read_name,
    read_reply,
)
from trimif._names._selection import candidate_names

NAME = dns.name.from_text("www.example.org.")


def reply_to(question: Question, *records: str, code: str = "NOERROR", authority: tuple[str, ...] = ()) -> bytes:
    """A server's reply; records as text, ``name type data``."""
    message = dns.message.make_response(dns.message.from_wire(question.octets))
    message.flags |= dns.flags.RA
    message.set_rcode(dns.rcode.from_text(code))
    for section, texts in ((message.answer, records), (message.authority, authority)):
        for text in texts:
            owner, kind, data = text.split(" ", 2)
            section.append(dns.rrset.from_text(owner, 60, "IN", kind, data))
    return message.to_wire()


@pytest.fixture
def question() -> Question:
    return ask_for(NAME, Family.IPV4)


def test_a_question() -> None:
    for family, kind in ((Family.IPV4, "A"), (Family.IPV6, "AAAA")):
        question = ask_for(NAME, family)
        message = dns.message.from_wire(question.octets)
        assert message.id == question.identifier
        assert [rrset.to_text() for rrset in message.question] == [f"www.example.org. IN {kind}"]
        assert message.flags == dns.flags.RD
        assert message.edns == 0
        assert message.payload == 1232
    assert dns.message.from_wire(ask_for(NAME, Family.IPV4, edns=False).octets).edns == -1
    assert len({ask_for(NAME, Family.IPV4).identifier for _ in range(20)}) > 15


def test_letters_of_mixed_case_have_to_come_back() -> None:
    questions = [ask_for(NAME, Family.IPV4, mixed_case=True) for _ in range(20)]
    assert len({question.octets[2:] for question in questions}) > 15
    for question in questions:
        answer = reply_to(question, "www.example.org. A 203.0.113.1")
        assert read_reply(answer, question) == Addresses((ip_address("203.0.113.1"),))
        folded = answer[:12] + (NAME.to_wire() or b"") + answer[12 + len(NAME.to_wire() or b"") :]
        is_mixed = folded != answer
        assert isinstance(read_reply(folded, question), CaseLost if is_mixed else Addresses)


@pytest.mark.parametrize(
    ("records", "authority", "code", "ttl"),
    [
        (("www.example.org. A 203.0.113.1",), (), "NOERROR", 60),
        (("www.example.org. CNAME a.example.",), (), "NOERROR", 60),
        ((), ("example.org. SOA ns.example.org. admin.example.org. 1 2 3 4 5",), "NOERROR", 5),
        ((), ("example.org. SOA ns.example.org. admin.example.org. 1 2 3 4 500",), "NXDOMAIN", 60),
        ((), (), "NXDOMAIN", 0),
        ((), (), "NOERROR", 0),
    ],
)
def test_for_how_long_it_may_be_remembered(
    question: Question, records: tuple[str, ...], authority: tuple[str, ...], code: str, ttl: float
) -> None:
    reply = read_reply(reply_to(question, *records, code=code, authority=authority), question)
    assert isinstance(reply, Addresses | Alias | NoSuchName)
    assert reply.ttl == ttl


SOA = "example.org. SOA ns.example.org. admin.example.org. 1 2 3 4 5"
MEANINGS = {
    "one": (("www.example.org. A 203.0.113.1",), (), "NOERROR", Addresses((ip_address("203.0.113.1"),))),
    "only of the family": (("www.example.org. AAAA 2001:db8::1",), (), "NOERROR", Addresses(())),
    "only of the name": (("evil.example.org. A 203.0.113.66",), (), "NOERROR", Addresses(())),
    "through aliases": (
        ("www.example.org. CNAME a.example.", "a.example. CNAME b.example.", "b.example. A 203.0.113.1"),
        (),
        "NOERROR",
        Addresses((ip_address("203.0.113.1"),)),
    ),
    "an alias": (("www.example.org. CNAME a.example.",), (), "NOERROR", Alias(dns.name.from_text("a.example."))),
    "an alias of nothing": (("www.example.org. CNAME a.example.org.",), (SOA,), "NOERROR", Addresses(())),
    "nothing": ((), (SOA,), "NOERROR", Addresses(())),
    "no such name": ((), (SOA,), "NXDOMAIN", NoSuchName()),
    "an alias of no such name": (("www.example.org. CNAME a.example.",), (), "NXDOMAIN", NoSuchName()),
    "refused": ((), (), "REFUSED", ServerFailed("REFUSED")),
    "failed": ((), (), "SERVFAIL", ServerFailed("SERVFAIL")),
    "a loop": (
        ("www.example.org. CNAME a.example.", "a.example. CNAME www.example.org."),
        (),
        "NOERROR",
        ServerFailed("ChainTooLong"),
    ),
}


@pytest.mark.parametrize("case", MEANINGS)
def test_meanings(question: Question, case: str) -> None:
    records, authority, code, meaning = MEANINGS[case]
    assert read_reply(reply_to(question, *records, code=code, authority=authority), question) == meaning


def test_somebody_elses_answers(question: Question) -> None:
    good = reply_to(question, "www.example.org. A 203.0.113.1")
    for other in (
        Question(NAME, Family.IPV4, question.identifier ^ 1, question.octets),
        Question(NAME, Family.IPV6, question.identifier, question.octets),
        Question(dns.name.from_text("www.example.com."), Family.IPV4, question.identifier, question.octets),
    ):
        assert read_reply(good, other) is None
    assert read_reply(question.octets, question) is None  # our own question, come back
    assert read_reply(good.replace(b"\3www", b"\3WWW", 1), question) is not None  # the case is the server's own


def test_a_failing_server_may_leave_out_the_question(question: Question) -> None:
    header = struct.Struct("!HHHHHH")
    assert read_reply(header.pack(question.identifier, 0x8081, 0, 0, 0, 0), question) == ServerFailed("FORMERR")
    assert read_reply(header.pack(question.identifier, 0x8080, 0, 0, 0, 0), question) is None
    assert read_reply(header.pack(question.identifier, 0x8083, 0, 0, 0, 0), question) is None


@pytest.mark.parametrize("cut", [0, 1, 5])
def test_truncated(question: Question, cut: int) -> None:
    octets = bytearray(reply_to(question, "www.example.org. A 203.0.113.1"))
    octets[2] |= 0x02
    assert read_reply(bytes(octets[: len(octets) - cut]), question) == Truncated()


def test_a_server_that_only_points_elsewhere(question: Question) -> None:
    octets = bytearray(reply_to(question, authority=("org. NS a.example.",)))
    octets[3] &= 0x7F  # no recursion here
    assert read_reply(bytes(octets), question) == ServerFailed("lame")


@st.composite
def mutated_replies(draw: st.DrawFn) -> tuple[Question, bytes]:
    """Real replies with some octets changed, cut out or doubled; the id mostly right, so that they are parsed."""
    question = ask_for(NAME, draw(st.sampled_from(Family)))
    records, authority, code, _ = MEANINGS[draw(st.sampled_from(sorted(MEANINGS)))]
    octets = bytearray(reply_to(question, *records, code=code, authority=authority))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(2, len(octets)))
        end = draw(st.integers(start, min(start + 4, len(octets))))
        octets[start:end] = draw(st.binary(max_size=4) | st.just(bytes(octets[start:end]) * 2))
    return question, bytes(octets)


def check_harmless(question: Question, octets: bytes) -> None:
    try:
        reply = read_reply(octets, question)
    except MalformedInput:
        return
    assert reply is None or isinstance(reply, Addresses | Alias | NoSuchName | Truncated | ServerFailed)


@given(mutated_replies())
def test_mutated_replies_do_no_harm(case: tuple[Question, bytes]) -> None:
    check_harmless(*case)


@given(st.binary(max_size=200))
def test_random_octets_do_no_harm(octets: bytes) -> None:
    question = ask_for(NAME, Family.IPV4)
    check_harmless(question, question.octets[:2] + octets)


@pytest.mark.parametrize("records", [1000, 4000])
@pytest.mark.parametrize("target", ["labels", "pointers"])
def test_the_worst_messages_take_bounded_time(question: Question, records: int, target: str) -> None:
    """64 KiB, as TCP allows, of records whose names are as long as can be, or chains of 8,000 pointers."""
    head = dns.message.make_query(NAME, "A").to_wire()
    start = len(head) + 12  # of the first record's data
    if target == "labels":
        data = b"".join(b"\1" + bytes([97 + number % 26]) for number in range(120)) + b"\0"
        pointer = 0xC000 | start
    else:
        links = [0xC00C] + [0xC000 | start + 2 * number for number in range(8000)]
        data, pointer = struct.pack("!8001H", *links), 0xC000 | start + 16000
    first = struct.pack("!HHHIH", 0xC00C, 65280, 1, 0, len(data)) + data
    others = b"".join(struct.pack("!HHHIHI", pointer, 1, 1, 0, 4, number) for number in range(records))
    octets = struct.pack("!HHHHHH", question.identifier, 0x8180, 1, records + 1, 0, 0) + head[12:] + first + others
    began = time.process_time()
    check_harmless(question, octets[:65535])
    assert time.process_time() - began < 1


def names(*texts: str) -> tuple[dns.name.Name, ...]:
    return tuple(map(dns.name.from_text, texts))


def test_candidate_names() -> None:
    search = ["corp.example", "example"]
    assert candidate_names("www", search) == names("www.corp.example.", "www.example.", "www.")
    assert candidate_names("www.a", search) == names("www.a.", "www.a.corp.example.", "www.a.example.")
    assert candidate_names("www.", search) == names("www.")
    assert candidate_names("www", []) == names("www.")
    assert candidate_names("w" * 64, search) == ()
    assert len(candidate_names("www", [f"d{number}.example" for number in range(1000)])) == 17
    assert candidate_names("www", ["a" * 64, "b..c", ""]) == names("www.")


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_none(text: str) -> None:
    name = read_name(text)
    assert name is None or (name.is_absolute() and len(name.to_wire() or b"") <= 255)
