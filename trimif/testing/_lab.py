"""A real multi-homed host on one machine: real links, real routers, DHCP and name servers, in private namespaces.

`Lab` makes five network namespaces (:mod:`trimif.testing._lab_topology` has the map), joins them with virtual cables
and starts the daemons in them. Nothing of it has a name outside, and nothing is mounted where the machine could see
it; when the program ends, however it ends, the kernel removes it all. Everything here is synchronous and blocks for
milliseconds; times are in seconds.

Needs root, be it of a user namespace, and the programs that :mod:`trimif.testing._lab_requirements` lists.
"""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from attrs import frozen

from trimif.testing._lab_clients import Dhclient, Pyroute2Dhcp
from trimif.testing._lab_configuration import write_plans
from trimif.testing._lab_networks import Networks
from trimif.testing._lab_processes import Daemon, poll_until

SERVER_PORTS = (80, 83, 85)  # See _lab_servers.py. On port 84 nobody answers, by the packet filter.
DEFAULT_METRICS = {"up-a": 100, "up-b": 200}


@frozen
class Greeting:
    """What a server on TCP port 80 says.

    Attributes:
        network: where it is, ``"inet"`` or ``"vpn"``.
        asked: the address that the connection was made to.
        peer: the address that it came from.
    """

    network: str
    asked: str
    peer: str

    @classmethod
    def from_octets(cls, octets: bytes) -> Greeting:
        """Read the line."""
        return cls(*octets.decode().split())


class Lab(Networks):
    """A host with three uplinks, and the networks behind them: up when it is made. A context manager.

    Then the servers answer, and the host has its IPv6 addresses by router advertisements and the static addresses
    of ``vpn0``; start a DHCP client for the providers' IPv4.

    Attributes:
        lease_directory: where the DHCP clients' lease files are.
        directory: everything else: configurations and logs. Removed by `close`.
    """

    def __init__(self, *, fast: bool = True, isp_b_ipv6: bool = False) -> None:
        """Bring it up.

        Args:
            fast: no duplicate address detection and no delay before router solicitations in the host.
            isp_b_ipv6: provider B has IPv6 too.

        Raises:
            LabError: something failed or was not ready in time; nothing is left behind.
        """
        with ExitStack() as stack:
            self._make_directories(stack, isp_b_ipv6)
            super().__init__(stack, fast=fast, isp_b_ipv6=isp_b_ipv6)
            self.host, self.isp_a, self.isp_b, self.vpn, self.inet = self.namespaces.values()
            stack.callback(self._end_processes)
            self._start_everything()
            self._attach_everything()
            self._stack = stack.pop_all()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process, by its id, and let go of everything. A second call does nothing."""
        self._stack.close()

    def _make_directories(self, stack: ExitStack, isp_b_ipv6: bool) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="trimif-lab-"))
        stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.lease_directory = self.directory / "leases"
        self.lease_directory.mkdir()
        self._plans = write_plans(self.directory, isp_b_ipv6=isp_b_ipv6)
        self._daemons: dict[str, Daemon] = {}
        self._clients: list[Dhclient | Pyroute2Dhcp] = []

    def _start_everything(self) -> None:
        self._start_servers()
        for name in self._plans:
            self.start(name)
        for name in self._plans:
            self.wait_ready(name)

    def _attach_everything(self) -> None:
        """The host's uplinks come up last, when the routers are listening for its solicitations."""
        self.attach("up-a", "up-b", "vpn0")
        for interface, prefix in self._expected_addresses():
            poll_until(partial(self._has_address, interface, prefix), f"an address {prefix}… of {interface}")

    def _expected_addresses(self) -> Iterator[tuple[str, str]]:
        """The addresses without which the host is not quiet yet: each also says that its link has carrier."""
        yield from (("up-a", "fe80:"), ("up-a", "2001:db8:a:"), ("up-b", "fe80:"), ("vpn0", "fe80:"), ("vpn0", "fd6d:"))
        if "isp_b.radvd" in self._plans:
            yield "up-b", "2001:db8:b:"

    def _has_address(self, interface: str, prefix: str) -> bool:
        return f"inet6 {prefix}" in self.ip("host", f"-6 address show dev {interface} -tentative")

    # ------------------------------------------------------------ daemons

    def _start_servers(self) -> None:
        """Open the TCP servers' sockets here, so that they accept at once, and hand them to one program."""
        with ExitStack() as sockets:
            handed = []
            for network in ("inet", "vpn"):
                for port in SERVER_PORTS:
                    with self.namespaces[network].entered():
                        listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
                    handed.append((sockets.enter_context(listener).fileno(), network, port))
            program = [sys.executable, "-I", "-S", str(Path(__file__).with_name("_lab_servers.py"))]
            program += [f"{descriptor}:{network}:{port}" for descriptor, network, port in handed]
            descriptors = [descriptor for descriptor, *_ in handed]
            log = self.directory / "inet.servers.log"
            self._daemons["inet.servers"] = Daemon(self.inet, program, log, descriptors=descriptors)

    @property
    def daemons(self) -> Mapping[str, Daemon]:
        """The routers' daemons, by name: ``isp_a.dnsmasq``, ``isp_a.radvd``, ``isp_b.dhcpd``, …"""
        return self._daemons

    def start(self, name: str) -> None:
        """Start a daemon that is not running; `wait_ready` waits for it."""
        plan = self._plans[name]
        self._daemons[name] = Daemon(self.namespaces[plan.network], plan.command, self.directory / f"{name}.log")

    def wait_ready(self, name: str) -> None:
        """Block until a daemon listens."""
        for table, port in self._plans[name].listens:
            poll_until(partial(self._daemons[name].listens, table, port), f"{name} to listen")

    def stop(self, name: str, *, gently: bool = False) -> None:
        """End a daemon: at once, as if its machine had lost power, or so that it can say goodbye first.

        A gentle end makes radvd send a last advertisement with the router lifetime 0 (RFC 4861, 6.2.5).
        """
        if gently:
            self._daemons[name].end_gently()
        else:
            self._daemons[name].end()

    def recreate_link(self, uplink: str) -> None:
        """Make a deleted uplink again: the same name, another interface. Its router's daemons are started anew."""
        network = self.make_uplink(uplink)
        names = [plan.name for plan in self._plans.values() if plan.network == network]
        for name in names:
            self.stop(name)
            self.start(name)
        for name in names:
            self.wait_ready(name)
        self.attach(uplink)

    def logs(self) -> Mapping[str, str]:
        """What each daemon and client has said so far, by name."""
        return {path.stem: path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log"))}

    def _end_processes(self) -> None:
        processes = [*self._daemons.values(), *(client.process for client in self._clients)]
        for process in processes:
            process.kill()
        for process in processes:
            process.end()

    # ------------------------------------------------------------ DHCP clients

    def start_dhclient(self, interface: str, *, metric: int | None = None, wait: bool = True) -> Dhclient:
        """Start ISC dhclient with Debian's script on an uplink of the host.

        Args:
            metric: of its routes; if not given, 100 for ``up-a`` and 200 for ``up-b``. With 0 it is left to the
                stock script, which gives none: then the second of two clients gets no default route.
            wait: block until it has a lease and the host is configured.
        """
        chosen = DEFAULT_METRICS.get(interface, 0) if metric is None else metric
        client = Dhclient(self.host, interface, self.lease_directory, self.directory, metric=chosen)
        self._clients.append(client)
        if wait:
            client.wait_bound()
        return client

    def start_pyroute2_dhcp(self, interface: str, *, wait: bool = True) -> Pyroute2Dhcp:
        """Start pyroute2's DHCP client on an uplink of the host. It replaces whatever default route is there."""
        client = Pyroute2Dhcp(self.host, interface, self.lease_directory, self.directory)
        self._clients.append(client)
        if wait:
            client.wait_bound()
        return client
