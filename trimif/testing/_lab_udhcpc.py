"""udhcpc on a host of the lab, with trimif's hook before its default script.

It runs in a mount namespace of its own: the script rewrites ``/etc/resolv.conf``. What the hook writes into its
``/run/trimif`` is in a directory of the lab, where everybody sees it.
"""

from __future__ import annotations

import signal
from pathlib import Path

from trimif._sources.udhcpc import HOOK
from trimif.testing._lab_processes import Daemon
from trimif.testing._namespaces import Namespace

__all__ = ["Udhcpc"]

# $1 is an empty directory to mount on, $2 is what /run/trimif is to be.
_PRIVATE = """\
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/work" "$1/upper"
: >"$1/upper/resolv.conf"
mount -t overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" overlay /etc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/trimif
mount --bind "$2" /run/trimif
shift 2
exec "$@"
"""
_OPTIONS = "-f -t 10 -T 1 -A 1 -O search -O mtu -O ntpsrv -O staticroutes -O 114"


class Udhcpc:
    """A running udhcpc.

    Args:
        namespace: in which it configures the interface.
        directory: for its files; a second udhcpc with the same one is as the first started again.
        hook: with trimif's hook; without it nobody learns of its leases.

    Attributes:
        lease_directory: what is in ``/run/trimif/udhcpc``.
    """

    def __init__(self, namespace: Namespace, directory: Path, interface: str, *, hook: bool = True) -> None:
        self.lease_directory = directory / "udhcpc.run" / "udhcpc"
        self._directory = directory
        self._namespace = namespace
        self._script = ("-s", str(HOOK)) if hook else ()
        self._interface = interface
        for each in ("run", "mount"):
            (directory / f"udhcpc.{each}").mkdir(exist_ok=True)
        self.start()

    def start(self) -> None:
        """Start it; again, if it has ended."""
        mount, run = (str(self._directory / f"udhcpc.{each}") for each in ("mount", "run"))
        private = ("unshare", "--mount", "sh", "-c", _PRIVATE, "sh", mount, run)
        command = (*private, "udhcpc", "-i", self._interface, *_OPTIONS.split(), *self._script)
        self.process = Daemon(self._namespace, command, self._directory / "host.udhcpc.log")

    def renew(self) -> None:
        """Have it ask the server again. Does not wait for the answer."""
        self.process.send_signal(signal.SIGUSR1)

    def release(self) -> None:
        """Have it give the lease back; it goes on running, without an address. Does not wait."""
        self.process.send_signal(signal.SIGUSR2)

    def kill(self) -> None:
        """End it without a word, as a crash does: address and file stay."""
        self.process.end()
