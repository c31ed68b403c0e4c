"""systemd-resolved and resolvconf in the lab's host, out of packages that are unpacked and never installed.

Installed, they would take over the machine's own name lookups; ``.ci/unpack-lab-packages`` fetches them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trimif.testing._lab_bus import PrivateBus
from trimif.testing._lab_private_host import PrivateHost
from trimif.testing._lab_processes import Daemon, LabError, poll_until

UNPACKED = Path(__file__).parents[2] / ".lab"
REMEDY = "not unpacked; .ci/unpack-lab-packages fetches Debian's packages into .lab"

QUIET = """\
[Resolve]
DNS=
FallbackDNS=
LLMNR=no
MulticastDNS=no
DNSStubListener=no
"""
"""resolved asks nobody, and listens nowhere."""


def why_not_unpacked(package: str) -> str | None:
    """None if a package is there; else what a person can do about it."""
    return None if (UNPACKED / package).is_dir() else f"the Debian package {package} is {REMEDY}"


def _program(package: str, *paths: str) -> Path:
    found = next((path for each in paths if (path := UNPACKED / package / each).exists()), None)
    if found is None:
        raise LabError(f"{package} is {REMEDY}")
    return found


class Resolved:
    """A running systemd-resolved. Its host ends it.

    Attributes:
        directory: where it keeps its state.
    """

    def __init__(self, host: PrivateHost, bus: PrivateBus) -> None:
        """Start it; blocks until it is on the bus."""
        self._host = host
        self._bus = bus
        self.directory = host.run_directory / "systemd/resolve"
        self._program = _program("systemd-resolved", "usr/lib/systemd/systemd-resolved", "lib/systemd/systemd-resolved")
        self._control = _program("systemd-resolved", "usr/bin/resolvectl")
        host.write_etc("systemd/resolved.conf", QUIET)
        self.start()

    def start(self) -> None:
        """Start it, after `kill`, too."""
        self.process: Daemon = self._host.start("systemd-resolved", [str(self._program)])
        poll_until(self._answers, "systemd-resolved to answer")

    def _answers(self) -> bool:
        try:
            self.control("status")
        except LabError:
            if not self.process.running():
                raise LabError(f"systemd-resolved ended by itself:\n{self.process.log()}") from None
            return False
        return True

    def control(self, *arguments: str) -> str:
        """Run ``resolvectl``, for example ``control("dns", "vpn0", "198.51.100.129")``."""
        return self._host.run([str(self._control), *arguments])

    def kill(self) -> None:
        """End it at once, without a word: its files stay."""
        self.process.end()


class Resolvconf:
    """Debian's resolvconf or openresolv, a program that runs whenever somebody hands it something.

    Attributes:
        name: of its package.
        directory: where it keeps its state.
    """

    def __init__(self, host: PrivateHost, package: str) -> None:
        """Get it ready: its script has paths of the machine in it, and so is copied."""
        self._host = host
        self.name = package
        self.directory = host.run_directory / "resolvconf"
        root = UNPACKED / package
        script = _program(package, "usr/sbin/resolvconf", "sbin/resolvconf")
        library = _program(package, "usr/lib/resolvconf", "lib/resolvconf")
        text = script.read_text().replace("/usr/lib/resolvconf", "/lib/resolvconf")
        self._script = host.run_directory / f"{package}.sh"
        self._script.write_text(text.replace("/lib/resolvconf", str(library)))
        if (configuration := root / "etc/resolvconf.conf").exists():
            host.write_etc("resolvconf.conf", configuration.read_text())

    def _call(self, arguments: Sequence[str], text: str = "") -> None:
        self._host.run(["sh", f"/run/{self._script.name}", *arguments], text)

    def add(self, record: str, text: str, *options: str) -> None:
        """Hand it a record, in the form of :manpage:`resolv.conf(5)`."""
        self._call([*options, "-a", record], text)

    def delete(self, record: str) -> None:
        """Take a record back."""
        self._call(["-d", record])
