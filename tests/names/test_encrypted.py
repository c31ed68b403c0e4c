"""Encrypted name servers that behave: sharing, pipelining, reconnecting, closing; and who is believed."""

from __future__ import annotations

import random
import ssl
from collections.abc import Iterator

import pytest
import trio
import trio.testing
import trustme

from trimif._information import EncryptedDnsServer
from trimif._names._encrypted import EncryptedSession
from trimif._names._encrypted_choice import EncryptedProtocol, EncryptedWay
from trimif._names._encrypted_connection import IDLE_SECONDS, SILENCE_SECONDS
from trimif._names._question import Addresses, Reply
from trimif._names._tls import BadCertificate
from trimif.testing._servers_encrypted_dns import MEDIA_TYPE

from .encrypted_world import (
    NAME,
    PROTOCOLS,
    RIGHT,
    World,
    certified,
    loopback,
    no_socket_left,
    open_session,
    open_world,
    question,
    sockets,
    trusting,
)


@pytest.fixture(autouse=True)
def _no_socket_left() -> Iterator[None]:
    with no_socket_left():
        yield


async def ask_many(world: World, names: list[str]) -> list[tuple[str, Reply]]:
    """All at once; the replies in the order in which they came."""
    replies: list[tuple[str, Reply]] = []

    async def ask(name: str) -> None:
        replies.append((name, await world.ask(name)))

    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(ask, name)
    return replies


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_questions_share_a_connection(protocol: str) -> None:
    async with open_world(protocol) as world:
        assert await world.ask("a") == RIGHT
        assert [reply for _, reply in await ask_many(world, ["b", "c", "d"])] == [RIGHT] * 3
        assert world.service.connections == [protocol]
        assert world.service.server_names == [NAME]
        assert world.malformed == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_questions_are_padded(protocol: str) -> None:
    """RFC 8467, 4.1, the same size for short and long names; RFC 8484, 4.1: id 0."""
    async with open_world(protocol) as world:
        await world.ask("a")
        await world.ask("a-much-longer-name-than-that")
        assert [len(message) for message in world.service.messages] == [128, 128]
        assert all(asked.query.edns == 0 for asked in world.service.asked)
        identifiers = {message[:2] for message in world.service.messages}
        assert protocol == "dot" or identifiers == {b"\0\0"}


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
async def test_the_request(protocol: str) -> None:
    async with open_world(protocol) as world:
        await world.ask("a")
        [request] = world.service.requests
        host = request[":authority" if protocol == "h2" else "host"]
        assert host == f"{NAME}:{world.port}"
        assert request["content-type"] == request["accept"] == MEDIA_TYPE
        assert request["content-length"] == "128"
        assert protocol != "h2" or (request[":method"], request[":path"]) == ("POST", "/dns-query")


@pytest.mark.parametrize("protocol", ["dot", "h2"])
async def test_answers_come_in_any_order(protocol: str) -> None:
    async with open_world(protocol) as world:
        replies = await ask_many(world, ["late-300", "late-200", "late-100", "now"])
        assert [name for name, _ in replies] == ["now", "late-100", "late-200", "late-300"]
        assert {reply for _, reply in replies} == {RIGHT}
        assert world.service.connections == [protocol]


async def test_without_pipelining_they_wait_for_each_other() -> None:
    async with open_world("http/1.1") as world:
        replies = await ask_many(world, ["late-200", "late-100", "now"])
        assert {reply for _, reply in replies} == {RIGHT}
        assert world.service.connections == ["http/1.1"]


@pytest.mark.parametrize("protocol", ["dot", "h2"])
async def test_many_at_once(protocol: str) -> None:
    async with open_world(protocol) as world:
        replies = await ask_many(world, [f"late-{number % 7}" for number in range(300)])
        assert [reply for _, reply in replies] == [RIGHT] * 300
        assert world.service.connections == [protocol]
        if protocol == "dot":
            assert len({message[:2] for message in world.service.messages}) == 300


async def test_an_id_is_used_again_as_soon_as_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer has come, but who asked has not run yet."""
    monkeypatch.setattr("secrets.randbelow", lambda _most: random.randrange(24))
    async with open_world() as world, trio.open_nursery() as nursery:
        free = trio.Semaphore(20)

        async def ask() -> None:
            assert await world.ask("a") == RIGHT
            free.release()

        for _ in range(500):
            await free.acquire()
            nursery.start_soon(ask)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_large_answers(protocol: str) -> None:
    async with open_world(protocol) as world:
        for _ in range(6):  # more than HTTP/2 lets a server send without being asked to go on
            reply = await world.ask("many-1000")
            assert isinstance(reply, Addresses)
            assert len(reply.addresses) == 1000


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_who_reads_for_all_is_cancelled(protocol: str) -> None:
    """Another one reads on, and the answer that nobody waits for is no trouble."""
    replies: list[Reply] = []

    async def ask(world: World, name: str, scope: trio.CancelScope) -> None:
        with scope:
            replies.append(await world.ask(name))

    async with open_world(protocol) as world, trio.open_nursery() as nursery:
        scopes = [trio.CancelScope() for _ in range(5)]
        for scope, name in zip(scopes, ["late-200", "late-400", "late-300", "late-250", "now"], strict=True):
            nursery.start_soon(ask, world, name, scope)
            await trio.sleep(0.02)
        scopes[0].cancel()  # it is reading
        await trio.sleep(0.02)
        scopes[1].cancel()  # whose turn it was after that
    assert replies == [RIGHT] * 3


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_server_that_hung_up_while_nothing_was_asked(protocol: str) -> None:
    async with open_world(protocol) as world:
        assert await world.ask("a") == RIGHT
        await world.service.hang_up()
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert await world.ask("b") == RIGHT
        assert world.service.connections == [protocol] * 2


async def test_a_server_that_hangs_up_as_it_is_asked() -> None:
    """It may not have seen the question (RFC 7766, 6.2.4): asked again, once."""
    async with open_world() as world:
        assert await world.ask("a") == RIGHT
        with pytest.raises(ConnectionError, match="closed the connection"):
            await world.ask("close")
        assert len(world.service.asked) == 3
        assert await world.ask("b") == RIGHT
        assert world.service.connections == ["dot"] * 3


async def test_a_server_that_fell_silent(autojump_clock: trio.testing.MockClock) -> None:
    """A question that is cut off soon does not condemn the connection; silence does."""
    async with open_world() as world:
        assert await world.ask("a") == RIGHT
        with trio.move_on_after(SILENCE_SECONDS / 2):
            await world.ask("drop")
        assert await world.ask("b") == RIGHT
        assert len(world.service.connections) == 1
        with trio.move_on_after(SILENCE_SECONDS + 1):
            await world.ask("drop")
        assert await world.ask("c") == RIGHT
        assert len(world.service.connections) == 2


async def test_it_does_not_stay_idle(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        await world.ask("a")
        before = sockets()
        world.session.close_if_idle(trio.current_time())
        assert sockets() == before
        await trio.sleep(IDLE_SECONDS)
        world.session.close_if_idle(trio.current_time())
        assert len(sockets()) < len(before)
        assert await world.ask("b") == RIGHT
        await trio.sleep(IDLE_SECONDS)
        assert await world.ask("c") == RIGHT
        assert len(world.service.connections) == 3


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("gently", [True, False])
async def test_closing_fails_what_is_asked(protocol: str, gently: bool) -> None:
    async with open_world(protocol) as world, trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(OSError, match="the session is closed"):
                await world.ask("drop")

        for _ in range(3):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked(0.05)
        if gently:
            await world.session.aclose()
        else:
            world.session.close()
        with pytest.raises(ConnectionAbortedError):
            await world.ask("a")


@pytest.mark.parametrize(
    ("context", "why"),
    [
        (certified("other.example"), "Hostname mismatch"),
        (certified(authority=trustme.CA()), "unable to get local issuer"),
    ],
)
async def test_a_server_that_can_not_prove_who_it_is(context: ssl.SSLContext, why: str) -> None:
    """It is asked nothing, and all who wait for the connection hear of it."""
    async with open_world(context=context) as world, trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(OSError, match=why):
                await world.ask("a")

        for _ in range(3):
            nursery.start_soon(ask)
        with pytest.raises(BadCertificate, match=why):
            await world.ask("a")
        assert world.service.asked == []


async def test_a_context_that_checks_nothing_is_refused() -> None:
    context = trusting()
    context.check_hostname = False
    with pytest.raises(ValueError, match="does not check"):
        open_session(853, context=context)


async def test_a_server_without_address_is_refused() -> None:
    way = EncryptedWay(EncryptedDnsServer(1, NAME), EncryptedProtocol.DOT, 853)
    with pytest.raises(ValueError, match="not known where"):
        EncryptedSession(loopback(), way)


async def test_the_systems_trust_store_does_not_know_the_tests_authority() -> None:
    async with open_world() as world:
        session = open_session(world.port, context=None)
        try:
            with pytest.raises(BadCertificate):
                await session.ask(question("a"), world.malformed.append)
        finally:
            session.close()
