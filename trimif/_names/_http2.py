"""DNS over HTTPS on one HTTP/2 connection: each question is a stream of its own (RFC 8484, RFC 9113).

The one module that knows h2, which has no I/O; it is imported when it is used. (httpcore2's HTTP/2 would not do: a
request of it that is cancelled while it is written takes the connection's state with it, for all the others.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from trimif._names._doh import IDENTIFIER, Response, authority_of, content_headers, with_identifier
from trimif._names._encrypted_messages import Outcome, Violation
from trimif._names._question import ServerFailed

if TYPE_CHECKING:
    from trimif._names._encrypted_choice import EncryptedWay

MOST_STREAMS = 100
EARLY_STREAMS = 8
"""At once; few while the server has not told how many it takes (RFC 9113, 6.5.2), which comes with its first octets."""
WINDOW_OCTETS = 1 << 20
"""So much may come on all streams together before the server hears from us; on one, as much as a message has."""
QUESTION_OCTETS = 4096
"""More than any question has. If the server reads less, and nothing is outstanding that could make it read more, a new
connection is better."""
MOST_FRAME_OCTETS = 1 << 17
"""That make no event: more than a frame, or a head in many frames. h2 notices an overlong frame only at its end, which
may be 16 MiB away."""


class Http2Conversation:
    """The client's side; see `Conversation`."""

    def __init__(self, way: EncryptedWay) -> None:
        self._head = [
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", authority_of(way)),
            (b":path", way.path.encode("ascii")),
        ]
        configuration = h2.config.H2Configuration(client_side=True, header_encoding=None)
        self._connection = h2.connection.H2Connection(configuration)
        no_push = {h2.settings.SettingCodes.ENABLE_PUSH: 0}
        self._connection.local_settings = h2.settings.Settings(client=True, initial_values=no_push)
        self._connection.initiate_connection()
        self._connection.increment_flow_control_window(WINDOW_OCTETS)
        self._responses: dict[int, Response] = {}
        self._most_streams = EARLY_STREAMS
        self._ended = False
        self._unfinished_octets = 0

    @property
    def has_room(self) -> bool:
        """The server says how many streams it takes at once, and how much it reads before it answers."""
        return (
            len(self._responses) < self._most_streams
            and self._connection.outbound_flow_control_window >= QUESTION_OCTETS
        )

    @property
    def ended(self) -> bool:
        """The server wants no more streams on this connection: it said so (GOAWAY), or gives no room for any."""
        return self._ended or not (self._responses or self.has_room)

    def begin(self, message: bytes) -> tuple[int, int]:
        """Open a stream with the whole question, which every sane server lets a stream send at once."""
        try:
            key = self._connection.get_next_available_stream_id()
            self._connection.send_headers(key, [*self._head, *content_headers(message)])
            self._connection.send_data(key, with_identifier(message), end_stream=True)
        except h2.exceptions.ProtocolError as error:
            raise Violation(f"HTTP/2 does not allow the question: {str(error) or type(error).__name__}") from error
        self._responses[key] = Response()
        return key, IDENTIFIER

    def abandon(self, key: int) -> None:
        """Close the stream: the server may save itself the answer."""
        if self._responses.pop(key, None) is not None and not self._ended:
            self._reset(key, h2.errors.ErrorCodes.CANCEL)

    def receive(self, octets: bytes) -> Iterator[tuple[int, Outcome]]:
        """Let h2 make events of what has come, and see which streams are done."""
        try:
            events = self._connection.receive_data(octets)
        except h2.exceptions.ProtocolError as error:
            raise Violation(f"no HTTP/2: {str(error) or type(error).__name__}") from error
        self._unfinished_octets = 0 if events else self._unfinished_octets + len(octets)
        if self._unfinished_octets > MOST_FRAME_OCTETS:
            raise Violation("no HTTP/2: a frame is too large")
        for event in events:
            yield from self._handle(event)

    def take_outgoing(self) -> bytes:
        """Requests, and what the protocol itself wants to say."""
        return self._connection.data_to_send()

    def _handle(self, event: h2.events.Event) -> Iterator[tuple[int, Outcome]]:
        match event:
            case h2.events.ResponseReceived(stream_id=key, headers=headers) if key in self._responses:
                fields = [(bytes(name), bytes(value)) for name, value in headers]
                status = dict(fields).get(b":status", b"")
                self._responses[key].begin(int(status) if status.isdigit() else 0, fields)
            case h2.events.DataReceived():
                yield from self._add(event)
            case h2.events.StreamEnded(stream_id=key) if key in self._responses:
                yield key, self._responses.pop(key).outcome()
            case h2.events.StreamReset(stream_id=key) if self._responses.pop(key, None) is not None:
                yield key, ServerFailed("the server reset the stream")
            case h2.events.RemoteSettingsChanged():
                self._most_streams = min(self._connection.remote_settings.max_concurrent_streams, MOST_STREAMS)
            case h2.events.ConnectionTerminated():
                # h2 can read nothing after it, though streams that the server has begun to answer might still end.
                self._ended = True
                raise Violation("the server has ended the connection (GOAWAY)")

    def _add(self, event: h2.events.DataReceived) -> Iterator[tuple[int, Outcome]]:
        key, response = event.stream_id, self._responses.get(event.stream_id)
        if event.flow_controlled_length:
            self._acknowledge(event.flow_controlled_length, key)
        if response is None:
            return
        response.add(event.data)
        if response.too_large:
            del self._responses[key]
            self._reset(key, h2.errors.ErrorCodes.CANCEL)
            yield key, response.outcome()

    def _acknowledge(self, octets: int, key: int) -> None:
        """The server may send as much again."""
        try:
            self._connection.acknowledge_received_data(octets, key)
        except h2.exceptions.ProtocolError as error:
            raise Violation(f"no HTTP/2: {error}") from error

    def _reset(self, key: int, code: h2.errors.ErrorCodes) -> None:
        try:
            self._connection.reset_stream(key, code)
        except h2.exceptions.ProtocolError:
            return  # it is closed already
