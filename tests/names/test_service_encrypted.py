"""The name service and a domain's encrypted server: preferred, kept open, and closed with the domain, its address, or
the MIF.
"""

from __future__ import annotations

from ipaddress import ip_address

import pytest
import trio
import trio.testing
from attrs import evolve

from trimif._information import EncryptedDnsServer, NameServerSaid
from trimif._model import DomainView, SourceAddress, TranslationOutcome
from trimif._names import NameService

from .encrypted_world import NAME, World, loopback, no_malformed, no_socket_left, open_world, trusting


def view_of(world: World) -> DomainView:
    server = EncryptedDnsServer(1, NAME, (ip_address("127.0.0.1"),), ("dot",), world.port)
    return evolve(loopback(), encrypted_dns=(server,))


async def ask(service: NameService, view: DomainView, name: str) -> list[NameServerSaid]:
    said: list[NameServerSaid] = []
    asked = service.translate(
        view, f"{name}.example", lambda _: None, systems=["dns"], note=said.append, note_malformed=no_malformed
    )
    assert await asked is TranslationOutcome.ANSWERED
    return said


async def test_it_is_asked_and_its_connection_is_kept() -> None:
    async with open_world() as world:
        service = NameService(ssl_context=trusting())
        for name in ("a", "b"):
            assert {each.said for each in await ask(service, view_of(world), name)} == {f"answered, by {NAME} over DOT"}
        assert world.service.connections == ["dot"]
        service.forget_all()


@pytest.mark.parametrize("end", ["the domain", "the MIF"])
async def test_its_connection_ends(end: str) -> None:
    async with open_world() as world:
        service, view = NameService(ssl_context=trusting()), view_of(world)
        with no_socket_left():
            await ask(service, view, "a")
            if end == "the domain":
                service.forget(view.domain)
            else:
                service.forget_all()
            await trio.testing.wait_all_tasks_blocked()


async def test_another_address_has_a_connection_of_its_own() -> None:
    async with open_world() as world:
        service, view = NameService(ssl_context=trusting()), view_of(world)
        await ask(service, view, "a")
        await ask(service, evolve(view, addresses=(*view.addresses, SourceAddress(ip_address("127.0.0.9"), 8))), "b")
        assert world.service.connections == ["dot", "dot"]
        service.forget_all()
