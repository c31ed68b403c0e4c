"""One name in every domain: `Mif.resolve`, made of `ProvisioningDomain.resolve` alone; and `getaddrinfo` on top of it.

Each address keeps the domain whose name service told it, "a lookup's result is used only in the PvD it came from" (RFC
7556, 5.2), and connects through that one. Where a domain says that a name is its own (split domains), the others are
not asked: they would tell of another network's names, and learn that they exist.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence

import trio
from attrs import frozen

from trimif._errors import DomainGone
from trimif._model import IPAddress, Value
from trimif._name_systems import AddressInfo
from trimif._owners import ProvisioningDomain

__all__ = ["ResolvedAddress", "domains_for", "getaddrinfo_in", "resolve_in_all"]


@frozen(repr=False, eq=False)
class ResolvedAddress(Value):
    """An address of a name, and the domain that it is good in.

    Attributes:
        domain: whose name service told it; through which it is to be connected to.
    """

    domain: ProvisioningDomain
    address: IPAddress

    async def connect(self, port: int) -> trio.SocketStream:
        """Connect to a TCP port of it, through its domain and nowhere else; errors are those of the domain's."""
        return await self.domain.connect(self.address, port)


def domains_for(
    name: str, domains: Iterable[ProvisioningDomain], admits: Callable[[ProvisioningDomain], bool]
) -> list[ProvisioningDomain]:
    """The domains to ask for a name: those that claim it most precisely, else all that are admitted.

    One that claims it need not be admitted: a split tunnel has no default route, and knows its names all the same.
    """
    from trimif._names._question import read_name
    from trimif._names._selection import covers

    read = read_name(name)
    claims = {domain: 0 if read is None else covers(domain.split_domains, read) for domain in domains}
    longest = max(claims.values(), default=0)
    return [domain for domain, claim in claims.items() if (claim == longest if longest else admits(domain))]


async def resolve_in_all(name: str, domains: Sequence[ProvisioningDomain]) -> tuple[ResolvedAddress, ...]:
    """Ask all of them at once; the addresses by domain, in the order in which the domains are given.

    Raises:
        socket.gaierror: no domain has an address for it; the text says what each of them said.
    """
    found: dict[ProvisioningDomain, tuple[IPAddress, ...]] = {}
    failures: dict[ProvisioningDomain, str] = {}

    async def ask(domain: ProvisioningDomain) -> None:
        try:
            found[domain] = await domain.resolve(name)
        except socket.gaierror as error:
            failures[domain] = error.strerror or str(error)
        except DomainGone as gone:
            failures[domain] = str(gone)

    await trio.lowlevel.checkpoint()
    async with trio.open_nursery() as nursery:
        for domain in domains:
            nursery.start_soon(ask, domain)
    addresses = tuple(ResolvedAddress(each, address) for each in domains for address in found.get(each, ()))
    if not addresses:
        reasons = "; ".join(failures.values()) or "there is no provisioning domain that could be asked"
        raise socket.gaierror(socket.EAI_NONAME, f"{name} has no address: {reasons}")
    return addresses


async def getaddrinfo_in(
    domain: ProvisioningDomain,
    host: str | None,
    port: int | str | bytes | None,
    family: int,
    type: int,
    proto: int,
    flags: int,
) -> list[AddressInfo]:
    """See `ProvisioningDomain.getaddrinfo`."""
    from trimif._names._getaddrinfo import address_infos, literal, wildcards

    address = None if host is None else literal(host)
    if host is None or address is not None:
        await trio.lowlevel.checkpoint()
        addresses = wildcards(flags) if address is None else (address,)
    elif flags & socket.AI_NUMERICHOST:
        await trio.lowlevel.checkpoint()
        raise socket.gaierror(socket.EAI_NONAME, f"{host} is not an address, and AI_NUMERICHOST asks for one")
    else:
        addresses = await domain.resolve(host)
    name = host or "" if flags & socket.AI_CANONNAME else ""
    index = domain.interface_index
    return address_infos(addresses, port, family=family, type=type, proto=proto, name=name, index=index)
