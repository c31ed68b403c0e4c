"""Following files in directories, by :manpage:`inotify(7)`.

An event says only one thing here: look again. What a file holds is always read afresh, so lost, merged and doubled
events do no harm. Watches are set on each directory and on all above it that exist and may be watched. After each
wake-up they are set again, so that a directory which was removed, replaced or made meanwhile is noticed.

Files are small and local, and are read without a thread: that blocks for as long as a local disk does.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import trio
from attrs import field, frozen

from trimif._errors import MalformedInput

__all__ = ["FileContent", "FileFollower", "Found", "read_files"]

FILE_OCTETS = 1 << 20
"""A longer file is malformed: dhclient rewrites its own after some twenty leases of about a thousand octets each."""
FILES = 256
"""Not more files of one directory are read: the newest ones."""

QUIET_SECONDS = 0.05
"""So long nothing may change until it has settled."""
RESTLESS_SECONDS = 1.0
"""What never rests has settled after so long all the same."""

IN_MODIFY = 0x2
IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_ONLYDIR = 0x1000000
IN_MASK_ADD = 0x20000000

_PATH_CHANGES = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF
_FILE_CHANGES = _PATH_CHANGES | IN_MODIFY | IN_CLOSE_WRITE

_EVENT = struct.Struct("iIII")
_EVENTS_OCTETS = 64 * 1024
_SETTLING_ROUNDS = 8


@frozen
class FileContent:
    """A file, as read just now.

    Attributes:
        octets: all of it.
        modified: in nanoseconds since 1970, for telling which of two files is newer.
    """

    octets: bytes
    modified: int = field(eq=False)


Found: TypeAlias = FileContent | MalformedInput | OSError
"""What reading a path gave. MalformedInput is for what is too long, or no regular file."""


def read_files(directories: Sequence[Path], patterns: Sequence[str]) -> dict[Path, Found]:
    """Read all there is now, oldest first: matching files, and directories whose listing is refused.

    What does not exist is left out. The patterns are those of :func:`fnmatch.fnmatchcase`.
    """
    found: dict[Path, Found] = {}
    for directory in directories:
        try:
            names = [name for name in os.listdir(directory) if _matches(name, patterns)]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            found[directory] = error
            continue
        found.update((path, _read(path)) for path in _newest([directory / name for name in names]))
    existing = {path: item for path, item in found.items() if not isinstance(item, FileNotFoundError)}
    return dict(sorted(existing.items(), key=lambda item: getattr(item[1], "modified", 0)))


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


class FileFollower:
    """Waits for files in directories to change, whose names match a pattern.

    Args:
        directories: need not exist.
        patterns: of file names, as in :func:`fnmatch.fnmatchcase`.

    Raises:
        OSError: the kernel gives no inotify instance (EMFILE) or no watch (ENOSPC) to this user any more.

    Close it when done, or use it as a context manager.
    """

    def __init__(self, directories: Sequence[Path], patterns: Sequence[str]) -> None:
        self._directories = tuple(directory.absolute() for directory in directories)
        self._patterns = tuple(patterns)
        self._components = frozenset(part for directory in self._directories for part in directory.parts)
        self._watches: dict[Path, int] = {}
        self._inotify = _Inotify()
        try:
            self._set_watches()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> FileFollower:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop following; a second call does nothing."""
        self._inotify.close()

    async def wait_changed(self) -> None:
        """Wait until something may have changed since this returned last, or since the start.

        Cancelling loses nothing.

        Raises:
            OSError: a directory that is new can't be watched (ENOSPC).
        """
        while True:
            await trio.lowlevel.wait_readable(self._inotify.fileno())
            if any(map(self._concerns, list(self._inotify.drain()))):
                self._set_watches()
                return

    async def wait_settled(self) -> None:
        """Wait for a change, and then until there was none for a moment: whoever writes has written all it wanted to.

        Cancelling and errors are those of `wait_changed`.
        """
        await self.wait_changed()
        latest = trio.current_time() + RESTLESS_SECONDS
        while True:
            with trio.move_on_at(min(latest, trio.current_time() + QUIET_SECONDS)) as pause:
                await self.wait_changed()
            if pause.cancelled_caught:
                return

    def _concerns(self, name: str) -> bool:
        """Events without a name are about a watched directory itself, or an overflow of the kernel's queue."""
        return not name or name in self._components or _matches(name, self._patterns)

    def _set_watches(self) -> None:
        """Set all watches, again until none changes (something may be made just then), and end those of no use."""
        before = set(self._watches.values())
        for _round in range(_SETTLING_ROUNDS):
            watches = dict(watch for directory in self._directories for watch in self._watch(directory))
            if watches == self._watches:
                break
            self._watches = watches
        for watch in before - set(self._watches.values()):
            self._inotify.remove(watch)

    def _watch(self, directory: Path) -> Iterator[tuple[Path, int]]:
        """Watch the directory and all above it: any of them may be moved away, replaced, or made only later."""
        mask = _FILE_CHANGES
        for path in (directory, *directory.parents):
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                yield path, self._inotify.add(path, mask)
            mask = _PATH_CHANGES


class _Inotify:
    """The system calls. An event is reduced to the name of the file that it is about."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = -1
        self._descriptor = _check(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify")

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def add(self, path: Path, mask: int) -> int:
        """Watch a directory; the number of its watch. A second time it adds to the mask, and the number stays."""
        flags = ctypes.c_uint32(mask | IN_ONLYDIR | IN_MASK_ADD)
        return _check(self._libc.inotify_add_watch(self._descriptor, os.fsencode(path), flags), str(path))

    def remove(self, watch: int) -> None:
        """End a watch; one that the kernel has ended with its directory is no error."""
        self._libc.inotify_rm_watch(self._descriptor, watch)

    def drain(self) -> Iterator[str]:
        """The names in all the events that wait; empty for an event about a watched directory itself."""
        while True:
            try:
                octets = os.read(self._descriptor, _EVENTS_OCTETS)
            except BlockingIOError:
                return
            offset = 0
            while offset < len(octets):
                _watch, _mask, _cookie, length = _EVENT.unpack_from(octets, offset)
                offset += _EVENT.size + length
                yield os.fsdecode(octets[offset - length : offset].rstrip(b"\0"))


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def _newest(paths: Sequence[Path]) -> list[Path]:
    if len(paths) <= FILES:
        return list(paths)
    return sorted(paths, key=_modified)[-FILES:]


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _read(path: Path) -> Found:
    """Read a file that somebody else named: it may be a pipe, a device or endless, and must not block."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        return error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return MalformedInput(f"{path} is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            octets = file.read(FILE_OCTETS + 1)
    except OSError as error:
        return error
    finally:
        os.close(descriptor)
    if len(octets) > FILE_OCTETS:
        return MalformedInput(f"{path} is longer than {FILE_OCTETS} octets")
    return FileContent(octets, status.st_mtime_ns)
