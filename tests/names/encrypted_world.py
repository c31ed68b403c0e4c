"""An encrypted name server on loopback, and sessions with it."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from typing import Any

import trio
import trustme
from attrs import frozen

from trimif._errors import MalformedInput
from trimif._information import EncryptedDnsServer
from trimif._model import DomainId, DomainView, Family, SourceAddress
from trimif._names._encrypted import EncryptedSession
from trimif._names._encrypted_choice import choose
from trimif._names._question import Addresses, Question, Reply, ask_for, read_name
from trimif.testing._faulty_dns import TRUE
from trimif.testing._servers_encrypted_dns import EncryptedDnsService

AUTHORITY = trustme.CA()
NAME = "dns.example"
HERE = ip_address("127.0.0.1")
RIGHT = Addresses(TRUE[:1])
PROTOCOLS = ("dot", "h2", "http/1.1")


def trusting(authority: trustme.CA = AUTHORITY) -> ssl.SSLContext:
    """Trusts that authority and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


def certified(*names: str, authority: trustme.CA = AUTHORITY, protocol: str = "dot") -> ssl.SSLContext:
    """For a server with a certificate of these names, which speaks one protocol."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or (NAME,))).configure_cert(context)
    context.set_alpn_protocols([protocol])
    return context


def loopback() -> DomainView:
    index = socket.if_nametoindex("lo")
    return DomainView(DomainId("lo"), "lo/test", index, loopback=True, addresses=(SourceAddress(HERE, 8),))


def no_malformed(malformed: MalformedInput) -> None:
    """Nothing malformed is expected."""
    raise AssertionError(malformed)


def question(name: str) -> Question:
    read = read_name(f"{name}.example.com")
    assert read is not None
    return ask_for(read, Family.IPV4)


def open_session(port: int, protocol: str = "dot", *, name: str = NAME, **arguments: Any) -> EncryptedSession:
    """A session with a server on loopback."""
    arguments = {"context": trusting()} | arguments
    path = None if protocol == "dot" else "/dns-query{?dns}"
    [way] = choose([EncryptedDnsServer(1, name, (HERE,), (protocol,), port, path)])
    return EncryptedSession(loopback(), way, **arguments)


@frozen
class World:
    """The server, and a session with it."""

    service: EncryptedDnsService
    session: EncryptedSession
    port: int
    malformed: list[MalformedInput]

    async def ask(self, name: str) -> Reply:
        return await self.session.ask(question(name), self.malformed.append)


@asynccontextmanager
async def open_world(protocol: str = "dot", context: ssl.SSLContext | None = None) -> AsyncIterator[World]:
    """Serve; at the end the session is closed, and no socket may be left."""
    service = EncryptedDnsService(context or certified(protocol=protocol))
    [listener] = await trio.open_tcp_listeners(0, host=str(HERE))
    port = int(listener.socket.getsockname()[1])
    async with trio.open_nursery() as nursery:
        await nursery.start(service.serve, listener)
        session = open_session(port, protocol)
        try:
            yield World(service, session, port, [])
        finally:
            session.close()
            nursery.cancel_scope.cancel()


def sockets() -> set[str]:
    """The sockets of this process."""
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue  # the directory's own
        if target.startswith("socket:"):
            found.add(target)
    return found


@contextmanager
def no_socket_left() -> Iterator[None]:
    before = sockets()
    yield
    assert sockets() <= before
