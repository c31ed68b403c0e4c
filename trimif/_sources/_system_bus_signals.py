"""The signals of a daemon on the system bus, as a channel with a bounded queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import trio
from attrs import frozen

from trimif._sources._system_bus_connect import BusGone
from trimif._sources._system_bus_messages import Message

__all__ = ["News", "OwnerChanged", "Signal", "SignalChannel", "SignalsLost", "match_rule"]

SIGNALS = 256
"""As many wait in a channel; at one more all are lost, and that is told."""


@frozen
class Signal:
    """A daemon said this to everybody. Variants in the body are replaced by what they hold."""

    path: str
    interface: str
    member: str
    body: tuple[Any, ...] = ()


@frozen
class SignalsLost:
    """More news came than the channel keeps: anything may have happened, owners included. Look afresh."""


@frozen
class OwnerChanged:
    """The daemon's name has another owner: it came, went (`owner` is None), or was started again in between."""

    owner: str | None


News: TypeAlias = Signal | SignalsLost | OwnerChanged


class SignalChannel(trio.abc.ReceiveChannel[News]):
    """The news of one daemon, made by `SystemBus.signals`. It ends when the bus goes away."""

    def __init__(
        self,
        read_until: Callable[[Callable[[], bool]], Awaitable[None]],
        sender: str,
        interface: str | None,
        member: str | None,
        path_namespace: str | None,
    ) -> None:
        self.sender = sender
        self.rule = match_rule(sender, interface, member, path_namespace)
        self._read_until = read_until
        self._interface, self._member, self._path = interface, member, path_namespace
        self._waiting: deque[News] = deque()

    async def receive(self) -> News:
        """The next news. Cancelled, it has taken none.

        Raises:
            trio.EndOfChannel: the bus went away.
        """
        try:
            await self._read_until(lambda: bool(self._waiting))
        except BusGone as error:
            raise trio.EndOfChannel(error.text) from None
        return self._waiting.popleft()

    def clear(self) -> None:
        """Forget what waits: who is about to look afresh need not do it once for each signal that has come."""
        self._waiting.clear()

    async def aclose(self) -> None:
        """Nothing but a checkpoint: leaving `SystemBus.signals` is what ends it."""
        await trio.lowlevel.checkpoint()

    def offer(self, message: Message, owner: str | None) -> None:
        """Take a signal in if it is one of these. `owner` is who has the sender's name now."""
        path, interface, member = message.path or "", message.interface or "", message.member or ""
        if (
            message.sender in (owner, self.sender)
            and self._interface in (None, interface)
            and self._member in (None, member)
            and (self._path is None or f"{path}/".startswith(f"{self._path.rstrip('/')}/"))
        ):
            self.put(Signal(path, interface, member, message.body))

    def put(self, news: News) -> None:
        """Let it wait for its receiver."""
        if len(self._waiting) >= SIGNALS:
            self.lose()
        else:
            self._waiting.append(news)

    def lose(self) -> None:
        """Something was lost, or will be: all that waits is as good as lost, too."""
        self._waiting.clear()
        self._waiting.append(SignalsLost())


def match_rule(sender: str, interface: str | None, member: str | None, path_namespace: str | None) -> str:
    """A match rule; none of these names can contain a quote (D-Bus specification, "Valid Names")."""
    keys = {"sender": sender, "interface": interface, "member": member, "path_namespace": path_namespace}
    return "type='signal'" + "".join(f",{key}='{value}'" for key, value in keys.items() if value is not None)
