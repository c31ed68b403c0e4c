"""NetworkManager in the lab's host, on a private system bus.

It rewrites ``/etc/resolv.conf`` and keeps its state in ``/run`` and ``/var/lib``. So that none of this reaches the
machine, it runs in a mount and a UTS namespace of its own: an overlay on ``/etc``, and directories of the lab's where
``/run`` and ``/var/lib`` are; there everybody sees what it writes. It sees the sysfs of its network namespace, read
only: then it takes itself to be in a container, and does without udev. It leaves the uplinks as the kernel has
configured them until it is told to `connect`; ``vpn0`` is none of its business.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from trimif.testing._lab_bus import PrivateBus
from trimif.testing._lab_processes import Daemon, LabError, poll_until, run
from trimif.testing._namespaces import Namespace

__all__ = ["NetworkManager"]

# $1 is the lab's directory of NetworkManager. The upper layer of an overlay has to be on a tmpfs in a user namespace.
_PRIVATE = """\
set -e
mount -t tmpfs -o mode=755 tmpfs "$1/etc"
mkdir "$1/etc/upper" "$1/etc/work"
touch "$1/etc/upper/resolv.conf"
mount -t overlay -o "lowerdir=/etc,upperdir=$1/etc/upper,workdir=$1/etc/work" overlay /etc
mount --bind "$1/run" /run
mount --bind "$1/var" /var/lib
mount -t sysfs -o ro sysfs /sys
shift
exec "$@"
"""

_CONFIGURATION = """\
[main]
plugins=keyfile
dhcp=internal
dns=default
rc-manager=file
auth-polkit=false
no-auto-default=*
[keyfile]
path={directory}/connections
[connectivity]
enabled=false
[logging]
level=INFO
backend=syslog
[device-others]
match-device=interface-name:vpn*;interface-name:lo
managed=0
"""

_CONNECTION = """\
[connection]
id={interface}
uuid={uuid}
type=ethernet
interface-name={interface}
autoconnect=false
[ipv4]
method=auto
[ipv6]
method=auto
addr-gen-mode=eui64
"""


class NetworkManager:
    """A running NetworkManager, with a connection for each interface that it is given; a context manager.

    Attributes:
        devices: the directory where it writes a file for each device (``/run/NetworkManager/devices``).
    """

    def __init__(
        self, namespace: Namespace, directory: Path, bus: PrivateBus, interfaces: Sequence[str] = ("up-a", "up-b")
    ) -> None:
        """Start it, with its files in `directory`. Blocks until it answers.

        Raises:
            LabError: it does not; quotes its log.
        """
        self._namespace = namespace
        self._bus = bus
        self._log = directory / "host.NetworkManager.log"
        self._directory = directory / "NetworkManager"
        self.devices = self._directory / "run/NetworkManager/devices"
        self._prepare(interfaces)
        self.start()

    def __enter__(self) -> NetworkManager:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.kill()

    def _prepare(self, interfaces: Sequence[str]) -> None:
        for name in ("etc", "run/NetworkManager", "var/NetworkManager", "connections"):
            (self._directory / name).mkdir(parents=True)
        (self._directory / "NetworkManager.conf").write_text(_CONFIGURATION.format(directory=self._directory))
        for number, interface in enumerate(interfaces):
            uuid = f"{number:08}-0000-4000-8000-000000000000"
            path = self._directory / "connections" / f"{interface}.nmconnection"
            path.write_text(_CONNECTION.format(interface=interface, uuid=uuid))
            path.chmod(0o600)

    def start(self) -> None:
        """Start it again, after `kill` or `stop`. Blocks until it answers."""
        program = ["unshare", "--mount", "--uts", "sh", "-c", _PRIVATE, "sh", str(self._directory)]
        program += ["env", f"DBUS_SYSTEM_BUS_ADDRESS={self._bus.address}", "NetworkManager", "--debug"]
        program += ["--config", f"{self._directory}/NetworkManager.conf", f"--pid-file={self._directory}/pid"]
        self.process = Daemon(self._namespace, program, self._log)
        try:
            poll_until(self._answers, "an answer of NetworkManager")
        except LabError as error:
            self.process.end()
            raise LabError(f"{error}\n{self.process.log()[-4000:]}") from None

    def _answers(self) -> bool:
        if not self.process.running():
            raise LabError("NetworkManager ended by itself")
        try:
            return "running" in self.nmcli("--terse", "--fields", "RUNNING", "general")
        except LabError:
            return False

    def nmcli(self, *arguments: str) -> str:
        """Run ``nmcli`` to its end; returns its output.

        Raises:
            LabError: it failed; quotes what it said.
        """
        command = ["env", f"DBUS_SYSTEM_BUS_ADDRESS={self._bus.address}", "nmcli", *arguments]
        return run(self._namespace, command)

    def connect(self, interface: str) -> None:
        """Let it configure the interface. Blocks until it has."""
        self.nmcli("--wait", "10", "connection", "up", "id", interface)

    def disconnect(self, interface: str) -> None:
        """Let it take the configuration from the interface, and release the lease. Blocks until it has."""
        self.nmcli("--wait", "10", "device", "disconnect", interface)

    def modify(self, interface: str, *settings: str) -> None:
        """Change the connection of the interface, for example ``"ipv4.dns", "198.51.100.53"``; `connect` applies it.

        Whether it is metered counts at once. (``device reapply`` would do it without a new connection, but shortly
        after a connection came up, NetworkManager 1.42 forgets its name servers then.)
        """
        self.nmcli("connection", "modify", "id", interface, *settings)

    def kill(self) -> None:
        """End it at once, without a word: what it configured stays. A second call does nothing."""
        self.process.end()

    def stop(self) -> None:
        """End it as a service manager does."""
        self.process.end_gently(signal.SIGTERM)
