"""The lab's networks: who is connected to whom, with which addresses. Text for ``ip -batch`` and ``nft -f`` only.

::

    host --up-a-- isp_a  198.51.100.0/26    2001:db8:a::/64      --a0-- inet  203.0.113.80 .10 .20
         --up-b-- isp_b  198.51.100.64/26   2001:db8:b::/64 (*)  --b0--       2001:db8:ff::80 ::10 ::20
         --vpn0-- vpn    198.51.100.128/26  fd6d:6966:1::/64, and behind it 203.0.113.130, fd6d:6966:2::80

    (*) only if asked for

On the host's cables the networks' end is always called ``lan0``. Both ISPs drop, and count, what does not bear an
address of theirs as its source (BCP 38): a packet that left by the wrong uplink shows as a count.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

NETWORKS = ("host", "isp_a", "isp_b", "vpn", "inet")
ROUTERS = NETWORKS[1:]


@frozen
class Cable:
    """A virtual Ethernet cable: each end is a network's name, an interface's name and its address."""

    near: tuple[str, str, str]
    far: tuple[str, str, str]

    def batch(self, paths: Mapping[str, str]) -> str:
        """The line for ``ip -batch`` that makes the cable; `paths` has a path to each namespace."""
        near, far = (
            f"name {name} address {address} netns {paths[network]}" for network, name, address in (self.near, self.far)
        )
        return f"link add {near} type veth peer {far}\n"


UPLINKS = {
    "up-a": Cable(("host", "up-a", "02:00:00:00:0a:02"), ("isp_a", "lan0", "02:00:00:00:0a:01")),
    "up-b": Cable(("host", "up-b", "02:00:00:00:0b:02"), ("isp_b", "lan0", "02:00:00:00:0b:01")),
    "vpn0": Cable(("host", "vpn0", "02:00:00:00:0c:02"), ("vpn", "lan0", "02:00:00:00:0c:01")),
}
BACKBONE = (
    Cable(("isp_a", "core0", "02:00:00:00:1a:01"), ("inet", "a0", "02:00:00:00:1a:02")),
    Cable(("isp_b", "core0", "02:00:00:00:1b:01"), ("inet", "b0", "02:00:00:00:1b:02")),
)

# What to do to either end of an uplink each time that it is made or plugged in again: an interface that goes down
# loses its link-local address (``keep_addr_on_down`` is for the others). Routers' link-local addresses are set by hand
# so that a test can name them, and before the link is up, when radvd looks for them.
UPLINK_SETUP = {
    "up-a": {
        "isp_a": """\
link set lan0 addrgenmode none
address replace 198.51.100.1/26 dev lan0
address replace 198.51.100.3/26 dev lan0
address replace fe80::a:1/64 dev lan0 nodad
address replace 2001:db8:a::1/64 dev lan0 nodad
address replace 2001:db8:a::3/64 dev lan0 nodad
link set lan0 up
""",
        "host": "link set up-a up\n",
    },
    "up-b": {
        "isp_b": """\
link set lan0 addrgenmode none
address replace 198.51.100.65/26 dev lan0
link set lan0 up
""",
        "host": "link set up-b up\n",
    },
    "vpn0": {
        "vpn": """\
link set lan0 addrgenmode none
address replace 198.51.100.129/26 dev lan0
address replace fe80::c:1/64 dev lan0 nodad
address replace fd6d:6966:1::1/64 dev lan0 nodad
link set lan0 up
""",
        "host": """\
link set vpn0 up
address replace 198.51.100.130/26 dev vpn0
address replace fd6d:6966:1::2/64 dev vpn0 nodad
route add 203.0.113.128/25 via 198.51.100.129 dev vpn0 proto static
route add fd6d:6966:2::/64 via fd6d:6966:1::1 dev vpn0 proto static
""",
    },
}
ISP_B_IPV6_SETUP = """\
address replace fe80::b:1/64 dev lan0 nodad
address replace 2001:db8:b::1/64 dev lan0 nodad
"""

# What stays as it is while the lab is up.
BACKBONE_SETUP = {
    "host": "link set lo up\n",
    "isp_a": """\
link set lo up
link set core0 addrgenmode none
link set core0 up
address add 203.0.113.1/30 dev core0
address add fe80::1a:1/64 dev core0 nodad
address add 2001:db8:ff:a::1/64 dev core0 nodad
route add default via 203.0.113.2
route add default via 2001:db8:ff:a::2
""",
    "isp_b": """\
link set lo up
link set core0 addrgenmode none
link set core0 up
address add 203.0.113.5/30 dev core0
address add fe80::1b:1/64 dev core0 nodad
address add 2001:db8:ff:b::1/64 dev core0 nodad
route add default via 203.0.113.6
route add default via 2001:db8:ff:b::2
""",
    "vpn": """\
link set lo up
address add 203.0.113.130/32 dev lo
address add fd6d:6966:2::80/128 dev lo
""",
    "inet": """\
link set lo up
link set a0 addrgenmode none
link set b0 addrgenmode none
link set a0 up
link set b0 up
address add 203.0.113.2/30 dev a0
address add 203.0.113.6/30 dev b0
address add fe80::1a:2/64 dev a0 nodad
address add fe80::1b:2/64 dev b0 nodad
address add 2001:db8:ff:a::2/64 dev a0 nodad
address add 2001:db8:ff:b::2/64 dev b0 nodad
address add 203.0.113.80/32 dev lo
address add 203.0.113.10/32 dev lo
address add 203.0.113.20/32 dev lo
address add 2001:db8:ff::80/128 dev lo
address add 2001:db8:ff::10/128 dev lo
address add 2001:db8:ff::20/128 dev lo
route add 198.51.100.0/26 via 203.0.113.1
route add 198.51.100.64/26 via 203.0.113.5
route add 2001:db8:a::/48 via 2001:db8:ff:a::1
route add 2001:db8:b::/48 via 2001:db8:ff:b::1
""",
}


def _ingress_filter(ipv4: str, ipv6: str) -> str:
    return f"""\
table inet ingress_filter {{
    counter foreign4 {{ }}
    counter foreign6 {{ }}
    chain forward {{
        type filter hook forward priority 0; policy accept;
        iifname "lan0" ip saddr != {ipv4} counter name foreign4 drop
        iifname "lan0" ip6 saddr != {ipv6} counter name foreign6 drop
    }}
}}
"""


# TCP port 84: nobody ever answers, as if the peer had vanished.
_SILENCE = """\
table inet silence {
    chain input {
        type filter hook input priority 0; policy accept;
        tcp dport 84 drop
    }
}
"""

PACKET_FILTERS = {
    "isp_a": _ingress_filter("198.51.100.0/26", "2001:db8:a::/48"),
    "isp_b": _ingress_filter("198.51.100.64/26", "2001:db8:b::/48"),
    "inet": _SILENCE,
    "vpn": _SILENCE,
}


def kernel_parameters(network: str, *, fast: bool) -> Mapping[str, object]:
    """What to set in a namespace before it has links: a link takes its parameters from ``default`` as it is made.

    Args:
        fast: no duplicate address detection (RFC 4862) and no delay before the first router solicitation (RFC 4861,
            6.3.7): addresses can be used after milliseconds and not after 1.5 s.
    """
    return _EVERYWHERE | (_ROUTER if network != "host" else _HOST | _FAST_HOST if fast else _HOST)


_EVERYWHERE: dict[str, object] = {"net/ipv4/conf/all/rp_filter": 0, "net/ipv4/conf/default/rp_filter": 0}
_HOST: dict[str, object] = {
    "net/ipv4/ip_forward": 0,
    "net/ipv6/conf/all/forwarding": 0,
    "net/ipv6/conf/default/accept_ra": 1,
    "net/ipv6/conf/default/accept_ra_rt_info_max_plen": 128,
}
_FAST_HOST: dict[str, object] = {
    "net/ipv6/conf/default/dad_transmits": 0,
    "net/ipv6/conf/default/router_solicitation_delay": 0,
}
# A router keeps its addresses when its cable is pulled out, and reports every unreachable packet, not one a second.
_ROUTER: dict[str, object] = {
    "net/ipv4/ip_forward": 1,
    "net/ipv6/conf/all/forwarding": 1,
    "net/ipv6/conf/default/forwarding": 1,
    "net/ipv6/conf/all/keep_addr_on_down": 1,
    "net/ipv6/conf/default/keep_addr_on_down": 1,
    "net/ipv4/icmp_ratelimit": 0,
    "net/ipv6/icmp/ratelimit": 0,
}
