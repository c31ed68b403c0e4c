"""A DNS server that does what a name's first label says: ``late-500.example`` is answered after half a second.

The faults of name servers that are known from the field, and the forgeries that a resolver must see through, each
under a name of its own. What a forgery says is always `FORGED`; the truth, where it follows, is `TRUE`, also for
every name that is no fault. All answers are for A and AAAA alike, unless the fault is about one of them.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, TypeAlias

import trio
from attrs import frozen

from trimif._model import IPAddress
from trimif.testing._namespaces import Namespace

if TYPE_CHECKING:
    from dns.message import Message, QueryMessage

TRUE = (IPv4Address("203.0.113.80"), IPv6Address("2001:db8:ff::80"))
FORGED = (IPv4Address("203.0.113.66"), IPv6Address("2001:db8:ff::66"))
PORT = 53


@frozen
class Asked:
    """A question as it arrived. `number` is the one of its first label: 500 of ``late-500``."""

    query: QueryMessage
    number: int
    datagram: bool

    @property
    def name(self) -> str:
        """What was asked for, in lower case, with the trailing dot."""
        return self.query.question[0].name.to_text().lower()

    @property
    def rest(self) -> str:
        """The name without its first label."""
        return self.name.partition(".")[2]

    @property
    def kind(self) -> str:
        """``A`` or ``AAAA``."""
        import dns.rdatatype

        return dns.rdatatype.to_text(self.query.question[0].rdtype)


@frozen
class Sent:
    """One answer: which octets, after how many seconds, and whether from another port than was asked."""

    octets: bytes
    delay: float = 0.0
    wrong_port: bool = False


Fault: TypeAlias = Callable[[Asked], list[Sent]]


def _answer(asked: Asked, *addresses: IPAddress, alias: str | None = None, code: str = "NOERROR") -> Message:
    import dns.flags
    import dns.message
    import dns.rcode
    import dns.rrset

    response = dns.message.make_response(asked.query)
    response.flags |= dns.flags.RA
    response.set_rcode(dns.rcode.from_text(code))
    texts = [str(address) for address in addresses if (address.version == 6) is (asked.kind == "AAAA")]
    if alias is not None:
        response.answer.append(dns.rrset.from_text(asked.name, 5, "IN", "CNAME", alias))
    elif texts:
        response.answer.append(dns.rrset.from_text(asked.name, 5, "IN", asked.kind, *texts))
    return response


def _true(asked: Asked, delay: float = 0.0) -> Sent:
    return Sent(_answer(asked, *TRUE).to_wire(), delay)


def _coded(code: str) -> Fault:
    return lambda asked: [Sent(_answer(asked, code=code).to_wire())]


def _alias(target: Callable[[Asked], str]) -> Fault:
    return lambda asked: [Sent(_answer(asked, alias=target(asked)).to_wire())]


def _changed(change: Callable[[Message], object]) -> Fault:
    """A forgery with something wrong, then the truth."""

    def forge(asked: Asked) -> list[Sent]:
        forgery = _answer(asked, *FORGED)
        change(forgery)
        return [Sent(forgery.to_wire()), _true(asked)]

    return forge


def _change_id(message: Message) -> None:
    message.id ^= 0x5555


def _change_question(message: Message) -> None:
    import dns.message

    message.question = dns.message.make_query("other.example.", message.question[0].rdtype).question


def _change_direction(message: Message) -> None:
    import dns.flags

    message.flags &= ~dns.flags.QR


def _upper_case(asked: Asked) -> list[Sent]:
    wire, name = bytearray(_true(asked).octets), asked.query.question[0].name.to_wire()
    assert name is not None
    wire[12 : 12 + len(name)] = name.upper()
    return [Sent(bytes(wire))]


def _garbage(asked: Asked) -> list[Sent]:
    head = asked.query.to_wire()[:2]
    return [Sent(octets) for octets in (b"", head, head + b"\xff" * 40)] + [_true(asked)]


def _wrong_port(asked: Asked) -> list[Sent]:
    return [Sent(_answer(asked, *FORGED).to_wire(), wrong_port=True), _true(asked)]


def _truncated(asked: Asked) -> list[Sent]:
    """By UDP the flag and half a record, by TCP everything."""
    import dns.flags

    if not asked.datagram:
        return [_true(asked)]
    response = _answer(asked, *FORGED)
    response.flags |= dns.flags.TC
    return [Sent(response.to_wire()[:-2])]


def _many(asked: Asked) -> list[Sent]:
    import dns.flags

    addresses = [ip_address(int(TRUE[asked.kind == "AAAA"]) + offset) for offset in range(asked.number)]
    octets = _answer(asked, *addresses).to_wire(max_size=65535)
    if not asked.datagram or len(octets) <= 512:
        return [Sent(octets)]
    response = _answer(asked)
    response.flags |= dns.flags.TC
    return [Sent(response.to_wire())]


def _lame(asked: Asked) -> list[Sent]:
    import dns.flags

    response = _answer(asked)
    response.flags &= ~dns.flags.RA
    return [Sent(response.to_wire())]


FAULTS: Mapping[str, Fault] = {
    "drop": lambda asked: [],
    "late": lambda asked: [_true(asked, delay=asked.number / 1000)],
    "latev6": lambda asked: [_true(asked, delay=asked.number / 1000 if asked.kind == "AAAA" else 0)],
    "dropv6": lambda asked: [] if asked.kind == "AAAA" else [_true(asked)],
    "onlyv4": lambda asked: [Sent(_answer(asked, TRUE[0]).to_wire())],
    "twice": lambda asked: [_true(asked), _true(asked)],
    "wrongid": _changed(_change_id),
    "wrongquestion": _changed(_change_question),
    "query": _changed(_change_direction),
    "wrongport": _wrong_port,
    "garbage": _garbage,
    "uppercase": _upper_case,
    "truncated": _truncated,
    "servfail": _coded("SERVFAIL"),
    "refused": _coded("REFUSED"),
    "formerr": _coded("FORMERR"),
    "noedns": lambda asked: _coded("FORMERR")(asked) if asked.query.edns >= 0 else [_true(asked)],
    "nxdomain": _coded("NXDOMAIN"),
    "nxdomainv6": lambda asked: _coded("NXDOMAIN")(asked) if asked.kind == "AAAA" else [Sent(_answer(asked).to_wire())],
    "empty": _coded("NOERROR"),
    "lame": _lame,
    "many": _many,
    "alias": _alias(lambda asked: f"ok.{asked.rest}"),
    "dangling": _alias(lambda asked: f"nxdomain.{asked.rest}"),
    "self": _alias(lambda asked: asked.name),
    "ping": _alias(lambda asked: f"pong.{asked.rest}"),
    "pong": _alias(lambda asked: f"ping.{asked.rest}"),
    # A chain that is told link by link, each in an answer of its own: chain-3, chain-2, chain-1, ok.
    "chain": _alias(lambda asked: f"chain-{asked.number - 1}.{asked.rest}" if asked.number > 1 else f"ok.{asked.rest}"),
}


class FaultyServer:
    """A faulty server at one address of a namespace; `asked` has every question that it got, in their order."""

    def __init__(self, namespace: Namespace, address: IPAddress) -> None:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        plain = [namespace.socket(family, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_DGRAM, socket.SOCK_STREAM)]
        self._datagrams, self._wrong_port, self._listener = map(trio.socket.from_stdlib_socket, plain)
        self._address = str(address)
        self.asked: list[Asked] = []

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled, then close everything."""
        with self._datagrams, self._wrong_port, self._listener:
            await self._datagrams.bind((self._address, PORT))
            await self._wrong_port.bind((self._address, 0))
            await self._listener.bind((self._address, PORT))
            self._listener.listen()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.serve_listeners, self._serve_stream, [trio.SocketListener(self._listener)])
                nursery.start_soon(self._serve_datagrams, nursery)
                task_status.started()

    async def _serve_datagrams(self, nursery: trio.Nursery) -> None:
        while True:
            octets, client = await self._datagrams.recvfrom(4096)
            nursery.start_soon(self._send_datagrams, self._answers_to(octets, datagram=True), client)

    async def _send_datagrams(self, answers: list[Sent], client: tuple[object, ...]) -> None:
        await trio.lowlevel.checkpoint()
        for each in answers:
            await trio.sleep(each.delay)
            await (self._wrong_port if each.wrong_port else self._datagrams).sendto(each.octets, client)

    async def _serve_stream(self, stream: trio.SocketStream) -> None:
        octets = await stream.receive_some(4096)
        for each in self._answers_to(bytes(octets[2:]), datagram=False):
            await trio.sleep(each.delay)
            for part in (len(each.octets).to_bytes(2, "big"), each.octets):  # as some servers do
                await stream.send_all(part)

    def _answers_to(self, octets: bytes, *, datagram: bool) -> list[Sent]:
        import dns.message

        query = dns.message.from_wire(octets)
        assert isinstance(query, dns.message.QueryMessage)
        label, _, number = query.question[0].name.labels[0].decode("ascii").lower().partition("-")
        asked = Asked(query, int(number) if number.isdecimal() else 0, datagram)
        self.asked.append(asked)
        return FAULTS[label](asked) if label in FAULTS else [_true(asked)]
