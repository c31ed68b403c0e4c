"""A wire with a length and with faults: frames go from one veth device to another, later, or not at all.

Linux has no delay on a veth, and the queueing discipline that makes one (netem) is not everywhere. So the wire is a
namespace of its own with two devices in it, one peer in the host and one in the network, and this task, which
carries every frame across through packet sockets. Offloaded checksums and segments cross as they are, in the
virtio header that PACKET_VNET_HDR puts before each frame; without it the far side would drop them as damaged.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeAlias

import trio

from trimif.testing._namespaces import Namespace

__all__ = ["Delay", "carries_tcp", "is_ipv4", "run_wire"]

Delay: TypeAlias = Callable[[bytes], float | None]
"""How many seconds a frame takes, None if it is lost. It is given the frame from the Ethernet header on."""

ALL_PROTOCOLS = 0x0003
SOL_PACKET = 263
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
VNET_HEADER = 10  # octets
LARGEST = VNET_HEADER + 14 + 65536
MOST_ON_THE_WAY = 1000  # frames; as any queue, the wire drops what it has no room for

_ETHERNET = 14
_IPV4 = b"\x08\x00"
_IPV6 = b"\x86\xdd"
_TCP = socket.IPPROTO_TCP


async def run_wire(
    namespace: Namespace,
    one: str,
    other: str,
    delay: Delay,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Carry frames between two devices of a namespace, both ways, until cancelled; started when it does."""
    with _open_end(namespace, one) as first, _open_end(namespace, other) as second:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_carry, first, second, delay)
            nursery.start_soon(_carry, second, first, delay)
            task_status.started()


def is_ipv4(frame: bytes) -> bool:
    """IPv4, or the ARP that goes with it."""
    return frame[12:14] in (_IPV4, b"\x08\x06")


def carries_tcp(frame: bytes) -> bool:
    """An IPv4 packet with TCP in it, or an IPv6 packet without extension headers with TCP in it."""
    if frame[12:14] == _IPV4:
        return frame[_ETHERNET + 9 : _ETHERNET + 10] == bytes([_TCP])
    return frame[12:14] == _IPV6 and frame[_ETHERNET + 6 : _ETHERNET + 7] == bytes([_TCP])


async def _carry(source: trio.socket.SocketType, sink: trio.socket.SocketType, delay: Delay) -> None:
    async with trio.open_nursery() as on_the_way:
        while True:
            frame = await source.recv(LARGEST)
            seconds = delay(frame[VNET_HEADER:])
            if seconds is not None and len(on_the_way.child_tasks) < MOST_ON_THE_WAY:
                on_the_way.start_soon(_deliver, sink, frame, trio.current_time() + seconds)


async def _deliver(sink: trio.socket.SocketType, frame: bytes, due: float) -> None:
    await trio.sleep_until(due)
    try:
        await sink.send(frame)
    except OSError:
        return  # the far device is down: the frame is lost, as on any wire


def _open_end(namespace: Namespace, device: str) -> trio.socket.SocketType:
    end = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        end.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        end.bind((device, ALL_PROTOCOLS))
    except BaseException:
        end.close()
        raise
    return trio.socket.from_stdlib_socket(end)
