"""An HTTPS server that answers well, or as badly as it is told to: late, for ever, too much, or not HTTP at all.

Its certificate is the caller's. Each connection is for one request (``Connection: close``).
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable

import trio
from attrs import frozen

from trimif._model import IPAddress
from trimif.testing._namespaces import Namespace
from trimif.testing._servers_tcp import open_listener

__all__ = ["HttpAnswer", "HttpRequest", "open_https_listener", "serve_https"]

PORT = 443
LARGEST_HEAD = 16384  # octets


@frozen
class HttpRequest:
    """What was asked.

    Attributes:
        target: path and query.
        headers: by name in lower case.
        peer: the address that it came from, as the socket tells it.
    """

    method: str
    target: str
    headers: dict[str, str]
    peer: str


@frozen
class HttpAnswer:
    """What is answered.

    Attributes:
        content_type: None for no such header.
        headers: more lines of the head, ``"Location: …"``.
        pause: in seconds after each octet of the body; ``math.inf`` to fall silent after the head.
        raw: these octets in place of a response.
    """

    body: bytes = b""
    content_type: str | None = "application/json"
    status: int = 200
    headers: tuple[str, ...] = ()
    pause: float = 0.0
    raw: bytes | None = None

    def head(self) -> bytes:
        """The status line and the headers."""
        lines = [f"HTTP/1.1 {self.status} Whatever", f"Content-Length: {len(self.body)}", "Connection: close"]
        if self.content_type is not None:
            lines.append(f"Content-Type: {self.content_type}")
        return "\r\n".join([*lines, *self.headers, "", ""]).encode()


def open_https_listener(namespace: Namespace, address: IPAddress, port: int = PORT) -> trio.SocketListener:
    """Listen on an address of a namespace; the caller closes it, or gives it to `serve_https`."""
    return trio.SocketListener(trio.socket.from_stdlib_socket(open_listener(namespace, address, port)))


async def serve_https(
    listener: trio.abc.Listener[trio.SocketStream],
    ssl_context: ssl.SSLContext,
    respond: Callable[[HttpRequest], HttpAnswer],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer everyone who connects until cancelled; then closes the listener."""

    async def talk(stream: trio.SocketStream) -> None:
        tls = trio.SSLStream(stream, ssl_context, server_side=True, https_compatible=True)
        async with tls:
            try:
                request = await _read_request(tls, _peer_of(stream))
                if request is not None:
                    await _send(tls, respond(request))
            except trio.BrokenResourceError:
                return  # the client did not like the certificate, or has heard enough

    async with listener:
        task_status.started()
        await trio.serve_listeners(talk, [listener])


def _peer_of(stream: trio.SocketStream) -> str:
    name = stream.socket.getpeername()
    return str(name[0]) if isinstance(name, tuple) else ""


async def _read_request(stream: trio.abc.ReceiveStream, peer: str) -> HttpRequest | None:
    octets = bytes(await stream.receive_some())
    while b"\r\n\r\n" not in octets:
        more = await stream.receive_some()
        if not more or len(octets) > LARGEST_HEAD:
            return None
        octets += more
    first, *lines = octets.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    method, target, _version = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return HttpRequest(method, target, headers, peer)


async def _send(stream: trio.abc.SendStream, answer: HttpAnswer) -> None:
    if answer.raw is not None:
        await stream.send_all(answer.raw)
        return
    await stream.send_all(answer.head())
    if answer.pause == 0:
        await stream.send_all(answer.body)
        return
    if answer.pause == math.inf:
        await trio.sleep_forever()
    for position in range(len(answer.body)):
        await stream.send_all(answer.body[position : position + 1])
        await trio.sleep(answer.pause)
