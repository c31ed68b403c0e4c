"""systemd-networkd in the lab's host, without systemd: it configures the uplinks, and tells what it did.

It takes over what the kernel does by itself: router advertisements (it sets ``accept_ra=0``) and IPv6 addresses.
"""

from __future__ import annotations

from pathlib import Path

from trimif.testing._lab_private_host import PrivateHost
from trimif.testing._lab_processes import Daemon, LabError, poll_until

PROGRAMS = (Path("/usr/lib/systemd/systemd-networkd"), Path("/lib/systemd/systemd-networkd"))

UPLINKS = """\
[Match]
Name=up-*
[Network]
DHCP=yes
IPv6AcceptRA=yes
LLDP=no
[DHCPv4]
UseMTU=yes
UseDomains=yes
UseHostname=no
ClientIdentifier=mac
[DHCPv6]
UseDomains=yes
UseHostname=no
WithoutRA=solicit
[IPv6AcceptRA]
UseDomains=yes
"""
"""Everything from the networks behind the uplinks."""

VPN = """\
[Match]
Name=vpn0
[Network]
Address=198.51.100.130/26
Address=fd6d:6966:1::2/64
DNS=198.51.100.129#dns.corp.example
DNS=fd6d:6966:1::1
NTP=198.51.100.129
Domains=~corp.example office.example
LinkLocalAddressing=ipv6
IPv6AcceptRA=no
"""
"""A tunnel that a person configured."""


def why_no_networkd() -> str | None:
    """None if it is installed; else what a person can do about it."""
    if any(path.exists() for path in PROGRAMS):
        return None
    return "systemd-networkd is not installed: apt-get install --no-install-recommends systemd"


class Networkd:
    """A running systemd-networkd. Its host ends it.

    Attributes:
        directory: where it keeps its state files, ``links`` and ``leases``.
    """

    def __init__(self, host: PrivateHost, **networks: str) -> None:
        """Start it with some ``.network`` files, by name; it uses the host's bus if there is one."""
        self._host = host
        self.directory = host.run_directory / "systemd/netif"
        for name, text in networks.items():
            self.write_network(name, text)
        self.start()

    def write_network(self, name: str, text: str) -> None:
        """Write a ``.network`` file; it counts from the next start on."""
        (self._host.run_directory / f"systemd/network/{name}.network").write_text(text)

    def start(self) -> None:
        """Start it, after `kill`, too."""
        program = next((path for path in PROGRAMS if path.exists()), None)
        if program is None:
            raise LabError(why_no_networkd())
        self.process: Daemon = self._host.start("systemd-networkd", [str(program)])

    def kill(self) -> None:
        """End it at once, without a word: what it wrote and set stays."""
        self.process.end()

    def lease_file(self, index: int) -> Path:
        """The file of the DHCPv4 lease of the interface of that index."""
        return self.directory / "leases" / str(index)

    def wait_bound(self, index: int) -> None:
        """Block until it has a DHCPv4 lease there."""
        try:
            poll_until(self.lease_file(index).exists, f"a lease for the interface {index}")
        except LabError as error:
            raise LabError(f"{error}\n{self.process.log()}") from None
