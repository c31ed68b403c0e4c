"""NetworkManager: leases of its DHCP clients, and what it knows of links.

Where NetworkManager is on the system bus it is asked there; where it is not, because there is no bus, because jeepney
is not installed, or because it has ended and left the host configured, its files count, which tell leases only. Signals
and changed files say one thing: look again, when it has been quiet for a moment (applying a changed connection takes
its DNS away and brings it back within 30 ms).

When NetworkManager is started again it takes over what it finds, link by link; until it says that it has finished,
links that it does not speak of yet keep what was last known of them.

Lease times are wall-clock times. The texts are compared, and turned into deadlines only when they are reported.
"""

from __future__ import annotations

import logging
import math
import socket
import time
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

import trio
from attrs import evolve

from trimif._errors import MalformedInput
from trimif._facts import AllLeases, AllLinkConfigurations, DHCPv6Lease, Fact, Lease, Limitation, LinkConfiguration
from trimif._sources._files import FileContent, FileFollower, read_files
from trimif._sources._networkmanager_bus import NAME, NAMESPACE, Found, ask, concerns
from trimif._sources._source import Report, SourceStatistics
from trimif._sources._system_bus import BusError, BusUnusable, SystemBus, open_system_bus, wait_system_bus
from trimif._wire.networkmanager import SOURCE, Texts, dhcp_leases, parse_device

__all__ = ["DEVICES", "NetworkManagerSource"]

DEVICES = Path("/run/NetworkManager/devices")
START_SECONDS = 1.0
"""So long the start waits for the bus, and then for NetworkManager; what they say later is reported later."""
QUIET_SECONDS = 0.05
RESTLESS_SECONDS = 1.0
"""Something that never rests is looked at after so long all the same."""
RETRY_SECONDS = 1.0
"""When to ask again who did not answer, or had only just begun to start."""
INOTIFY_REMEDY = "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches"

logger = logging.getLogger(__name__)


class NetworkManagerSource:
    """Reports `AllLeases` and `AllLinkConfigurations`, whenever they change.

    Args:
        devices: the directory of its files; need not exist.
        bus: the address of the bus, as D-Bus writes it; if not given, the system bus.
    """

    name = SOURCE

    def __init__(self, devices: Path = DEVICES, bus: str | None = None) -> None:
        self._devices = devices
        self._address = bus
        self._bus: SystemBus | None = None
        self._tried_bus = trio.Event()
        self._woken = trio.Event()
        self._told = Found(starting=False)
        self._told_once = False
        self._refused: set[str] = set()
        self._unusable: BusUnusable | None = None
        self._again_at = math.inf
        self._facts = self._malformed = self._resynchronisations = 0

    def statistics(self) -> SourceStatistics:
        """What it has done so far."""
        return SourceStatistics(
            self.name, facts=self._facts, malformed=self._malformed, resynchronisations=self._resynchronisations
        )

    async def run(self, report: Report, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Report until cancelled; see `Source.run`."""
        await trio.lowlevel.checkpoint()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow_files, self._open_follower(report), report)
            nursery.start_soon(self._follow_bus)
            with trio.move_on_after(START_SECONDS):
                await self._tried_bus.wait()
            with trio.move_on_after(START_SECONDS):
                await self._look(report)
            if not self._told_once:
                self._tell(self._look_at_files(report), report)
            task_status.started()
            while True:
                await self._look_again(report)

    # ---------------------------------------------------------------- who wakes us

    def _wake(self) -> None:
        self._woken.set()

    def _open_follower(self, report: Report) -> FileFollower | None:
        try:
            return FileFollower([self._devices], ["*"])
        except OSError as error:
            self._limit(report, f"changes of its files: {error.strerror}", INOTIFY_REMEDY)
            return None

    async def _follow_files(self, follower: FileFollower | None, report: Report) -> None:
        """Wake at each change; closes the follower."""
        with follower or nullcontext():
            await trio.lowlevel.checkpoint()
            try:
                while follower is not None:
                    await follower.wait_changed()
                    self._wake()
            except OSError as error:
                self._limit(report, f"changes of its files: {error.strerror}", INOTIFY_REMEDY)

    async def _follow_bus(self) -> None:
        """Keep connected to the bus while there is one."""
        await trio.lowlevel.checkpoint()
        while self._unusable is None:
            try:
                async with open_system_bus(self._address) as bus:
                    await self._follow_signals(bus)
            except BusUnusable as fault:
                self._unusable = fault
            except BusError as fault:
                logger.debug("NetworkManager can't be asked: %s", fault)
            finally:
                self._bus = None
                self._tried_bus.set()
                self._wake()
            await self._wait_bus()

    async def _follow_signals(self, bus: SystemBus) -> None:
        async with bus.signals(sender=NAME, path_namespace=NAMESPACE) as channel:
            self._bus = bus
            self._tried_bus.set()
            self._wake()
            async for news in channel:
                if concerns(news):
                    self._wake()

    async def _wait_bus(self) -> None:
        await trio.sleep(RETRY_SECONDS)  # a bus that takes us in and throws us out again must not keep us busy
        try:
            await wait_system_bus(self._address)
        except BusUnusable as fault:
            self._unusable = fault
            self._wake()
        except OSError:
            pass  # no inotify: try now and then

    # ---------------------------------------------------------------- looking

    async def _look_again(self, report: Report) -> None:
        """Look when there is a reason to, and it has been quiet for a moment."""
        with trio.move_on_at(self._again_at):
            await self._woken.wait()
        latest = trio.current_time() + RESTLESS_SECONDS
        while self._woken.is_set() and trio.current_time() < latest:
            self._woken = trio.Event()
            with trio.move_on_at(min(latest, trio.current_time() + QUIET_SECONDS)):
                await self._woken.wait()
        self._woken = trio.Event()
        await self._look(report)

    async def _look(self, report: Report) -> None:
        await trio.lowlevel.checkpoint()
        self._resynchronisations += 1
        self._again_at = math.inf
        found = None
        try:
            if self._bus is not None and await self._bus.owner(NAME) is not None:
                found = await ask(self._bus)
        except BusError as fault:
            logger.debug("%s", fault)
            if fault.name.endswith(".NoReply"):
                self._limit(report, "what it knows now: it does not answer", "restart NetworkManager")
            self._again_at = trio.current_time() + RETRY_SECONDS
            return
        self._tell(self._look_at_files(report) if found is None else found, report)

    def _look_at_files(self, report: Report) -> Found:
        """What the files say; of links they tell nothing, so that what was known of one counts while it has a file."""
        found = Found(starting=False)
        for path, item in read_files([self._devices], ["[1-9]*"]).items():
            try:
                interface = socket.if_indextoname(int(path.name))
            except (OSError, ValueError, OverflowError):
                continue  # a temporary file, or of an interface that is gone
            if not isinstance(item, FileContent):
                self._limit(report, f"leases in {path}: {item}", f"let this user read {path}")
                continue
            texts = self._parsed(interface, item.octets)
            if texts != Texts():
                found.leases[interface] = texts
            if interface in self._told.links:
                found.links[interface] = self._told.links[interface]
            if self._unusable is not None:
                missing = "whether links are metered, and their DNS"
                self._limit(report, f"{missing}: {self._unusable.text}", self._unusable.remedy)
        return found

    def _parsed(self, interface: str, octets: bytes) -> Texts:
        """What a file says, or said when it could be read last."""
        try:
            texts = parse_device(octets.decode("utf-8", "replace"))
            dhcp_leases(interface, texts, datetime.timestamp)
            return texts
        except MalformedInput as fault:
            self._note_malformed(fault)
            return self._told.leases.get(interface, Texts())

    # ---------------------------------------------------------------- telling

    def _tell(self, found: Found, report: Report) -> None:
        """Report what has changed since it was told."""
        before, first = self._told, not self._told_once
        found.leases = {name: self._current(name, texts) for name, texts in found.leases.items()}
        if found.starting:
            if first:
                before = self._look_at_files(report)
            found.leases = before.leases | found.leases
            found.links = before.links | found.links
        self._told, self._told_once = found, True
        facts: list[Fact] = []
        if first or found.leases != before.leases:
            facts.append(AllLeases(SOURCE, _with_deadlines(found.leases)))
        if first or found.links != before.links:
            facts.append(AllLinkConfigurations(SOURCE, _sorted(found.links)))
        if facts:
            self._report(facts, report)

    def _current(self, interface: str, texts: Texts) -> Texts:
        """The texts of the leases that are well-formed and have not expired: NetworkManager shows those that have."""
        kept = texts
        for family in ("dhcp4", "dhcp6"):
            try:
                leases = dhcp_leases(interface, Texts(**{family: getattr(texts, family)}), datetime.timestamp)
            except MalformedInput as fault:
                self._note_malformed(fault)
                leases = []
            if not any(lease.valid_until > time.time() for lease in leases):
                kept = evolve(kept, **{family: {}})
        return kept

    def _note_malformed(self, fault: MalformedInput) -> None:
        self._malformed += 1
        logger.debug("NetworkManager: malformed: %s", fault)

    def _limit(self, report: Report, missing: str, remedy: str) -> None:
        """Say once what can't be seen."""
        if missing not in self._refused:
            self._refused.add(missing)
            self._report([Limitation(self.name, missing, remedy)], report)

    def _report(self, facts: Sequence[Fact], report: Report) -> None:
        self._facts += len(facts)
        report(facts)


def _with_deadlines(texts: dict[str, Texts]) -> tuple[Lease | DHCPv6Lease, ...]:
    """The leases, with times on Trio's clock instead of the wall clock."""
    now, wall_clock_now = trio.current_time(), time.time()

    def deadline(moment: datetime) -> float:
        return now + (moment.timestamp() - wall_clock_now)

    return tuple(lease for name in sorted(texts) for lease in dhcp_leases(name, texts[name], deadline))


def _sorted(links: dict[str, LinkConfiguration]) -> tuple[LinkConfiguration, ...]:
    return tuple(links[interface] for interface in sorted(links))
