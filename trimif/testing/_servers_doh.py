"""The server's side of DNS over HTTPS on one connection, by HTTP/2 or HTTP/1.1, with faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h11
import trio

from trimif.testing._servers_encrypted_dns import Answer, Send, TlsStream, send_badly

__all__ = ["serve_http1", "serve_http2"]

NoteRequest = Callable[[dict[str, str]], None]
Begin = Callable[[bytes, Send], None]


def _texts(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {bytes(name).decode("ascii").lower(): bytes(value).decode("ascii") for name, value in headers}


class _Http2:
    """One connection."""

    def __init__(self, tls: TlsStream) -> None:
        self.tls, self._lock = tls, trio.Lock()
        configuration = h2.config.H2Configuration(client_side=False, header_encoding=None)
        self.connection = h2.connection.H2Connection(configuration)
        self.connection.initiate_connection()
        self.contents: dict[int, bytearray] = {}
        self.heard = trio.Event()

    async def flush(self, answer: Answer | None = None) -> None:
        async with self._lock:
            octets = self.connection.data_to_send()
            if answer is None:
                await self.tls.send_all(octets)
            else:
                await send_badly(self.tls, octets, answer)

    async def send(self, stream: int, answer: Answer) -> None:
        await trio.lowlevel.checkpoint()
        try:
            if answer.fault == "reset":
                self.connection.reset_stream(stream)
            elif answer.fault == "goaway":
                self.connection.close_connection()
            elif answer.fault != "noise":
                await self._put(stream, answer)
        except h2.exceptions.ProtocolError:
            return  # the client has reset the stream: it wants the answer no more
        await self.flush(None if answer.fault in ("reset", "goaway") else answer)

    async def _put(self, stream: int, answer: Answer) -> None:
        """Piece by piece, as the client gives room."""
        head = [(b":status", b"%d" % answer.status), (b"content-type", answer.media_type.encode())]
        self.connection.send_headers(stream, head)
        await trio.lowlevel.checkpoint()
        octets = answer.octets
        while octets:
            size = min(len(octets), self.connection.max_outbound_frame_size)
            while self.connection.local_flow_control_window(stream) < size:
                await self.flush()
                await self.heard.wait()
            self.connection.send_data(stream, octets[:size])
            octets = octets[size:]
        self.connection.end_stream(stream)


async def serve_http2(tls: TlsStream, note_request: NoteRequest, begin: Begin) -> None:
    """Take requests until the client hangs up; each is answered when its answer is there."""
    line = _Http2(tls)
    await line.flush()
    while octets := await tls.receive_some():
        for event in line.connection.receive_data(bytes(octets)):
            match event:
                case h2.events.RequestReceived(stream_id=stream, headers=headers):
                    note_request(_texts(headers))
                    line.contents[stream] = bytearray()
                case h2.events.DataReceived(stream_id=stream, data=data):
                    line.connection.acknowledge_received_data(event.flow_controlled_length, stream)
                    line.contents[stream] += data
                case h2.events.StreamEnded(stream_id=stream):
                    begin(bytes(line.contents.pop(stream)), partial(line.send, stream))
        await line.flush()
        line.heard.set()
        line.heard = trio.Event()


async def serve_http1(tls: TlsStream, note_request: NoteRequest, begin: Begin) -> None:
    """Take one request after the other until the client hangs up."""
    connection = h11.Connection(h11.SERVER)

    async def send(answer: Answer) -> None:
        head = [("content-type", answer.media_type), ("content-length", str(len(answer.octets)))]
        parts = (
            h11.Response(status_code=answer.status, headers=head),
            h11.Data(data=answer.octets),
            h11.EndOfMessage(),
        )
        octets = b"".join(connection.send(part) or b"" for part in parts)
        await send_badly(tls, octets, answer)

    content = bytearray()
    while octets := await tls.receive_some():
        if connection.our_state is h11.DONE and connection.their_state is h11.DONE:
            connection.start_next_cycle()
        connection.receive_data(bytes(octets))
        while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            match event:
                case h11.Request(headers=headers):
                    note_request(_texts(headers))
                    content.clear()
                case h11.Data(data=data):
                    content += data
                case h11.EndOfMessage():
                    begin(bytes(content), send)
