"""Can the lab run on this machine? If not: why, and what a person can do about it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping

from trimif.testing._lab_processes import SEARCH_PATH
from trimif.testing._namespaces import Namespace, become_root_in_user_namespace

# Program, and the Debian package that has it.
PROGRAMS: Mapping[str, str] = {
    "NetworkManager": "network-manager",
    "dbus-daemon": "dbus-daemon",
    "dhclient": "isc-dhcp-client",
    "dhcpcd": "dhcpcd-base",
    "dhcpd": "isc-dhcp-server",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "kea-dhcp6": "kea-dhcp6-server",
    "mount": "mount",
    "nft": "nftables",
    "radvd": "radvd",
    "setpriv": "util-linux",
    "systemd-networkd": "systemd",
    "udhcpc": "udhcpc",
    "unbound": "unbound",
    "unshare": "util-linux",
}
PRIVILEGE_REMEDY = (
    "run as root, or allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
    "kernel.apparmor_restrict_unprivileged_userns); in a container, let /proc/sys/net be written"
)


def why_no_programs() -> str | None:
    """None if every program of the lab is installed; else which are not, and how to get them."""
    missing = sorted(name for name in PROGRAMS if shutil.which(name, path=SEARCH_PATH) is None)
    if not missing:
        return None
    packages = " ".join(sorted({PROGRAMS[name] for name in missing}))
    return f"not installed: {', '.join(missing)}; apt-get install --no-install-recommends {packages}"


def why_no_namespaces() -> str | None:
    """None if this process may make network namespaces; else why not, and what to do.

    An ordinary user's process becomes root of a user namespace of its own, for good: call this while it has one
    thread only.
    """
    if _can_make_namespaces() is None:
        return None
    # Another process tries first: where the kernel gives a user namespace but no privilege in it (AppArmor), this
    # one would be left with less than it had.
    command = [sys.executable, "-c", f"from {__name__} import become_root; become_root()"]
    trial = subprocess.run(command, capture_output=True, text=True, check=False)
    if trial.returncode != 0:
        return f"no network namespaces ({_last_line(trial.stderr)}): {PRIVILEGE_REMEDY}"
    try:
        become_root()
    except OSError as error:
        return f"no network namespaces ({error}): {PRIVILEGE_REMEDY}"
    return None


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]


def become_root() -> None:
    """Become root of a user namespace, and make sure that this is enough.

    Raises:
        OSError: it is not allowed, or is not enough.
    """
    become_root_in_user_namespace()
    reason = _can_make_namespaces()
    if reason is not None:
        raise reason


def _can_make_namespaces() -> OSError | None:
    """None if a namespace can be made and its kernel parameters written (in a container they may be read-only)."""
    try:
        namespace = Namespace("trial")
    except OSError as error:
        return error
    try:
        namespace.write_sysctl("net/ipv4/ip_forward", 1)
    except OSError as error:
        return error
    finally:
        namespace.close()
    return None
