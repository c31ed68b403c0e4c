"""A place where the demo can build a host: namespaces that end with the process, however it ends.

There are no names, no mount points that others see and no files on disk: networks live in file descriptors, the
DHCP client's lease in a memory file system that only this process and its children can see.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from trimif.testing._namespaces import CLONE_NEWNET, CLONE_NEWNS, become_root_in_user_namespace, unshare

__all__ = ["LEASE_DIRECTORY", "NotPossible", "enter_bubble"]

LEASE_DIRECTORY = Path("/dev/shm")
"""Every Linux has it, and the demo can do without what is really there: a private file system covers it."""

MS_NOSUID, MS_NODEV, MS_REC, MS_PRIVATE = 2, 4, 0x4000, 1 << 18

REMEDY = """\
Run it as root (sudo trimif demo), or let users make namespaces; what forbids it is one of these settings:
  sysctl -w kernel.unprivileged_userns_clone=1                (Debian)
  sysctl -w kernel.apparmor_restrict_unprivileged_userns=0    (Ubuntu)
  sysctl -w user.max_user_namespaces=10000                    (if it is 0)
In a container, the runtime has to allow it as well (for example docker run --privileged)."""


class NotPossible(Exception):
    """The demo can't be built here; the text says why, and what to do about it."""


def enter_bubble() -> None:
    """Move this process into namespaces of its own, for good. It must have one thread only.

    Raises:
        NotPossible: neither the user's own privilege nor a user namespace allows that.
    """
    try:
        _leave_the_machine()
    except PermissionError:
        _become_root()
        _leave_the_machine()
    _mount(b"none", b"/", None, MS_REC | MS_PRIVATE)  # or the next mount would show outside
    _mount(b"trimif", os.fsencode(LEASE_DIRECTORY), b"tmpfs", MS_NOSUID | MS_NODEV)


def _leave_the_machine() -> None:
    unshare(CLONE_NEWNET | CLONE_NEWNS)


def _become_root() -> None:
    try:
        become_root_in_user_namespace()
    except OSError as error:
        text = f"the demo builds a host and networks in Linux namespaces, and this user may not make any ({error})"
        raise NotPossible(f"{text}.\n{REMEDY}") from None


def _mount(source: bytes, target: bytes, kind: bytes | None, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source, target, kind, ctypes.c_ulong(flags), None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount on {target.decode()}: {os.strerror(number)}")
