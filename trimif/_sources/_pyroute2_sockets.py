"""pyroute2's AsyncIPRoute in an asyncio event loop of trio-asyncio: the one module that knows of either.

Two AsyncIPRoutes, because one matches answers to questions by their sequence number alone: events bear the number of
whoever made the change, so that an event could be taken for an answer. The one that hears events asks nothing, and the
one that asks hears no events.

The loop runs in a task of its own, `_keep_open`, and nothing but the coroutines that talk to the sockets runs in it.
Tasks of the program must not be started from there: they would inherit its context, and take it for their own loop.

Importing trio-asyncio replaces functions of asyncio (event loop policies, ``get_event_loop``) in the whole process. On
Python 3.12 and 3.13 it warns that Python 3.14 lacks something it builds on, and there it does not import.
"""

from __future__ import annotations

import errno
import socket
import warnings
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, closing
from typing import Any, TypeAlias, TypeVar

import trio

from trimif._sources._netlink_socket import EVERY_GROUP
from trimif._sources._pyroute2_facts import Pyroute2Message

__all__ = ["Pyroute2Sockets", "open_sockets"]

T = TypeVar("T")
Untyped: TypeAlias = Any  # an event loop of trio-asyncio, an AsyncIPRoute: neither library has types

LOOPBACK_INDEX = 1

UNAVAILABLE = (
    'open_mif(link="pyroute2") needs trio-asyncio, which does not import here ({fault}): '
    "install trimif[asyncio], on a Python before 3.14"
)
LOST_EVENTS = (
    "the reference link lost events of the kernel: its receive buffer overflowed, and pyroute2's AsyncIPRoute can't go "
    'on after that; open_mif(link="netlink") can'
)
FAILED = "the reference link failed: pyroute2's AsyncIPRoute gave up with {fault!r}"


class Pyroute2Sockets:
    """What `open_sockets` opens. A method that was cancelled leaves its socket fit for nothing but closing."""

    def __init__(self, loop: Untyped, events: Untyped, questions: Untyped) -> None:
        self._loop = loop
        self._events = events
        self._questions = questions

    async def hear(self) -> list[Pyroute2Message]:
        """Wait for the next datagram of events, and give its messages.

        Raises:
            OSError: with ENOBUFS, when the kernel had no room for some; another one if the socket failed.
        """
        return await self._run(_list(self._events.get()))

    async def dump(self) -> list[Pyroute2Message]:
        """All links, addresses and routes, one table after the other, read while they change.

        Raises:
            OSError: the kernel refused, or the socket failed.
        """
        return await self._run(self._dump())

    async def _dump(self) -> list[Pyroute2Message]:
        # An answer about one link comes when the change that is being made now is finished; see `_netlink_dump`.
        await self._questions.link("get", index=LOOPBACK_INDEX)
        found = await _list(await self._questions.get_links())
        found += await _list(await self._questions.get_addr())
        for family in (socket.AF_INET, socket.AF_INET6):
            found += await _list(await self._questions.get_routes(family=family))
        return found

    async def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        from pyroute2 import NetlinkError

        try:
            return await self._loop.run_aio_coroutine(coroutine)  # type: ignore[no-any-return]
        except NetlinkError as fault:
            raise OSError(fault.code, FAILED.format(fault=fault)) from fault
        except OSError as fault:
            text = LOST_EVENTS if fault.errno == errno.ENOBUFS else FAILED.format(fault=fault)
            raise OSError(fault.errno, text) from fault


@asynccontextmanager
async def open_sockets(receive_buffer: int) -> AsyncIterator[Pyroute2Sockets]:
    """Open the sockets in the network namespace of the calling thread, for the length of the block.

    Args:
        receive_buffer: for events, in octets; the kernel grants ``net.core.rmem_max`` at most.

    Raises:
        ImportError: there is no trio-asyncio, or it does not know this version of Python.
        OSError: the process may not use rtnetlink at all.
        ExceptionGroup: with one of these in it, or with what the block raised.
    """
    send_sockets, receive_sockets = trio.open_memory_channel[Pyroute2Sockets](1)
    unused = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_keep_open, receive_buffer, send_sockets, unused)
        try:
            yield await receive_sockets.receive()
        finally:
            unused.set()


async def _keep_open(receive_buffer: int, opened: trio.MemorySendChannel[Pyroute2Sockets], unused: trio.Event) -> None:
    """Once they are open they are closed when unused, and not when this is cancelled: asyncio code that is cancelled
    goes on for a while, and would meet descriptors that are closed, or another socket's by then."""
    open_loop = _import_open_loop()
    from pyroute2 import AsyncIPRoute

    async with open_loop() as loop:
        with (
            closing(AsyncIPRoute(groups=EVERY_GROUP, rcvbuf=receive_buffer)) as events,
            closing(AsyncIPRoute(groups=0)) as questions,
        ):
            await loop.run_aio_coroutine(events.bind())
            opened.send_nowait(Pyroute2Sockets(loop, events, questions))
            with trio.CancelScope(shield=True):
                await unused.wait()


def _import_open_loop() -> Untyped:
    """Import trio-asyncio, without its warnings about the next Python: whoever asked for this link can't help it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            from trio_asyncio import open_loop
    except (ImportError, AttributeError) as fault:  # AttributeError: the policies that it replaces are gone
        raise ImportError(UNAVAILABLE.format(fault=fault), name="trio_asyncio") from fault
    return open_loop


async def _list(messages: AsyncIterator[Pyroute2Message]) -> list[Pyroute2Message]:
    return [message async for message in messages]
