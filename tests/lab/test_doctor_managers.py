"""``trimif doctor`` beside real managers: which interfaces are theirs, and who else configures those."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from trimif.testing._lab import Lab
from trimif.testing._lab_bus import PrivateBus
from trimif.testing._lab_networkd import UPLINKS, Networkd
from trimif.testing._lab_networkmanager import NetworkManager
from trimif.testing._lab_private_host import PrivateHost
from trimif.testing._lab_processes import poll_until

from .test_chain_unprivileged import WITHOUT_CAPABILITIES
from .test_doctor import Report, doctor, shell

pytestmark = pytest.mark.lab


def index_of(lab: Lab, interface: str) -> int:
    return int(lab.ip("host", f"-oneline link show dev {interface}").partition(":")[0])


@pytest.fixture
def host(lab: Lab) -> Iterator[PrivateHost]:
    """A host with systemd-networkd, which has a lease on ``up-b``."""
    with PrivateHost(lab.host, lab.directory) as host:
        networkd = Networkd(host, **{"10-uplinks": UPLINKS.replace("up-*", "up-b")})
        networkd.wait_bound(index_of(lab, "up-b"))
        yield host


def two_programs(report: Report) -> str:
    finding = report.only("two programs")
    return f"{finding['subject']} {finding['what']}"


def test_networkd_and_dhclient_on_one_interface(lab: Lab, host: PrivateHost) -> None:
    """networkd leaves the other interfaces alone."""
    lab.start_dhclient("up-a")
    assert doctor(lab, run=host.run_directory).of("two programs") == []
    client = lab.start_dhclient("up-b", wait=False)
    said = two_programs(doctor(lab, run=host.run_directory))
    assert said.startswith("up-b is configured by two programs: ")
    assert f"dhclient (process {client.process.pid})" in said
    assert "networkd (process " in said


def test_routers_are_not_heard_beside_networkd_without_a_privilege(lab: Lab, host: PrivateHost) -> None:
    """It listens itself, and tells the kernel not to (``accept_ra=0``)."""
    report = doctor(lab, wait=2.5, run=host.run_directory, prefix=WITHOUT_CAPABILITIES)
    finding = report.only("unheard routers")
    assert (finding["severity"], finding["subject"]) == ("warning", "up-b")
    assert finding["what"].startswith("networkd has told the kernel not to listen to routers")


def test_networkmanager_and_dhclient_on_one_interface(lab: Lab) -> None:
    """NetworkManager knows all interfaces, but only what it has configured itself is its own."""
    with PrivateBus(lab.host, lab.directory) as bus, NetworkManager(lab.host, lab.directory, bus, ["up-a"]) as manager:
        run = manager.devices.parents[1]
        lab.start_dhclient("up-b")
        assert doctor(lab, run=run).of("two programs") == []
        manager.connect("up-a")
        poll_until(lambda: "198.51.100.10" in lab.ip("host", "-4 address show dev up-a"), "NetworkManager's lease")
        assert doctor(lab, run=run).of("two programs") == []
        client = lab.start_dhclient("up-a", wait=False)
        report = doctor(lab, run=run)
        said = two_programs(report)
        assert said.startswith("up-a is configured by two programs: NetworkManager (process ")
        assert report.only("two programs")["remedy"] == f"kill {client.process.pid}"
        shell(lab, report.only("two programs")["remedy"])
        poll_until(lambda: not client.process.running(), "dhclient's end")
        assert doctor(lab, run=run).of("two programs") == []
