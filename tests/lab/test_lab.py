"""The lab itself: it is what its map says, and it can be broken as its methods say."""

from __future__ import annotations

import json
import os
import socket
import time

import dns.message
import dns.query
import dns.rdatatype
import pytest
import trio

from trimif.testing._lab import Greeting, Lab
from trimif.testing._lab_processes import LabError, poll_until
from trimif.testing._namespaces import Namespace

pytestmark = pytest.mark.lab

WEB = "203.0.113.80"
SECONDS = 5.0  # How long a socket of a test waits at most.


def connect(lab: Lab, address: str, port: int, *, device: str | None = None, source: str = "") -> socket.socket:
    """Connect from the host; bound to a device and a source address if they are given."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = lab.host.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(SECONDS)
        if device is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        if source:
            connection.bind((source, 0))
        connection.connect((address, port))
    except BaseException:
        connection.close()
        raise
    return connection


def greet(lab: Lab, address: str, *, device: str | None = None, source: str = "") -> Greeting:
    with connect(lab, address, 80, device=device, source=source) as connection, connection.makefile("rb") as file:
        return Greeting.from_octets(file.read())


def ask(lab: Lab, server: str, name: str, kind: str = "A") -> list[str]:
    query = dns.message.make_query(name, kind)
    with lab.host.entered():
        answer = dns.query.udp(query, server, timeout=SECONDS, ignore_unexpected=True)
    return sorted(
        item.to_text().strip('"') for records in answer.answer for item in records if kind in records.to_text()
    )


def addresses(lab: Lab, interface: str) -> list[str]:
    links = json.loads(lab.ip("host", f"-json address show dev {interface}"))
    return [entry["local"] for entry in links[0]["addr_info"] if entry["scope"] == "global"]


def index(lab: Lab, interface: str) -> int:
    return int(json.loads(lab.ip("host", f"-json link show dev {interface}"))[0]["ifindex"])


# ---------------------------------------------------------------- what the map says


def test_router_advertisements_have_configured_the_host(lab: Lab) -> None:
    assert addresses(lab, "up-a") == ["2001:db8:a::ff:fe00:a02"]
    assert "default via fe80::a:1 dev up-a proto ra" in lab.ip("host", "-6 route")
    assert "2001:db8:ff::/48 via fe80::a:1 dev up-a proto ra" in lab.ip("host", "-6 route")
    assert addresses(lab, "up-b") == []
    assert addresses(lab, "vpn0") == ["198.51.100.130", "fd6d:6966:1::2"]


@pytest.mark.lab(isp_b_ipv6=True)
def test_the_second_provider_may_have_ipv6(lab: Lab) -> None:
    assert addresses(lab, "up-b") == ["2001:db8:b::ff:fe00:b02"]
    assert greet(lab, "2001:db8:ff::80", device="up-b").peer == "2001:db8:b::ff:fe00:b02"


@pytest.mark.lab(fast=False)
def test_addresses_may_take_their_time(lab: Lab) -> None:
    assert addresses(lab, "up-a") == ["2001:db8:a::ff:fe00:a02"]
    parameter = "/proc/sys/net/ipv6/conf/up-a/dad_transmits"
    assert lab.host.run(["cat", parameter], capture_output=True, text=True).stdout == "1\n"


@pytest.mark.usefixtures("lab_programs")
def test_a_lab_is_up_soon() -> None:
    begin = time.monotonic()
    with Lab():
        assert time.monotonic() - begin < 2


def test_dhclient_takes_a_lease_with_all_options(lab: Lab) -> None:
    client = lab.start_dhclient("up-a")
    assert client.lease_file.parent == lab.lease_directory
    lease = client.lease_file.read_text()
    for line in (
        "fixed-address 198.51.100.10;",
        "option subnet-mask 255.255.255.192;",
        "option routers 198.51.100.1;",
        "option dhcp-server-identifier 198.51.100.1;",
        "option domain-name-servers 198.51.100.1,198.51.100.3;",
        'option domain-search "isp-a.example.", "example.com.";',
        "option interface-mtu 1460;",
        "option ntp-servers 198.51.100.1;",
        "option rfc3442-classless-static-routes 26,203,0,113,64,198,51,100,1,0,198,51,100,1;",
        'option default-url "https://portal.isp-a.example/api";',
    ):
        assert line in lease
    assert "198.51.100.10" in addresses(lab, "up-a")
    assert "mtu 1460" in lab.ip("host", "link show up-a")
    assert "203.0.113.64/26 via 198.51.100.1 dev up-a metric 100" in lab.ip("host", "route")


def test_two_leases_give_two_default_routes(lab: Lab) -> None:
    lab.start_dhclient("up-b")
    lab.start_dhclient("up-a")
    routes = lab.ip("host", "route show default").splitlines()
    assert [route.strip() for route in routes] == [
        "default via 198.51.100.1 dev up-a metric 100",
        "default via 198.51.100.65 dev up-b metric 200",
    ]


def test_without_metrics_the_second_default_route_is_missing(lab: Lab) -> None:
    lab.start_dhclient("up-a", metric=0)
    lab.start_dhclient("up-b", metric=0)
    assert lab.ip("host", "route show default").split() == ["default", "via", "198.51.100.1", "dev", "up-a"]


@pytest.mark.parametrize("interface", ["up-a", "up-b"])
def test_dhclient_renews_and_releases(lab: Lab, interface: str) -> None:
    client = lab.start_dhclient(interface)
    address = next(each for each in addresses(lab, interface) if "." in each)
    lab.ip("host", f"address change {address}/26 dev {interface} valid_lft 30 preferred_lft 30")
    client.renew()
    assert client.lease_file.read_text().count("lease {") == 2
    assert "valid_lft 30sec" not in lab.ip("host", f"address show dev {interface} to {address}")
    client.release()
    assert address not in addresses(lab, interface)
    assert not client.process.running()


def test_a_stopped_dhclient_leaves_its_address(lab: Lab) -> None:
    lab.start_dhclient("up-a").stop()
    assert "198.51.100.10" in addresses(lab, "up-a")


def test_pyroute2_takes_renews_and_releases_a_lease(lab: Lab) -> None:
    client = lab.start_pyroute2_dhcp("up-b")
    first = json.loads(client.lease_file.read_text())
    assert first["ack"]["yiaddr"] in addresses(lab, "up-b")
    assert first["ack"]["options"]["interface_mtu"] == 1400
    client.renew()
    assert json.loads(client.lease_file.read_text())["obtained"] > first["obtained"]
    client.release()
    assert addresses(lab, "up-b") == []


@pytest.mark.parametrize(
    ("server", "view", "host", "exists"),
    [
        ("198.51.100.1", "isp_a", "203.0.113.10", "only-a.example.com"),
        ("198.51.100.65", "isp_b", "203.0.113.20", "only-b.example.com"),
        ("198.51.100.129", "vpn", "203.0.113.130", "intranet.corp.example"),
    ],
)
def test_each_network_answers_differently(lab: Lab, server: str, view: str, host: str, exists: str) -> None:
    lab.ip("host", "address add 198.51.100.60/26 dev up-a")
    lab.ip("host", "address add 198.51.100.125/26 dev up-b")
    assert ask(lab, server, "view.example.com", "TXT") == [view]
    assert ask(lab, server, "host.example.com") == [host]
    names = ("only-a.example.com", "only-b.example.com", "intranet.corp.example")
    assert [name for name in names if ask(lab, server, name)] == [exists]


def test_every_uplink_carries_tcp(lab: Lab) -> None:
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    assert greet(lab, WEB) == Greeting("inet", WEB, "198.51.100.10")
    assert greet(lab, WEB, device="up-b", source="198.51.100.70") == Greeting("inet", WEB, "198.51.100.70")
    assert greet(lab, "2001:db8:ff::80") == Greeting("inet", "2001:db8:ff::80", "2001:db8:a::ff:fe00:a02")
    assert greet(lab, "203.0.113.130") == Greeting("vpn", "203.0.113.130", "198.51.100.130")
    assert greet(lab, "fd6d:6966:2::80") == Greeting("vpn", "fd6d:6966:2::80", "fd6d:6966:1::2")


def test_the_servers_reset_hang_echo_and_refuse(lab: Lab) -> None:
    address = "2001:db8:ff::80"
    with connect(lab, address, 83) as connection:
        connection.sendall(b"!")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with connect(lab, address, 85) as connection:
        connection.sendall(b"hallo")
        assert connection.recv(5, socket.MSG_WAITALL) == b"hallo"
    with pytest.raises(ConnectionRefusedError):
        connect(lab, address, 82)
    with lab.host.socket(socket.AF_INET6, socket.SOCK_STREAM) as silent, lab.capture("inet", "a0") as capture:
        silent.setblocking(False)
        assert silent.connect_ex((address, 84)) != 0
        poll_until(lambda: bool(capture.syns(to=address, port=84)), "the SYN")
        assert not [packet for packet in capture.packets if packet.source_port == 84]


# ---------------------------------------------------------------- seeing who sent what


def test_a_capture_tells_the_uplinks_apart(lab: Lab) -> None:
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    with lab.capture("isp_a") as a, lab.capture("isp_b") as b:
        greet(lab, WEB, device="up-b", source="198.51.100.70")
        assert [str(packet.source) for packet in b.syns(to=WEB, port=80)] == ["198.51.100.70"]
        assert a.syns() == []
        greet(lab, WEB)  # Not bound: it follows the better metric.
        assert [str(packet.source) for packet in a.syns(to=WEB, port=80)] == ["198.51.100.10"]
        assert len(b.syns()) == 1
        assert b.syns(port=81) == b.syns(to="203.0.113.10") == []


def test_a_capture_names_the_questions(lab: Lab) -> None:
    with lab.capture("isp_a") as a, lab.capture("isp_b") as b, lab.capture("vpn") as vpn:
        ask(lab, "2001:db8:a::1", "Host.example.com")
        ask(lab, "fd6d:6966:1::1", "intranet.corp.example")
        assert [str(packet.destination) for packet in a.dns_queries(name="host.example.com.")] == ["2001:db8:a::1"]
        assert [packet.dns_name for packet in vpn.dns_queries()] == ["intranet.corp.example"]
        assert b.dns_queries() == []


def test_a_capture_survives_the_end_of_its_link(lab: Lab) -> None:
    with lab.capture("isp_b") as capture:
        with lab.host.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", ("ff02::1", 9, 0, index(lab, "up-b")))
        lab.delete_link("up-b")
        assert [packet.destination_port for packet in capture.packets if packet.protocol == "udp"] == [9]


def test_providers_count_foreign_sources(lab: Lab) -> None:
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    greet(lab, WEB)
    assert (lab.foreign_packets("isp_a"), lab.foreign_packets("isp_b")) == (0, 0)
    with lab.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("198.51.100.70", 0))  # Provider B's address leaves by the better metric, that is provider A's.
        sender.sendto(b"x", (WEB, 9))
    poll_until(lambda: lab.foreign_packets("isp_a") == 1, "the count")
    assert lab.foreign_packets("isp_b") == 0


# ---------------------------------------------------------------- breaking it


def test_block_drops_or_rejects_until_unblocked(lab: Lab) -> None:
    address = "2001:db8:ff::80"
    lab.block("isp_a", "tcp dport 80", action="reject with tcp reset")
    with pytest.raises(ConnectionRefusedError):
        connect(lab, address, 80)
    lab.unblock("isp_a")
    lab.block(lab.isp_a, "udp dport 53")
    with pytest.raises(dns.exception.Timeout), lab.host.entered():
        dns.query.udp(dns.message.make_query("host.example.com", "A"), "2001:db8:a::1", timeout=0.1)
    lab.unblock(lab.isp_a)
    assert greet(lab, address).network == "inet"
    assert ask(lab, "2001:db8:a::1", "host.example.com") == ["203.0.113.10"]


def test_carrier_comes_and_goes(lab: Lab) -> None:
    lab.set_carrier("up-a", False)
    poll_until(lambda: "NO-CARRIER" in lab.ip("host", "link show up-a"), "the loss of carrier")
    lab.set_carrier("up-a", True)
    poll_until(lambda: "LOWER_UP" in lab.ip("host", "link show up-a"), "carrier")
    lab.set_link("up-a", up=False)
    assert addresses(lab, "up-a") == []
    lab.set_link("up-a", up=True)
    poll_until(lambda: addresses(lab, "up-a") != [], "an address")


def test_a_renamed_link_keeps_its_cable(lab: Lab) -> None:
    before = index(lab, "up-a")
    lab.rename("up-a", "wan")
    assert index(lab, "wan") == before
    lab.set_carrier("wan", False)
    poll_until(lambda: "NO-CARRIER" in lab.ip("host", "link show wan"), "the loss of carrier")


def test_a_deleted_link_can_be_made_again(lab: Lab) -> None:
    lab.start_dhclient("up-b").stop()
    before = index(lab, "up-b")
    lab.delete_link("up-b")
    with pytest.raises(LabError, match="up-b"):
        index(lab, "up-b")
    lab.recreate_link("up-b")
    assert index(lab, "up-b") != before
    lab.start_dhclient("up-b")
    assert greet(lab, WEB, device="up-b").peer == "198.51.100.70"


def test_a_router_that_ends_gently_withdraws_itself(lab: Lab) -> None:
    lab.stop("isp_a.radvd", gently=True)
    poll_until(lambda: lab.ip("host", "-6 route show default") == "", "the end of the default route")
    lab.start("isp_a.radvd")
    poll_until(lambda: "fe80::a:1" in lab.ip("host", "-6 route show default"), "the default route")


def test_a_daemon_that_dies_is_named(lab: Lab) -> None:
    lab.daemons["isp_a.radvd"].end()
    with pytest.raises(LabError, match=r"isp_a\.radvd ended by itself"):
        lab.wait_ready("isp_a.radvd")
    assert "radvd" in lab.logs()["isp_a.radvd"]


# ---------------------------------------------------------------- Trio in the host


async def test_trio_runs_in_the_host(lab: Lab, on_host: Namespace) -> None:
    assert {name for _, name in socket.if_nameindex()} == {"lo", "up-a", "up-b", "vpn0"}
    stream = await trio.open_tcp_stream("2001:db8:ff::80", 80)
    async with stream:
        octets = b"".join([chunk async for chunk in stream])
    assert Greeting.from_octets(octets).peer in addresses(lab, "up-a")
    assert os.stat("/proc/thread-self/ns/net").st_ino == os.fstat(on_host.fileno()).st_ino
