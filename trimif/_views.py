"""The MIF as programs see it: the messages of face 1, and what stands on them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from trimif._facts import StaticConfiguration
from trimif._mif import MifElement, Record, run_element

__all__ = ["Mif", "open_mif"]


class Mif(MifElement):
    """The networks of this host. Made by `open_mif`."""

    async def open_tcp_stream(
        self,
        host: str | bytes,
        port: int,
        *,
        happy_eyeballs_delay: float = 0.25,
        local_address: str | None = None,
    ) -> trio.SocketStream:
        """Connect to a host through whichever domain gets there first; a drop-in for :func:`trio.open_tcp_stream`.

        The name is resolved inside every provisioning domain, and each address is tried only through the domain that
        gave it (RFC 8305 across domains; see `trimif` documentation, "the idea"). There is no fall-back to the
        system's resolver or default route. Loopback addresses and the host's own work as with Trio.

        Args:
            host: a name, or an IPv4 or IPv6 address.
            port: the TCP port.
            happy_eyeballs_delay: seconds before the next attempt starts while earlier ones are still trying.
            local_address: connect from this address only, through the domain that has it.

        Returns:
            The first connection made; it is the caller's to close. The other attempts are closed.

        Raises:
            OSError: every attempt failed; the text says what happened on each domain, and the cause is a group of
                `ConnectFailed`. At once if no domain is usable: see `wait_domain`.
            ValueError: the host is neither a name nor an address, the port or local address is none.
        """
        from trimif._happy_eyeballs import open_tcp_stream

        return await open_tcp_stream(
            self, host, port, happy_eyeballs_delay=happy_eyeballs_delay, local_address=local_address
        )


@asynccontextmanager
async def open_mif(
    *,
    grouping: str = "family",
    link: str = "netlink",
    static: Sequence[StaticConfiguration] = (),
    lease_directories: Sequence[str | Path] = (),
    record: Record | None = None,
) -> AsyncIterator[Mif]:
    """Open the MIF API on the host that the program runs on (in a network namespace: on that one).

    Yields after the first look at the kernel's tables and one read of each local source; it never waits for a router
    advertisement. Leaving the block ends everything of it, leaf first: lookups and connects, domains, interfaces,
    sources. A lone exception leaves bare, not in a group.

    Args:
        grouping: how domains are formed; ``"family"``: one per interface and address family (draft 3.1).
        link: who tells about the kernel's links, addresses and routes: ``"netlink"``, or ``"pyroute2"``, the reference
            link that the first is tested against. It needs the extra ``asyncio`` and a Python before 3.14, is slower,
            and can't go on after an overrun: the MIF ends with an :exc:`OSError` then.
        static: what you know about an interface and no network says, the name servers of a VPN for example.
        lease_directories: where to look for the files of DHCP clients, besides the usual places.
        record: is called with the time and the facts of each step, before they are applied; ``trimif watch --json``
            writes them down so that they can be replayed.

    Raises:
        ValueError: there is no such grouping, or no such link.
        ImportError: the link needs trio-asyncio, which does not import; the text tells the remedy.
        OSError: the kernel does not let the program open a netlink socket.
    """
    # what works on a real host is imported when there is one to work on: it would double the cost of `import trimif`
    from trimif._connect import connect
    from trimif._core import Core, by_family
    from trimif._names import translate
    from trimif._sources._host import host_sources

    groupings = {"family": by_family}
    if grouping not in groupings:
        raise ValueError(f"grouping is {grouping!r}; there are {', '.join(map(repr, groupings))}")
    core = Core(secrets.token_hex(3), groupings[grouping])
    sources = host_sources(link, tuple(static), tuple(Path(each) for each in lease_directories))
    mif = Mif(core, sources, record, translate=translate, connect=connect)
    async with run_element(mif):
        yield mif
