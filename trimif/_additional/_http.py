"""httpcore2 over a provisioning domain: the one module that knows of it. It is imported when it is used.

httpcore2 speaks HTTP/1.1 over streams that `DomainBackend` opens through the domain, and so never opens a socket or
looks a name up itself (law 10). It knows no proxies, and reads no environment variable: the TLS context is given.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import httpcore2
import trio

from trimif._additional._failures import BadAnswer, BadCertificate

__all__ = ["request"]

Reach = Callable[[str, int], Awaitable[trio.SocketStream]]


async def request(
    url: str, headers: Mapping[bytes | str, bytes | str], reach: Reach, ssl_context: ssl.SSLContext, *, most_octets: int
) -> httpcore2.Response:
    """One GET on a connection of its own, which is closed when this returns or raises.

    Args:
        reach: connects to a host and port.
        ssl_context: it is told to offer HTTP/1.1 (ALPN).
        most_octets: that the server may send, all in all.

    Returns:
        The response with its content.

    Raises:
        BadAnswer: the TLS handshake failed, or what came is no HTTP response, or too large.
    """
    origin = httpcore2.URL(url).origin
    backend = DomainBackend(reach, most_octets)
    connection = httpcore2.AsyncHTTPConnection(origin, ssl_context=ssl_context, network_backend=backend)
    try:
        return await connection.request("GET", url, headers=headers)
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise BadAnswer(f"no HTTP response: {str(error) or type(error).__name__}") from error
    finally:
        backend.close()


class DomainBackend(httpcore2.AsyncNetworkBackend):
    """Gives httpcore2 its connections, and closes what it may have left open when it was cancelled."""

    def __init__(self, reach: Reach, most_octets: int) -> None:
        self._reach = reach
        self._most_octets = most_octets
        self._opened: list[trio.SocketStream] = []

    def close(self) -> None:
        """Close every connection that is still open."""
        for stream in self._opened:
            stream.socket.close()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect through the domain. The arguments that httpcore2 leaves at their defaults are not looked at."""
        stream = await self._reach(host, port)
        self._opened.append(stream)
        return DomainStream(stream, self._most_octets)


class DomainStream(httpcore2.AsyncNetworkStream):
    """A Trio stream as httpcore2 wants it, from which no more than so many octets can be read."""

    def __init__(self, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream], octets_left: int) -> None:
        self._stream = stream
        self._octets_left = octets_left

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """What has come, ``b""`` at the end."""
        try:
            octets = bytes(await self._stream.receive_some(max_bytes))
        except trio.BrokenResourceError as error:
            raise httpcore2.ReadError(_cause(error)) from error
        self._octets_left -= len(octets)
        if self._octets_left < 0:
            raise BadAnswer("the answer is too large")
        return octets

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send it all."""
        try:
            await self._stream.send_all(buffer)
        except trio.BrokenResourceError as error:
            raise httpcore2.WriteError(_cause(error)) from error

    async def aclose(self) -> None:
        """Close the connection; of TLS without a last word, as HTTP does."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore2.AsyncNetworkStream:
        """Handshake, with the certificate checked against the host's name."""
        assert isinstance(self._stream, trio.SocketStream)
        stream = trio.SSLStream(
            self._stream, ssl_context, server_hostname=server_hostname, https_compatible=True, server_side=False
        )
        try:
            await stream.do_handshake()
        except trio.BrokenResourceError as error:
            raise _handshake_failure(error) from error
        return DomainStream(stream, self._octets_left)

    def get_extra_info(self, info: str) -> Any:
        """The TLS object, from which httpcore2 learns the protocol; nothing else is known."""
        return self._stream._ssl_object if info == "ssl_object" and isinstance(self._stream, trio.SSLStream) else None


def _handshake_failure(error: trio.BrokenResourceError) -> BadAnswer:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return BadCertificate(f"the certificate is not valid: {cause.verify_message}")
    return BadAnswer(f"TLS failed: {_cause(error)}")


def _cause(error: BaseException) -> str:
    return str(error.__cause__ or error) or type(error.__cause__ or error).__name__
