"""What ``trimif doctor`` reads of the host: small files, made here as the kernel and the programs make them."""

from __future__ import annotations

import os
import subprocess
import time
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif import Family, Origin
from trimif._facts import AllLeases, DHCPv6Lease, Lease, LeasedAddress
from trimif.cli._doctor._leases import CurrentLeases, read_expired_leases
from trimif.cli._doctor._parameters import read_duplicates, read_settings
from trimif.cli._doctor._picture import Configurator, HostLease, HostRoute, ResolverFile, Settings
from trimif.cli._doctor._processes import Process, find_configurators, managed_interfaces, read_processes
from trimif.cli._doctor._resolver_file import parse_resolver_file, read_resolver_file
from trimif.cli._doctor._ways import somewhere

BOTH = frozenset(Family)
IPV4 = frozenset({Family.IPV4})
IPV6 = frozenset({Family.IPV6})


# ---------------------------------------------------------------- parameters


def test_parameters_are_read_and_may_be_missing(tmp_path: Path) -> None:
    for path, value in (
        ("ipv4/conf/all/rp_filter", "2"),
        ("ipv6/conf/eth0.7/accept_ra", "0"),
        ("ipv4/conf/eth0.7/arp_ignore", "x"),
    ):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
    assert read_settings(["eth0.7"], tmp_path) == {"all": Settings(rp_filter=2), "eth0.7": Settings(accept_ra=0)}


def test_this_hosts_own_parameters_are_numbers() -> None:
    assert all(setting.rp_filter in (0, 1, 2) for setting in read_settings(["lo"]).values())


def test_duplicates_are_those_that_failed(tmp_path: Path) -> None:
    table = tmp_path / "if_inet6"
    table.write_text(
        "20010db800000000000000000000000a 02 40 00 c8     eth0\n20010db800000000000000000000000b 02 40 00 80     eth0\n"
    )
    assert read_duplicates(table) == {("eth0", IPv6Address("2001:db8::a"))}
    assert read_duplicates(tmp_path / "none") == frozenset()


# ---------------------------------------------------------------- resolv.conf


def test_resolver_file_with_all_that_it_may_have() -> None:
    text = (
        "# nameserver 192.0.2.1\n; nameserver 192.0.2.2\nnameserver\t198.51.100.1 \n nameserver fe80::1%eth0\n"
        "nameserver 198.51.100.1\nnameserver nonsense\nnameserver\nsearch example.com\noptions edns0\n"
    )
    assert parse_resolver_file(text, "x") == ResolverFile("x", (IPv4Address("198.51.100.1"), IPv6Address("fe80::1")))


@given(st.text())
def test_any_resolver_file_is_read(text: str) -> None:
    assert len(parse_resolver_file(text, "x").servers) <= text.count("nameserver")


def test_a_symbolic_link_is_followed_and_no_file_is_none(tmp_path: Path) -> None:
    stub, link = tmp_path / "stub", tmp_path / "resolv.conf"
    link.symlink_to("stub")
    assert read_resolver_file(link) is None
    stub.write_bytes(b"nameserver 127.0.0.53\n\xff\n")
    assert read_resolver_file(link) == ResolverFile(str(stub), (IPv4Address("127.0.0.53"),))
    with pytest.raises(OSError, match="directory"):
        read_resolver_file(tmp_path)


# ---------------------------------------------------------------- leases


def lease(address: str, expire: datetime) -> str:
    return (
        f'lease {{\n  interface "eth0";\n  fixed-address {address};\n  option subnet-mask 255.255.255.0;\n'
        f"  expire {expire:%w %Y/%m/%d %H:%M:%S};\n}}\n"
    )


def lease6(address: str, expire: datetime, interface: str = "eth0") -> str:
    starts = int(expire.timestamp()) - 3600
    return (
        f'lease6 {{\n  interface "{interface}";\n  ia-na 00:00:00:01 {{\n'
        f"    starts {starts};\n    renew 1;\n    rebind 2;\n"
        f"    iaaddr {address} {{\n      starts {starts};\n      preferred-life 1800;\n      max-life 3600;\n    }}\n"
        "  }\n  option dhcp6.client-id 0:1:2;\n  option dhcp6.server-id 0:1:3;\n}\n"
    )


def test_expired_leases_are_found_in_dhclients_files(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    over, running = (now + timedelta(hours=hours) for hours in (-1, 1))
    (tmp_path / "dhclient.eth0.leases").write_text(lease("198.51.100.9", running) + lease("198.51.100.7", over))
    (tmp_path / "dhclient.eth1.leases").write_text(lease("198.51.100.8", running))
    (tmp_path / "dhclient.eth2.leases").write_text("}")
    (tmp_path / "dhclient6.eth0.leases").write_text(
        lease6("2001:db8::7", over) + lease6("2001:db8::8", running, "eth1")
    )
    assert set(read_expired_leases([tmp_path])) == {
        HostLease("eth0", "dhclient", ip_address("198.51.100.7"), expired=True),
        HostLease("eth0", "dhclient", ip_address("2001:db8::7"), expired=True),
    }


def test_current_leases_are_what_each_source_said_last() -> None:
    leases = CurrentLeases()
    first = Lease("eth0", Origin("dhclient"), IPv4Address("198.51.100.7"), 24, 9.0)
    leased = LeasedAddress(IPv6Address("2001:db8::7"), 9.0, 9.0)
    second = DHCPv6Lease("eth1", Origin("networkd"), 9.0, (leased,))
    leases(1.0, [AllLeases("dhclient", (first,)), AllLeases("networkd", (second,))])
    assert set(leases.told()) == {
        HostLease("eth0", "dhclient", IPv4Address("198.51.100.7")),
        HostLease("eth1", "networkd", IPv6Address("2001:db8::7")),
    }
    leases(2.0, [AllLeases("dhclient", ())])
    assert [each.source for each in leases.told()] == ["networkd"]


# ---------------------------------------------------------------- programs


def process(number: int, name: str, *arguments: str, parent: int = 1) -> Process:
    return Process(number, parent, name, arguments)


def configurators(*processes: Process, **managed: frozenset[str]) -> list[Configurator]:
    return list(find_configurators(processes, ["eth0", "eth1"], managed))


@pytest.mark.parametrize(
    ("name", "arguments", "interfaces", "families"),
    [
        ("dhclient", ("-4", "-d", "-lf", "/x/dhclient.eth1.leases", "eth0"), {"eth0"}, IPV4),
        ("dhclient", ("-6", "eth0"), {"eth0"}, IPV6),
        ("dhclient", ("-v", "eth0", "eth1"), {"eth0", "eth1"}, IPV4),
        ("dhcpcd", ("eth0", "[ip4]", "[ip6]"), {"eth0"}, BOTH),
        ("dhcpcd", ("-B", "-4", "eth0"), {"eth0"}, IPV4),
        ("dhcpcd", ("-B", "eth0"), {"eth0"}, BOTH),
        ("udhcpc", ("-f", "-ieth1"), {"eth1"}, IPV4),
        ("udhcpc", ("--interface=eth1",), {"eth1"}, IPV4),
        ("udhcpc", ("-f",), {"eth0"}, IPV4),
        ("udhcpc6", ("-i", "eth1"), {"eth1"}, IPV6),
    ],
)
def test_clients_say_what_they_are_for(
    name: str, arguments: tuple[str, ...], interfaces: set[str], families: frozenset[Family]
) -> None:
    found = configurators(process(7, name, *arguments))
    assert found == [Configurator(name, 7, frozenset(interfaces), families)]


def test_managers_have_the_interfaces_of_their_files() -> None:
    eth1 = frozenset({"eth1"})
    processes = [process(8, "NetworkManager", "-n"), process(7, "systemd-network"), process(9, "dhcpcd", "[manager]")]
    assert configurators(*processes, networkd=eth1, dhcpcd=eth1) == [
        Configurator("networkd", 7, eth1, manager=True),
        Configurator("NetworkManager", 8, None, manager=True),
        Configurator("dhcpcd", 9, eth1, manager=True),
    ]


def test_parts_of_a_program_are_not_a_second_one() -> None:
    processes = [
        process(5, "NetworkManager"),
        process(6, "dhclient", "-sf", "/usr/lib/NetworkManager/nm-dhcp-helper", "eth0"),
        process(7, "dhcpcd", "eth1", parent=5),
        process(20, "dhcpcd", "eth0", "[ip4]"),
        process(21, "dhcpcd", "[privileged", "proxy]", "eth0", parent=20),
        process(22, "dhcpcd", "[BPF", "ARP]", "eth0", parent=21),
    ]
    assert [each.process for each in configurators(*processes)] == [5, 20]


def test_managed_interfaces_are_in_state_files(tmp_path: Path) -> None:
    manager, networkd = tmp_path / "NetworkManager", tmp_path / "networkd"
    assert managed_interfaces({2: "eth0"}, manager, networkd) == {}
    for directory in (manager, networkd):
        directory.mkdir()
    (manager / "2").write_text("[device]\nmanaged=true\nroute-metric-default-aspired=100\n")
    (manager / "3").write_text("[device]\nmanaged=true\nroute-metric-default-effective=100\n")  # only looked at
    (manager / "4").write_text("[device]\nmanaged=false\nroute-metric-default-aspired=100\n")
    (manager / "5").write_text("[device]\nmanaged=true\n\n[dhcp4]\ndhcp4.ip_address=198.51.100.70\n")
    (networkd / "3").write_text("# This is private data. Do not parse.\nADMIN_STATE=configured\n")
    (networkd / "2").write_text("ADMIN_STATE=unmanaged\n")
    names = {2: "eth0", 3: "eth1", 4: "eth2", 5: "eth3"}
    assert managed_interfaces(names, manager, networkd) == {
        "NetworkManager": frozenset({"eth0", "eth3"}),
        "networkd": frozenset({"eth1"}),
    }


def test_real_processes_are_read(tmp_path: Path) -> None:
    """One with the name of a DHCP client, in this network namespace."""
    program = tmp_path / "dhclient"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "60"]) as sleeper:
        try:
            deadline = time.monotonic() + 10
            while Process(sleeper.pid, os.getpid(), "dhclient", ("60",)) not in read_processes():
                assert time.monotonic() < deadline  # a new program has its name before its arguments
        finally:
            sleeper.kill()
    assert not any(each.number == sleeper.pid for each in read_processes())


# ---------------------------------------------------------------- ways


def test_somewhere_is_where_only_default_routes_lead() -> None:
    special = HostRoute("vpn0", ip_network("203.0.113.0/25"))
    half = HostRoute("tun0", ip_network("128.0.0.0/1"))
    assert somewhere(4, [special, half]) == ip_address("192.0.2.1")
    assert somewhere(4, [half]) == ip_address("203.0.113.1")
    assert somewhere(6, [special]) == ip_address("2001:db8:ffff::1")
    assert somewhere(6, [HostRoute("eth0", ip_network("2000::/3"))]) == ip_address("2001:db8:ffff::1")
    everything = [HostRoute("eth0", ip_network(f"{first}.0.0.0/8")) for first in range(1, 224)]
    assert somewhere(4, everything) is None
