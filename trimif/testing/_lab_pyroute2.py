"""pyroute2's DHCP client as a program: ``_lab_pyroute2.py INTERFACE``, leases in the working directory.

Its own command line asks for few options, and would tell the server the machine's name.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress


def main(interface: str) -> None:
    """Take a lease and keep it until SIGINT."""
    from pyroute2.dhcp import hooks
    from pyroute2.dhcp.cli import run_client
    from pyroute2.dhcp.client import ClientConfig
    from pyroute2.dhcp.enums.dhcp import Option

    options = (
        Option.SUBNET_MASK,
        Option.BROADCAST_ADDRESS,
        Option.ROUTER,
        Option.NAME_SERVER,
        Option.DOMAIN_NAME,
        Option.DOMAIN_SEARCH,
        Option.INTERFACE_MTU,
        Option.NTP_SERVERS,
        Option.CLASSLESS_STATIC_ROUTE,
        Option.LEASE_TIME,
        Option.RENEWAL_TIME,
        Option.REBINDING_TIME,
    )
    actions = (hooks.configure_ip, hooks.add_default_gw, hooks.remove_default_gw, hooks.remove_ip)
    config = ClientConfig(interface, hooks=actions, requested_parameters=options, host_name=None)
    with suppress(KeyboardInterrupt):
        asyncio.run(run_client(config))


if __name__ == "__main__":
    main(sys.argv[1])
