"""Name translation with real servers: a dnsmasq in each of two networks, which tell different things."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address

import pytest
import trio

from trimif._model import DomainView, IPAddress, TranslationOutcome
from trimif.testing._capture import Capture
from trimif.testing._namespaces import Namespace
from trimif.testing._uplinks import ROUTERS, TwoUplinks, open_two_uplinks

from .translating import translate

pytestmark = pytest.mark.lab

COMMON = ["--no-resolv", "--no-hosts", "--bind-interfaces", "--user=", "--pid-file=", "--local=/example.com/"]
RECORDS = {
    "up-a": [
        "--host-record=host.example.com,203.0.113.1,2001:db8:ff::1",
        "--host-record=only-a.example.com,203.0.113.11",
    ],
    "up-b": [
        "--host-record=host.example.com,203.0.113.2,2001:db8:ff::2",
        "--host-record=only-b.example.com,2001:db8:ff::12",
        "--cname=www.example.com,alias.example.com",
        "--cname=alias.example.com,host.example.com",
        *(f"--host-record=many.example.com,203.0.113.{number},2001:db8:ff::{number}" for number in range(100, 160)),
    ],
}


@contextmanager
def dnsmasq(namespace: Namespace, addresses: Sequence[str], records: Sequence[str]) -> Iterator[None]:
    """A dnsmasq in the foreground; it says when its sockets are open."""
    listen = [f"--listen-address={address}" for address in addresses]
    command = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", *COMMON, *listen, *records]
    with namespace.popen(command, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            said: list[bytes] = []
            while b"started" not in b"".join(said):
                said.append(process.stderr.readline())
                assert said[-1], f"dnsmasq ended: {said}"
            yield
        finally:
            process.kill()


@pytest.fixture
def net() -> Iterator[TwoUplinks]:
    with ExitStack() as stack:
        net = stack.enter_context(open_two_uplinks())
        for uplink, far in (("up-a", net.a), ("up-b", net.b)):
            stack.enter_context(dnsmasq(far, ROUTERS[uplink], RECORDS[uplink]))
        stack.enter_context(net.host.entered())
        yield net


async def run(view: DomainView, name: str) -> tuple[TranslationOutcome, set[IPAddress]]:
    told: list[IPAddress] = []
    with trio.fail_after(10):
        outcome = await translate(view, name, told.append, hosts="/dev/null")
    assert len(told) == len(set(told))
    return outcome, set(told)


def addresses(*texts: str) -> set[IPAddress]:
    return set(map(ip_address, texts))


def check_only_through(right: Capture, wrong: Capture) -> None:
    assert right.dns_queries()
    assert not wrong.dns_queries()


async def test_each_network_answers_for_itself(net: TwoUplinks) -> None:
    a, b = (net.view(uplink, servers=ROUTERS[uplink]) for uplink in ("up-a", "up-b"))
    expected = TranslationOutcome.ANSWERED, addresses("203.0.113.2", "2001:db8:ff::2")
    assert await run(b, "host.example.com") == expected
    check_only_through(net.capture_b, net.capture_a)
    expected = TranslationOutcome.ANSWERED, addresses("203.0.113.1", "2001:db8:ff::1")
    assert await run(a, "host.example.com") == expected


async def test_what_only_one_network_knows(net: TwoUplinks) -> None:
    a, b = (net.view(uplink, servers=ROUTERS[uplink]) for uplink in ("up-a", "up-b"))
    assert await run(b, "only-b.example.com") == (TranslationOutcome.ANSWERED, addresses("2001:db8:ff::12"))
    assert await run(b, "only-a.example.com") == (TranslationOutcome.NO_SUCH_NAME, set())
    assert await run(a, "only-b.example.com") == (TranslationOutcome.NO_SUCH_NAME, set())
    assert await run(a, "only-a.example.com") == (TranslationOutcome.ANSWERED, addresses("203.0.113.11"))


async def test_what_it_may_not_forward_is_refused(net: TwoUplinks) -> None:
    assert await run(net.view("up-b", servers=ROUTERS["up-b"]), "example.org") == (TranslationOutcome.REFUSED, set())


@pytest.mark.parametrize("server", ROUTERS["up-b"])
async def test_aliases_searching_and_more_than_fits(net: TwoUplinks, server: str) -> None:
    view = net.view("up-b", servers=[server], search=["example.com"])
    host = addresses("203.0.113.2", "2001:db8:ff::2")
    assert await run(view, "www.example.com") == (TranslationOutcome.ANSWERED, host)
    assert await run(view, "www") == (TranslationOutcome.ANSWERED, host)
    outcome, told = await run(view, "many")
    assert outcome is TranslationOutcome.TRUNCATED
    assert len(told) == 64
    assert net.capture_b.syns(to=server, port=53)  # 60 AAAA records don't fit into 1,232 octets
    check_only_through(net.capture_b, net.capture_a)


async def test_the_source_is_the_domains_own(net: TwoUplinks) -> None:
    """The query's source is the domain's, also where the interface has others that the kernel would prefer."""
    net.host.run(["ip", "address", "add", "198.51.100.71/26", "dev", "up-b"], check=True)
    view = net.view("up-b", "198.51.100.71", servers=ROUTERS["up-b"])
    assert (await run(view, "host.example.com"))[0] is TranslationOutcome.ANSWERED
    assert {str(packet.source) for packet in net.capture_b.dns_queries()} == {"198.51.100.71"}
