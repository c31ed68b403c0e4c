"""Real hosts that answer multicast questions on a link: avahi-daemon (multicast DNS) and systemd-resolved (both).

Both come out of packages that are unpacked and never installed (``.ci/unpack-lab-packages``), and run as a
`PrivateHost` of some network: for the host under test they are neighbours on the link.
"""

from __future__ import annotations

from trimif.testing._lab_private_host import PrivateHost
from trimif.testing._lab_processes import Daemon, LabError, poll_until
from trimif.testing._lab_resolved import UNPACKED, Resolved

AVAHI_PACKAGES = ("avahi-daemon", "libavahi-core7", "libavahi-common3", "libdaemon0")
"""Debian's, each unpacked in a directory of its own."""

_AVAHI = """\
[server]
host-name={name}
allow-interfaces={interface}
enable-dbus=no
disallow-other-stacks=no
[wide-area]
enable-wide-area=no
[reflector]
enable-reflector=no
"""
_RESOLVED = """\
[Resolve]
DNS=
FallbackDNS=
LLMNR=yes
MulticastDNS=yes
DNSStubListener=no
"""


def start_avahi(host: PrivateHost, interface: str, name: str) -> Daemon:
    """Start an avahi-daemon that answers for ``name.local``; blocks until it has made sure of its name.

    Raises:
        LabError: it does not start.
    """
    libraries = {
        str(path.parent) for package in AVAHI_PACKAGES for path in UNPACKED.glob(f"{package}/usr/lib/**/*.so.*")
    }
    for file, line in (("passwd", "avahi:x:0:0::/:/usr/sbin/nologin\n"), ("group", "avahi:x:0:\n")):
        host.write_etc(file, line)
    host.write_etc("avahi/avahi-daemon.conf", _AVAHI.format(name=name, interface=interface))
    host.write_etc("avahi/services/.keep", "")
    program = [str(UNPACKED / "avahi-daemon/usr/sbin/avahi-daemon"), "--no-drop-root", "--no-chroot", "--no-rlimits"]
    daemon = host.start("avahi", ["env", f"LD_LIBRARY_PATH={':'.join(sorted(libraries))}", *program])

    def is_ready() -> bool:
        if not daemon.running():
            raise LabError(f"avahi-daemon ended by itself:\n{daemon.log()}")
        return f"Host name is {name}.local" in daemon.log()

    poll_until(is_ready, "avahi-daemon to have its name")
    return daemon


class LinkResolved(Resolved):
    """A systemd-resolved that answers for the host's name, `NAME`, on the links that it is told to be asked on."""

    NAME = "printer"

    def start(self) -> None:
        """Start it as a host of that name."""
        self._host.write_etc("systemd/resolved.conf", _RESOLVED)
        named = ["sh", "-c", 'hostname "$1" && exec "$2"', "sh", self.NAME, str(self._program)]
        self.process = self._host.start("systemd-resolved", named)
        poll_until(self._answers, "systemd-resolved to answer")
