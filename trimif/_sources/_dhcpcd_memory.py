"""What dhcpcd has said so far, and what of it is true now.

Each block replaces what was said before about the same protocol on the same interface. What a dhcpcd that ended,
or was killed, has said stays true: its addresses are still there, and nobody has taken the leases back. They end on
time, or when the address goes, which the kernel tells. The next dhcpcd at the same place says within seconds what
became of them; what it doesn't mention by then, it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv6Address
from typing import TypeAlias

from attrs import evolve, field, frozen

from trimif._facts import DHCPv6Lease, Lease, RouterAdvertisement
from trimif._model import IPAddress
from trimif._wire.dhcpcd import DHCP, DHCPV6, Statement, dhcpv4_lease
from trimif._wire.dhcpcd_dhcpv6 import dhcpv6_lease
from trimif._wire.dhcpcd_routers import router_advertisements

__all__ = ["AnyLease", "Memory"]

SUCCESSION_SECONDS = 30.0
"""For so long a new dhcpcd may be silent about a lease of its predecessor: it asks the server about it first."""

AnyLease: TypeAlias = Lease | DHCPv6Lease
FILES = -1
"""Stands for a connection where the lease files told it."""
_KEPT = frozenset({"STOP", "STOP6"})
"""dhcpcd ends, or lets go of the interface. With ``persistent``, Debian's default, the address stays."""
_RELEASED = "STOPPED"
_DEPARTED = "DEPARTED"


@frozen
class _Held:
    """A lease, which connection it was heard on, and in which words; `filed` if there was a file of it then."""

    lease: AnyLease
    connection: int
    filed: bool
    words: Mapping[str, str] = field(factory=dict)


class Memory:
    """Leases by interface and protocol, and routers by interface, as dhcpcd told them."""

    def __init__(self) -> None:
        self._leases: dict[tuple[str, str], _Held] = {}
        self._routers: dict[str, dict[IPv6Address, RouterAdvertisement]] = {}

    def leases(self, now: float) -> tuple[AnyLease, ...]:
        """The leases that have not ended."""
        return tuple(held.lease for held in self._leases.values() if held.lease.valid_until > now)

    def hold_files(self, leases: Mapping[tuple[str, str], AnyLease]) -> None:
        """Take note of what all files say, by interface and protocol; what a dhcpcd has said itself counts more."""
        heard = {key: held for key, held in self._leases.items() if held.connection != FILES}
        self._leases = {key: _Held(lease, FILES, filed=True) for key, lease in leases.items()} | heard

    def hold_news(
        self, statement: Statement, connection: int, now: float, received: float | None, filed: AnyLease | None
    ) -> None:
        """Take note of what was said about a lease as it happened.

        Args:
            now: when it was said.
            received: when dhcpcd got the lease, if that is known.
            filed: the lease in its file, if that can be read. It tells more: options that dhcpcd has no name for.

        Raises:
            MalformedInput: it can't be understood; nothing has changed.
        """
        key = statement.interface, statement.protocol
        lease = _lease(statement, now, received)
        if lease is not None:
            told = filed if filed is not None and _addresses(filed) == _addresses(lease) else lease
            self._leases[key] = _Held(told, connection, received is not None, _words(statement))
        elif not (statement.reason in _KEPT and key in self._leases and _addresses(self._leases[key].lease)):
            self._leases.pop(key, None)

    def hold_answer(
        self, statement: Statement, connection: int, now: float, received: float | None, filed: AnyLease | None
    ) -> None:
        """Take note of what was said about a lease when dhcpcd was asked; as :meth:`hold_news`.

        dhcpcd does not tell since when it has it. If that was heard as it happened, the same words are nothing new.
        """
        held = self._leases.get((statement.interface, statement.protocol))
        if held is None or held.connection != connection or held.words != _words(statement):
            self.hold_news(statement, connection, now, received, filed)

    def hold_link(self, statement: Statement) -> None:
        """Take note of what was said about a link: whether its leases were given back, or it is gone."""
        released = statement.reason == _RELEASED and statement.variables.get("if_down") == "true"
        if released or statement.reason == _DEPARTED:
            for protocol in (DHCP, DHCPV6):
                self._leases.pop((statement.interface, protocol), None)
        if statement.reason == _DEPARTED:
            self._routers.pop(statement.interface, None)

    def hold_routers(self, statement: Statement, index: int, now: float) -> list[RouterAdvertisement]:
        """Take note of what was said about routers; returns what of it is news.

        A router that is not mentioned any more has not been heard for all of its lifetimes, unless the cable was
        pulled out: then dhcpcd has forgotten it, and removed what it set on its behalf.

        Raises:
            MalformedInput: it can't be understood; nothing has changed.
        """
        before = self._routers.get(statement.interface, {})
        told = {each.router: each for each in router_advertisements(statement, index, now)}
        self._routers[statement.interface] = told
        news = [each for router, each in told.items() if each != before.get(router)]
        if statement.variables.get("ifcarrier") == "down":
            news += [_withdrawn(each, now) for router, each in before.items() if router not in told]
        return news

    def forget(self, has_file: Callable[[str, str], bool]) -> None:
        """Files may be gone: so are their leases.

        Args:
            has_file: whether there is one for an interface and a protocol.
        """
        self._leases = {key: held for key, held in self._leases.items() if not held.filed or has_file(*key)}

    def succeed(self, covers: Callable[[str, str], bool], connection: int, now: float, *, same: bool) -> None:
        """A dhcpcd has said all that it knows: what others told about the same ends soon.

        Args:
            covers: whether it is for an interface and a protocol.
            same: the others were itself, on an earlier connection: what they told ends now.
        """
        latest = now if same else now + SUCCESSION_SECONDS
        for key, held in self._leases.items():
            if held.connection != connection and covers(*key):
                self._leases[key] = evolve(held, lease=_until(held.lease, latest))


def _lease(statement: Statement, now: float, received: float | None) -> AnyLease | None:
    read = dhcpv4_lease if statement.protocol == DHCP else dhcpv6_lease
    lease = read(statement, received) if received is not None else None
    # One that had ended by now is in no file yet: that was another's time.
    return lease if lease is not None and lease.valid_until > now else read(statement, now)


def _words(statement: Statement) -> dict[str, str]:
    return {name: value for name, value in statement.variables.items() if name.startswith("new_")}


def _addresses(lease: AnyLease) -> list[IPAddress]:
    return [lease.address] if isinstance(lease, Lease) else [each.address for each in lease.addresses]


def _until(lease: AnyLease, latest: float) -> AnyLease:
    if lease.valid_until <= latest:
        return lease
    if isinstance(lease, Lease):
        return evolve(lease, valid_until=latest)
    addresses = tuple(evolve(each, valid_until=min(each.valid_until, latest)) for each in lease.addresses)
    return evolve(lease, valid_until=latest, addresses=addresses)


def _withdrawn(advertisement: RouterAdvertisement, now: float) -> RouterAdvertisement:
    """The same, with all its lifetimes at an end."""
    header = advertisement.header
    return evolve(
        advertisement,
        header=None if header is None else evolve(header, until=now),
        prefixes=tuple(evolve(each, valid_until=now, preferred_until=now) for each in advertisement.prefixes),
        routes=tuple(evolve(each, until=now) for each in advertisement.routes),
        dns_servers=tuple((server, now) for server, _ in advertisement.dns_servers),
        search_domains=tuple((name, now) for name, _ in advertisement.search_domains),
    )
