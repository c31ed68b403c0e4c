"""A host and a provider with one cable between them, and what a source tells about that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio
from attrs import define, field

from trimif import (
    AnnounceConfigurationElement,
    AnnounceInterfaces,
    Announcement,
    AnnounceProvisioningDomain,
    ConfigurationElementAnnouncement,
    ElementType,
    InterfaceAnnouncement,
    NoConfigurationElementAnnouncement,
    ProvisioningDomainAnnouncement,
    Subscriber,
)
from trimif._facts import AllLeases, DHCPv6Lease, Fact, Lease, Limitation, RouterAdvertisement
from trimif._sources._source import Source
from trimif.testing._lab_processes import Daemon, poll_until, run
from trimif.testing._namespaces import Namespace

SECONDS = 15.0  # How long a test waits at most for something that should happen.

E = TypeVar("E", ConfigurationElementAnnouncement, NoConfigurationElementAnnouncement)

_CABLE = """\
link set lo up
link add eth0 address 02:00:00:00:0e:02 type veth peer name isp0 netns {isp}
link set eth0 up
"""
_PROVIDER = """\
link set lo up
link set isp0 addrgenmode none
address add 198.51.100.1/26 dev isp0
address add fe80::a:1/64 dev isp0 nodad
address add 2001:db8:a::1/64 dev isp0 nodad
link set isp0 up
"""
_DNSMASQ = """\
dnsmasq -d --port=0 --conf-file=/dev/null --pid-file= --user=root --group=root --no-ping --interface=isp0
--bind-interfaces --dhcp-authoritative --dhcp-range=198.51.100.10,198.51.100.50,120
--dhcp-range=2001:db8:a::100,2001:db8:a::1ff,64,120 --enable-ra --domain=isp.example
--dhcp-option=option:ntp-server,198.51.100.1 --dhcp-option=option:mtu,1460
--dhcp-option=option:domain-search,isp.example,example.com --dhcp-option=114,https://portal.isp.example/api
--dhcp-option=option:classless-static-route,203.0.113.64/26,198.51.100.1,0.0.0.0/0,198.51.100.1
"""


@define
class Pair:
    """The host's ``eth0`` leads to the provider's ``isp0``. Everything ends with `pair`."""

    host: Namespace
    isp: Namespace
    directory: Path
    ends: ExitStack
    _server: Daemon | None = None

    def serve(self, dns: str = "198.51.100.1", dns6: str = "2001:db8:a::1") -> None:
        """Start the provider's dnsmasq, or start it again with other name servers."""
        self.stop_serving()
        options = [f"--dhcp-option=option:dns-server,{dns}", f"--dhcp-option=option6:dns-server,[{dns6}]"]
        leases = f"--dhcp-leasefile={self.directory}/dnsmasq.leases"
        server = Daemon(self.isp, [*_DNSMASQ.split(), leases, *options], self.directory / "isp.dnsmasq.log")
        self._server = server
        for table, port in (("udp", 67), ("udp6", 547), ("raw6", 58)):
            poll_until(partial(server.listens, table, port), "dnsmasq to listen")

    def stop_serving(self) -> None:
        if self._server is not None:
            self._server.end()

    def show_logs(self) -> None:
        """Print what the programs said; it is seen when the test fails."""
        for path in sorted(self.directory.glob("*.log")):
            print(f"---- {path.name}\n{path.read_text(errors='replace')}")

    def addresses(self) -> str:
        """What ``ip`` says of the host's addresses."""
        return run(self.host, ["ip", "-oneline", "address", "show", "dev", "eth0"])


@contextmanager
def pair(directory: Path) -> Iterator[Pair]:
    """A pair; the calling thread is on the host meanwhile."""
    with closing(Namespace("host")) as host, closing(Namespace("isp")) as isp, ExitStack() as ends:
        for key in ("accept_dad", "dad_transmits", "router_solicitation_delay"):
            host.write_sysctl(f"net/ipv6/conf/default/{key}", 0)
        run(host, ["ip", "-batch", "-"], _CABLE.format(isp=isp.path))
        run(isp, ["ip", "-batch", "-"], _PROVIDER)
        made = Pair(host, isp, directory, ends)
        ends.callback(made.stop_serving)
        ends.callback(made.show_logs)
        ends.enter_context(host.entered())
        yield made


@define
class Told:
    """Everything that a source has told so far, and a way to wait for more."""

    source: Source
    history: list[Fact] = field(factory=list)
    _news: trio.Event = field(factory=trio.Event)

    def report(self, facts: Sequence[Fact]) -> None:
        self.history += facts
        self._news.set()

    async def until(self, condition: Callable[[], bool], seconds: float = SECONDS) -> None:
        """Wait until it holds."""
        with trio.fail_after(seconds):
            await trio.lowlevel.checkpoint()
            while not condition():
                self._news = trio.Event()
                await self._news.wait()

    @property
    def sets(self) -> list[tuple[Lease | DHCPv6Lease, ...]]:
        """The leases, each time that they were told."""
        return [fact.leases for fact in self.history if isinstance(fact, AllLeases)]

    def ipv4(self) -> Lease | None:
        """The DHCPv4 lease of eth0 that was told last."""
        return next((lease for lease in self.sets[-1] if isinstance(lease, Lease)), None)

    def ipv6(self) -> DHCPv6Lease | None:
        """The DHCPv6 lease of eth0 that was told last."""
        return next((lease for lease in self.sets[-1] if isinstance(lease, DHCPv6Lease)), None)

    def routers(self) -> list[RouterAdvertisement]:
        return [fact for fact in self.history if isinstance(fact, RouterAdvertisement)]

    def limitations(self) -> list[Limitation]:
        return [fact for fact in self.history if isinstance(fact, Limitation)]


@asynccontextmanager
async def telling(source: Source) -> AsyncIterator[Told]:
    """A source at work: what was there is told before the block begins."""
    told = Told(source)
    async with trio.open_nursery() as nursery:
        await nursery.start(source.run, told.report)
        yield told
        nursery.cancel_scope.cancel()


@define
class Heard:
    """What a subscriber was told; whatever is announced to it, it asks about."""

    subscriber: Subscriber
    history: list[Announcement] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.subscriber.post(AnnounceInterfaces())

    async def until(self, kind: type[E], element: ElementType) -> E:
        """Wait for the first announcement of that kind about an element; it may have come before."""
        with trio.fail_after(SECONDS):
            while True:
                for message in self.history:
                    if isinstance(message, kind) and message.element is element:
                        return message
                await self._receive()

    async def _receive(self) -> None:
        message = await self.subscriber.receive()
        self.history.append(message)
        if isinstance(message, InterfaceAnnouncement):
            self.subscriber.post(AnnounceProvisioningDomain(message.interface))
        elif isinstance(message, ProvisioningDomainAnnouncement):
            self.subscriber.post(AnnounceConfigurationElement(message.domain))
