"""What is behind the interfaces of a simulated host: name servers that answer late, and TCP peers.

It takes the place of `trimif._names` and `trimif._connect`: the MIF asks it with the same picture of the domain. What
nobody has set up behaves as a network where nobody answers: lookups and connects end as they would on Linux, only
later than any test wants to wait with a real clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address

import trio

from trimif._errors import MalformedInput
from trimif._information import NameServerSaid
from trimif._model import DomainId, DomainView, IPAddress, NotConnectedReason, TranslationOutcome
from trimif.testing._peer import Peer

__all__ = ["SimulatedNetworks"]

SILENT_SERVER_SECONDS = 4.0
"""Two attempts at one server."""
SILENT_PEER_SECONDS = 127.0
"""Six retransmissions of a SYN, the default of Linux (:manpage:`tcp(7)`, ``tcp_syn_retries``)."""


class SimulatedNetworks:
    """Names and peers, by the domain's name.

    Attributes:
        names: by domain and name, the addresses in their order, each with the seconds that it takes after the one
            before; a name without addresses does not exist.
        peers: by domain and address, on any port.
        dialled: each attempt to connect: when, through which domain, to which address.
        streams: the program's ends of all connections made.
        unwound: which lookups and connects have ended, in their order.
    """

    def __init__(
        self,
        names: Mapping[tuple[str, str], Sequence[tuple[float, str]]] | None = None,
        peers: Mapping[tuple[str, str], Peer] | None = None,
    ) -> None:
        self.names: dict[tuple[str, str], Sequence[tuple[float, str]]] = dict(names or {})
        self.peers: dict[tuple[str, str], Peer] = dict(peers or {})
        self.dialled: list[tuple[float, str, str]] = []
        self.streams: list[trio.SocketStream] = []
        self.unwound: list[str] = []
        self._endings: dict[tuple[str, str], tuple[float, TranslationOutcome]] = {}

    # ---------------------------------------------------------------- set up by the test

    def add_name(
        self, domain: str, name: str, *addresses: str, after: float = 0.0, outcome: TranslationOutcome | None = None
    ) -> None:
        """The domain's name servers know a name; said again, the new answer replaces the old one.

        Args:
            domain: the domain's name, for example ``"eth0/ipv4"``.
            addresses: none for a name that does not exist.
            after: how many seconds the answer takes.
            outcome: how the translation ends, if not as the addresses imply.
        """
        key, delays = (domain, _canonical(name)), [after, *([0.0] * len(addresses))]
        self.names[key] = [(delay, str(ip_address(each))) for delay, each in zip(delays, addresses, strict=False)]
        self._endings[key] = 0.0 if addresses else after, outcome or _implied_by(addresses)

    def add_peer(
        self, domain: str, address: str, *, after: float = 0.0, reason: NotConnectedReason | None = None
    ) -> Peer:
        """Somebody is at an address when it is dialled through that domain; said again, replaces who was there.

        Args:
            domain: the domain's name, for example ``"eth0/ipv4"``.
            after: how many seconds it takes to accept or refuse, ``math.inf`` for ever.
            reason: why it can't be connected to; None if it accepts.

        Returns:
            The peer, a :class:`trio.abc.Listener` of the other ends of the connections made to it.
        """
        self.peers[domain, str(ip_address(address))] = peer = Peer(after, reason)
        return peer

    def _rename_domains(self, before: str, after: str) -> None:
        """An interface has another name: what its domains know, and who is behind them, stays."""
        for table in (self.names, self._endings, self.peers):
            for domain, key in [each for each in table if each[0].startswith(f"{before}/")]:
                table[domain.replace(before, after, 1), key] = table.pop((domain, key))  # type: ignore[assignment]

    # ---------------------------------------------------------------- asked by the MIF

    async def translate(
        self,
        view: DomainView,
        name: str,
        tell: Callable[[IPAddress], None],
        *,
        systems: Sequence[str] | None,
        note: Callable[[NameServerSaid], None],
        note_malformed: Callable[[MalformedInput], None],
    ) -> TranslationOutcome:
        """Tell the addresses when their time comes. There is one name system, whatever is asked for."""
        began = trio.current_time()
        try:
            outcome = await self._translate(view, (view.name, _canonical(name)), tell)
            server = next(iter(view.dns_servers), None)
            note(NameServerSaid("simulated", server, name, outcome.value, trio.current_time() - began))
            return outcome
        finally:
            self.unwound.append(f"lookup of {name} in {view.name}")

    def check_systems(self, systems: Sequence[str]) -> None:
        """Any name system may be asked for."""

    def forget(self, domain: DomainId) -> None:
        """Nothing is remembered."""

    def forget_all(self) -> None:
        """Nothing is remembered."""

    async def _translate(
        self, view: DomainView, key: tuple[str, str], tell: Callable[[IPAddress], None]
    ) -> TranslationOutcome:
        if key not in self.names:
            await trio.sleep(SILENT_SERVER_SECONDS if view.dns_servers else 0)
            return TranslationOutcome.TIMED_OUT if view.dns_servers else TranslationOutcome.NO_SERVERS
        answers = self.names[key]
        wait, outcome = self._endings.get(key, (0.0, _implied_by(answers)))
        for delay, address in answers:
            await trio.sleep(delay)
            tell(ip_address(address))
        await trio.sleep(wait)
        return outcome

    async def connect(
        self, view: DomainView, address: IPAddress, port: int, *, source: IPAddress | None
    ) -> trio.SocketStream:
        """As the peer dictates."""
        self.dialled.append((trio.current_time(), view.name, str(address)))
        text = f"{address} port {port} through {view.name}"
        try:
            peer = self.peers.get((view.name, str(address))) or _SILENT
            stream = await peer.dial(text)
        finally:
            self.unwound.append(f"connect to {address} in {view.name}")
        self.streams.append(stream)
        return stream

    def drop_backlogs(self) -> None:
        """Close the connections that no peer has accepted."""
        for peer in self.peers.values():
            peer.drop_backlog()

    def open_streams(self) -> list[trio.SocketStream]:
        """The program's ends of the connections that nobody has closed."""
        return [stream for stream in self.streams if stream.socket.fileno() >= 0]


_SILENT = Peer(SILENT_PEER_SECONDS, NotConnectedReason.TIMED_OUT)


def _canonical(name: str) -> str:
    """Names are the same in any case, and with or without the root's dot."""
    return name.lower().removesuffix(".")


def _implied_by(answers: Sequence[object]) -> TranslationOutcome:
    return TranslationOutcome.ANSWERED if answers else TranslationOutcome.NO_SUCH_NAME
