"""A TCP peer of the simulated host: accepts, refuses, or stays silent.

What a peer accepts is half of a socket pair, the other half of which the program under test gets: real sockets, so
that client and server really talk, without any network.
"""

from __future__ import annotations

import errno
from collections import deque

import trio

from trimif._errors import ConnectFailed
from trimif._model import NotConnectedReason

__all__ = ["Peer"]

_ERRNO = {
    NotConnectedReason.NO_ROUTE: errno.ENETUNREACH,
    NotConnectedReason.NO_SOURCE: errno.EADDRNOTAVAIL,
    NotConnectedReason.REFUSED: errno.ECONNREFUSED,
    NotConnectedReason.UNREACHABLE: errno.EHOSTUNREACH,
    NotConnectedReason.TIMED_OUT: errno.ETIMEDOUT,
}


def failure(reason: NotConnectedReason, text: str) -> ConnectFailed:
    """The exception of a connect that fails for this reason, with the number that Linux gives."""
    return ConnectFailed(_ERRNO.get(reason, errno.EIO), reason, text)


class Peer(trio.abc.Listener[trio.SocketStream]):
    """What is behind an address: after a delay it accepts, or refuses for a reason.

    It is a :class:`trio.abc.Listener` of the connections that it accepted: `accept` them one by one, or hand it to
    :func:`trio.serve_listeners`. Those that nobody accepts wait, as in a real listener's backlog, and are closed with
    the simulated MIF. Made by `SimulatedHost.add_peer`.

    Args:
        delay: in seconds; ``math.inf`` for a peer that stays silent.
        reason: why connects fail, None for a peer that accepts.
    """

    def __init__(self, delay: float = 0.0, reason: NotConnectedReason | None = None) -> None:
        self.delay = delay
        self.reason = reason
        self._backlog: deque[trio.SocketStream] = deque()
        self._acceptors = trio.lowlevel.ParkingLot()
        self._closed = False

    def __repr__(self) -> str:
        return f"Peer(delay={self.delay!r}, reason={self.reason!r})"

    async def dial(self, text: str) -> trio.SocketStream:
        """The program's end of a new connection.

        Raises:
            ConnectFailed: with the peer's reason; ``text`` says which connection it was.
        """
        await trio.sleep(self.delay)
        reason = NotConnectedReason.REFUSED if self._closed else self.reason
        if reason is not None:
            raise failure(reason, f"{text}: {reason.value}")
        ours, theirs = trio.socket.socketpair()
        self._backlog.append(trio.SocketStream(theirs))
        self._acceptors.unpark()
        return trio.SocketStream(ours)

    async def accept(self) -> trio.SocketStream:
        """The peer's end of the next connection; it is the caller's to close.

        Raises:
            trio.ClosedResourceError: the peer is closed, perhaps while this waited.
        """
        await trio.lowlevel.checkpoint()
        while not self._backlog and not self._closed:
            await self._acceptors.park()
        if self._closed:
            raise trio.ClosedResourceError("this peer is closed")
        return self._backlog.popleft()

    def close(self) -> None:
        """From now on it refuses; connections that nobody accepted are closed. Again: does nothing."""
        self._closed = True
        self.drop_backlog()
        self._acceptors.unpark_all()

    def drop_backlog(self) -> None:
        """Close the connections that nobody accepted."""
        while self._backlog:
            self._backlog.popleft().socket.close()

    async def aclose(self) -> None:
        """`close`, and a checkpoint."""
        self.close()
        await trio.lowlevel.checkpoint()
