"""The process that changes the host: it gives addresses new lifetimes, as fast or as evenly as it is told.

The host has `ADDRESSES` addresses on one interface. Change number `n` gives the address number ``n % spread`` the
lifetime ``lifetime(n)``, so that whoever hears of it knows which change it was. One message of rtnetlink to the
kernel, several in a datagram where speed counts; the kernel announces each.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time

ADDRESSES = [f"198.51.100.{host}" for host in range(1, 251)]
FIRST_SECONDS, STEP_SECONDS = 100_000, 10  # a deadline that moves by less than 2 s counts as not moved
MESSAGES_IN_DATAGRAM = 16

RTM_NEWADDR, NLM_F_REQUEST, NLM_F_REPLACE = 20, 1, 0x100
IFA_ADDRESS, IFA_LOCAL, IFA_CACHEINFO = 1, 2, 6


def lifetime(number: int) -> int:
    """The lifetime in seconds that change `number` gives."""
    return FIRST_SECONDS + STEP_SECONDS * number


def number_of(seconds: float) -> int:
    """The change that gave this lifetime."""
    return round((seconds - FIRST_SECONDS) / STEP_SECONDS)


def request(index: int, number: int, spread: int) -> bytes:
    """RTM_NEWADDR for change `number`."""
    octets = socket.inet_aton(ADDRESSES[number % spread])
    seconds = lifetime(number)
    attributes = b"".join(struct.pack("HH4s", 8, kind, octets) for kind in (IFA_ADDRESS, IFA_LOCAL))
    attributes += struct.pack("HHIIII", 20, IFA_CACHEINFO, seconds, seconds, 0, 0)
    body = struct.pack("BBBBI", socket.AF_INET, 24, 0, 0, index) + attributes
    return struct.pack("IHHII", 16 + len(body), RTM_NEWADDR, NLM_F_REQUEST | NLM_F_REPLACE, number, 0) + body


def one_by_one(netlink: socket.socket, index: int, count: int, pause: float) -> list[float]:
    """Make `count` changes of one address with a pause after each; tell when each was asked for."""
    requests = [request(index, number, 1) for number in range(count)]
    asked = []
    for each in requests:
        asked.append(time.monotonic())
        netlink.send(each)
        time.sleep(pause)
    return asked


def in_bursts(netlink: socket.socket, index: int, count: int, spread: int, burst: int, pause: float) -> None:
    """Make `count` changes, `burst` at a time as fast as can be, with a pause after each burst."""
    requests = [request(index, number, spread) for number in range(count)]
    for start in range(0, count, burst):
        for at in range(start, min(start + burst, count), MESSAGES_IN_DATAGRAM):
            netlink.send(b"".join(requests[at : min(at + MESSAGES_IN_DATAGRAM, start + burst, count)]))
        time.sleep(pause)


def at_rate(netlink: socket.socket, index: int, count: int, spread: int, rate: float) -> float:
    """Make `count` changes, `rate` a second in datagrams; tell the rate that was reached."""
    size = MESSAGES_IN_DATAGRAM
    requests = [request(index, number, spread) for number in range(count)]
    datagrams = [b"".join(requests[at : at + size]) for at in range(0, count, size)]
    began = time.monotonic()
    for number, each in enumerate(datagrams):
        ahead = began + number * size / rate - time.monotonic()
        if ahead > 0.0005:
            time.sleep(ahead)
        netlink.send(each)
    return count / (time.monotonic() - began)


def main() -> None:
    """``_changes HOW COUNT …``: say "ready", wait for a line, change, print what there is to tell as JSON."""
    how, count, *rest = sys.argv[1:]
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    index = socket.if_nametoindex("up0")
    if how == "one_by_one":
        told: object = one_by_one(netlink, index, int(count), float(rest[0]))
    elif how == "in_bursts":
        in_bursts(netlink, index, int(count), int(rest[0]), int(rest[1]), float(rest[2]))
        told = None
    else:
        told = at_rate(netlink, index, int(count), int(rest[0]), float(rest[1]))
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
