"""dhcpcd's control socket, the one that is open to everybody: what may be asked there, and how answers are read.

A request is a row of arguments, each ended by a zero octet, written at once. Two are sent here: ``--listen``, after
which dhcpcd sends a block for each thing that happens, and ``-U``, which is answered by the number of blocks and the
blocks. Anything else could do harm: dhcpcd 9.4 forwards a request to another process of its own and waits until that
has sent a block. If none comes, which is what any refused request leads to, it answers nobody any more, its own
command line included. That also happens to ``-U`` where it manages no interface at all: `manages_something`.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from trimif._errors import MalformedInput
from trimif._wire.dhcpcd import DHCP, DHCPV6, SIZE
from trimif._wire.environment import MAXIMUM_OCTETS

__all__ = ["ask", "covers", "listen", "manages_something", "receive_block"]

CONNECT_SECONDS = 2.0
MAXIMUM_BLOCKS = 4096
"""An answer of more blocks is malformed: there are five for an interface, at most."""

LISTEN = b"--listen\0"
DUMP = b"dhcpcd\0-U\0"

SOCKET_NAME = "unpriv.sock"
SIOCGIFFLAGS = 0x8913  # <linux/sockios.h>; flags of <net/if.h>
IFF_UP, IFF_LOOPBACK = 0x1, 0x8
_INTERFACE_FLAGS = struct.Struct("@16sH14x")


async def listen(path: Path) -> trio.SocketStream:
    """Connect, and ask for all news; `receive_block` gives them one by one. The caller closes the stream.

    Raises:
        OSError: nobody listens there, or this user is not let in.
    """
    return await _request(path, LISTEN)


async def ask(path: Path) -> list[bytes]:
    """Ask for everything that there is now; the blocks.

    Waits for ever where dhcpcd does not answer: cancel it.

    Raises:
        OSError: nobody listens there, or dhcpcd hung up.
        MalformedInput: the answer is none.
    """
    async with await _request(path, DUMP) as stream:
        count = await _receive_size(stream)
        if count > MAXIMUM_BLOCKS:
            raise MalformedInput(f"dhcpcd promises {count} blocks")
        return [await receive_block(stream) for _ in range(count)]


async def receive_block(stream: trio.SocketStream) -> bytes:
    """Wait for the next block.

    Raises:
        OSError: dhcpcd hung up.
        MalformedInput: it is longer than any block. What follows can't be made sense of.
    """
    octets = await _receive_size(stream)
    if octets > MAXIMUM_OCTETS:
        raise MalformedInput(f"dhcpcd promises a block of {octets} octets")
    return await _receive_exactly(stream, octets)


async def _request(path: Path, request: bytes) -> trio.SocketStream:
    with trio.move_on_after(CONNECT_SECONDS):
        stream = await trio.open_unix_socket(str(path))
        try:
            with _hanging_up():
                await stream.send_all(request)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return stream
    raise TimeoutError(f"{path} does not accept connections")


@contextmanager
def _hanging_up() -> Iterator[None]:
    try:
        yield
    except trio.BrokenResourceError as error:
        raise ConnectionResetError("dhcpcd hung up") from error


async def _receive_size(stream: trio.SocketStream) -> int:
    (size,) = SIZE.unpack(await _receive_exactly(stream, SIZE.size))
    return int(size)


async def _receive_exactly(stream: trio.SocketStream, count: int) -> bytes:
    octets = bytearray()
    while len(octets) < count:
        with _hanging_up():
            piece = await stream.receive_some(count - len(octets))
        if not piece:
            raise ConnectionResetError("dhcpcd hung up")
        octets += piece
    return bytes(octets)


def covers(path: Path, interface: str, protocol: str) -> bool:
    """Whether the dhcpcd behind a socket is for an interface and a protocol.

    That of ``dhcpcd eth0`` is called ``eth0.unpriv.sock``, or ``eth0-4.unpriv.sock`` if it is for IPv4 alone.
    ``unpriv.sock`` is for all.
    """
    if path.name == SOCKET_NAME:
        return True
    own = path.name.removesuffix("." + SOCKET_NAME)
    return own in (interface, f"{interface}-{'4' if protocol == DHCP else '6'}")


def manages_something(path: Path) -> bool:
    """Whether the dhcpcd behind a socket can be expected to manage an interface.

    Those that it manages are up; whether one that is up is managed can't be seen.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        names = [name for _, name in socket.if_nameindex() if _is_up(control, name)]
    return any(covers(path, name, protocol) for name in names for protocol in (DHCP, DHCPV6))


def _is_up(control: socket.socket, name: str) -> bool:
    try:
        request = _INTERFACE_FLAGS.pack(os.fsencode(name), 0)
        _name, flags = _INTERFACE_FLAGS.unpack(fcntl.ioctl(control, SIOCGIFFLAGS, request))
    except OSError:  # gone meanwhile
        return False
    return bool(flags & IFF_UP and not flags & IFF_LOOPBACK)
