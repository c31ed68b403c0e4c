"""Everything of a large host: from `open_mif` until a subscriber was told it, beside ``ip -json address``."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks._host import host
from benchmarks._table import Line

ROUNDS = 5
INTERFACES, ADDRESSES = 1_000, 10_000
AT_REST_SECONDS = 4.0  # duplicate address detection ends; nothing changes any more


def announce() -> Iterator[Line]:
    """Interfaces, domains, elements and addresses: some 15,000 messages."""
    ours: list[float] = []
    cpu: list[float] = []
    theirs = []
    with host(*_commands(), ipv6=True) as large:
        time.sleep(AT_REST_SECONDS)
        for _ in range(ROUNDS):
            began = time.monotonic()
            large.run(["ip", "-json", "address"], stdout=subprocess.PIPE, check=True)
            theirs.append(time.monotonic() - began)
            told = large.run([sys.executable, "-m", "benchmarks._announce"], stdout=subprocess.PIPE, check=True)
            seconds = json.loads(told.stdout)
            ours.append(seconds["elapsed"])
            cpu.append(seconds["cpu"])
    beside, other = "ip -json address", statistics.median(theirs) * 1e3
    what = f"announce {INTERFACES} interfaces, {ADDRESSES} addresses"
    yield Line(what, statistics.median(ours) * 1e3, beside, other, unit="ms", target=2.0)
    yield Line(f"{what}, CPU", statistics.median(cpu) * 1e3, unit="ms")


def _commands() -> Iterator[str]:
    """Pairs of veth; each interface gets two IPv4 and eight IPv6 addresses."""
    for number in range(0, INTERFACES, 2):
        yield f"link add d{number} type veth peer name d{number + 1}"
    for number in range(INTERFACES):
        yield f"link set d{number} up"
        for each in range(2):
            yield f"address add 198.51.100.{(2 * number + each) % 250 + 1}/32 dev d{number}"
        for each in range(1, 9):
            yield f"address add 2001:db8:{number:x}::{each}/64 dev d{number} nodad"


async def tell_everything() -> None:
    """In the large host: subscribe to everything, and print how long it took until the last address came."""
    import trio

    import trimif
    import trimif._connect
    import trimif._core
    import trimif._names
    import trimif._sources._host  # `open_mif` imports these when it is first called; that is not what is measured

    elapsed, cpu, addresses = -time.monotonic(), -time.process_time(), 0
    async with trimif.open_mif() as mif, mif.open_subscriber() as subscriber, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            nonlocal addresses
            subscriber.post(trimif.AnnounceInterfaces())
            while addresses < ADDRESSES:
                for message in await subscriber.receive_batch():
                    if isinstance(message, trimif.InterfaceAnnouncement):
                        subscriber.post(trimif.AnnounceProvisioningDomain(message.interface))
                    elif isinstance(message, trimif.ProvisioningDomainAnnouncement):
                        subscriber.post(trimif.AnnounceConfigurationElement(message.domain))
                        subscriber.post(trimif.AnnounceAddress(message.domain))
                    elif isinstance(message, trimif.AddressAnnouncement):
                        addresses += message.address.is_loopback is False
            print(json.dumps({"elapsed": elapsed + time.monotonic(), "cpu": cpu + time.process_time()}))


if __name__ == "__main__":
    import trio

    trio.run(tell_everything)
