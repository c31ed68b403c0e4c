"""pyroute2's DHCP client as a program of its own: ``python -m trimif.cli._demo._dhcp_client INTERFACE DIRECTORY``.

It takes a lease, sets the address and the default route, and writes the lease to ``DIRECTORY/INTERFACE.lease.json``.
It ends when its standard input does, so it can't outlive whoever started it. The stock program
(``python -m pyroute2.dhcp.cli``) does not ask for the MTU and the search domains.
"""

from __future__ import annotations

import asyncio
import os
import sys


async def _run(interface: str) -> None:
    from pyroute2.dhcp import hooks
    from pyroute2.dhcp.cli import run_client
    from pyroute2.dhcp.client import ClientConfig
    from pyroute2.dhcp.enums.dhcp import Option

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), os._exit, 0)
    wanted = (
        *(Option.SUBNET_MASK, Option.ROUTER, Option.NAME_SERVER, Option.DOMAIN_NAME, Option.INTERFACE_MTU),
        *(Option.LEASE_TIME, Option.RENEWAL_TIME, Option.REBINDING_TIME, Option.DOMAIN_SEARCH),
    )
    configure = (hooks.configure_ip, hooks.add_default_gw, hooks.remove_default_gw, hooks.remove_ip)
    # By default the client tells the server this machine's name.
    await run_client(ClientConfig(interface, hooks=configure, requested_parameters=wanted, host_name=None))


if __name__ == "__main__":
    os.chdir(sys.argv[2])  # the client writes leases to its working directory, always
    asyncio.run(_run(sys.argv[1]))
