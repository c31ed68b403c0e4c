"""A server for DNS over TLS and over HTTPS (HTTP/2, HTTP/1.1), which does what a name's first label says.

Besides the faults of `trimif.testing._faulty_dns`, which lie in the messages, it knows those of the transport:

==========  ============================================================================================
label       what happens
==========  ============================================================================================
close       the connection is closed without an answer
half        … after the first half of the answer
drip        the answer comes octet by octet
noise       what comes is not of the protocol
unasked-N   N answers that nobody asked for precede the right one
status-N    the response has this HTTP status
mediatype   the response is said to be of another type
oversized   the response is larger than any DNS message
reset       the stream is reset (HTTP/2), else as close
goaway      the server takes no more streams (HTTP/2), else as close
==========  ============================================================================================
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

import trio
from attrs import define, evolve, field, frozen

from trimif.testing._faulty_dns import FAULTS, Asked

__all__ = ["EncryptedDnsService"]

MEDIA_TYPE = "application/dns-message"
TlsStream = trio.SSLStream[trio.SocketStream]


@frozen
class Answer:
    """One answer, and how it is sent: `fault` is a label of the table, or empty."""

    octets: bytes
    fault: str = ""
    number: int = 0
    status: int = 200
    media_type: str = MEDIA_TYPE


Send = Callable[[Answer], Awaitable[None]]


class HangUp(Exception):
    """The connection is to be closed."""


@define
class EncryptedDnsService:
    """What was asked, and by which connections.

    Attributes:
        context: with the server's certificate. It decides which protocols are spoken (ALPN); none is DNS over TLS.
        asked: every question in its order.
        messages: the same as octets.
        requests: the heads of the HTTP requests.
        connections: those that got through the handshake, by the protocol that was chosen.
        server_names: what clients said whom they want (SNI).
    """

    context: ssl.SSLContext
    asked: list[Asked] = field(factory=list)
    messages: list[bytes] = field(factory=list)
    requests: list[dict[str, str]] = field(factory=list)
    connections: list[str] = field(factory=list)
    server_names: list[str | None] = field(factory=list)
    open: list[TlsStream] = field(factory=list)

    async def serve(
        self,
        listener: trio.SocketListener,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled; then closes the listener."""
        self.context.sni_callback = lambda _connection, name, _context: self.server_names.append(name)
        async with listener:
            task_status.started()
            await trio.serve_listeners(self._talk, [listener])

    async def hang_up(self) -> None:
        """Close every connection, as servers do with idle ones."""
        await trio.lowlevel.checkpoint()
        for tls in list(self.open):
            await tls.aclose()

    async def _talk(self, stream: trio.SocketStream) -> None:
        tls = trio.SSLStream(stream, self.context, server_side=True, https_compatible=True)
        self.open.append(tls)
        try:
            await tls.do_handshake()
            protocol = tls.selected_alpn_protocol() or "dot"
            self.connections.append(protocol)
            async with trio.open_nursery() as nursery:
                await self._speak(protocol, tls, nursery)
                nursery.cancel_scope.cancel()
        except* (HangUp, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client, or the fault, ended it
        finally:
            self.open.remove(tls)
            await trio.aclose_forcefully(tls)

    async def _speak(self, protocol: str, tls: TlsStream, nursery: trio.Nursery) -> None:
        if protocol == "dot":
            from trimif.testing._servers_dot import serve_dot

            await serve_dot(tls, lambda octets, send: nursery.start_soon(self._answer, None, octets, send))
            return
        from trimif.testing._servers_doh import serve_http1, serve_http2

        serve = serve_http2 if protocol == "h2" else serve_http1
        await serve(tls, self.requests.append, lambda octets, send: nursery.start_soon(self._answer, 1, octets, send))

    async def _answer(self, most: int | None, octets: bytes, send: Send) -> None:
        """Ask the table, and send what it says."""
        await trio.lowlevel.checkpoint()
        import dns.message

        query = dns.message.from_wire(octets)
        assert isinstance(query, dns.message.QueryMessage)
        label, _, digits = query.question[0].name.labels[0].decode("ascii").lower().partition("-")
        asked = Asked(query, int(digits) if digits.isdecimal() else 0, False)
        self.asked.append(asked)
        self.messages.append(octets)
        # Late by no milliseconds: the truth at once. By HTTP there is one answer, and what would follow it is left out.
        sent = FAULTS[label](asked) if label in FAULTS else FAULTS["late"](evolve(asked, number=0))
        for each in sent[:most]:
            await trio.sleep(each.delay)
            await send(_with_fault(Answer(each.octets), label, asked.number))


def _with_fault(answer: Answer, label: str, number: int) -> Answer:
    match label:
        case "status":
            return evolve(answer, status=number)
        case "mediatype":
            return evolve(answer, media_type="text/html; charset=utf-8")
        case "oversized":
            return evolve(answer, octets=answer.octets + bytes(200_000))
    return evolve(answer, fault=label, number=number)


async def send_badly(tls: TlsStream, octets: bytes, answer: Answer) -> None:
    """Send the octets of a protocol as the fault wants it.

    Raises:
        HangUp: there is no more to it.
    """
    await trio.lowlevel.checkpoint()
    match answer.fault:
        case "close" | "reset" | "goaway":
            raise HangUp
        case "half":
            await tls.send_all(octets[: len(octets) // 2])
            raise HangUp
        case "drip":
            for position in range(len(octets)):
                await tls.send_all(octets[position : position + 1])
        case "noise":
            await tls.send_all(b"\xff\xfe" * 100_000)
        case _:
            await tls.send_all(octets)
