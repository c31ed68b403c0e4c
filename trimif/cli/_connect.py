"""``trimif connect``: through which networks can a host be reached, and how fast?"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import trio
from attrs import define
from cyclopts import Parameter
from cyclopts.validators import Number

import trimif
from trimif import (
    Connected,
    ConnectToAddress,
    DomainSnapshot,
    IPAddress,
    Mif,
    NotConnected,
    Subscriber,
)
from trimif.cli._domains import LeaseDirectories, Seconds, UnknownDomain, select_domains, wait_settled
from trimif.cli._resolve import check_name, translate_everywhere
from trimif.cli._run import emit, run
from trimif.cli._terminal import escape, fail, milliseconds

__all__ = ["connect"]


def connect(
    host: str,
    port: Annotated[int, Parameter(validator=Number(gte=1, lte=65535))],
    *,
    domain: str | None = None,
    limit: Seconds = 10.0,
    wait: Seconds = 1.0,
    leases: LeaseDirectories = (),
) -> int:
    """Connect to a TCP port through every network, to each address that it knows for the host, all at once.

    Shows what came back when, and hangs up. Ends with 0 if any connected, else with 1.

    For example `trimif connect www.example.org 443`, or `trimif connect 198.51.100.7 22 --domain eth0/ipv4`.

    Args:
        host: A name, which is looked up in each network, or an IPv4 or IPv6 address.
        port: The TCP port.
        domain: Go through this provisioning domain only, for example eth0/ipv4.
        limit: Seconds until the connects that are still unanswered are given up.
        wait: Seconds in which routers may answer, if not every network's configuration is known at once.
    """
    try:
        target = _parse(host)
    except ValueError as error:
        fail(str(error))
        return 2
    return run(lambda: _connect(target, port, domain, limit, wait, leases))


def _parse(host: str) -> IPAddress | str:
    try:
        return ip_address(host)
    except ValueError:
        return check_name(host)


async def _connect(
    target: IPAddress | str, port: int, wanted: str | None, limit: float, patience: float, leases: Sequence[Path]
) -> int:
    async with trimif.open_mif(lease_directories=leases) as mif:
        await wait_settled(mif, patience, wanted)
        try:
            domains = select_domains(mif, wanted, str(target))
            targets = await _find_targets(mif, domains, target)
        except UnknownDomain as error:
            fail(str(error))
            return 1
        if not domains:
            fail("there is no provisioning domain to go through; trimif show tells more")
        async with mif.open_subscriber() as subscriber:
            connected = await _try_all(subscriber, targets, port, limit)
    return 0 if connected else 1


async def _find_targets(
    mif: Mif, domains: Sequence[DomainSnapshot], target: IPAddress | str
) -> list[tuple[DomainSnapshot, IPAddress]]:
    """Each domain with each address that it knows for the host."""
    if not isinstance(target, str):
        await trio.lowlevel.checkpoint()
        return [(domain, target) for domain in domains]
    told = await translate_everywhere(mif, domains, target)
    return [(domain, address) for domain in domains for address in told[domain.announcement.name]]


async def _try_all(
    subscriber: Subscriber, targets: Sequence[tuple[DomainSnapshot, IPAddress]], port: int, limit: float
) -> bool:
    """Connect everywhere at once, print the answers as they come; whether any connected.

    What is still unanswered at the end is stopped when the subscriber closes.
    """
    attempts = {f"{domain.announcement.name} to {address}": (domain, address) for domain, address in targets}
    progress = _Progress(set(attempts), trio.current_time(), max(map(len, attempts), default=0))
    for attempt, (domain, address) in attempts.items():
        subscriber.post(ConnectToAddress(domain.announcement.domain, address, port, attempt))
    with trio.move_on_after(limit):
        await progress.follow(subscriber)
    for attempt in sorted(progress.outstanding):
        progress.say(attempt, "no answer, given up")
    return progress.connected


@define
class _Progress:
    """The attempts that have no answer yet, by what they are called."""

    outstanding: set[str]
    began: float
    width: int
    connected: bool = False

    def say(self, attempt: str, text: str) -> None:
        emit(f"{escape(attempt):{self.width}}  {milliseconds(trio.current_time() - self.began):>10}  {text}")

    async def follow(self, subscriber: Subscriber) -> None:
        await trio.lowlevel.checkpoint()
        while self.outstanding:
            match await subscriber.receive():
                case Connected(connection_id=str() as attempt, stream=stream):
                    self.connected = True
                    async with stream:
                        self.say(attempt, f"connected from {stream.socket.getsockname()[0]}")
                    self.outstanding.remove(attempt)
                case NotConnected(connection_id=str() as attempt, text=text, reason=reason):
                    self.say(attempt, escape(text or reason.value))
                    self.outstanding.remove(attempt)
