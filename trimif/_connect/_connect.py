"""Connect to an address through a provisioning domain (draft 3.5.19, 3.5.20)."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

import trio

from trimif._connect._attempt import Attempt
from trimif._connect._path import check_path, possible_attempts
from trimif._connect._sockets import open_socket, socket_address
from trimif._errors import ConnectFailed
from trimif._model import DomainView, IPAddress, NotConnectedReason

# What says most about the peer comes first; what kept the domain from even asking comes last.
_TELLING = (
    NotConnectedReason.REFUSED,
    NotConnectedReason.UNREACHABLE,
    NotConnectedReason.TIMED_OUT,
    NotConnectedReason.FAILED,
    NotConnectedReason.DOMAIN_GONE,
    NotConnectedReason.WRONG_ROUTER,
    NotConnectedReason.NO_ROUTE,
    NotConnectedReason.NO_SOURCE,
)


async def connect(
    view: DomainView, address: IPAddress, port: int, *, source: IPAddress | None = None
) -> trio.SocketStream:
    """Connect by TCP through a domain: by its interface, from its addresses, or not at all (law 10).

    Each source address is tried in turn, in the order of RFC 6724, until one works (draft 3.5.19). How long the
    kernel waits for an answer, minutes, is a matter for the caller's cancel scope.

    Args:
        source: only from this address of the domain (draft 3.5.20).

    Returns:
        A stream that belongs to the caller, who closes it. If cancelled, no socket is left.

    Raises:
        ConnectFailed: of all the attempts' failures the one that says most about the peer; the others are its notes.
    """
    failures = []
    for attempt in possible_attempts(view, address, port, source):
        try:
            return await _make(attempt)
        except ConnectFailed as failure:
            failures.append(failure)
    raise _most_telling(failures)


async def _make(attempt: Attempt) -> trio.SocketStream:
    await check_path(attempt)
    try:
        return await _connect_socket(attempt)
    except OSError as error:
        raise attempt.explain(error) from error


async def _connect_socket(attempt: Attempt) -> trio.SocketStream:
    stream_socket = open_socket(attempt.view, socket.SOCK_STREAM, attempt.address, attempt.source)
    try:
        await stream_socket.connect(socket_address(attempt.address, attempt.port, attempt.view.index))
        _check_peer(stream_socket)
        return trio.SocketStream(stream_socket)
    except BaseException:
        stream_socket.close()
        raise


def _check_peer(stream_socket: trio.socket.SocketType) -> None:
    try:
        peer = stream_socket.getpeername()
    except OSError:  # ENOTCONN: reset between our connect and this line
        raise ConnectionResetError(errno.ECONNRESET, "reset by the peer") from None
    if peer == stream_socket.getsockname():
        # A connect to an own address may draw the very port that it connects to, and TCP then meets itself
        # (simultaneous open, RFC 9293, 3.5). Nobody listened there.
        raise ConnectionRefusedError(errno.ECONNREFUSED, "connected to itself")


def _most_telling(failures: Sequence[ConnectFailed]) -> ConnectFailed:
    best = min(failures, key=lambda failure: _TELLING.index(failure.reason))
    for other in failures:
        if other is not best:
            best.add_note(f"also {other.strerror}")
    return best
