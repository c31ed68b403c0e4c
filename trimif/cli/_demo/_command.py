"""``trimif demo``: build the networks, run the application, show what passed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

import trio
from cyclopts import Parameter

import trimif
from trimif.cli._demo._bubble import LEASE_DIRECTORY, NotPossible, enter_bubble
from trimif.cli._demo._chart import draw_chart
from trimif.cli._demo._figure2 import Application, Race
from trimif.cli._demo._networks import DOMAINS, HOST_NAME, PORT, open_networks
from trimif.cli._demo._race import draw_race
from trimif.cli._domains import domain_of
from trimif.cli._run import emit, run
from trimif.cli._terminal import escape, fail, milliseconds

__all__ = ["demo"]

PATIENCE = 10.0
"""Seconds until the host must have its three domains."""

CALL_LIMIT = 3.0
"""Seconds for the one call; where nobody answers, the kernel would wait two minutes."""

Network: TypeAlias = Literal["eth0/ipv4", "eth0/ipv6", "wa0/ipv6", "eth0", "wa0"]

CHOICES: dict[Network, frozenset[str]] = {
    "eth0/ipv4": frozenset({"eth0/ipv4"}),
    "eth0/ipv6": frozenset({"eth0/ipv6"}),
    "wa0/ipv6": frozenset({"wa0/ipv6"}),
    "eth0": frozenset({"eth0/ipv4", "eth0/ipv6"}),
    "wa0": frozenset({"wa0/ipv6"}),
}
"""The domains that are broken with each."""


def demo(
    *, break_: Annotated[Sequence[Network], Parameter(name="--break", negative=(), show_default=False)] = ()
) -> int:
    """See figure 2 of the MIF API draft happen, on a host and networks of its own.

    Builds, in Linux namespaces that vanish with it, a host with two interfaces: behind eth0 a network with IPv4
    (by DHCP) and IPv6 (by router advertisements), behind wa0 a network with IPv6 only. That makes three
    provisioning domains, each with a DNS server of its own. An application then finds them through trimif's
    messages, asks each for host.example.com, connects to every address at once, and takes the first that answers.

    Needs root, or the right to make user namespaces. Touches nothing of this machine. Takes about two seconds.

    For example `trimif demo`, `trimif demo --break eth0/ipv4` (another network wins), or `trimif demo --break eth0`.

    Args:
        break_: Cut a network off: its DNS still answers, but its TCP packets are lost on the way, as behind a broken
            firewall. Name a provisioning domain (eth0/ipv4, eth0/ipv6, wa0/ipv6), or an interface (eth0, wa0) for
            all that is behind it. Can be given more than once.
    """
    broken = frozenset[str]().union(*(CHOICES[name] for name in break_))
    try:
        enter_bubble()
        return run(lambda: _demonstrate(broken))
    except NotPossible as refusal:
        for line in str(refusal).splitlines():
            fail(line)
        return 1


async def _demonstrate(broken: frozenset[str]) -> int:
    _introduce(broken)
    async with open_networks(broken, LEASE_DIRECTORY), trimif.open_mif(lease_directories=[LEASE_DIRECTORY]) as mif:
        async with mif.open_subscriber() as subscriber:
            application = Application(subscriber)
            with trio.move_on_after(PATIENCE) as scope:
                await application.discover(DOMAINS)
            if scope.cancelled_caught:
                fail(f"not all of {', '.join(DOMAINS)} came up in {PATIENCE:.0f} s")
                return 1
            await application.translate(HOST_NAME)
            race = await application.race(PORT)
        for line in draw_chart(application.history, shutil.get_terminal_size().columns):
            emit(line)
        await _report_race(race)
        await _report_top(mif)
    return 0 if race.winner else 1


def _introduce(broken: frozenset[str]) -> None:
    emit("A host with two interfaces in three provisioning domains, on this kernel, in namespaces of its own:")
    emit("  eth0/ipv4  by DHCPv4               (round trip 20 ms)")
    emit("  eth0/ipv6  by router advertisement (round trip 40 ms)")
    emit("  wa0/ipv6   by router advertisement (round trip 70 ms)")
    for name in sorted(broken):
        emit(f"{name} is broken: its DNS answers, its TCP packets are lost.")
    emit("")


async def _report_race(race: Race) -> None:
    await trio.lowlevel.checkpoint()
    emit("")
    emit(f"The race to {HOST_NAME}, every address through the domain that told it:")
    for line in draw_race(race.attempts, race.winner):
        emit(f"  {line}")
    if race.winner is None or race.stream is None:
        emit("Nobody got through.")
        return
    async with race.stream:
        said = await _read_line(race.stream)
    emit(f"{race.winner.domain} wins.")
    emit(f"Its server says: {escape(said)}")


async def _report_top(mif: trimif.Mif) -> None:
    """The same in one call, as an application would rather have it."""
    emit("")
    call = f'await mif.open_tcp_stream("{HOST_NAME}", {PORT})'
    began = trio.current_time()
    try:
        with trio.fail_after(CALL_LIMIT):
            stream = await mif.open_tcp_stream(HOST_NAME, PORT)
    except (OSError, trio.TooSlowError) as error:
        emit(f"{call} fails: {escape(error) or f'given up after {CALL_LIMIT:.0f} s'}")
        await trio.lowlevel.checkpoint()
        return
    took = milliseconds(trio.current_time() - began)
    emit(f"{call} takes {took}, through {domain_of(mif, stream)}.")
    async with stream:
        emit(f"Its server says: {escape(await _read_line(stream))}")


async def _read_line(stream: trio.SocketStream) -> str:
    """All that the server says until it hangs up; not for ever."""
    said = b""
    with trio.move_on_after(2):
        async for octets in stream:
            said += octets
    return said.decode(errors="backslashreplace").strip()
