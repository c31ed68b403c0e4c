"""The pure parts of encrypted DNS: who is asked how, padding, and conversations under any octets."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import dns.edns
import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimif._information import EncryptedDnsServer
from trimif._model import Family
from trimif._names._doh import authority_of
from trimif._names._encrypted_choice import EncryptedProtocol, EncryptedWay, choose, expand_path, protocols_spoken
from trimif._names._encrypted_messages import MOST_UNANSWERED, DotConversation, Violation, pad
from trimif._names._http1 import Http1Conversation
from trimif._names._http2 import Http2Conversation
from trimif._names._question import ServerFailed, ask_for, read_name

if TYPE_CHECKING:
    from trimif._names._encrypted_messages import Conversation

DOT, DOH = EncryptedProtocol.DOT, EncryptedProtocol.DOH
WAY = EncryptedWay(EncryptedDnsServer(1, "dns.example"), DOH, 443, "/dns-query")


def server(priority: int, *alpn: str, name: str = "dns.example", **arguments: object) -> EncryptedDnsServer:
    return EncryptedDnsServer(priority, name, (ip_address("192.0.2.1"),), alpn, **arguments)  # type: ignore[arg-type]


def message(name: str, *, edns: bool = True) -> bytes:
    read = read_name(name)
    assert read is not None
    return ask_for(read, Family.IPV6, edns=edns).octets


# ------------------------------------------------------------------ whom, and how


def test_the_order() -> None:
    both = server(2, "h2", "dot", "doq", doh_path="/q{?dns}")
    early = server(1, "h2", port=8443, doh_path="/early{?dns}")
    late = server(2, "dot", port=8853)
    assert choose([both, late, early]) == (
        EncryptedWay(early, DOH, 8443, "/early"),
        EncryptedWay(both, DOT, 853),
        EncryptedWay(both, DOH, 443, "/q"),
        EncryptedWay(late, DOT, 8853),
    )
    assert [way.server for way in choose([both, late, early], {DOT})] == [both, late]


@pytest.mark.parametrize(
    "useless",
    [
        server(1),  # ADN-only mode
        server(1, "doq", "h3"),
        server(1, "h2"),  # without a path
        server(1, "dot", name="two words"),
        server(1, "dot", name="dns.example\r\nevil"),
        server(1, "dot", name="bücher.example"),
        server(1, "dot", name=""),
        server(1, "dot", name=".example"),
    ],
)
def test_servers_that_we_can_not_ask(useless: EncryptedDnsServer) -> None:
    assert choose([useless]) == ()


def test_protocols_are_named_once() -> None:
    assert len(choose([server(1, "h2", "http/1.1", "h2", doh_path="/{?dns}")])) == 1
    assert protocols_spoken() == {DOT, DOH}


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/dns-query{?dns}", "/dns-query"),
        ("/dns-query{?dns,other}", "/dns-query"),
        ("/a{/more}/b{?dns}{&x}", "/a/b"),
        ("/q?user=1{&dns}", "/q?user=1"),
        ("/{dns}", "/"),
        ("/%7Ename{?dns}", "/%7Ename"),
        ('/"<{?dns}', "/%22%3C"),
        ("/q{?dns", "/q%7B?dns"),
        ("/q{?dns}#part", "/q"),
        ("{?dns}", "/"),
    ],
)
def test_templates(template: str, path: str) -> None:
    assert expand_path(template) == path


@given(st.text(max_size=40))
def test_any_template_gives_a_path(template: str) -> None:
    path = expand_path(template)
    assert path.isascii()
    assert path.isprintable()
    assert path.startswith("/")
    assert " " not in path


@pytest.mark.parametrize(
    ("name", "port", "authority"),
    [
        ("dns.example", 443, b"dns.example"),
        ("dns.example", 8443, b"dns.example:8443"),
        ("2001:db8::1", 443, b"[2001:db8::1]"),
        ("192.0.2.1", 4443, b"192.0.2.1:4443"),
    ],
)
def test_authorities(name: str, port: int, authority: bytes) -> None:
    [way] = choose([server(1, "h2", name=name, port=port, doh_path="/{?dns}")])
    assert authority_of(way) == authority


# ------------------------------------------------------------------ padding


@given(st.integers(1, 63), st.integers(0, 3))
def test_padded_questions(letters: int, labels: int) -> None:
    plain = message("x" * letters + ".y" * labels)
    padded = pad(plain)
    assert len(padded) % 128 == 0
    assert len(padded) - len(plain) < 128 + 4
    parsed = dns.message.from_wire(padded)
    assert [(option.otype, len(option.to_wire() or b"")) for option in parsed.options] == [
        (dns.edns.OptionType.PADDING, len(padded) - len(plain) - 4)
    ]
    assert parsed.payload == dns.message.from_wire(plain).payload
    assert pad(padded) == padded


def test_a_question_without_edns_is_not_padded() -> None:
    plain = message("a.example", edns=False)
    assert pad(plain) == plain


# ------------------------------------------------------------------ conversations


def frame(octets: bytes) -> bytes:
    return len(octets).to_bytes(2, "big") + octets


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(1, 30))
def test_answers_in_any_pieces(texts: list[bytes], size: int) -> None:
    conversation = DotConversation()
    keys = [conversation.begin(message("a.example"))[0] for _ in texts]
    answers = [key.to_bytes(2, "big") + text for key, text in zip(keys, texts, strict=True)]
    octets = b"".join(map(frame, reversed(answers)))
    found = [
        each for start in range(0, len(octets), size) for each in conversation.receive(octets[start : start + size])
    ]
    assert found == list(reversed(list(zip(keys, answers, strict=True))))


def test_ids_are_unique_also_among_those_that_nobody_waits_for() -> None:
    conversation = DotConversation()
    keys = []
    for _ in range(MOST_UNANSWERED):
        assert not conversation.ended
        keys.append(conversation.begin(message("a.example"))[0])
        conversation.abandon(keys[-1])
    assert len(set(keys)) == MOST_UNANSWERED
    assert conversation.ended
    assert list(conversation.receive(frame(keys[0].to_bytes(2, "big")))) == []  # late, and nobody's any more
    assert not conversation.ended


def begun(kind: int) -> Conversation:
    conversation: Conversation = (DotConversation, lambda: Http2Conversation(WAY), lambda: Http1Conversation(WAY))[
        kind
    ]()
    conversation.begin(message("a.example"))
    conversation.take_outgoing()
    return conversation


HTTP1 = b"HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nContent-Length: 3\r\n\r\nabc"
SETTINGS = bytes.fromhex("000000 04 00 00000000")
HEADERS = bytes.fromhex("000001 01 04 00000001 88")  # :status 200
DATA = bytes.fromhex("000003 00 01 00000001") + b"abc"
SAMPLES = (frame(b"\0\0abc"), SETTINGS + HEADERS + DATA, HTTP1)


def test_the_samples_are_good() -> None:
    [(_, outcome)] = begun(1).receive(SAMPLES[1])
    assert outcome == ServerFailed("media type ''")
    assert list(begun(2).receive(SAMPLES[2])) == [(1, b"abc")]


@st.composite
def mutated(draw: st.DrawFn, sample: bytes) -> bytes:
    octets = bytearray(sample)
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, len(octets)))
        octets[position : position + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
    return bytes(octets)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(0, 2), st.booleans())
def test_any_octets(data: st.DataObject, kind: int, random: bool) -> None:
    """Outcomes or a violation, nothing else; and what is outstanding can be abandoned at any time."""
    conversation = begun(kind)
    try:
        for octets in data.draw(st.lists(st.binary(max_size=200) if random else mutated(SAMPLES[kind]), max_size=3)):
            for _key, outcome in conversation.receive(octets):
                assert isinstance(outcome, (bytes, ServerFailed))
        conversation.abandon(1)
        if conversation.has_room and not conversation.ended:
            conversation.begin(message("b.example"))
        conversation.take_outgoing()
    except Violation:
        return


def test_a_frame_that_never_ends() -> None:
    """h2 would take in 16 MiB before it looked at the length."""
    conversation = begun(1)
    taken = 0
    with pytest.raises(Violation, match="too large"):
        for _ in range(1000):
            assert list(conversation.receive(b"\xff" * 1000)) == []
            taken += 1000
    assert taken < 200_000
