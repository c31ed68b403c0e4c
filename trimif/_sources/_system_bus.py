"""The system bus (D-Bus), under Trio: calls, properties and signals, for sources that ask daemons on the host.

jeepney brings the format, not the input and output. Its own layer for Trio drops a signal silently when the filter's
queue is full, matches a sender by its unique name only, leaves the socket open when it is cancelled while it
authenticates, and takes the caller's tasks down in a group when the bus goes. Here:

* There is no task and no nursery. Whoever waits, for a reply or a signal, reads the socket for all; when it has what
  it wanted, or is cancelled, the next one of those who wait takes over. While nobody waits, nothing is read, and what
  comes is kept by the kernel and the bus.
* A signal is never lost silently. The queue of a channel is bounded; when it is full, it is emptied, and `SignalsLost`
  stands for all that was in it. Who receives that looks afresh.
* A channel follows a daemon by its well-known name: it passes on what the name's present owner says and nobody else,
  and `OwnerChanged` when the daemon goes or comes.
* Nothing waits for ever: a daemon that does not reply in time is an error of that call.
* When the bus itself goes away, or speaks something else, calls raise `BusGone` and channels end; so does everything
  after. Leave the block, `wait_system_bus`, and open it again.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import trio

from trimif._errors import MalformedInput
from trimif._sources._system_bus_connect import BusError, BusGone, BusUnusable, connect, wait_system_bus
from trimif._sources._system_bus_messages import Decoder, Message, authenticate, encode_call
from trimif._sources._system_bus_signals import News, OwnerChanged, Signal, SignalChannel, SignalsLost, match_rule

__all__ = [
    "BusError",
    "BusGone",
    "BusUnusable",
    "News",
    "OwnerChanged",
    "Signal",
    "SignalChannel",
    "SignalsLost",
    "SystemBus",
    "open_system_bus",
    "wait_system_bus",
]

REPLY_SECONDS = 5.0
"""A daemon that has not replied after so long is busy or hangs."""
RECEIVE_OCTETS = 1 << 16

BUS, BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
PROPERTIES = "org.freedesktop.DBus.Properties"
NO_OWNER = "org.freedesktop.DBus.Error.NameHasNoOwner"


@asynccontextmanager
async def open_system_bus(address: str | None = None) -> AsyncIterator[SystemBus]:
    """Connect to the system bus; leaving the block disconnects. Exceptions of the block come out bare.

    Args:
        address: as D-Bus writes it; if not given, what ``DBUS_SYSTEM_BUS_ADDRESS`` says, else the usual place.

    Raises:
        BusGone: there is none, or it does not answer.
        BusUnusable: there is one, but.
    """
    connection = connect(address)
    try:
        bus = SystemBus(connection)
        await bus._begin()
        yield bus
    finally:
        trio.lowlevel.notify_closing(connection)
        connection.close()


class SystemBus:
    """A connection to the system bus; any number of tasks may use it at the same time."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._decoder = Decoder()
        self._serials = count(1)
        self._outgoing = bytearray()
        self._replies: dict[int, Message | None] = {}  # None as long as it has not come
        self._channels: list[SignalChannel] = []
        self._owners: dict[str, str | None] = {}
        self._reading = False
        self._read_something = trio.Event()
        self._gone: str | None = None

    async def call(
        self, destination: str, path: str, interface: str, member: str, signature: str = "", body: tuple[Any, ...] = ()
    ) -> tuple[Any, ...]:
        """Call a method, and wait for what it returns. Never makes the bus start a daemon.

        Cancelled, the daemon may do it all the same.

        Raises:
            BusError: the reply was an error, or did not come in five seconds (``…Error.NoReply``).
            BusGone: the bus went away.
        """
        serial = next(self._serials)
        call = encode_call(serial, destination, path, interface, member, signature, body)
        self._replies[serial] = None
        try:
            with trio.move_on_after(REPLY_SECONDS):
                await self._send(call)
                await self._read_until(lambda: self._replies[serial] is not None)
            reply = self._replies[serial]
        finally:
            del self._replies[serial]
        if reply is None:
            raise BusError("org.freedesktop.DBus.Error.NoReply", f"{destination} does not answer {member}")
        if reply.kind == "error":
            raise BusError(reply.error or "", " ".join(map(str, reply.body)))
        return reply.body

    async def properties(self, destination: str, path: str, interface: str) -> dict[str, Any]:
        """All properties of an object, by name. Errors as in `call`."""
        body = await self.call(destination, path, PROPERTIES, "GetAll", "s", (interface,))
        if len(body) != 1 or not isinstance(body[0], dict):
            raise BusError("org.freedesktop.DBus.Error.InvalidSignature", f"{path} has no properties in {body!r:.100}")
        return body[0]

    async def owner(self, name: str) -> str | None:
        """The unique name of the daemon that has a well-known name now; None if it is not running.

        Raises:
            BusError: the bus does not answer.
            BusGone: it went away.
        """
        await trio.lowlevel.checkpoint()
        try:
            return str((await self.call(BUS, BUS_PATH, BUS, "GetNameOwner", "s", (name,)))[0])
        except BusError as error:
            if error.name == NO_OWNER:
                return None
            raise

    @asynccontextmanager
    async def signals(
        self, *, sender: str, interface: str | None = None, member: str | None = None, path_namespace: str | None = None
    ) -> AsyncIterator[SignalChannel]:
        """Hear the signals of a daemon that match, and of its coming and going, until the block is left.

        What is read by calls after entering the block, and what the channel then tells, is without a gap.

        Args:
            sender: the daemon's well-known name; it need not run.
            path_namespace: of this object and all below it.
        """
        channel = SignalChannel(self._read_until, sender, interface, member, path_namespace)
        rules = (match_rule(BUS, BUS, "NameOwnerChanged", None) + f",arg0='{sender}'", channel.rule)
        self._channels.append(channel)
        try:
            for rule in rules:
                await self.call(BUS, BUS_PATH, BUS, "AddMatch", "s", (rule,))
            self._owners.setdefault(sender, await self.owner(sender))  # a change that was heard meanwhile is younger
            yield channel
        finally:
            self._channels.remove(channel)
            if not any(each.sender == sender for each in self._channels):
                self._owners.pop(sender, None)
            for rule in rules:
                self._send_without_reply("RemoveMatch", rule)

    # ---------------------------------------------------------------- the connection

    async def _begin(self) -> None:
        """Authenticate as this user, and say hello."""
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(REPLY_SECONDS):
            try:
                await self._authenticate()
                await self.call(BUS, BUS_PATH, BUS, "Hello")
            except BusGone:
                raise
            except (BusError, ValueError) as refusal:  # jeepney's AuthenticationError is a ValueError
                raise BusUnusable(str(refusal), "allow this user in the configuration of the bus") from None
            return
        raise BusGone("the bus does not answer")

    async def _authenticate(self) -> None:
        await trio.lowlevel.checkpoint()
        authenticator, begin = authenticate()
        for octets in authenticator:
            await self._send(octets)
            await trio.lowlevel.wait_readable(self._socket)
            authenticator.feed(self._receive())
            if self._gone is not None:
                raise BusGone(self._gone)
        self._outgoing += begin

    async def _send(self, octets: bytes) -> None:
        """Cancelled, the rest of a message that has begun to go out precedes the next one."""
        await trio.lowlevel.checkpoint()
        self._outgoing += octets
        self._flush()
        while self._outgoing:
            await trio.lowlevel.wait_writable(self._socket)
            self._flush()

    def _send_without_reply(self, member: str, argument: str) -> None:
        """Tell the bus itself something; never blocks."""
        self._outgoing += encode_call(next(self._serials), BUS, BUS_PATH, BUS, member, "s", (argument,), reply=False)
        self._flush()

    def _flush(self) -> None:
        try:
            while self._outgoing and self._gone is None:
                del self._outgoing[: self._socket.send(self._outgoing, socket.MSG_NOSIGNAL)]
        except BlockingIOError:
            return
        except OSError as error:
            self._gone = f"the bus went away: {error.strerror}"
        if self._gone is not None:
            self._outgoing.clear()

    async def _read_until(self, condition: Callable[[], bool]) -> None:
        """Read until the condition holds, or let somebody else do so.

        Raises:
            BusGone: the bus went away, and the condition does not hold.
        """
        await trio.lowlevel.checkpoint()
        while not condition():
            if self._gone is not None:
                raise BusGone(self._gone)
            if self._reading:
                await self._read_something.wait()
            else:
                await self._read_once()

    async def _read_once(self) -> None:
        """Read what comes next, then wake all who wait: they look whether it was for them, and one of them reads on."""
        self._reading = True
        try:
            await trio.lowlevel.wait_readable(self._socket)
            self._read()
        finally:
            self._reading = False
            self._read_something.set()
            self._read_something = trio.Event()

    def _read(self) -> None:
        try:
            for message in self._decoder.feed(self._receive()):
                self._dispatch(message)
        except MalformedInput as fault:
            self._gone = f"what came is not D-Bus: {fault}"

    def _receive(self) -> bytes:
        try:
            octets = self._socket.recv(RECEIVE_OCTETS)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError as error:
            self._gone = f"the bus went away: {error.strerror}"
            return b""
        if not octets:
            self._gone = "the bus went away"
        return octets

    def _dispatch(self, message: Message | None) -> None:
        if message is None:  # it may have been anything
            for channel in self._channels:
                channel.lose()
        elif message.reply_to in self._replies:
            self._replies[message.reply_to] = message
        elif message.kind == "signal":
            if message.sender == BUS and message.member == "NameOwnerChanged":
                self._change_owner(*message.body)
            for channel in self._channels:
                channel.offer(message, self._owners.get(channel.sender, channel.sender))

    def _change_owner(self, name: str, _before: str, owner: str) -> None:
        self._owners[name] = owner or None
        for channel in self._channels:
            if channel.sender == name:
                channel.put(OwnerChanged(owner or None))
