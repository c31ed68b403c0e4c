"""``trimif doctor`` on a real host: each fault is made as a person would make it, found, and cured by its remedy.

The command runs in a mount namespace with a ``resolv.conf`` of its own; the machine's is never touched.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from trimif.testing._lab import Lab
from trimif.testing._lab_processes import ENVIRONMENT, Daemon, poll_until
from trimif.testing._namespaces import Namespace

from .test_chain_unprivileged import drop_privileges

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
STUB = "nameserver 127.0.0.53\n"
PRIVATE_RESOLVER = 'mount --bind "$1" /etc/resolv.conf; shift; exec "$@"'
OTHER_RUN_DIRECTORY = 'mount --bind "$1" /run; shift; exec "$@"'
PRIVATE_STATE = (
    """\
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib/dhcpcd
mount -t sysfs -o ro sysfs /sys
"""
    + PRIVATE_RESOLVER
)
UP_A, UP_B = "198.51.100.10", "198.51.100.70"


@frozen
class Report:
    """What ``trimif doctor --json`` said."""

    code: int
    told: dict[str, Any]

    def of(self, check: str) -> list[dict[str, str]]:
        """What one check found."""
        return [each for each in self.told["findings"] if each["check"] == check]

    def only(self, check: str) -> dict[str, str]:
        """The one thing that a check found."""
        (finding,) = self.of(check)
        return finding


def run_doctor(
    lab: Lab,
    *options: str,
    namespace: Namespace | None = None,
    resolver: str = STUB,
    prefix: Sequence[str] = (),
    run: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """`run` is the ``/run`` of the host's managers."""
    file = lab.directory / "resolv.conf"
    file.write_text(resolver)
    command = [*prefix, sys.executable, "-m", "trimif.cli", "doctor", "--leases", str(lab.lease_directory), *options]
    if run is not None:
        command = ["sh", "-ec", OTHER_RUN_DIRECTORY, "sh", str(run), *command]
    private = ["unshare", "--mount", "sh", "-ec", PRIVATE_RESOLVER, "sh", str(file), *command]
    done = (namespace or lab.host).run(private, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    return done


def doctor(lab: Lab, wait: float = 0, **options: Any) -> Report:
    done = run_doctor(lab, "--json", "--wait", str(wait), **options)
    return Report(done.returncode, json.loads(done.stdout))


def shell(lab: Lab, script: str) -> None:
    """What a person types, or pastes."""
    lab.host.run(["sh", "-ec", script], env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)


# ---------------------------------------------------------------- nothing is wrong


def test_a_host_with_three_networks_is_well(lab: Lab) -> None:
    """But for the VPN, which has no name servers: nobody has told any."""
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    report = doctor(lab, wait=5)
    told = [(each["check"], each["severity"], each["subject"]) for each in report.told["findings"]]
    assert told == [("name servers", "note", "vpn0/ipv4"), ("name servers", "note", "vpn0/ipv6")]
    assert (report.code, report.told["unseen"], report.told["not_checked"]) == (0, [], [])
    lab.set_link("vpn0", up=False)
    done = run_doctor(lab, "--wait", "5")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "All is well")


def test_a_host_without_networks_is_told_so(lab: Lab) -> None:
    empty = Namespace("empty")
    try:
        report = doctor(lab, namespace=empty)
    finally:
        empty.close()
    assert report.code == 1
    assert report.only("networks")["subject"] == "this host"
    assert report.only("loopback")["remedy"] == "ip link set lo up"


# ---------------------------------------------------------------- one thing is wrong


@frozen
class Fault:
    """How to make it, and what has to be said of it."""

    check: str
    severity: str
    subject: str
    make: str
    says: str = ""


FAULTS = [
    Fault("loopback", "problem", "lo", "ip link set lo down"),
    Fault("routes", "problem", "vpn0/ipv4", "ip -4 route flush dev vpn0", "198.51.100.130/26, but no route at all"),
    Fault("routes", "problem", "vpn0/ipv6", "ip -6 route flush dev vpn0 root fd00::/8", "fd6d:6966:1::2/64"),
    Fault("default routes", "problem", "up-b/ipv4", "ip -4 route del default dev up-b", "router is 198.51.100.65"),
    Fault("reverse path filters", "problem", "up-b/ipv4", "sysctl -qw net/ipv4/conf/up-b/rp_filter=1", "leads by up-a"),
    Fault("reverse path filters", "problem", "up-b/ipv4", "sysctl -qw net/ipv4/conf/all/rp_filter=1", "leads by up-a"),
    Fault("overlapping subnets", "warning", "up-a, vpn0", "ip address add 198.51.100.61/26 dev vpn0"),
    Fault("ARP flux", "warning", "up-a, vpn0", "ip address add 198.51.100.61/26 dev vpn0", "198.51.100.0/26"),
    Fault("the same address twice", "problem", "up-a, vpn0", f"ip address add {UP_A}/32 dev vpn0", UP_A),
    Fault("disabled IPv6", "note", "up-b", "sysctl -qw net/ipv6/conf/up-b/disable_ipv6=1"),
    Fault("small MTU", "warning", "up-b", "ip link set up-b mtu 1200", "MTU of 1200"),
    Fault("refused routers", "warning", "up-a", "sysctl -qw net/ipv6/conf/up-a/forwarding=1", "accept_ra=1 means no"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.check}: {fault.make}")
def test_a_fault_is_found_and_its_remedy_cures_it(lab: Lab, fault: Fault) -> None:
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    shell(lab, fault.make)
    report = doctor(lab)
    finding = report.only(fault.check)
    assert (finding["severity"], finding["subject"]) == (fault.severity, fault.subject)
    assert fault.says in finding["what"]
    assert report.code == 1 or fault.severity == "note"
    shell(lab, finding["remedy"])
    if fault.check != "overlapping subnets":  # they overlap still, but each has its own routing table
        assert doctor(lab).of(fault.check) == []


def test_from_source_rules_make_a_strict_filter_right(lab: Lab) -> None:
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    shell(lab, "sysctl -qw net/ipv4/conf/all/rp_filter=1")
    assert doctor(lab).only("reverse path filters")["subject"] == "up-b/ipv4"
    shell(lab, f"ip rule add from {UP_B} table 7; ip route add default via 198.51.100.65 dev up-b table 7")
    assert doctor(lab).of("reverse path filters") == []


def test_a_rule_that_keeps_a_default_route_from_being_used(lab: Lab) -> None:
    lab.start_dhclient("up-b")
    shell(lab, f"ip rule add prio 9 from {UP_B} unreachable")
    finding = doctor(lab).only("default routes")
    assert (finding["subject"], finding["remedy"]) == ("up-b/ipv4", "ip -4 rule show")


def test_the_second_of_two_stock_clients_gets_no_default_route(lab: Lab) -> None:
    lab.start_dhclient("up-a", metric=0)
    lab.start_dhclient("up-b", metric=0)
    finding = doctor(lab).only("default routes")
    assert finding["subject"] == "up-b/ipv4"
    shell(lab, finding["remedy"])
    assert doctor(lab).of("default routes") == []


def test_an_address_without_any_route(lab: Lab) -> None:
    shell(lab, "ip address flush dev up-b; ip address add 198.51.100.99/32 dev up-b")
    finding = doctor(lab).only("routes")
    assert (finding["subject"], finding["remedy"]) == ("up-b/ipv4", "ip route add default dev up-b")


def test_a_network_that_reaches_further_without_name_servers(lab: Lab) -> None:
    shell(lab, "ip route add default via 198.51.100.129 dev vpn0 metric 500")
    found = {each["subject"]: each["severity"] for each in doctor(lab).of("name servers")}
    assert (found["vpn0/ipv4"], found["vpn0/ipv6"]) == ("warning", "note")


# ---------------------------------------------------------------- name servers


def test_name_servers_that_the_network_does_not_lead_to(lab: Lab) -> None:
    """B's DHCP server tells a name server on the Internet, and B has no default route."""
    configuration = lab.directory / "isp_b.dhcpd.conf"
    configuration.write_text(
        configuration.read_text().replace("name-servers 198.51.100.65", "name-servers 203.0.113.53")
    )
    lab.stop("isp_b.dhcpd")
    lab.start("isp_b.dhcpd")
    lab.wait_ready("isp_b.dhcpd")
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    assert doctor(lab).of("ways to name servers") == []
    shell(lab, "ip -4 route del default dev up-b")
    finding = doctor(lab).only("ways to name servers")
    assert finding["subject"] == "up-b/ipv4"
    assert "203.0.113.53 can't be reached inside it: no route" in finding["what"]
    shell(lab, finding["remedy"])
    assert doctor(lab).of("ways to name servers") == []


def test_resolv_conf_leaks_what_dhclient_writes_into_it(lab: Lab) -> None:
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    one = "nameserver 198.51.100.65\nsearch isp-b.example\n"
    finding = doctor(lab, resolver=one).only("leaking names")
    assert "sends all names to the servers of up-b alone, also those for up-a" in finding["what"]
    both = doctor(lab, resolver=one + "nameserver 198.51.100.1\n")
    assert "lists the servers of several networks: up-a, up-b" in both.only("leaking names")["what"]
    assert (both.code, both.of("stale name servers")) == (1, [])


def test_resolv_conf_with_a_server_of_a_network_that_is_gone(lab: Lab) -> None:
    lab.start_dhclient("up-a")
    resolver = "nameserver 198.51.100.1\nnameserver 198.51.100.65\n"
    finding = doctor(lab, resolver=resolver).only("stale name servers")
    assert "198.51.100.65, which no provisioning domain has" in finding["what"]
    file = lab.directory / "resolv.conf"
    shell(lab, finding["remedy"].replace(finding["subject"], str(file)))
    assert file.read_text() == "nameserver 198.51.100.1\n"


# ---------------------------------------------------------------- addresses


def test_a_lease_that_expired_while_its_address_stayed(lab: Lab) -> None:
    """As where the client's script sets no lifetimes, and the client was killed."""
    client = lab.start_dhclient("up-b")
    client.stop()
    shell(lab, f"ip address change {UP_B}/26 dev up-b valid_lft forever preferred_lft forever")
    lines = client.lease_file.read_text().splitlines()
    past = ["  expire 6 2020/11/21 13:17:29;" if line.startswith("  expire") else line for line in lines]
    client.lease_file.write_text("\n".join(past))
    finding = doctor(lab).only("expired leases")
    assert f"still has the address {UP_B}, whose lease by dhclient has expired" in finding["what"]
    shell(lab, finding["remedy"])
    assert doctor(lab).of("expired leases") == []


def test_an_address_that_somebody_else_on_the_link_has(lab: Lab) -> None:
    shell(lab, "sysctl -qw net/ipv6/conf/up-a/dad_transmits=1; ip address add 2001:db8:a::3/64 dev up-a")
    poll_until(lambda: "dadfailed" in lab.ip("host", "-6 address show dev up-a"), "a duplicate")
    finding = doctor(lab).only("duplicate addresses")
    assert (finding["subject"], finding["remedy"]) == ("up-a", "ip address del 2001:db8:a::3/64 dev up-a")
    shell(lab, finding["remedy"])
    assert doctor(lab).of("duplicate addresses") == []


# ---------------------------------------------------------------- programs, and privileges


def test_two_dhclients_on_one_interface(lab: Lab) -> None:
    first = lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    assert doctor(lab).of("two programs") == []
    leases = lab.lease_directory / "dhclient.second.leases"
    command = ["dhclient", "-4", "-d", "-sf", "/bin/true", "-lf", str(leases), "-pf", "/dev/null", "up-a"]
    second = Daemon(lab.host, command, lab.directory / "host.second.log")
    try:
        poll_until(lambda: "bound to" in second.log(), "a second lease")
        report = doctor(lab)
        finding = report.only("two programs")
        assert (report.code, finding["subject"]) == (1, "up-a")
        assert f"dhclient (process {first.process.pid})" in finding["what"]
        shell(lab, finding["remedy"])
        poll_until(lambda: not (second.running() and first.process.running()), "the end of one")
    finally:
        second.end()
    assert doctor(lab).of("two programs") == []


def test_dhcpcd_is_one_program_and_a_second_beside_dhclient(lab: Lab) -> None:
    """It runs as seven processes, and says in their titles which interface it is for."""
    (lab.directory / "dhcpcd.conf").write_text("nohook resolv.conf, hostname, timesyncd, ntp\nnoarp\n")
    (lab.directory / "dhcpcd.resolv.conf").touch()
    files = [str(lab.directory / "dhcpcd.resolv.conf"), "dhcpcd", "-B", "-f", str(lab.directory / "dhcpcd.conf")]
    command = ["unshare", "--mount", "--uts", "sh", "-ec", PRIVATE_STATE, "sh", *files, "up-a"]
    dhcpcd = Daemon(lab.host, command, lab.directory / "host.dhcpcd.log")
    try:
        poll_until(lambda: "leased" in dhcpcd.log(), "dhcpcd's lease")
        assert doctor(lab).of("two programs") == []
        client = lab.start_dhclient("up-a")
        finding = doctor(lab).only("two programs")
        assert finding["subject"] == "up-a"
        for program, process in (("dhclient", client.process.pid), ("dhcpcd", dhcpcd.pid)):
            assert f"{program} (process {process})" in finding["what"]
    finally:
        dhcpcd.end_gently()


def test_without_a_privilege_it_says_what_it_cannot_see(lab: Lab) -> None:
    lab.directory.chmod(0o755)
    lab.start_dhclient("up-a")
    prefix = drop_privileges(lab)
    report = doctor(lab, prefix=prefix)
    (limitation,) = [each for each in report.of("privileges") if each["subject"] == "router advertisements"]
    assert (limitation["severity"], limitation["remedy"][:8]) == ("note", "give the")
    assert report.of("unheard routers") == []
    shell(lab, "sysctl -qw net/ipv6/conf/up-a/accept_ra=0")
    assert doctor(lab).of("unheard routers") == []
    blind = doctor(lab, prefix=prefix)
    finding = blind.only("unheard routers")
    assert (finding["severity"], finding["subject"], blind.code) == ("warning", "up-a", 1)


def test_without_a_privilege_it_finds_the_same_faults(lab: Lab) -> None:
    lab.directory.chmod(0o755)
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    shell(lab, "sysctl -qw net/ipv4/conf/up-b/rp_filter=1; ip address add 198.51.100.61/26 dev vpn0")
    checks = ("reverse path filters", "overlapping subnets", "ARP flux", "two programs")
    ours, theirs = doctor(lab), doctor(lab, prefix=drop_privileges(lab))
    assert [theirs.of(check) for check in checks] == [ours.of(check) for check in checks]
    assert ours.only("reverse path filters")["subject"] == "up-b/ipv4"
