"""Network namespaces held by file descriptors: no names, no mounts, nothing to clean up.

A namespace lives as long as a descriptor, a socket or a process in it does, so when the program ends, however it
ends, the kernel takes everything down. Making one needs CAP_SYS_ADMIN: be root, or first call
:func:`become_root_in_user_namespace`.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Give the calling thread namespaces of its own; see :manpage:`unshare(2)`."""
    _check(_libc.unshare(flags), "unshare")


def become_root_in_user_namespace() -> None:
    """Enter a new user namespace in which this process is root. It must have one thread only; there is no way back.

    The process gets an empty network namespace as well, with loopback up: it could leave the machine's own one for
    a namespace of its making, but would lack the privilege to come back.

    Raises:
        OSError: the kernel does not allow it (``kernel.unprivileged_userns_clone``, ``user.max_user_namespaces``,
            AppArmor).
    """
    user, group = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER | CLONE_NEWNET)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _set_loopback_up()


def _set_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", IFF_UP)  # struct ifreq of netdevice(7)
        fcntl.ioctl(control, SIOCSIFFLAGS, request)


class Namespace:
    """A network namespace. Close it when done; what still uses it keeps it alive."""

    def __init__(self, name: str) -> None:
        """Make a new, empty namespace. The calling thread stays where it is."""
        self.name = name
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            unshare(CLONE_NEWNET)
            self._descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            _check(_libc.setns(before, CLONE_NEWNET), "setns")
        finally:
            os.close(before)

    def __repr__(self) -> str:
        return f"<Namespace {self.name}>"

    @property
    def path(self) -> str:
        """A path that names the namespace, for as long as this process keeps it open."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def fileno(self) -> int:
        """The descriptor that holds the namespace."""
        return self._descriptor

    def close(self) -> None:
        """Let go of the namespace; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Move the calling thread into the namespace for the length of the block. Sockets keep their namespace."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.setns(self._descriptor, CLONE_NEWNET), "setns")
            try:
                yield
            finally:
                _check(_libc.setns(before, CLONE_NEWNET), "setns")
        finally:
            os.close(before)

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Open a socket that belongs to the namespace."""
        with self.entered():
            return socket.socket(family, kind, protocol)

    def write_sysctl(self, key: str, value: object) -> None:
        """Set a kernel parameter of the namespace, for example ``net/ipv4/ip_forward``."""
        with self.entered():
            Path("/proc/sys", key).write_text(str(value))

    def change(self, what: Callable[[Any], T]) -> T:
        """Call `what` with a pyroute2 ``IPRoute`` of the namespace, and wait for it.

        It runs in a thread of its own: pyroute2 has an asyncio loop inside, and trio-asyncio, once somebody has
        imported it, forbids those in a thread that runs Trio.
        """

        def run() -> T:
            from pyroute2 import IPRoute

            with self.entered(), IPRoute() as netlink:
                return what(netlink)

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(run).result()

    def popen(self, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a process in the namespace. It gets SIGKILL when the thread that started it ends.

        No ``preexec_fn``: since Python 3.12 that warns whenever the program has a second thread, and a child inherits
        the namespace of the thread that starts it anyway.
        """
        with self.entered():
            return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], **options)

    def run(self, command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[Any]:
        """Run a process in the namespace to its end; as :func:`subprocess.run`."""
        with self.entered():
            return subprocess.run(command, **options)
