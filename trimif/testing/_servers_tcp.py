"""A TCP server that says in one line who it is and who called, then closes."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address

import trio

from trimif._model import IPAddress
from trimif.testing._namespaces import Namespace

__all__ = ["open_listener", "serve_greeting"]


async def serve_greeting(
    namespace: Namespace,
    address: IPAddress,
    port: int,
    text: str,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Greet everyone who connects to an address of a namespace until cancelled; started when the socket listens.

    The line is `text` and the caller's address: ``home's server; you are 198.51.100.10``.
    """

    async def greet(stream: trio.SocketStream) -> None:
        async with stream:
            caller = stream.socket.getpeername()[0]
            try:
                await stream.send_all(f"{text}; you are {caller}\n".encode())
            except trio.BrokenResourceError:
                return  # the losers of a race hang up without a word

    listener = trio.SocketListener(trio.socket.from_stdlib_socket(open_listener(namespace, address, port)))
    async with listener:
        task_status.started()
        await trio.serve_listeners(greet, [listener])


def open_listener(namespace: Namespace, address: IPAddress, port: int) -> socket.socket:
    """A listening socket on an address of a namespace."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    endpoint = namespace.socket(family, socket.SOCK_STREAM)
    try:
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        endpoint.bind((str(address), port))
        endpoint.listen()
    except BaseException:
        endpoint.close()
        raise
    return endpoint
