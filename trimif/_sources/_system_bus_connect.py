"""Where the system bus is, and what it means when it can't be had."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import unquote

import trio

from trimif._facts import Limitation
from trimif._sources._files import FileFollower
from trimif._sources._system_bus_messages import jeepney_is_there

__all__ = ["BusError", "BusGone", "BusUnusable", "connect", "wait_system_bus"]

REFUSED_SECONDS = 1.0
"""How often an address is tried where there is a socket, and nobody listens."""
DEFAULT_PATHS = ("/run/dbus/system_bus_socket", "/var/run/dbus/system_bus_socket")


class BusError(Exception):
    """The bus, or a daemon on it, answered a call with an error, or not at all.

    Attributes:
        name: of the error, for example ``org.freedesktop.DBus.Error.ServiceUnknown``.
        text: what it says.
    """

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


class BusGone(BusError):
    """There is no bus, or it went away. That is no limitation: many a host has none."""

    def __init__(self, text: str) -> None:
        super().__init__("org.freedesktop.DBus.Error.Disconnected", text)


class BusUnusable(BusError):
    """There is a bus, and this program can't use it: jeepney is missing, or the bus does not let this user in.

    Attributes:
        remedy: what a person can do about it.
    """

    def __init__(self, text: str, remedy: str) -> None:
        super().__init__("org.freedesktop.DBus.Error.NotSupported", text)
        self.remedy = remedy

    def limitation(self, source: str, missing: str) -> Limitation:
        """The fact that tells it. `missing` is what the source can't see without the bus."""
        return Limitation(source, f"{missing}: {self.text}", self.remedy)


async def wait_system_bus(address: str | None = None) -> None:
    """Wait until somebody listens at the address; returns at once, after a checkpoint, if so now.

    Raises:
        OSError: the kernel gives this user no inotify instance or watch any more.
        BusUnusable: there is one, but this user may not connect.
    """
    paths = [Path(path) for path in _paths(address) if not path.startswith("\0")]
    with FileFollower([path.parent for path in paths], [path.name for path in paths]) as follower:
        while True:
            await trio.lowlevel.checkpoint()
            try:
                return connect(address).close()
            except BusGone:
                refused = any(path.exists() for path in paths) or not paths
            with trio.move_on_after(REFUSED_SECONDS if refused else float("inf")):
                await follower.wait_changed()


def _paths(address: str | None) -> list[str]:
    """The Unix sockets to try, in this order; an abstract one starts with NUL.

    Raises:
        BusUnusable: the address names no Unix socket.
    """
    address = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS", "") if address is None else address
    if not address:
        return list(DEFAULT_PATHS)
    paths = []
    for transport, _, keys in (each.partition(":") for each in address.split(";")):
        told = dict(pair.split("=", 1) for pair in keys.split(",") if "=" in pair)
        if transport == "unix" and "path" in told:
            paths.append(unquote(told["path"]))
        elif transport == "unix" and "abstract" in told:
            paths.append("\0" + unquote(told["abstract"]))
    if not paths:
        raise BusUnusable(f"{address} is no Unix socket", "set DBUS_SYSTEM_BUS_ADDRESS to a unix:path=… address")
    return paths


def connect(address: str | None = None) -> socket.socket:
    """A non-blocking socket connected to the first that can be; the caller closes it. Errors as `open_system_bus`."""
    paths = _paths(address)
    for path in paths:
        try:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError as error:  # this process has no descriptor left
            raise BusGone(str(error)) from None
        try:
            connection.connect(path)
            _require_jeepney()
        except (PermissionError, ValueError) as error:
            connection.close()
            raise BusUnusable(f"{path!r}: {error}", "let this user connect to it") from None
        except OSError:  # nobody is there, or there are too many
            connection.close()
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise BusGone("no bus listens at " + ", ".join(path.replace("\0", "@") for path in paths))


def _require_jeepney() -> None:
    if not jeepney_is_there():
        raise BusUnusable("jeepney is not installed", "install trimif[dbus]")
