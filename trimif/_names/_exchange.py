"""One question to one name server of a domain: by UDP, and by TCP when the answer does not fit (RFC 1035, RFC 7766).

The sockets are bound to the domain (law 10). Each question has a socket, and so a random port, of its own
(RFC 5452, 9.2). Datagrams that are no answer to the question, or no DNS message at all, are passed over, and the
wait goes on: who only guesses must not end it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeAlias

import trio

from trimif._connect import Attempt, check_path, connect, open_socket, possible_attempts, socket_address
from trimif._errors import ConnectFailed, MalformedInput
from trimif._model import DomainView, IPAddress
from trimif._names._question import Question, Reply, ServerFailed, Truncated, read_reply

DNS_PORT = 53
DATAGRAM_OCTETS = 4096  # more than we offer to take (EDNS); what is larger is cut, and then malformed


NoteMalformed: TypeAlias = Callable[[MalformedInput], None]
"""Is told of each message that was no DNS message, so that it can be counted."""


async def ask_server(view: DomainView, server: IPAddress, question: Question, note_malformed: NoteMalformed) -> Reply:
    """Put a question to a server; never `Truncated`. How long to wait is a matter for the caller's cancel scope.

    Raises:
        OSError: the server can't be reached from the domain, or does not speak DNS.
    """
    reply = await _ask_by_datagram(await _attempt_to(view, server), question, note_malformed)
    if isinstance(reply, Truncated):
        return await _ask_by_stream(view, server, question, note_malformed)
    return reply


async def _attempt_to(view: DomainView, server: IPAddress) -> Attempt:
    """The way to the server from the best source address that has one (RFC 6724, RFC 7556)."""
    failure = None
    for attempt in possible_attempts(view, server, DNS_PORT):
        try:
            await check_path(attempt)
            return attempt
        except ConnectFailed as error:
            failure = failure or error
    assert failure is not None  # there is at least one attempt
    raise failure


async def _ask_by_datagram(attempt: Attempt, question: Question, note_malformed: NoteMalformed) -> Reply:
    peer = socket_address(attempt.address, DNS_PORT, attempt.view.index)
    with open_socket(attempt.view, socket.SOCK_DGRAM, attempt.address, attempt.source) as datagrams:
        await datagrams.connect(peer)
        await datagrams.send(question.octets)
        while True:
            octets, sender = await datagrams.recvfrom(DATAGRAM_OCTETS)
            # The kernel passes only the peer's datagrams, but for those that came between bind and connect.
            reply = _read(octets, question, note_malformed) if sender[:2] == peer[:2] else None
            if reply is not None:
                return reply


def _read(octets: bytes, question: Question, note_malformed: NoteMalformed) -> Reply | None:
    try:
        return read_reply(octets, question)
    except MalformedInput as malformed:
        note_malformed(malformed)
        return None


async def _ask_by_stream(
    view: DomainView, server: IPAddress, question: Question, note_malformed: NoteMalformed
) -> Reply:
    stream = await connect(view, server, DNS_PORT)
    async with stream:
        try:
            # One segment, length and message together (RFC 7766, 8).
            await stream.send_all(len(question.octets).to_bytes(2, "big") + question.octets)
            length = int.from_bytes(await _receive_exactly(stream, 2), "big")
            octets = await _receive_exactly(stream, length)
        except trio.BrokenResourceError as broken:
            raise ConnectionResetError(f"{server} broke off: {broken}") from broken
    reply = _read(octets, question, note_malformed)
    if reply is None or isinstance(reply, Truncated):  # by TCP the server has one chance: no other answer will come
        return ServerFailed("no answer to the question")
    return reply


async def _receive_exactly(stream: trio.SocketStream, octets: int) -> bytes:
    await trio.lowlevel.checkpoint()
    received = bytearray()
    while len(received) < octets:
        part = await stream.receive_some(octets - len(received))
        if not part:
            raise ConnectionResetError(f"closed after {len(received)} of {octets} octets")
        received += part
    return bytes(received)
