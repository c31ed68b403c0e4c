"""What the lab's daemons are told: DHCP, router advertisements, and each network's own view of the DNS.

``host.example.com`` has other addresses in each network, ``only-a`` and ``only-b`` and ``intranet.corp.example``
exist in one alone, and the TXT record of ``view.example.com`` says who answered. No daemon asks anybody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

# Names are answered from here or not at all; records are short-lived; a DHCP server that first looks whether an
# address is in use (for three seconds) has no place in a test.
_DNSMASQ = """\
keep-in-foreground
user=root
group=root
no-resolv
no-hosts
no-poll
no-ping
log-queries
log-dhcp
log-facility=-
bind-interfaces
local=/example.com/
local=/example/
local=/test/
local=/arpa/
local-ttl=5
auth-ttl=5
"""

_MANY = "".join(f"host-record=many.example.com,203.0.113.{number}\n" for number in range(100, 200))

_ISP_A_DNSMASQ = """\
listen-address=198.51.100.1,198.51.100.3,2001:db8:a::1,2001:db8:a::3
host-record=host.example.com,203.0.113.10,2001:db8:ff::10
host-record=www.example.com,203.0.113.80,2001:db8:ff::80
host-record=v4only.example.com,203.0.113.80
host-record=v6only.example.com,2001:db8:ff::80
host-record=only-a.example.com,203.0.113.10,2001:db8:ff::10
cname=alias.example.com,host.example.com
txt-record=view.example.com,isp_a
dhcp-authoritative
dhcp-no-override
dhcp-leasefile={directory}/isp_a.dnsmasq.leases
dhcp-range=198.51.100.10,198.51.100.50,255.255.255.192,120
dhcp-option=option:router,198.51.100.1
dhcp-option=option:dns-server,198.51.100.1,198.51.100.3
dhcp-option=option:domain-name,isp-a.example
dhcp-option=option:domain-search,isp-a.example,example.com
dhcp-option=option:ntp-server,198.51.100.1
dhcp-option=option:mtu,1460
dhcp-option=option:classless-static-route,203.0.113.64/26,198.51.100.1,0.0.0.0/0,198.51.100.1
dhcp-option=114,https://portal.isp-a.example/api
"""

_ISP_B_DNSMASQ = """\
interface=lan0
except-interface=lo
host-record=host.example.com,203.0.113.20,2001:db8:ff::20
host-record=www.example.com,203.0.113.80,2001:db8:ff::80
host-record=v4only.example.com,203.0.113.80
host-record=v6only.example.com,2001:db8:ff::80
host-record=only-b.example.com,203.0.113.20
txt-record=view.example.com,isp_b
"""

_VPN_DNSMASQ = """\
interface=lan0
except-interface=lo
local=/corp.example/
host-record=host.example.com,203.0.113.130,fd6d:6966:2::80
host-record=intranet.corp.example,203.0.113.130,fd6d:6966:2::80
txt-record=view.example.com,vpn
"""

# Without dhcp-cache-threshold 0 a renewal in a lease's first quarter would get the old times again.
_ISP_B_DHCPD = """\
authoritative;
default-lease-time 60; max-lease-time 120; min-lease-time 10;
ping-check false;
dhcp-cache-threshold 0;
ddns-update-style none;
option rfc3442 code 121 = array of integer 8;
subnet 198.51.100.64 netmask 255.255.255.192 {
  range 198.51.100.70 198.51.100.100;
  option routers 198.51.100.65;
  option domain-name-servers 198.51.100.65;
  option domain-name "isp-b.example";
  option domain-search "isp-b.example";
  option ntp-servers 198.51.100.65;
  option interface-mtu 1400;
  option rfc3442 0, 198,51,100,65;
  option default-url "https://portal.isp-b.example/api";
}
"""

_ISP_A_RADVD = """\
interface lan0 {
  AdvSendAdvert on;
  MinRtrAdvInterval 3; MaxRtrAdvInterval 4; MinDelayBetweenRAs 3;
  AdvDefaultLifetime 1800; AdvDefaultPreference medium; AdvLinkMTU 1460;
  AdvRASrcAddress { fe80::a:1; };
  prefix 2001:db8:a::/64 { AdvOnLink on; AdvAutonomous on; AdvValidLifetime 3600; AdvPreferredLifetime 1800; };
  route 2001:db8:ff::/48 { AdvRoutePreference high; AdvRouteLifetime 1800; };
  RDNSS 2001:db8:a::1 2001:db8:a::3 { AdvRDNSSLifetime 600; };
  DNSSL isp-a.example example.com { AdvDNSSLLifetime 600; };
};
"""

_ISP_B_RADVD = """\
interface lan0 {
  AdvSendAdvert on;
  MinRtrAdvInterval 3; MaxRtrAdvInterval 4; MinDelayBetweenRAs 3;
  AdvDefaultLifetime 900; AdvDefaultPreference low;
  AdvRASrcAddress { fe80::b:1; };
  prefix 2001:db8:b::/64 { AdvOnLink on; AdvAutonomous on; AdvValidLifetime 3600; AdvPreferredLifetime 1800; };
  RDNSS 2001:db8:b::1 { AdvRDNSSLifetime 600; };
  DNSSL isp-b.example { AdvDNSSLLifetime 600; };
};
"""

# The stock configuration of Debian, and option 114 besides. The host's own name is not told to anybody.
DHCLIENT = """\
option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
initial-interval 1;
select-timeout 0;
request subnet-mask, broadcast-address, time-offset, routers, domain-name, domain-name-servers, domain-search,
  interface-mtu, rfc3442-classless-static-routes, ntp-servers, default-url;
"""


@frozen
class DaemonPlan:
    """How a daemon of a network is started, and how it is known to be ready.

    Attributes:
        listens: the sockets that it has when it is ready, as a table under ``/proc/net`` and a local port.
    """

    network: str
    command: tuple[str, ...]
    listens: tuple[tuple[str, int], ...]

    @property
    def name(self) -> str:
        """What it is called, for example ``isp_a.radvd``."""
        return f"{self.network}.{self.command[0]}"


ICMPV6 = 58  # A raw socket's "port" is its protocol.


def write_plans(directory: Path, *, isp_b_ipv6: bool) -> Mapping[str, DaemonPlan]:
    """Write the daemons' configuration files into `directory`; returns who is to be started, by name."""
    plans = [
        _dnsmasq(directory, "isp_a", _ISP_A_DNSMASQ + _MANY, ("udp", 67)),
        _dnsmasq(directory, "isp_b", _ISP_B_DNSMASQ + _MANY),
        _dnsmasq(directory, "vpn", _VPN_DNSMASQ),
        _dhcpd(directory, "isp_b", _ISP_B_DHCPD),
        _radvd(directory, "isp_a", _ISP_A_RADVD),
    ]
    if isp_b_ipv6:
        plans.append(_radvd(directory, "isp_b", _ISP_B_RADVD))
    return {plan.name: plan for plan in plans}


def _dnsmasq(directory: Path, network: str, text: str, *more: tuple[str, int]) -> DaemonPlan:
    path = directory / f"{network}.dnsmasq.conf"
    path.write_text(_DNSMASQ + text.replace("{directory}", str(directory)))
    # -d: in a user namespace dnsmasq can't become another user, and only so doesn't try to.
    command = ("dnsmasq", "-d", "-C", str(path), "--pid-file=")
    return DaemonPlan(network, command, (("udp", 53), ("tcp", 53), *more))


def _dhcpd(directory: Path, network: str, text: str) -> DaemonPlan:
    path, leases = directory / f"{network}.dhcpd.conf", directory / f"{network}.dhcpd.leases"
    path.write_text(text)
    leases.touch()
    files = ("-cf", str(path), "-lf", str(leases), "-pf", str(directory / f"{network}.dhcpd.pid"))
    return DaemonPlan(network, ("dhcpd", "-4", "-f", "-d", *files, "lan0"), (("udp", 67),))


def _radvd(directory: Path, network: str, text: str) -> DaemonPlan:
    path = directory / f"{network}.radvd.conf"
    path.write_text(text)
    pid = str(directory / f"{network}.radvd.pid")
    return DaemonPlan(network, ("radvd", "-n", "-C", str(path), "-p", pid, "-m", "stderr"), (("raw6", ICMPV6),))
