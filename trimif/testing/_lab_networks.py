"""The lab's namespaces and cables, without any daemon: what can be done to them, and what can be seen on them.

Everything is done by ``ip`` and ``nft`` inside the namespaces, so that a test reads as what a person would type.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TypeAlias

from trimif.testing import _lab_topology as topology
from trimif.testing._capture import Capture
from trimif.testing._lab_processes import run
from trimif.testing._namespaces import Namespace

Network: TypeAlias = str | Namespace
"""A network of the lab, or the name of its attribute, for example ``"isp_a"``."""

_BLOCK = """\
add table inet block
add chain inet block input {{ type filter hook input priority -10; }}
add chain inet block forward {{ type filter hook forward priority -10; }}
add rule inet block input iifname != "lo" {match} counter {action}
add rule inet block forward {match} counter {action}
"""


class Networks:
    """The lab's networks and the cables between them; `Lab` adds the daemons."""

    def __init__(self, stack: ExitStack, *, fast: bool, isp_b_ipv6: bool) -> None:
        """Make them; `stack` lets go of them. The host's ends of the uplinks stay down until `attach`."""
        self._isp_b_ipv6 = isp_b_ipv6
        self._uplinks = {name: name for name in topology.UPLINKS}  # Interface's name now -> uplink
        self.namespaces: Mapping[str, Namespace] = {
            name: self._make_namespace(stack, name, fast) for name in topology.NETWORKS
        }
        self._make_links()

    @staticmethod
    def _make_namespace(stack: ExitStack, name: str, fast: bool) -> Namespace:
        namespace = Namespace(name)
        stack.callback(namespace.close)
        for key, value in topology.kernel_parameters(name, fast=fast).items():
            namespace.write_sysctl(key, value)
        return namespace

    def _make_links(self) -> None:
        cables = [*topology.BACKBONE, *topology.UPLINKS.values()]
        self.ip_batch("host", "".join(cable.batch(self._paths) for cable in cables))
        for name, text in topology.BACKBONE_SETUP.items():
            self.ip_batch(name, text + "".join(self._setup(uplink, name) for uplink in topology.UPLINKS))
        for name, text in topology.PACKET_FILTERS.items():
            run(self.namespaces[name], ["nft", "-f", "-"], text)

    @property
    def _paths(self) -> Mapping[str, str]:
        return {name: namespace.path for name, namespace in self.namespaces.items()}

    def _setup(self, uplink: str, network: str) -> str:
        """What the far end of an uplink needs, if it is in that network."""
        if network == "host":
            return ""
        extra = topology.ISP_B_IPV6_SETUP if network == "isp_b" and self._isp_b_ipv6 else ""
        text = topology.UPLINK_SETUP[uplink].get(network, "")
        return text + extra if text else ""

    def attach(self, *uplinks: str) -> None:
        """Bring the host's ends of uplinks up, with their static addresses."""
        self.ip_batch("host", "".join(topology.UPLINK_SETUP[uplink]["host"] for uplink in uplinks))

    def namespace(self, network: Network) -> Namespace:
        """The namespace of a network, by the name of its attribute."""
        return network if isinstance(network, Namespace) else self.namespaces[network]

    def ip(self, network: Network, arguments: str) -> str:
        """Run ``ip`` in a network, for example ``lab.ip("host", "route show")``; returns its output.

        Raises:
            LabError: it failed; quotes what it said.
        """
        return run(self.namespace(network), ["ip", *shlex.split(arguments)])

    def ip_batch(self, network: Network, text: str) -> None:
        """Run many ``ip`` commands, one a line without the word ``ip``, in one process."""
        run(self.namespace(network), ["ip", "-batch", "-"], text)

    # ------------------------------------------------------------ faults of links

    def set_link(self, interface: str, *, up: bool) -> None:
        """Set an interface of the host administratively up or down."""
        self.ip("host", f"link set {interface} {'up' if up else 'down'}")

    def set_carrier(self, interface: str, carrier: bool) -> None:
        """Pull the other end of a cable of the host out, or put it back."""
        uplink = self._uplinks[interface]
        network, far, _ = topology.UPLINKS[uplink].far
        self.ip_batch(network, self._setup(uplink, network) if carrier else f"link set {far} down\n")

    def rename(self, interface: str, name: str) -> None:
        """Give an interface of the host another name, while it is up (Linux 6.2 and later)."""
        self.ip("host", f"link set {interface} name {name}")
        self._uplinks[name] = self._uplinks.pop(interface)

    def delete_link(self, interface: str) -> None:
        """Remove an interface of the host, and with it the other end of its cable."""
        self.ip("host", f"link delete {interface}")

    def make_uplink(self, uplink: str) -> str:
        """Make a cable that was deleted again, the host's end not yet up. Returns the network it leads to."""
        self._uplinks = {name: each for name, each in self._uplinks.items() if each != uplink} | {uplink: uplink}
        cable = topology.UPLINKS[uplink]
        network = cable.far[0]
        self.ip_batch("host", cable.batch(self._paths))
        self.ip_batch(network, self._setup(uplink, network))
        return network

    # ------------------------------------------------------------ faults of networks, and seeing

    def block(self, network: Network, match: str = "", *, action: str = "drop") -> None:
        """Stop packets that a network's router would deliver or forward, both ways.

        Raw sockets see packets before this does: ISC dhcpd still answers.

        Args:
            match: an expression of :manpage:`nft(8)`, for example ``"udp dport 53"``; all packets if empty.
            action: ``"drop"``, ``"reject"``, ``"reject with tcp reset"``, …
        """
        run(self.namespace(network), ["nft", "-f", "-"], _BLOCK.format(match=match, action=action))

    def unblock(self, network: Network) -> None:
        """Undo every `block` of a network."""
        run(self.namespace(network), ["nft", "-f", "-"], "add table inet block\ndelete table inet block\n")

    def foreign_packets(self, network: Network) -> int:
        """How many packets came to a provider with a source address that is not one of its own (it dropped them)."""
        listing = run(self.namespace(network), ["nft", "-j", "list", "counters", "table", "inet", "ingress_filter"])
        entries = json.loads(listing)["nftables"]
        return sum(entry["counter"]["packets"] for entry in entries if "counter" in entry)

    def capture(self, network: Network, interface: str = "lan0") -> Capture:
        """Watch an interface of a network; ``lan0`` is a network's end of the host's cable."""
        return Capture(self.namespace(network), interface)
