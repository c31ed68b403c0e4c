"""Asking NetworkManager by D-Bus for all that is active.

Only active connections are asked for, and of those only what NetworkManager itself has configured: a host may have a
thousand links that it merely sees ("connected (externally)"), and each question costs a third of a millisecond.
"""

from __future__ import annotations

from typing import Any

import trio
from attrs import define, field

from trimif._errors import MalformedInput
from trimif._facts import DHCPv6Lease, Lease, LinkConfiguration
from trimif._sources._system_bus import BusError, News, OwnerChanged, Signal, SignalsLost, SystemBus
from trimif._wire.link_dns import LinkDns
from trimif._wire.networkmanager import Texts, dhcp_leases
from trimif._wire.networkmanager_links import (
    dns_by_interface,
    dns_of_device,
    interface_name,
    link_configuration,
    number_of,
    strings_of,
)

__all__ = ["NAME", "NAMESPACE", "Found", "ask", "concerns"]

NAME = "org.freedesktop.NetworkManager"
NAMESPACE = "/org/freedesktop"
ROOT = "/org/freedesktop/NetworkManager"
NO_OBJECT = "/"
EXTERNAL = 0x80  # NM_ACTIVATION_STATE_FLAG_EXTERNAL

_VANISHED = frozenset(f"org.freedesktop.DBus.Error.Unknown{what}" for what in ("Object", "Method", "Interface"))
_PARTS = ("Connection.Active", "Device", "DnsManager", "IP4Config", "IP6Config", "DHCP4Config", "DHCP6Config")
_INTERFACES = frozenset((NAME, *(f"{NAME}.{part}" for part in _PARTS)))


@define
class Found:
    """What NetworkManager says.

    Attributes:
        starting: it has just been started, and has not yet taken over all that it had configured before.
        leases: the options of leases by interface.
        links: by interface.
    """

    starting: bool
    leases: dict[str, Texts] = field(factory=dict)
    links: dict[str, LinkConfiguration] = field(factory=dict)


def concerns(news: News) -> bool:
    """Whether what NetworkManager has configured may have changed: not when an access point's signal has."""
    match news:
        case Signal(member="PropertiesChanged", body=(interface, *_)):
            return interface in _INTERFACES
        case OwnerChanged() | SignalsLost():
            return True
    return False


async def ask(bus: SystemBus) -> Found:
    """Ask for everything. What changes meanwhile is told by a signal.

    Raises:
        BusError: NetworkManager does not answer, or has only just begun to start.
    """
    root = await bus.properties(NAME, ROOT, NAME)
    manager = await _properties(bus, f"{ROOT}/DnsManager", "DnsManager")
    dns = dns_by_interface(manager.get("Configuration"))
    found = Found(bool(root.get("Startup")))
    devices = [device for each in strings_of(root, "ActiveConnections") for device in await _devices(bus, each)]
    for path in dict.fromkeys(devices):
        await _ask_device(bus, path, dns, found)
    for interface in dns.keys() - found.links.keys():
        found.links[interface] = link_configuration(interface, None, dns[interface], ())
    return found


async def _devices(bus: SystemBus, connection: str) -> list[str]:
    """The devices of an active connection. A VPN's is that below its own link, which is asked for by itself."""
    told = await _properties(bus, connection, "Connection.Active")
    return [] if number_of(told, "StateFlags") & EXTERNAL or told.get("Vpn") else strings_of(told, "Devices")


async def _ask_device(bus: SystemBus, path: str, dns: dict[str, LinkDns], found: Found) -> None:
    device = await _properties(bus, path, "Device")
    interface = interface_name(device)
    if not interface:
        return
    texts = Texts(await _options(bus, device, "4"), await _options(bus, device, "6"))
    if texts != Texts():
        found.leases[interface] = texts
    ip4, ip6 = await _part(bus, device, "Ip4Config"), await _part(bus, device, "Ip6Config")
    of_link = dns_of_device(ip4, ip6) + dns.get(interface, LinkDns())
    found.links[interface] = link_configuration(interface, device, of_link, _leases(interface, texts))


def _leases(interface: str, texts: Texts) -> list[Lease | DHCPv6Lease]:
    """The leases, for what they tell besides times."""
    try:
        return dhcp_leases(interface, texts, lambda moment: moment.timestamp())
    except MalformedInput:
        return []


async def _options(bus: SystemBus, device: dict[str, Any], family: str) -> dict[str, str]:
    """The options of a lease, without those that only say what was asked for."""
    options = (await _part(bus, device, f"Dhcp{family}Config")).get("Options")
    told = options.items() if isinstance(options, dict) else ()
    return {str(name): str(text) for name, text in told if not str(name).startswith("requested_")}


async def _part(bus: SystemBus, device: dict[str, Any], name: str) -> dict[str, Any]:
    """The properties of an object that belongs to a device, for example ``Dhcp4Config``; none if there is none."""
    await trio.lowlevel.checkpoint()
    path = device.get(name)
    return (
        {}
        if path == NO_OBJECT or not isinstance(path, str)
        else await _properties(bus, path, name.replace("Ip", "IP").replace("Dhcp", "DHCP"))
    )


async def _properties(bus: SystemBus, path: str, interface: str) -> dict[str, Any]:
    """The properties of an object; none if it is gone by now."""
    await trio.lowlevel.checkpoint()
    try:
        return await bus.properties(NAME, path, f"{NAME}.{interface}")
    except BusError as error:
        if error.name in _VANISHED:
            return {}
        raise
    except ValueError:  # that was no path
        return {}
