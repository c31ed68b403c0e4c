"""DHCP clients in the lab's host: Debian's dhclient with its own script, and pyroute2's.

dhclient's script rewrites ``/etc/resolv.conf``, may set the host's name, and tells systemd about NTP servers. So
that none of this reaches the machine, dhclient runs in a mount namespace and a UTS namespace of its own, with an
overlay on ``/etc`` and an empty ``/run``. The lease files are in the lab's directory, where everybody sees them.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from trimif.testing._lab_configuration import DHCLIENT
from trimif.testing._lab_processes import Daemon, LabError, poll_until, run
from trimif.testing._namespaces import Namespace

# $1 is an empty directory to mount on, $2 holds what /etc is to have instead of the machine's. Its files are put in
# place before the overlay is mounted: in a user namespace a file of the real root can't be opened for writing.
_PRIVATE = """\
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/work"
cp -R "$2" "$1/upper"
mount -t overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" overlay /etc
mount -t tmpfs -o mode=755 tmpfs /run
shift 2
exec "$@"
"""

# Debian's hook for option 121 (RFC 3442) ignores the metric that the rest of the script honours: then the second
# default route of a host with two leases is missing, as it would have the same destination and metric.
_CLASSLESS_ROUTES = Path("/etc/dhcp/dhclient-exit-hooks.d/rfc3442-classless-routes")
_ROUTE = 'dev "${interface}"'
_ROUTE_WITH_METRIC = _ROUTE + " ${IF_METRIC:+metric $IF_METRIC}"

# A client that was started again asks for the address that it had (INIT-REBOOT, RFC 2131, 3.2). The stock script then
# adds the address once more, in vain, and its lifetime stays. This makes it extend the lifetime, as at a renewal.
_RENEW_HOOK = """\
if [ "$reason" = REBOOT ] && ip -4 addr show dev "$interface" | grep -qF " $new_ip_address/"; then
    reason=RENEW
    old_ip_address=$new_ip_address
fi
"""


class Dhclient:
    """A running ISC dhclient, made by `Lab.start_dhclient`."""

    def __init__(self, namespace: Namespace, interface: str, leases: Path, directory: Path, *, metric: int) -> None:
        self.interface = interface
        self.lease_file = leases / f"dhclient.{interface}.leases"
        self._namespace = namespace
        self._directory = directory
        self._log = directory / f"host.dhclient.{interface}.log"
        self._options = ("-e", f"IF_METRIC={metric}") if metric else ()
        self._prepare()
        self._start()

    def _prepare(self) -> None:
        """Write the configuration, and the files that its private ``/etc`` has instead of the machine's."""
        etc, mount = self._directory / "dhclient.etc", self._directory / "dhclient.mount"
        for kind in ("enter", "exit"):
            (etc / "dhcp" / f"dhclient-{kind}-hooks.d").mkdir(parents=True, exist_ok=True)
        mount.mkdir(exist_ok=True)
        (self._directory / "dhclient.conf").write_text(DHCLIENT)
        (etc / "resolv.conf").touch()
        (etc / "dhcp/dhclient-enter-hooks.d/renew").write_text(_RENEW_HOOK)
        if _CLASSLESS_ROUTES.exists():
            script = _CLASSLESS_ROUTES.read_text().replace(_ROUTE, _ROUTE_WITH_METRIC)
            (etc / "dhcp/dhclient-exit-hooks.d" / _CLASSLESS_ROUTES.name).write_text(script)

    def _command(self, *options: str) -> Sequence[str]:
        private = ["unshare", "--mount", "--uts", "sh", "-c", _PRIVATE, "sh"]
        private += [f"{self._directory}/dhclient.mount", f"{self._directory}/dhclient.etc"]
        files = ["-cf", f"{self._directory}/dhclient.conf", "-lf", str(self.lease_file)]
        files += ["-pf", f"{self._directory}/dhclient.{self.interface}.pid"]
        return [*private, "dhclient", "-4", "-d", *files, *self._options, *options, self.interface]

    def _start(self) -> None:
        self._times_bound = self._count_bound()
        self.process = Daemon(self._namespace, self._command(), self._log)

    def _count_bound(self) -> int:
        return self._log.read_text(errors="replace").count("\nbound to ") if self._log.exists() else 0

    def wait_bound(self) -> None:
        """Block until it has a lease and its script has configured the host.

        Raises:
            LabError: not within ten seconds, or it ended; quotes its log.
        """
        try:
            poll_until(self._bound, f"a lease for {self.interface}")
        except LabError as error:
            raise LabError(f"{error}\n{self.process.log()}") from None

    def _bound(self) -> bool:
        if not self.process.running():
            raise LabError("dhclient ended by itself")
        return self._count_bound() > self._times_bound

    def renew(self) -> None:
        """Ask the server again, now: another lease in the file, another lifetime of the address. Blocks until done.

        The client is ended and started again; to the host and in the file it looks as a renewal does.
        """
        self.process.end()
        self._start()
        self.wait_bound()

    def release(self) -> None:
        """Give the lease back (DHCPRELEASE): the address goes, and the file says so. Blocks until done."""
        self.process.end()
        run(self._namespace, self._command("-r"))

    def stop(self) -> None:
        """End the client without a word: lease and address stay until they expire."""
        self.process.end()


class Pyroute2Dhcp:
    """A running DHCP client of pyroute2, made by `Lab.start_pyroute2_dhcp`. Its default route has the metric 0."""

    def __init__(self, namespace: Namespace, interface: str, leases: Path, directory: Path) -> None:
        self.interface = interface
        self.lease_file = leases / f"{interface}.lease.json"  # Always in the working directory.
        self._namespace = namespace
        log = directory / f"host.pyroute2.{interface}.log"
        command = [sys.executable, "-P", str(Path(__file__).with_name("_lab_pyroute2.py")), interface]
        self.process = Daemon(namespace, command, log, directory=str(leases))

    def wait_bound(self) -> None:
        """Block until it has a lease and has set the default route, which it does last.

        Raises:
            LabError: not within ten seconds; quotes its log.
        """
        try:
            poll_until(self._bound, f"a lease for {self.interface}")
        except LabError as error:
            raise LabError(f"{error}\n{self.process.log()}") from None

    def _bound(self) -> bool:
        show = ["ip", "-4", "route", "show", "default", "dev", self.interface]
        return self.lease_file.exists() and bool(run(self._namespace, show))

    def renew(self) -> None:
        """Ask the server again. Blocks until the lease file was written anew."""
        before = self._obtained()
        self.process.send_signal(signal.SIGUSR1)
        poll_until(lambda: self._obtained() not in (None, before), f"a renewal for {self.interface}")

    def _obtained(self) -> object:
        """When the lease in the file was obtained; None while the file is being written (it is, in place)."""
        try:
            return json.loads(self.lease_file.read_text())["obtained"]
        except ValueError:
            return None

    def release(self) -> None:
        """Give the lease back: address and route go; the file stays. Blocks until done."""
        self.process.end_gently(signal.SIGINT)

    def stop(self) -> None:
        """End the client without a word: the address stays for ever."""
        self.process.end()
