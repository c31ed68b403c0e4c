"""TLS on a socket that many tasks share, in which a cancelled task breaks nothing.

`trio.SSLStream` is in an unknown state once a send was cancelled, and questions are cancelled all the time: another
server was faster. So here encrypting and handing to the kernel is one step without a checkpoint; what the kernel does
not take at once stays, and goes out before whatever is sent next. Reading, too, takes what has come and never waits.
Waiting is apart from both (`wait_readable`, `drain`), and can be cancelled at any time.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress

import trio

RECEIVE_OCTETS = 65536
MOST_UNSENT_OCTETS = 1 << 18
"""A peer that makes us answer (pings, key updates) and never reads must not fill our memory."""
CLOSED = "the server has closed the connection"


class TlsFailed(ConnectionError):
    """There is no TLS with this server, or it ended: the connection is of no use."""


class BadCertificate(TlsFailed):
    """The server can't prove that it has the name that it was asked for by."""


class TlsConnection:
    """The client's side. Whoever made it closes it; then those who wait get `trio.ClosedResourceError`."""

    def __init__(self, stream: trio.SocketStream, context: ssl.SSLContext, name: str, protocols: Sequence[str]) -> None:
        """Take over the socket of a stream.

        Args:
            context: checks certificates and names (`check_context`). It is told which `protocols` to offer (ALPN, RFC
                7301), which holds for the connections that it makes from then on.
            name: what the certificate has to bear, also told to the server (SNI).
        """
        self._socket = socket.socket(fileno=stream.socket.detach())
        self._socket.setblocking(False)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._unsent = bytearray()
        self._draining = trio.Lock()
        try:
            context.set_alpn_protocols(list(protocols))
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        except BaseException:
            self._socket.close()
            raise

    @property
    def protocol(self) -> str | None:
        """What the server chose among the protocols, None if it does not choose."""
        return self._tls.selected_alpn_protocol()

    async def handshake(self) -> None:
        """Begin.

        Raises:
            BadCertificate: the server is somebody else, or nobody whom we trust.
            OSError: it does not speak TLS, or broke off.
        """
        while not self._shake_hands():
            await self.drain()
            await self.wait_readable()
            self._receive()
        # What many servers send next, session tickets, is a segment of its own; with Nagle's algorithm the answer waits
        # until that is acknowledged, and we would do so only after 40 ms (measured with unbound).
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        await self.drain()

    def write(self, octets: bytes) -> None:
        """Encrypt and send; what the kernel does not take now goes out later (`drain`).

        Raises:
            OSError: the connection is broken.
        """
        if octets:
            self._tls.write(octets)
        self._flush()

    @property
    def has_unsent(self) -> bool:
        """Something waits for the kernel to take it."""
        return bool(self._unsent)

    async def drain(self) -> None:
        """Wait until all has gone out."""
        await trio.lowlevel.checkpoint()
        while self._unsent:
            async with self._draining:
                if self._unsent:
                    await trio.lowlevel.wait_writable(self._socket)
                    self._flush()

    async def wait_readable(self) -> None:
        """Wait until something has come. One task at a time."""
        await trio.lowlevel.wait_readable(self._socket)

    def read(self) -> bytes:
        """Take what has come, ``b""`` if that makes no whole record yet.

        Raises:
            OSError: the connection is broken, or the server has ended it; what came before that has been returned.
        """
        self._receive()
        octets = bytearray()
        try:
            while part := self._tls.read(RECEIVE_OCTETS):
                octets += part
            end = CLOSED  # an orderly end reads as nothing
        except ssl.SSLWantReadError:
            end = None
        except ssl.SSLError as error:
            end = _meaning(error)
        if end is not None and not octets:
            raise TlsFailed(end)
        self._flush()
        return bytes(octets)

    def say_goodbye(self) -> None:
        """Tell the server that this is the end (close_notify), if the kernel takes it now; then only `close` it."""
        with suppress(OSError):
            self._tls.unwrap()
        with suppress(OSError):
            self._flush()

    def close(self) -> None:
        """Close the socket; never blocks, says nothing. A second call does nothing."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLCertVerificationError as error:
            raise BadCertificate(f"the certificate is not valid: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise TlsFailed(f"no TLS: {_meaning(error)}") from error
        finally:
            self._flush()  # of a failure the server is told by an alert
        return True

    def _receive(self) -> None:
        try:
            octets = self._socket.recv(RECEIVE_OCTETS)
        except (BlockingIOError, InterruptedError):
            return
        if octets:
            self._incoming.write(octets)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._unsent += self._outgoing.read()
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent, socket.MSG_NOSIGNAL)]
        except (BlockingIOError, InterruptedError):
            if len(self._unsent) > MOST_UNSENT_OCTETS:
                raise TlsFailed("the server does not read what it is sent") from None


def check_context(context: ssl.SSLContext) -> None:
    """Return if the context authenticates servers.

    Raises:
        ValueError: it does not: "the client MUST authenticate" (RFC 8310, 8.1; RFC 9463, 3.1.1).
    """
    if not context.check_hostname or context.verify_mode is not ssl.CERT_REQUIRED:
        raise ValueError("the TLS context does not check certificates, or not their names")


def _meaning(error: ssl.SSLError) -> str:
    if isinstance(error, (ssl.SSLZeroReturnError, ssl.SSLEOFError)):
        return CLOSED
    return (error.reason or str(error)).lower().replace("_", " ")
