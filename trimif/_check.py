"""CHECK MESSAGE over everything that a program may wait for (draft 3.4.2; "an example is the POSIX poll() call")."""

from __future__ import annotations

import select
from typing import Any, TypeAlias

import trio
import trio.lowlevel

from trimif._scopes import raise_lone
from trimif._subscriber import Subscriber
from trimif._subscriptions import Subscription

__all__ = ["check", "check_nowait"]

Checkable: TypeAlias = (
    "Subscriber | Subscription[Any] | trio.SocketStream | trio.SocketListener | trio.socket.SocketType"
)
"""What CHECK takes: anything of trimif or Trio that a message or a connection can come from."""


async def check(*sources: Checkable) -> frozenset[Checkable]:
    """Wait until a receive, read or accept on at least one of the sources won't wait; nothing is consumed.

    It covers the draft's communications API too. For a limit, put it into a cancel scope; to probe, use
    `check_nowait`.

    Returns:
        All sources that are ready.

    Raises:
        ValueError: no source was given: it would wait for ever.
        TypeError: one is no source.
        trio.ClosedResourceError: one is closed, perhaps while this waited.
    """
    await trio.lowlevel.checkpoint()
    while not (ready := _ready(sources)):
        await _wait_for_any(sources)
    return ready


def check_nowait(*sources: Checkable) -> frozenset[Checkable]:
    """The same as a probe.

    Raises:
        trio.WouldBlock: none is ready.
    """
    ready = _ready(sources)
    if not ready:
        raise trio.WouldBlock
    return ready


def _ready(sources: tuple[Checkable, ...]) -> frozenset[Checkable]:
    if not sources:
        raise ValueError("check() needs at least one source: a subscriber, socket, stream or listener")
    return frozenset(source for source in sources if _is_ready(source))


def _is_ready(source: Checkable) -> bool:
    if isinstance(source, Subscriber | Subscription):
        try:
            source.check_nowait()
        except trio.WouldBlock:
            return False
        return True
    poll = select.poll()
    poll.register(_socket_of(source), select.POLLIN)
    return bool(poll.poll(0))


def _socket_of(source: Checkable) -> trio.socket.SocketType:
    socket = source.socket if isinstance(source, trio.SocketStream | trio.SocketListener) else source
    if not isinstance(socket, trio.socket.SocketType):
        raise TypeError(
            f"{source!r} can't be checked: give subscribers, Trio sockets, SocketStreams or SocketListeners"
        )
    if socket.fileno() < 0:
        raise trio.ClosedResourceError(f"{source!r} is closed")
    return socket


async def _wait_for_any(sources: tuple[Checkable, ...]) -> None:
    async def wait(source: Checkable) -> None:
        if isinstance(source, Subscriber | Subscription):
            await source.check()
        else:
            await trio.lowlevel.wait_readable(_socket_of(source))
        nursery.cancel_scope.cancel(reason="a source is ready")

    try:
        async with trio.open_nursery() as nursery:
            for source in sources:
                nursery.start_soon(wait, source)
    except BaseExceptionGroup as group:
        raise_lone(group)
