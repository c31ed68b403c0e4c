"""A system bus of the lab's own: a real dbus-daemon, for the daemons in a lab that speak D-Bus, and for trimif.

Its address is a socket in the lab's directory; nobody else knows of it. Everybody on it may do everything.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from trimif.testing._lab_processes import Daemon, poll_until
from trimif.testing._namespaces import Namespace

__all__ = ["PrivateBus"]

_CONFIGURATION = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="signal"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
  </policy>
</busconfig>
"""


class PrivateBus:
    """A running bus; a context manager.

    Attributes:
        path: of its socket, in a directory of its own.
        address: the same as D-Bus writes it, for ``DBUS_SYSTEM_BUS_ADDRESS``.
    """

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        """Start it, with its files in `directory`. Blocks until it listens.

        Raises:
            LabError: it does not.
        """
        self._namespace = namespace
        self._directory = directory
        self.path = directory / "bus" / "system_bus_socket"
        self.address = f"unix:path={self.path}"
        self.path.parent.mkdir()
        (directory / "bus.conf").write_text(_CONFIGURATION.format(path=self.path))
        self.start()

    def __enter__(self) -> PrivateBus:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it again after `stop`; who was connected before is not."""
        command = ["dbus-daemon", f"--config-file={self._directory}/bus.conf", "--nofork", "--nopidfile"]
        self.path.unlink(missing_ok=True)
        self.process = Daemon(self._namespace, command, self._directory / "host.dbus-daemon.log")
        poll_until(self._listens, "a system bus")

    def stop(self) -> None:
        """End it at once; its socket stays, and nobody listens at it. A second call does nothing."""
        self.process.end()

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as attempt, suppress(OSError):
            attempt.connect(str(self.path))
            return True
        return False
