"""``trimif resolve``: what does each network say that a name's addresses are?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import trio
from cyclopts import Parameter

import trimif
from trimif import (
    DomainId,
    DomainSnapshot,
    IPAddress,
    Mif,
    NameTranslation,
    NameTranslationFinished,
    Subscriber,
    TranslateName,
    TranslationOutcome,
)
from trimif.cli._domains import LeaseDirectories, Seconds, UnknownDomain, select_domains, wait_settled
from trimif.cli._run import emit, run
from trimif.cli._terminal import escape, fail, milliseconds

Systems: TypeAlias = Annotated[
    Sequence[Literal["hosts", "dns", "mdns", "llmnr"]], Parameter(negative=(), show_default=False)
]

__all__ = ["check_name", "resolve", "translate_everywhere"]


def resolve(
    name: str,
    *,
    domain: str | None = None,
    servers: bool = False,
    system: Systems = (),
    wait: Seconds = 1.0,
    leases: LeaseDirectories = (),
) -> int:
    """Ask every network for the addresses of a name, each by its own DNS servers, and show what came back when.

    Ends with 0 if any answered, else with 1.

    For example `trimif resolve www.example.org`, or `trimif resolve intranet.example.com --domain tun0/ipv4`.

    Args:
        name: The name, for example www.example.org.
        domain: Ask this provisioning domain only, for example eth0/ipv4.
        servers: Also show who was asked, and what each of them said.
        system: Ask only these name systems, in this order: hosts, dns, mdns, llmnr. Give it once for each.
        wait: Seconds in which routers may answer, if not every network's DNS servers are known at once.
    """
    try:
        check_name(name)
    except ValueError as error:
        fail(str(error))
        return 2
    return run(lambda: _resolve(name, domain, wait, leases, tuple(system) or None, servers))


def check_name(name: str) -> str:
    """The same name.

    Raises:
        ValueError: it is none; the text says why.
    """
    return TranslateName(DomainId("any"), name, "any").name


async def _resolve(
    name: str,
    wanted: str | None,
    patience: float,
    leases: Sequence[Path],
    systems: tuple[str, ...] | None,
    servers: bool,
) -> int:
    async with trimif.open_mif(lease_directories=leases) as mif:
        await wait_settled(mif, patience, wanted)
        try:
            domains = select_domains(mif, wanted, name)
            told = await translate_everywhere(mif, domains, name, systems, servers=servers)
        except UnknownDomain as error:
            fail(str(error))
            return 1
    if not domains:
        fail("there is no provisioning domain to ask; trimif show tells more")
    return 0 if any(told.values()) else 1


async def translate_everywhere(
    mif: Mif,
    domains: Iterable[DomainSnapshot],
    name: str,
    systems: tuple[str, ...] | None = None,
    *,
    servers: bool = False,
) -> dict[str, list[IPAddress]]:
    """Translate a name in several domains at once, printing answers as they come; the addresses by domain's name.

    Args:
        systems: the name systems to ask; None for the usual ones.
        servers: also print who was asked, and what each of them said.
    """
    told: dict[str, list[IPAddress]] = {domain.announcement.name: [] for domain in domains}
    async with mif.open_subscriber() as subscriber:
        for domain in domains:
            # The id says which domain it was: names of domains are unique at one moment.
            subscriber.post(TranslateName(domain.announcement.domain, name, domain.announcement.name, systems))
        await _print_answers(subscriber, told, servers)
    return told


async def _print_answers(subscriber: Subscriber, told: dict[str, list[IPAddress]], servers: bool) -> None:
    began, outstanding, width = trio.current_time(), set(told), max(map(len, told), default=0)

    def say(domain: str, text: str) -> None:
        emit(f"{escape(domain):{width}}  {milliseconds(trio.current_time() - began):>10}  {text}")

    await trio.lowlevel.checkpoint()
    while outstanding:
        match await subscriber.receive():
            case NameTranslation(translation_id=str() as domain, address=address):
                told[domain].append(address)
                say(domain, str(address))
            case NameTranslationFinished(translation_id=str() as domain, outcome=outcome, said=said):
                outstanding.remove(domain)
                if outcome is not TranslationOutcome.ANSWERED:
                    say(domain, outcome.value)
                for each in said if servers else ():
                    who = each.system if each.server is None else f"{each.system} server {each.server}"
                    text = f"{who}, {each.question}: {each.said} after {milliseconds(each.seconds)}"
                    emit(f"{'':{width}}  {'':>10}  {escape(text)}")
