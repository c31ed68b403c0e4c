"""dhcpcd's socket when things are odd: nobody answers, nonsense comes, sockets come and go, the host denies something.

What dhcpcd does and says otherwise is tested with a real one in the lab. Here the daemon is a server of our own.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import TypeAlias

import pytest
import trio
from attrs import define, field

from trimif._facts import AllLeases, Fact, Lease, Limitation, RouterAdvertisement
from trimif._sources import _dhcpcd_instance
from trimif._sources.dhcpcd import DhcpcdSource
from trimif.testing._namespaces import Namespace

pytestmark = pytest.mark.lab  # for an interface that is there and up

BOUND = (
    "reason=BOUND\0interface=eth0\0protocol=dhcp\0new_ip_address=198.51.100.{last}\0"
    "new_subnet_mask=255.255.255.0\0new_dhcp_lease_time=600\0new_dhcp_server_identifier=198.51.100.1\0"
)
EXPIRE = "reason=EXPIRE\0interface=eth0\0protocol=dhcp\0old_ip_address=198.51.100.10\0"
ROUTERADVERT = (
    "reason=ROUTERADVERT\0interface=eth0\0protocol=ra\0ifcarrier={carrier}\0nd1_from=fe80::1\0nd1_acquired=5\0"
    "nd1_now=7\0nd1_hoplimit=64\0nd1_flags=\0nd1_lifetime=900\0"
)


def block(text: str) -> bytes:
    return struct.pack("@N", len(text)) + text.encode()


def bound(last: int) -> bytes:
    return block(BOUND.format(last=last))


Answer: TypeAlias = Callable[[trio.SocketStream], Awaitable[None]]


@define
class Daemon:
    """A server at ``unpriv.sock``: it answers ``-U`` by `answer`, and tells listeners what `tell` is given.

    Attributes:
        requests: what it was asked, in order.
    """

    directory: Path
    blocks: Sequence[bytes] = ()
    answer: Answer | None = None
    name: str = "unpriv.sock"
    old: bool = True
    requests: list[bytes] = field(factory=list)
    _listeners: list[trio.SocketStream] = field(factory=list)
    _listening: trio.Event = field(factory=trio.Event)

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        path = self.directory / self.name
        path.unlink(missing_ok=True)
        with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM) as listener:
            await listener.bind(str(path))
            listener.listen()
            if self.old:
                os.utime(path, (time.time() - 60,) * 2)
            task_status.started()
            await trio.serve_listeners(self._converse, [trio.SocketListener(listener)])

    async def _converse(self, stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            await self._answer(stream)

    async def _answer(self, stream: trio.SocketStream) -> None:
        async with stream:
            request = await stream.receive_some(1000)
            self.requests.append(request)
            if request == b"--listen\0":
                self._listeners.append(stream)
                self._listening.set()
                await stream.receive_some(1)  # until it hangs up
            elif self.answer is not None:
                await self.answer(stream)
            else:
                await stream.send_all(struct.pack("@N", len(self.blocks)) + b"".join(self.blocks))
                await stream.receive_some(1)

    async def tell(self, octets: bytes) -> None:
        await self._listening.wait()
        for stream in self._listeners:
            await stream.send_all(octets)

    async def hang_up(self) -> None:
        for stream in self._listeners:
            await stream.send_eof()
        self._listeners.clear()
        self._listening = trio.Event()


@define
class Told:
    source: DhcpcdSource
    history: list[Fact] = field(factory=list)

    def report(self, facts: Sequence[Fact]) -> None:
        self.history += facts

    def addresses(self) -> list[str]:
        """Of the leases that were told last."""
        last = [fact for fact in self.history if isinstance(fact, AllLeases)][-1]
        return [str(lease.address) for lease in last.leases if isinstance(lease, Lease)]

    def limitations(self) -> list[Limitation]:
        return [fact for fact in self.history if isinstance(fact, Limitation)]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Poll: a socket's other end is in this program, yet the kernel is between."""
        with trio.fail_after(10):
            await trio.lowlevel.checkpoint()
            while not condition():  # noqa: ASYNC110
                await trio.sleep(0.005)


@asynccontextmanager
async def telling(directory: Path, *daemons: Daemon) -> AsyncIterator[tuple[Told, trio.Nursery]]:
    """The source at work in a directory, and daemons that were there before."""
    told = Told(DhcpcdSource([directory], [directory / "lib"]))
    async with trio.open_nursery() as nursery:
        for daemon in daemons:
            await nursery.start(daemon.serve)
        await nursery.start(told.source.run, told.report)
        yield told, nursery
        nursery.cancel_scope.cancel()


async def test_it_listens_first_then_asks_once(host: Namespace, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, [bound(10)])
    async with telling(tmp_path, daemon) as (told, _nursery):
        assert told.addresses() == ["198.51.100.10"]
        await daemon.tell(bound(11))
        await told.until(lambda: told.addresses() == ["198.51.100.11"])
        await daemon.tell(block(EXPIRE))
        await told.until(lambda: told.addresses() == [])
        assert daemon.requests == [b"--listen\0", b"dhcpcd\0-U\0"]
        assert told.limitations() == []


async def test_an_answer_that_repeats_news_does_not_prolong_a_lease(
    host: Namespace, tmp_path: Path, impatient: None
) -> None:
    daemon = Daemon(tmp_path, [bound(10)], old=False)
    async with telling(tmp_path, daemon) as (told, _nursery):
        await daemon.tell(bound(10))
        await told.until(lambda: told.addresses() == ["198.51.100.10"])
        told_before = told.history[-1]
        await told.until(lambda: len(daemon.requests) > 1)
        await told.until(lambda: told.source.statistics().resynchronisations == 1)
        assert told.history[-1] == told_before


async def test_a_dhcpcd_that_has_just_started_is_not_asked(host: Namespace, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, [bound(10)], old=False)
    async with telling(tmp_path) as (told, nursery):
        assert told.addresses() == []
        await nursery.start(daemon.serve)
        await daemon.tell(bound(11))
        await told.until(lambda: told.addresses() == ["198.51.100.11"])
        assert daemon.requests == [b"--listen\0"]


async def test_without_an_interface_that_is_up_it_is_not_asked(host: Namespace, tmp_path: Path) -> None:
    """dhcpcd 9.4 never answers anybody again after it had nothing to answer."""
    for name in ("eth0", "eth0-peer"):
        host.run(["ip", "link", "set", name, "down"], check=False)
    daemon = Daemon(tmp_path, [])
    async with telling(tmp_path, daemon) as (told, _nursery):
        assert told.addresses() == []
        assert daemon.requests == [b"--listen\0"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that takes seconds takes tenths of them."""
    monkeypatch.setattr(_dhcpcd_instance, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(_dhcpcd_instance, "SETTLED_SECONDS", 0.5)


async def never(stream: trio.SocketStream) -> None:
    await stream.receive_some(1)


async def nonsense(stream: trio.SocketStream) -> None:
    await stream.send_all(b"\xff" * 64)
    await stream.receive_some(1)


async def long_block(stream: trio.SocketStream) -> None:
    await stream.send_all(struct.pack("@NN", 1, 1 << 30))
    await stream.receive_some(1)


async def half(stream: trio.SocketStream) -> None:
    await stream.send_all(struct.pack("@N", 2) + bound(10)[:50])


@pytest.mark.parametrize("answer", [never, nonsense, long_block, half])
async def test_where_there_is_no_answer_news_is_heard_all_the_same(
    host: Namespace, tmp_path: Path, impatient: None, answer: Answer
) -> None:
    daemon = Daemon(tmp_path, answer=answer)
    async with telling(tmp_path, daemon) as (told, _nursery):
        await daemon.tell(bound(11))
        await told.until(lambda: told.addresses() == ["198.51.100.11"])
        await told.until(lambda: bool(told.limitations()))
        (limitation,) = told.limitations()
        assert "restart dhcpcd" in limitation.remedy
        assert "unpriv.sock" in limitation.missing


async def test_blocks_that_make_no_sense_are_counted_and_the_rest_counts(host: Namespace, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, [block("x=y\0"), bound(10), block("reason=\0interface=/\0protocol=dhcp\0")])
    async with telling(tmp_path, daemon) as (told, _nursery):
        assert told.addresses() == ["198.51.100.10"]
        assert told.source.statistics().malformed == 2
        await daemon.tell(block(BOUND.format(last=300)))
        await told.until(lambda: told.source.statistics().malformed == 3)
        assert told.addresses() == ["198.51.100.10"]


async def test_news_that_make_no_sense_end_the_connection_and_another_follows(host: Namespace, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, [bound(10)])
    async with telling(tmp_path, daemon) as (told, _nursery):
        daemon.blocks = [bound(11)]
        await daemon.tell(b"\xff" * 8)
        await told.until(lambda: told.addresses() == ["198.51.100.11"])
        assert told.source.statistics().malformed == 1
        assert told.source.statistics().resynchronisations == 2


async def test_the_same_dhcpcd_knows_what_became_of_all_that_it_has_said(host: Namespace, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, [bound(10)])
    async with telling(tmp_path, daemon) as (told, _nursery):
        assert told.addresses() == ["198.51.100.10"]
        daemon.blocks = []  # it expired
        await daemon.hang_up()
        await told.until(lambda: told.addresses() == [])
        assert daemon.requests == [b"--listen\0", b"dhcpcd\0-U\0"] * 2


async def test_what_a_dhcpcd_said_that_went_away_stays_until_the_next_one_speaks(
    host: Namespace, tmp_path: Path
) -> None:
    first = Daemon(tmp_path, [bound(10)])
    async with telling(tmp_path) as (told, nursery):
        async with trio.open_nursery() as life:
            await life.start(first.serve)
            await told.until(lambda: told.addresses() == ["198.51.100.10"])
            life.cancel_scope.cancel()
        assert (tmp_path / "unpriv.sock").exists()
        second = Daemon(tmp_path, [])
        await nursery.start(second.serve)
        await told.until(lambda: told.source.statistics().resynchronisations == 2)
        last = told.history[-1]
        assert isinstance(last, AllLeases)
        assert last.leases[0].valid_until - trio.current_time() == pytest.approx(30, abs=2)
        await second.tell(bound(11))
        await told.until(lambda: told.addresses() == ["198.51.100.11"])


async def test_a_router_that_is_not_mentioned_is_withdrawn_only_without_carrier(
    host: Namespace, tmp_path: Path
) -> None:
    daemon = Daemon(tmp_path, [block(ROUTERADVERT.format(carrier="up"))])
    async with telling(tmp_path, daemon) as (told, _nursery):
        (heard,) = (fact for fact in told.history if isinstance(fact, RouterAdvertisement))
        assert heard.index == socket.if_nametoindex("eth0")
        assert heard.header is not None
        assert heard.header.until - trio.current_time() == pytest.approx(898, abs=2)
        nobody = ROUTERADVERT.partition("nd1_")[0]
        for text in (ROUTERADVERT.format(carrier="up"), nobody.format(carrier="up")):
            await daemon.tell(block(text))
        await daemon.tell(bound(11))
        await told.until(lambda: told.addresses() == ["198.51.100.11"])
        assert len([fact for fact in told.history if isinstance(fact, RouterAdvertisement)]) <= 2
        await daemon.tell(block(ROUTERADVERT.format(carrier="up")) + block(nobody.format(carrier="down")))
        await told.until(lambda: isinstance(told.history[-1], RouterAdvertisement))
        await told.until(lambda: told.history[-1].header.until <= trio.current_time())  # type: ignore[union-attr]


async def test_each_interface_may_have_a_dhcpcd_of_its_own(host: Namespace, tmp_path: Path) -> None:
    host.run(["ip", "link", "add", "eth1", "type", "bridge"], check=True)
    host.run(["ip", "link", "set", "eth1", "up"], check=True)
    other = block(BOUND.format(last=20).replace("eth0", "eth1"))
    daemons = (
        Daemon(tmp_path, [bound(10)], name="eth0-4.unpriv.sock"),
        Daemon(tmp_path, [other], name="eth1.unpriv.sock"),
    )
    async with telling(tmp_path, *daemons) as (told, _nursery):
        assert sorted(told.addresses()) == ["198.51.100.10", "198.51.100.20"]
        await daemons[0].tell(block(EXPIRE))
        await told.until(lambda: told.addresses() == ["198.51.100.20"])


async def test_two_names_of_one_directory_are_one(host: Namespace, tmp_path: Path) -> None:
    run, link = tmp_path / "run", tmp_path / "link"
    run.mkdir()
    link.symlink_to(run)
    daemon = Daemon(run, [bound(10)])
    told = Told(DhcpcdSource([run, link], []))
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.serve)
        await nursery.start(told.source.run, told.report)
        assert told.addresses() == ["198.51.100.10"]
        assert daemon.requests.count(b"--listen\0") == 1
        nursery.cancel_scope.cancel()


async def test_a_link_that_departs_takes_its_leases_with_it(host: Namespace, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, [bound(10)])
    async with telling(tmp_path, daemon) as (told, _nursery):
        await daemon.tell(block("reason=DEPARTED\0interface=eth0\0protocol=link\0"))
        await told.until(lambda: told.addresses() == [])


async def test_it_keeps_nothing_open(host: Namespace, tmp_path: Path, impatient: None) -> None:
    before = len(os.listdir("/proc/self/fd"))
    daemon = Daemon(tmp_path, answer=never)
    async with telling(tmp_path, daemon) as (told, _nursery):
        await daemon.tell(bound(11))
        await told.until(lambda: IPv4Address("198.51.100.11") in map(IPv4Address, told.addresses()))
    assert len(os.listdir("/proc/self/fd")) == before
