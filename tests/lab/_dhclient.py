"""ISC dhclient on a `Link`, with a script that only sets and removes addresses, and dhcpd at the other end."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Sequence

from ._dhcp_link import Link, end, poll

DHCLIENT = """
option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
initial-interval 1; select-timeout 0;
request subnet-mask, routers, domain-name-servers, domain-name, domain-search, interface-mtu, ntp-servers,
  rfc3442-classless-static-routes, dhcp-lease-time, default-url, vendor-encapsulated-options,
  dhcp6.name-servers, dhcp6.domain-search, dhcp6.sntp-servers, dhcp6.v6-captive-portal;
"""
SCRIPT = """#!/bin/sh
case $reason in
  BOUND|RENEW|REBIND|REBOOT) ip addr replace "$new_ip_address/24" dev "$interface" \\
      valid_lft "$new_dhcp_lease_time" preferred_lft "$new_dhcp_lease_time" ;;
  RELEASE|EXPIRE|STOP|FAIL) ip addr del "$old_ip_address/24" dev "$interface" ;;
  BOUND6|RENEW6|REBIND6) [ -n "$new_ip6_address" ] && ip addr replace "$new_ip6_address/128" dev "$interface" \\
      valid_lft "$new_max_life" preferred_lft "$new_preferred_life" ;;
  RELEASE6|EXPIRE6|STOP6) [ -n "$old_ip6_address" ] && ip addr del "$old_ip6_address/128" dev "$interface" ;;
esac
exit 0
"""

DHCPD = """
authoritative; ping-check false; dhcp-cache-threshold 0; default-lease-time SECONDS; max-lease-time SECONDS;
option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
subnet 198.51.100.0 netmask 255.255.255.0 {
  range 198.51.100.10 198.51.100.20;
  option routers 198.51.100.1; option domain-name-servers 198.51.100.1, 198.51.100.3;
  option domain-name "isp.example"; option domain-search "isp.example", "a.isp.example"; option interface-mtu 1460;
  option ntp-servers 198.51.100.1; option default-url "https://portal.isp.example/api";
  option rfc3442-classless-static-routes 24,203,0,113,198,51,100,1, 0,198,51,100,1;
  option vendor-encapsulated-options 41:4e:44:52:4f:49:44:5f:4d:45:54:45:52:45:44;
}
"""
DHCPD6 = """
authoritative; default-lease-time SECONDS; preferred-lifetime PREFERRED;
option dhcp-renewal-time 1; option dhcp-rebinding-time 3;
subnet6 2001:db8:a::/64 {
  range6 2001:db8:a::1000 2001:db8:a::1fff; prefix6 2001:db8:b00:: 2001:db8:b00:: /56;
  option dhcp6.name-servers 2001:db8:a::1; option dhcp6.domain-search "isp.example";
  option dhcp6.sntp-servers 2001:db8:a::2; option dhcp6.v6-captive-portal "https://portal.isp.example/api";
}
"""


def dhcpd_configuration(seconds: int = 60) -> str:
    """For leases of so many seconds."""
    return DHCPD.replace("SECONDS", str(seconds))


def dhcpd6_configuration(seconds: int = 12) -> str:
    """For leases of so many seconds, which are renewed every second."""
    return DHCPD6.replace("SECONDS", str(seconds)).replace("PREFERRED", str(seconds - 1))


def dhclient_command(link: Link, family: int, *more: str) -> tuple[str, ...]:
    """A client whose lease file is the link's ``dhclient4.eth0.leases`` or ``dhclient6.eth0.leases``."""
    for name, text in (("dhclient.conf", DHCLIENT), ("dhclient-script", SCRIPT)):
        (link.directory / name).write_text(text)
        (link.directory / name).chmod(0o755)
    names = {"-cf": "dhclient.conf", "-lf": f"dhclient{family}.eth0.leases", "-pf": f"dhclient{family}.pid"}
    names["-sf"] = "dhclient-script"
    files = [word for option, name in names.items() for word in (option, str(link.directory / name))]
    kinds = ("-N", "-P", "-D", "LL") if family == 6 else ()
    return ("dhclient", f"-{family}", "-v", *kinds, *files, *more, "eth0")


def start_dhclient(link: Link, family: int) -> subprocess.Popen[str]:
    """Start it in the foreground."""
    return link.start(link.host, *dhclient_command(link, family, "-d"))


async def release(link: Link, family: int) -> None:
    """Give the lease back; ends the running client."""
    await link.run_on_host(*dhclient_command(link, family, "-r"))


async def restart(link: Link, client: subprocess.Popen[str], by: signal.Signals) -> subprocess.Popen[str]:
    """End it, and start it again a second later, so that the end of the lease differs.

    dhclient -4 does not write a lease within 15 seconds of the last one (MIN_LEASE_WRITE), and a renewal earlier than
    that never gets into the file; but a new dhclient that finds the old one's lease confirms it, and writes at once.
    """
    end(client, by)
    written = (link.directory / "dhclient4.eth0.leases").stat().st_mtime
    await poll(lambda: time.time() > written + 1.1)
    return start_dhclient(link, 4)


def words(values: Sequence[object]) -> list[str]:
    """Values as people write them."""
    return [str(value) for value in values]
