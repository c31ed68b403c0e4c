"""A program of its own that looks, asks and connects, and prints what came of it as JSON.

``python -m tests.lab._observer LEASE_DIRECTORY``: it says ``open`` when its MIF is open, and then waits for the name
servers of provider A's router advertisement. Run with privileges and without, it has to see and reach the same.
"""

from __future__ import annotations

import json
import sys
from ipaddress import ip_address
from typing import Any

import trio

import trimif
from trimif import Connected, ConnectToAddress, DomainSnapshot, ElementType, Information, NotConnected, Origin

from ._program import Program, data_of, open_program, read_greeting

WEB = {"ipv4": "203.0.113.80", "ipv6": "2001:db8:ff::80"}


def describe(domain: DomainSnapshot) -> dict[str, Any]:
    """What both see, and what only the origins differ in."""
    elements = {each.announcement.element.name: each for each in domain.elements}
    return {
        "addresses": sorted(str(each.address) for each in domain.addresses),
        "elements": {kind: said(each.data) for kind, each in elements.items()},
        "origins": {kind: origin(each.announcement.origin) for kind, each in elements.items()},
        "mtu": {kind: each.data.get(Information.MTU) for kind, each in elements.items()},
    }


def said(data: Any) -> dict[str, list[str]]:
    wanted = (Information.DNS_SERVERS, Information.SEARCH_DOMAINS, Information.ROUTERS, Information.ROUTES)
    return {each.name: sorted(map(str, data.get(each, ()))) for each in wanted}


def origin(value: Origin) -> str:
    return str(value)


async def connect(program: Program, name: str) -> str:
    """Who the server on the Internet says we are; or why it can't."""
    program.post(ConnectToAddress(program.domains()[name], ip_address(WEB[name.partition("/")[2]]), 80, name))
    answer: Connected | NotConnected = await program.when(lambda: find_answer(program, name))
    return (await read_greeting(answer.stream)).peer if isinstance(answer, Connected) else answer.reason.value


def find_answer(program: Program, name: str) -> Connected | NotConnected | None:
    answers = (each for each in program.history if isinstance(each, Connected | NotConnected))
    return next((each for each in answers if each.connection_id == name), None)


async def observe(lease_directory: str) -> dict[str, Any]:
    async with trimif.open_mif(lease_directories=[lease_directory]) as mif, open_program(mif) as program:
        print("open", flush=True)
        await program.when(lambda: Information.DNS_SERVERS in data_of(mif, "up-a/ipv6", ElementType.RA))
        domains = {
            domain.announcement.name: describe(domain)
            for interface in mif.snapshot().interfaces
            for domain in interface.domains
        }
        answers = {}
        for name, domain in program.domains().items():
            addresses, outcome = await program.translate(domain, "host.example.com")
            answers[name] = [*sorted(addresses), outcome.value]
        connects = {name: await connect(program, name) for name in program.domains() if not name.startswith("lo/")}
        limitations = [each.source for each in mif.statistics().limitations]
    return {"domains": domains, "answers": answers, "connects": connects, "limitations": limitations}


if __name__ == "__main__":
    print(json.dumps(trio.run(observe, sys.argv[1])))
