"""DNS over HTTPS on one HTTP/1.1 connection: one question after the other (RFC 8484, RFC 9112).

For servers, and installations of trimif, without HTTP/2. The one module that knows h11, which has no I/O; it is
imported when it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import h11

from trimif._names._doh import IDENTIFIER, Response, authority_of, content_headers, with_identifier
from trimif._names._encrypted_messages import Outcome, Violation

if TYPE_CHECKING:
    from trimif._names._encrypted_choice import EncryptedWay

HEADER_OCTETS = 16384


class Http1Conversation:
    """The client's side; see `Conversation`."""

    def __init__(self, way: EncryptedWay) -> None:
        self._target = way.path.encode("ascii")
        self._host = (b"host", authority_of(way))
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEADER_OCTETS)
        self._response: Response | None = None
        self._key = 0
        self._ended = False
        self._outgoing = bytearray()

    @property
    def has_room(self) -> bool:
        """One question at a time: few servers stand pipelining, and answers have to come in order."""
        return self._response is None and not self._ended

    @property
    def ended(self) -> bool:
        """The server keeps the connection no longer, or an answer is on its way that nobody waits for."""
        return self._ended

    def begin(self, message: bytes) -> tuple[int, int]:
        """Send the request."""
        self._key += 1
        self._response = Response()
        headers = [self._host, *content_headers(message)]
        request = h11.Request(method=b"POST", target=self._target, headers=headers)
        self._outgoing += self._connection.send(request) or b""
        self._outgoing += self._connection.send(h11.Data(data=with_identifier(message))) or b""
        self._outgoing += self._connection.send(h11.EndOfMessage()) or b""
        return self._key, IDENTIFIER

    def abandon(self, key: int) -> None:
        """There is no way to say so but to hang up."""
        if key == self._key and self._response is not None:
            self._ended = True

    def receive(self, octets: bytes) -> Iterator[tuple[int, Outcome]]:
        """Let h11 make events of what has come."""
        try:
            self._connection.receive_data(octets)
            while not self._ended and (event := self._connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                yield from self._handle(event)
        except h11.RemoteProtocolError as error:
            raise Violation(f"no HTTP: {error}") from error

    def take_outgoing(self) -> bytes:
        """The request."""
        octets = bytes(self._outgoing)
        self._outgoing.clear()
        return octets

    def _handle(self, event: object) -> Iterator[tuple[int, Outcome]]:
        response = self._response
        if response is None:
            raise Violation("the server answers what nobody asked")
        match event:
            case h11.Response(status_code=status, headers=headers):
                response.begin(status, headers)
            case h11.Data(data=octets):
                response.add(bytes(octets))
                if response.too_large:  # there is no other way to stop it
                    self._ended = True
                    yield self._key, self._take()
            case h11.EndOfMessage():
                yield self._key, self._take()
                self._begin_anew()

    def _take(self) -> Outcome:
        response, self._response = self._response, None
        assert response is not None
        return response.outcome()

    def _begin_anew(self) -> None:
        if self._connection.our_state is h11.DONE and self._connection.their_state is h11.DONE:
            self._connection.start_next_cycle()
        else:  # "Connection: close"
            self._ended = True
