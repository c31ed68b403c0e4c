"""A host in a namespace of its own, with processes that change it and processes that read."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks._changes import ADDRESSES
from trimif.testing._namespaces import Namespace

SETTLING_SECONDS = 0.3


@contextmanager
def host(*commands: str, ipv6: bool = False) -> Iterator[Namespace]:
    """A host with loopback up, and what the ``ip`` commands make of it. Gone when the block is left."""
    namespace = Namespace("host")
    try:
        namespace.write_sysctl("net/ipv6/conf/default/disable_ipv6", int(not ipv6))
        batch = "\n".join(["link set lo up", *commands])
        namespace.run(["ip", "-batch", "-"], input=batch.encode(), check=True)
        yield namespace
    finally:
        namespace.close()


@contextmanager
def host_with_addresses(count: int = len(ADDRESSES)) -> Iterator[Namespace]:
    """One interface, up0, with all the addresses whose lifetimes `_changes` changes."""
    links = ["link add up0 type veth peer name peer0", "link set up0 up", "link set peer0 up"]
    with host(*links, *(f"address add {address}/24 dev up0" for address in ADDRESSES[:count])) as namespace:
        time.sleep(SETTLING_SECONDS)  # until the kernel has announced that the link has its carrier
        yield namespace


def start(namespace: Namespace, module: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a module of this package as a process in the namespace."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    return namespace.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run(namespace: Namespace, reader: Sequence[object], changes: Sequence[object]) -> tuple[dict[str, Any], Any]:
    """Have `reader` read while the changes are made; gives what it saw, and what the changer told."""
    with start(namespace, "_readers", *reader) as reading:
        assert reading.stdout is not None
        assert reading.stdout.readline() == "ready\n"
        with start(namespace, "_changes", *changes) as changing:
            told, _ = changing.communicate()
        time.sleep(SETTLING_SECONDS)  # what is still on its way
        saw, _ = reading.communicate()
    return json.loads(saw), json.loads(told)
