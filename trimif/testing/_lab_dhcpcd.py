"""dhcpcd on a host of the lab, with its own hook scripts.

It runs in mount and UTS namespaces of its own: its hooks rewrite ``/etc/resolv.conf``. Its ``/run/dhcpcd`` and
``/var/lib/dhcpcd`` are directories of the lab, where everybody sees them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from trimif.testing._lab_processes import Daemon, LabError, poll_until
from trimif.testing._namespaces import Namespace

__all__ = ["Dhcpcd", "separates_privileges"]

# $1 is an empty directory to mount on, $2 and $3 are what /run/dhcpcd and /var/lib/dhcpcd are to be; $4 is /etc/passwd.
_PRIVATE = """\
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/work" "$1/upper"
: >"$1/upper/resolv.conf"
cp "$4" "$1/upper/passwd"
mount -t overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" overlay /etc
mount --bind "$3" /var/lib/dhcpcd
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/dhcpcd
mount --bind "$2" /run/dhcpcd
shift 4
exec "$@"
"""

# Debian's configuration, without what takes time: looking whether somebody has the address, a random delay, udev.
CONFIGURATION = """\
noarp
nodelay
nodev
persistent
duid
slaac hwaddr
timeout 5
option domain_name_servers, domain_name, domain_search, classless_static_routes, interface_mtu, ntp_servers
option dhcp6_name_servers, dhcp6_domain_search, dhcp6_sntp_servers
define 114 string captive_portal_uri
define6 103 string captive_portal_uri
option captive_portal_uri
option dhcp6_captive_portal_uri
require dhcp_server_identifier
denyinterfaces lo
"""


RENEWING = "received SIGUSR1, renewing"


class Dhcpcd:
    """A running dhcpcd. Its processes end with it, and with the program that started it.

    Args:
        namespace: in which it configures the interfaces.
        directory: for its files; a second dhcpcd with the same one is as the first started again.
        interfaces: all that there are if none is named; of one alone its socket bears the name.
        more: lines of its configuration, besides those of the lab.

    Attributes:
        run_directory: what is in ``/run/dhcpcd``.
        lease_directory: what is in ``/var/lib/dhcpcd``.
    """

    def __init__(self, namespace: Namespace, directory: Path, *interfaces: str, more: str = "") -> None:
        self.run_directory = directory / "dhcpcd.run"
        self.lease_directory = directory / "dhcpcd.lib"
        self._directory = directory
        self._namespace = namespace
        self._interfaces = interfaces
        self._log = directory / "host.dhcpcd.log"
        for each in (self.run_directory, self.lease_directory, directory / "dhcpcd.mount"):
            each.mkdir(exist_ok=True)
        (directory / "dhcpcd.conf").write_text(CONFIGURATION + more)
        (directory / "dhcpcd.passwd").write_text(_passwd())
        self.start()

    def start(self) -> None:
        """Start it; again, if it has ended."""
        (self.run_directory / "pid").unlink(missing_ok=True)  # in its own namespace it has the same number each time
        mount, passwd, configuration = (str(self._directory / f"dhcpcd.{each}") for each in ("mount", "passwd", "conf"))
        own = ("unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child")
        private = ("sh", "-c", _PRIVATE, "sh", mount, str(self.run_directory), str(self.lease_directory), passwd)
        command = (*own, *private, "dhcpcd", "-B", "-d", "-f", configuration, *self._interfaces)
        self.process = Daemon(self._namespace, command, self._log)

    def log(self) -> str:
        """What it has said so far."""
        return self.process.log()

    def wait_said(self, text: str, times: int = 1) -> None:
        """Block until it has logged a text that often.

        Raises:
            LabError: not within ten seconds; quotes its log.
        """
        try:
            poll_until(lambda: self.log().count(text) >= times, f"dhcpcd to say {text!r}")
        except LabError as error:
            raise LabError(f"{error}\n{self.log()}") from None

    def renew(self) -> None:
        """Have it ask the servers again. Does not wait for their answers."""
        before = self.log().count(RENEWING)
        self._signal_until(signal.SIGUSR1, lambda: self.log().count(RENEWING) > before)

    def release(self) -> None:
        """Give everything back, and end it. Blocks until done."""
        self._end_by(signal.SIGALRM)

    def stop(self) -> None:
        """End it as a person would; what it has configured stays. Blocks until done."""
        self._end_by(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a word, as a crash does: sockets and files stay."""
        self.process.end()

    def _end_by(self, number: signal.Signals) -> None:
        self._signal_until(number, lambda: not self.process.running())
        self.process.end()

    def _signal_until(self, number: signal.Signals, done: Callable[[], bool]) -> None:
        """Send a signal, again and again: dhcpcd loses those that come while a hook runs.

        Raises:
            LabError: it does not act on it.
        """
        for _ in range(20):
            self._signal(number)
            with suppress(LabError):
                return poll_until(done, "", seconds=0.5)
        raise LabError(f"dhcpcd does not act on {number.name}:\n{self.log()}")

    def _signal(self, number: signal.Signals) -> None:
        """``unshare`` doesn't pass signals on: its child is dhcpcd."""
        pid = self.process.pid
        with suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                os.kill(int(child), number)


def _passwd() -> str:
    """The machine's users; without dhcpcd's in a user namespace that has no other user than root.

    dhcpcd becomes its user where there is one, and ends if it can't.
    """
    lines = Path("/etc/passwd").read_text().splitlines(keepends=True)
    return "".join(line for line in lines if separates_privileges() or not line.startswith("dhcpcd:"))


def separates_privileges() -> bool:
    """Whether dhcpcd can run as several processes here, most of them as a user of its own, as it does on a host.

    Where it can't, version 9.4 hangs up after each block that it sends.
    """
    return Path("/proc/self/uid_map").read_text().split()[2:] != ["1"]
