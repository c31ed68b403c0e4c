"""Daemons in the lab's host that want to be the only ones on a machine: systemd-networkd, systemd-resolved, resolvconf.

Each runs in a mount namespace of its own. There ``/run`` is a directory of the lab, the same for all of them, so that
they find one another and their files can be read from outside; over ``/etc`` lies an overlay; and ``/sys`` is
read-only, which tells systemd's daemons that they are in a container and need not wait for udev. Users that they would
become are root there, as in a user namespace there is nobody else. Nothing reaches the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from trimif.testing._lab_bus import PrivateBus
from trimif.testing._lab_processes import Daemon, run
from trimif.testing._namespaces import Namespace

# $1 is the private host's directory. See _lab_clients.py for the overlay.
_PRIVATE = """\
set -e
mount -t tmpfs -o mode=755 tmpfs "$1/mount"
mkdir "$1/mount/work"
cp -R "$1/etc" "$1/mount/upper"
mount -t overlay -o "lowerdir=/etc,upperdir=$1/mount/upper,workdir=$1/mount/work" overlay /etc
mkdir -p /etc/systemd/network
mount -t tmpfs tmpfs /etc/systemd/network
mount --bind "$1/run" /run
mount -t sysfs -o ro sysfs /sys
shift
exec "$@"
"""

_MACHINE_ID = "0123456789abcdef0123456789abcdef"
_USERS = ("systemd-network", "systemd-resolve")


class PrivateHost:
    """A host's ``/run`` and ``/etc`` for daemons in a network namespace. A context manager, which ends them.

    Attributes:
        run_directory: their ``/run``.
    """

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        """Make it in a directory of the lab."""
        self._namespace = namespace
        self._directory = directory / "private-host"
        self._logs = directory
        self._daemons: list[Daemon] = []
        self.run_directory = self._directory / "run"
        self._make_directories()

    def _make_directories(self) -> None:
        for name in ("run/systemd/netif", "run/systemd/resolve", "run/systemd/network", "etc", "mount"):
            (self._directory / name).mkdir(parents=True)
        for name, table in (("passwd", "x:0:0::/:/usr/sbin/nologin"), ("group", "x:0:")):
            lines = [f"{user}:{table}" for user in _USERS]
            self.write_etc(name, "\n".join([*lines, Path("/etc", name).read_text()]))
        self.write_etc("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
        self.write_etc("machine-id", f"{_MACHINE_ID}\n")
        self.write_etc("resolv.conf", "")

    def __enter__(self) -> PrivateHost:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for daemon in self._daemons:
            daemon.end()

    def write_etc(self, name: str, text: str) -> None:
        """Put a file into ``/etc`` of the daemons that are started from now on."""
        path = self._directory / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def _command(self, command: Sequence[str]) -> Sequence[str]:
        return ["unshare", "--mount", "--uts", "sh", "-c", _PRIVATE, "sh", str(self._directory), *command]

    def start(self, name: str, command: Sequence[str]) -> Daemon:
        """Start a daemon; its log is the lab's `name`.log."""
        daemon = Daemon(self._namespace, self._command(command), self._logs / f"host.{name}.log")
        self._daemons.append(daemon)
        return daemon

    def run(self, command: Sequence[str], text: str = "") -> str:
        """Run a short command with `text` as its input; returns its output.

        Raises:
            LabError: it failed; quotes what it said.
        """
        return run(self._namespace, self._command(command), text)

    def use_bus(self, bus: PrivateBus) -> None:
        """Let its daemons find a system bus in the usual place."""
        (self.run_directory / "dbus").symlink_to(bus.path.parent)
