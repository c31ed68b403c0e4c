"""What the hook for udhcpc writes: the environment of udhcpc's script, a ``name=value`` a line.

Before it come the ``action`` (``bound``, ``renew``, ``deconfig``, ``nak``, ``leasefail``) and the ``boottime`` of
writing, and after it a line ``end``: without that the file is half written. Names are those of BusyBox; an option
that it has no name for is ``opt114``, in hexadecimal, and which those are differs between versions and builds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from trimif._errors import MalformedInput
from trimif._facts import Lease
from trimif._wire import dhcpv4_options, environment
from trimif._wire.environment import Encode

__all__ = ["parse_lease"]

_OPTIONS: Mapping[str, tuple[int, Encode]] = {
    "subnet": (1, environment.addresses4),
    "router": (3, environment.addresses4),
    "dns": (6, environment.addresses4),
    "domain": (15, environment.plain_text),
    "mtu": (26, environment.number(2)),
    "ntpsrv": (42, environment.addresses4),
    "lease": (51, environment.number(4)),
    "serverid": (54, environment.addresses4),
    "search": (119, environment.names),
    "staticroutes": (121, environment.routes),
    "msstaticroutes": (121, environment.routes),  # Microsoft's number for the same
    "wpad": (252, environment.plain_text),
}
_UNNAMED = re.compile(r"opt([0-9]{1,3})")
_ACTIONS = frozenset({"bound", "renew", "deconfig", "nak", "leasefail"})
_LEASED = frozenset({"bound", "renew"})
_REFUSED_DOMAIN = "bad"
"""What BusyBox puts where option 15 is no host name, such as a list of domains."""
_BOOTTIME = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")


def parse_lease(text: str, received: Callable[[float], float]) -> Lease | None:
    """Parse a file: the lease, None if it says that there is none.

    Args:
        received: turns a time since the machine was started, in seconds, into one on the clock of the deadlines.

    Raises:
        MalformedInput: it is half written, not the hook's, or lacks interface or address.
    """
    variables = environment.split_variables(text.encode("latin-1", "replace"), b"\n")
    written = variables.get("boottime", "")
    if "end" not in variables or variables.get("action") not in _ACTIONS or not _BOOTTIME.fullmatch(written):
        raise MalformedInput("the file is half written, or not that of the hook")
    interface = dhcpv4_options.check_interface_name(variables.get("interface", ""))
    if variables["action"] not in _LEASED:
        return None
    address = dhcpv4_options.address(variables.get("ip"))
    options = dhcpv4_options.read_options(dict(_options(variables)))
    return dhcpv4_options.lease_of(interface, "udhcpc", address, options, received(float(written)))


def _options(variables: Mapping[str, str]) -> Iterator[tuple[int, bytes]]:
    """The options, content by code: those without a name, and, if they are right, those with one."""
    for name, value in variables.items():
        unnamed = _UNNAMED.fullmatch(name)
        octets = environment.encoded(environment.hexadecimal, value) if unnamed else b""
        if unnamed and octets and 0 < int(unnamed[1]) < 255:
            yield int(unnamed[1]), octets
    known = {name: value for name, value in variables.items() if (name, value) != ("domain", _REFUSED_DOMAIN)}
    yield from environment.encode_options(known, _OPTIONS).items()
