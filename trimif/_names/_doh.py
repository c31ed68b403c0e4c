"""DNS over HTTPS, what HTTP/2 and HTTP/1.1 share: what a request says, and what a response means (RFC 8484).

Questions go by POST: no cache on the way can then mix up padded questions, and none learns the names. The id is 0,
"in order to maximize HTTP cache friendliness" (4.1), which also shows that nobody relies on it. Redirections are not
followed: they would lead to a server that the domain did not name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from attrs import define, field

from trimif._names._encrypted_messages import MOST_OCTETS, Conversation, Outcome
from trimif._names._question import ServerFailed

if TYPE_CHECKING:
    from trimif._names._encrypted_choice import EncryptedWay

MEDIA_TYPE = b"application/dns-message"
IDENTIFIER = 0
HTTPS_PORT = 443

Headers = Iterable[tuple[bytes, bytes]]


def offered_protocols() -> tuple[str, ...]:
    """What to offer by ALPN, best first: HTTP/2 is "the minimum RECOMMENDED version" (5.2), and needs h2."""
    try:
        import h2  # noqa: F401
    except ImportError:
        return ("http/1.1",)
    return ("h2", "http/1.1")


def start_conversation(way: EncryptedWay, protocol: str | None) -> Conversation:
    """Begin to speak the protocol that the server has chosen; one that chooses none has HTTP/1.1."""
    if protocol == "h2":
        from trimif._names._http2 import Http2Conversation

        return Http2Conversation(way)
    from trimif._names._http1 import Http1Conversation

    return Http1Conversation(way)


def authority_of(way: EncryptedWay) -> bytes:
    """The host, and the port if it is not HTTPS's own."""
    name = f"[{way.server.name}]" if ":" in way.server.name else way.server.name
    return (name if way.port == HTTPS_PORT else f"{name}:{way.port}").encode("ascii")


def content_headers(message: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of a question, in lower case."""
    return [
        (b"content-type", MEDIA_TYPE),
        (b"accept", MEDIA_TYPE),
        (b"content-length", str(len(message)).encode("ascii")),
    ]


def with_identifier(message: bytes) -> bytes:
    """The question as it is sent."""
    return IDENTIFIER.to_bytes(2, "big") + message[2:]


@define
class Response:
    """A response while it comes.

    Attributes:
        status: of HTTP, None before the head has come.
        too_large: it was larger than any DNS message; the rest is not kept.
    """

    status: int | None = None
    media_type: bytes = b""
    content: bytearray = field(factory=bytearray)
    too_large: bool = False

    def begin(self, status: int, headers: Headers) -> None:
        """Its head has come."""
        self.status = status
        for name, value in headers:
            if name.lower() == b"content-type":
                self.media_type = value.partition(b";")[0].strip().lower()

    def add(self, octets: bytes) -> None:
        """Some of its content has come."""
        self.too_large = self.too_large or len(self.content) + len(octets) > MOST_OCTETS
        if not self.too_large:
            self.content += octets

    def outcome(self) -> Outcome:
        """What it means, when it is whole: "any 2xx" may bear an answer, everything else is none (4.2.1)."""
        if self.status is None:
            return ServerFailed("no HTTP response")
        if not 200 <= self.status < 300:
            return ServerFailed(f"HTTP status {self.status}")
        if self.media_type != MEDIA_TYPE:
            return ServerFailed(f"media type {self.media_type[:60].decode('latin-1')!r}")
        return ServerFailed("too large for a DNS message") if self.too_large else bytes(self.content)
