"""The lab's TCP servers: a program of its own, started with listening sockets that the lab opened in its networks.

Each argument is ``DESCRIPTOR:NETWORK:PORT``. It imports the standard library only, so that it is up at once.

====  ==================================================================================
port  what the server does
====  ==================================================================================
80    says in one line which network and address was asked, and who asked; then closes
83    waits for an octet, then resets the connection
85    sends back whatever it gets
====  ==================================================================================
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
from collections.abc import Callable


def tell(connection: socket.socket, network: str) -> None:
    """Say who is here: ``NETWORK ADDRESS PEER``, and close."""
    asked, peer = (name[0].removeprefix("::ffff:") for name in (connection.getsockname(), connection.getpeername()))
    connection.sendall(f"{network} {asked} {peer}\n".encode())


def reset(connection: socket.socket, _network: str) -> None:
    """Wait for an octet, then answer with a TCP RST."""
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def echo(connection: socket.socket, _network: str) -> None:
    """Send everything back until the peer ends."""
    while octets := connection.recv(65536):
        connection.sendall(octets)


SERVICES: dict[int, Callable[[socket.socket, str], None]] = {80: tell, 83: reset, 85: echo}


def answer(connection: socket.socket, network: str, port: int) -> None:
    """Serve one connection; a peer that breaks it is no news."""
    with connection:
        try:
            SERVICES[port](connection, network)
        except OSError:
            return


def serve(listener: socket.socket, network: str, port: int) -> None:
    """Accept connections for ever, each in a thread of its own."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection, network, port), daemon=True).start()


def main(arguments: list[str]) -> None:
    """Serve every listening socket that was handed over."""
    for argument in arguments:
        descriptor, network, port = argument.split(":")
        listener = socket.socket(fileno=int(descriptor))
        threading.Thread(target=serve, args=(listener, network, int(port))).start()


if __name__ == "__main__":
    main(sys.argv[1:])
