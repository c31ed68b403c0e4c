"""The server's side of DNS over TLS on one connection, with faults."""

from __future__ import annotations

from collections.abc import Callable

import trio

from trimif.testing._servers_encrypted_dns import Answer, Send, TlsStream, send_badly

__all__ = ["serve_dot"]


async def serve_dot(tls: TlsStream, answer: Callable[[bytes, Send], None]) -> None:
    """Take questions until the client hangs up; each is answered when its answer is there."""
    lock = trio.Lock()

    async def send(answer: Answer) -> None:
        async with lock:
            for number in range(answer.number if answer.fault == "unasked" else 0):
                await tls.send_all(_frame(number.to_bytes(2, "big") + answer.octets[2:]))
            await send_badly(tls, _frame(answer.octets), answer)

    received = bytearray()
    while octets := await tls.receive_some():
        received += octets
        while len(received) >= 2 and len(received) >= (end := 2 + int.from_bytes(received[:2], "big")):
            answer(bytes(received[2:end]), send)
            del received[:end]


def _frame(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message
